"""The discrete Fourier transform of real numbers, and back.

ONNX Runtime's float32 DFT loses digits where the length is no power of two (1e-5 at 197, 1e-3 at 16,000), and its
inverse scales by a float32 in every type. So short transforms are products with a constant matrix, long or free ones
are forward transforms in float64.
"""

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.spectral import Irfft, Rfft
from netdsl.tensor_type import F16, F32, F64, I64, DType

#: Up to this length the matrix of a transform is at most a mebibyte of float32.
LONGEST_MATRIX = 512


def _rfft(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Rfft)
    (x,) = operands
    x_type, dtype = node.operand_types[0], node.result.type.dtype
    axis = op.normalised(node.operand_types).axis
    length = x_type.sizes[axis]
    if length.is_const and length.value <= LONGEST_MATRIX:
        last = x_type.rank - 1
        wide = F32 if dtype == F16 else dtype
        x = _cast(e, _moved(e, x, axis, last, x_type.rank), dtype, wide)
        (y,) = e.node("MatMul", x, e.constant(_forward_matrix(length.value), wide))
        sizes = list(x_type.sizes[:axis] + x_type.sizes[axis + 1 :])
        (y,) = e.node("Reshape", y, e.shape([*sizes, length // 2 + 1, Dim.of(2)]), allowzero=1)
        return (_cast(e, _moved(e, y, last, axis, x_type.rank + 1), wide, dtype),)
    wide = F32 if dtype != F64 and _is_power_of_two(length) else F64
    (pairs,) = e.node("Unsqueeze", _cast(e, x, dtype, wide), e.constant([x_type.rank], I64))
    return (_cast(e, _dft(e, pairs, axis, onesided=True), wide, dtype),)


def _irfft(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """The full spectrum conjugated, transformed forward: its real part is n times the inverse."""
    op = node.op
    assert isinstance(op, Irfft)
    (x,) = operands
    x_type, dtype = node.operand_types[0], node.result.type.dtype
    axis = op.normalised(node.operand_types).axis
    length = Dim.of(op.n)
    last = x_type.rank - 2
    if length.is_const and length.value <= LONGEST_MATRIX:
        wide = F32 if dtype == F16 else dtype
        x = _cast(e, _moved(e, x, axis, last, x_type.rank), dtype, wide)
        sizes = list(x_type.sizes[:axis] + x_type.sizes[axis + 1 : -1])
        (flat,) = e.node("Reshape", x, e.shape([*sizes, Dim.of(2 * (length.value // 2 + 1))]), allowzero=1)
        (y,) = e.node("MatMul", flat, e.constant(_backward_matrix(length.value), wide))
        return (_cast(e, _moved(e, y, last, axis, x_type.rank - 1), wide, dtype),)
    x = _cast(e, x, dtype, F64)
    (conjugate,) = e.node("Mul", x, e.constant([1.0, -1.0], F64))
    mirrored = length - (length // 2 + 1)
    where, step = e.constant([axis], I64), e.constant([-1], I64)
    (tail,) = e.node("Slice", x, e.shape([mirrored]), e.constant([0], I64), where, step)
    (whole,) = e.node("Concat", conjugate, tail, axis=axis)
    (real,) = e.node("Gather", _dft(e, whole, axis, onesided=False), e.constant(0, I64, ()), axis=x_type.rank - 1)
    (count,) = e.node("Cast", e.dim(length), to=e.tensor_dtype(F64))
    return (_cast(e, e.node("Div", real, count)[0], F64, dtype),)


def _dft(e: Emitter, x: str, axis: int, *, onesided: bool) -> str:
    if e.opset < 20:
        return e.node("DFT", x, axis=axis, onesided=int(onesided))[0]
    return e.node("DFT", x, "", e.constant(axis, I64, ()), onesided=int(onesided))[0]


def _forward_matrix(length: int) -> NDArray[np.float64]:
    """(length, 2 * (length // 2 + 1)): from numbers to pairs."""
    angles = _angles(length)
    return np.stack([np.cos(angles), -np.sin(angles)], axis=-1).reshape(length, -1)


def _backward_matrix(length: int) -> NDArray[np.float64]:
    """(2 * (length // 2 + 1), length): from pairs to numbers."""
    angles = _angles(length).T
    twice = np.full((len(angles), 1), 2.0 / length)
    twice[0] = 1.0 / length
    if length % 2 == 0:
        twice[-1] = 1.0 / length
    return np.stack([twice * np.cos(angles), -twice * np.sin(angles)], axis=1).reshape(-1, length)


def _angles(length: int) -> NDArray[np.float64]:
    """2 pi t k / length for times t and frequencies k, reduced to one turn before it is rounded."""
    turns = np.outer(np.arange(length), np.arange(length // 2 + 1)) % length
    return np.asarray(turns * (2 * np.pi / length), np.float64)


def _moved(e: Emitter, x: str, source: int, target: int, rank: int) -> str:
    """`x` with one axis at another place."""
    if source == target:
        return x
    order = [axis for axis in range(rank) if axis != source]
    order.insert(target, source)
    return e.node("Transpose", x, perm=order)[0]


def _cast(e: Emitter, x: str, found: DType, wanted: DType) -> str:
    return x if found == wanted else e.node("Cast", x, to=e.tensor_dtype(wanted))[0]


def _is_power_of_two(length: Dim) -> bool:
    return length.is_const and length.value & (length.value - 1) == 0


TABLE: dict[type[Op], Lower] = {Rfft: _rfft, Irfft: _irfft}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
