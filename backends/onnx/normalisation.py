"""Normalisation: mean 0 and variance 1 over some axes, then a scale and a shift."""

from collections.abc import Sequence
from math import prod

import numpy as np

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.dims import Dim, dmax, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm
from netdsl.tensor_type import F16, F32, F64, I64, DType, TensorType


def _layer_norm(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """ONNX Runtime's kernel refuses to normalise over no elements, so it is for sizes that are known to be above 0.

    It holds `eps` in float32, which is too coarse for float64 here and in the other norms.
    """
    op = node.op
    assert isinstance(op, LayerNorm)
    x_type = node.operand_types[0]
    x, *others = operands
    sizes = x_type.sizes[-op.axes_count :]
    if _is_filled(sizes) and x_type.dtype != F64:
        scale = others[0] if others else e.constant(np.ones([size.value for size in sizes]), x_type.dtype)
        return e.node("LayerNormalization", x, scale, *others[1:], axis=-op.axes_count, epsilon=op.eps)
    y = _standard(e, x, tuple(range(x_type.rank - op.axes_count, x_type.rank)), op.eps, x_type.dtype)
    return (_affine(e, y, others),)


def _rms_norm(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, RmsNorm)
    x_type = node.operand_types[0]
    x, *others = operands
    sizes = x_type.sizes[-1:]
    if e.opset >= 23 and _is_filled(sizes) and x_type.dtype != F64:
        scale = others[0] if others else e.constant(np.ones(sizes[0].value), x_type.dtype)
        return e.node("RMSNormalization", x, scale, epsilon=op.eps)
    wide, dtype = _widened(e, x, x_type.dtype)
    y = _by_root(e, wide, (x_type.rank - 1,), op.eps, dtype)
    return (_affine(e, _narrowed(e, y, x_type.dtype), others),)


def _group_norm(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """ONNX's GroupNormalization is wrong before opset 21, and ONNX Runtime refuses an empty batch for it later.

    Its InstanceNormalization has no float64 kernel, and ends the process where a group has no elements.
    """
    op = node.op
    assert isinstance(op, GroupNorm)
    x_type = node.operand_types[0]
    x, *others = operands
    sizes = x_type.sizes
    rest = prod(sizes[2:], start=sizes[1] // op.groups)
    (grouped,) = e.node("Reshape", x, e.shape([sizes[0], Dim.of(op.groups), rest]), allowzero=1)
    if x_type.dtype == F64 or not _is_filled([rest]):
        y = _standard(e, grouped, (2,), op.eps, x_type.dtype)
    else:
        wide, dtype = _widened(e, grouped, x_type.dtype)
        scale, shift = e.constant(np.ones(op.groups), dtype), e.constant(np.zeros(op.groups), dtype)
        (y,) = e.node("InstanceNormalization", wide, scale, shift, epsilon=op.eps)
        y = _narrowed(e, y, x_type.dtype)
    (y,) = e.node("Reshape", y, e.shape(sizes), allowzero=1)
    return (_affine(e, y, [_per_channel(e, other, x_type) for other in others]),)


def _batch_norm(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, BatchNorm)
    x, mean, var, weight, bias = operands
    x_type = node.operand_types[0]
    if x_type.dtype != F64:
        return e.node("BatchNormalization", x, weight, bias, mean, var, epsilon=op.eps)
    (root,) = e.node("Sqrt", e.node("Add", var, e.constant(op.eps, F64, ()))[0])
    (scale,) = e.node("Div", weight, root)
    (centred,) = e.node("Sub", x, _per_channel(e, mean, x_type))
    return (_affine(e, centred, [_per_channel(e, other, x_type) for other in (scale, bias)]),)


def _moments(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Moments)
    x_type = node.operand_types[0]
    axes = op.normalised(node.operand_types).axes
    sizes = [x_type.sizes[axis] for axis in axes]
    wide, dtype = _widened(e, operands[0], x_type.dtype)
    mean = _mean(e, wide, axes, sizes, dtype, keepdims=True)
    (centred,) = e.node("Sub", wide, mean)
    (square,) = e.node("Mul", centred, centred)
    variance = _mean(e, square, axes, sizes, dtype, keepdims=False)
    (flat,) = e.node("Squeeze", mean, e.constant(axes, I64))
    return _narrowed(e, flat, x_type.dtype), _narrowed(e, variance, x_type.dtype)


def _mean(e: Emitter, x: str, axes: Sequence[int], sizes: Sequence[Dim], dtype: DType, *, keepdims: bool) -> str:
    """The mean, 0 over no elements."""
    where = e.constant(axes, I64)
    if _is_filled(sizes):
        return e.node("ReduceMean", x, where, keepdims=int(keepdims))[0]
    (total,) = e.node("ReduceSum", x, where, keepdims=int(keepdims))
    (count,) = e.node("Cast", e.dim(dmax(product(sizes), 1)), to=e.tensor_dtype(dtype))
    return e.node("Div", total, count)[0]


def _standard(e: Emitter, x: str, axes: Sequence[int], eps: float, dtype: DType) -> str:
    """(x - mean) / sqrt(variance + eps)."""
    wide, wide_dtype = _widened(e, x, dtype)
    (mean,) = e.node("ReduceMean", wide, e.constant(axes, I64))
    (centred,) = e.node("Sub", wide, mean)
    return _narrowed(e, _by_root(e, centred, axes, eps, wide_dtype), dtype)


def _by_root(e: Emitter, x: str, axes: Sequence[int], eps: float, dtype: DType) -> str:
    """x / sqrt(mean of x² + eps)."""
    (square,) = e.node("Mul", x, x)
    (mean,) = e.node("ReduceMean", square, e.constant(axes, I64))
    (root,) = e.node("Sqrt", e.node("Add", mean, e.constant(eps, dtype, ()))[0])
    return e.node("Div", x, root)[0]


def _affine(e: Emitter, y: str, others: Sequence[str]) -> str:
    for other, op_type in zip(others, ("Mul", "Add"), strict=False):
        (y,) = e.node(op_type, y, other)
    return y


def _per_channel(e: Emitter, vector: str, x_type: TensorType) -> str:
    if x_type.rank == 2:
        return vector
    return e.node("Unsqueeze", vector, e.constant(list(range(1, x_type.rank - 1)), I64))[0]


def _is_filled(sizes: Sequence[Dim]) -> bool:
    return all(size.is_const and size.value > 0 for size in sizes)


def _widened(e: Emitter, x: str, dtype: DType) -> tuple[str, DType]:
    """f16 as f32, whose squares do not overflow."""
    return (e.node("Cast", x, to=e.tensor_dtype(F32))[0], F32) if dtype == F16 else (x, dtype)


def _narrowed(e: Emitter, x: str, dtype: DType) -> str:
    return e.node("Cast", x, to=e.tensor_dtype(F16))[0] if dtype == F16 else x


TABLE: dict[type[Op], Lower] = {
    LayerNorm: _layer_norm,
    RmsNorm: _rms_norm,
    GroupNorm: _group_norm,
    BatchNorm: _batch_norm,
    Moments: _moments,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
