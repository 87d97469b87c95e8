"""Triangles and lengths."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import NUMBERS, cast, kernel_type
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.masks import LengthMask, Tril, TriMask, Triu
from netdsl.tensor_type import I64

_TRILU = NUMBERS | {"bool"}


def places(e: Emitter, size: Dim, start: Dim | int = 0) -> str:
    """`size` integers from `start` on, in a vector of i64."""
    first = Dim.of(start)
    if size.is_const and first.is_const:
        return e.constant(range(first.value, first.value + size.value), I64, (size.value,))
    return e.node("Range", e.dim(first), e.dim(first + size), e.constant(1, I64, ()))[0]


def _trilu(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Tril | Triu)
    dtype = node.result.type.dtype
    via = kernel_type(dtype, _TRILU)
    x, diagonal = cast(e, operands[0], dtype, via), e.constant(op.diagonal, I64, ())
    return (cast(e, e.node("Trilu", x, diagonal, upper=isinstance(op, Triu))[0], via, dtype),)


def _tri_mask(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, TriMask)
    rows = places(e, op.rows, op.diagonal)
    return e.node("LessOrEqual", places(e, op.cols), e.node("Unsqueeze", rows, e.constant([1], I64))[0])


def _length_mask(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, LengthMask)
    t = node.operands[0].type
    (length,) = e.node("Unsqueeze", cast(e, operands[0], t.dtype, I64), e.constant([t.rank], I64))
    return e.node("Less", places(e, op.size), length)


TABLE: dict[type[Op], Lower] = {Tril: _trilu, Triu: _trilu, TriMask: _tri_mask, LengthMask: _length_mask}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
