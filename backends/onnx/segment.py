"""Reductions of groups of rows.

ScatterND with a reduction is never used: it races in ONNX Runtime. ScatterElements does not, and serves narrow rows,
but it works element by element on one thread. Wide rows are reduced in blocks. Both forms take time and memory linear
in the rows, but for a sort, and keep what is not a number in its group.
"""

from math import inf

from netdsl.backends.onnx.blocks import Block, counts, in_blocks, layout_of
from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.indexing import spread
from netdsl.backends.onnx.kernels import NUMBERS, SUMS, cast, kernel_type
from netdsl.backends.onnx.loops import leading, trailing
from netdsl.dims import Dim, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.segment import SegmentReduce
from netdsl.tensor_type import BOOL, F32, I64, DType, TensorType

#: Rows of at most so many elements are scattered.
_NARROW = 32
_SCATTER = {"sum": "add", "mean": "add", "prod": "mul", "max": "max", "min": "min"}
_REDUCE = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


def _segment_reduce(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, SegmentReduce)
    assert isinstance(e, GraphEmitter)
    x, by = operands
    t, tb = node.operand_types
    sizes = node.result.type.sizes
    if any(size == 0 for size in (*t.sizes, op.count)):
        return e.node("Expand", e.constant(op.reduction == "prod", t.dtype, ()), e.shape(sizes))
    if not is_wide(node):
        return (_scattered(e, op, x, cast(e, by, tb.dtype, I64), t),)
    layout = layout_of(e, by, tb.dtype, tb.sizes[0], op.count)

    def body(block: Block) -> str:
        return reduced(e, op, block.of_rows(x, layout.order), t.dtype)

    row = e.shape([Dim.of(1), Dim.of(1), *sizes[1:]])
    return (in_blocks(e, layout, product(sizes[1:]), e.node("Expand", of_no_rows(e, op, t), row)[0], body),)


def is_wide(node: Node) -> bool:
    """Whether rows are reduced in blocks."""
    width = product(node.result.type.sizes[1:])
    return not (width.is_const and width.value <= _NARROW)


def reduced(e: Emitter, op: SegmentReduce, x: str, dtype: DType) -> str:
    """The reduction of a block (groups, rows of each, ..) over its rows."""
    via = _type_to_combine_in(dtype, NUMBERS if op.reduction in ("max", "min") else SUMS)
    (found,) = e.node(_REDUCE[op.reduction], cast(e, x, dtype, via), e.constant([1], I64), keepdims=1)
    return cast(e, found, via, dtype)


def of_no_rows(e: Emitter, op: SegmentReduce, t: TensorType) -> str:
    """What a group without rows gives, one element in the shape of a block."""
    return e.constant(op.reduction == "prod", t.dtype, [1] * (t.rank + 1))


def _scattered(e: GraphEmitter, op: SegmentReduce, x: str, by: str, t: TensorType) -> str:
    """The rows combined element by element, with groups along the last axis: there ONNX Runtime is faster."""
    via = _type_to_combine_in(t.dtype, NUMBERS)
    last = t.rank - 1
    columns = t.with_axes((*t.axes[1:], t.axes[0]))
    (table,) = e.node("Expand", e.constant(_start(op.reduction, via), via, ()), e.shape([*t.sizes[1:], op.count]))
    values = trailing(e, cast(e, x, t.dtype, via), last, t.rank)
    indices = spread(e, by, columns, last)
    (found,) = e.node("ScatterElements", table, indices, values, axis=last, reduction=_SCATTER[op.reduction])
    found = leading(e, found, last, t.rank)
    of_group = counts(e, by, t.sizes[0], op.count)
    if op.reduction == "mean":
        (count,) = e.node("Max", of_group, e.constant(1, I64, ()))
        (found,) = e.node("Div", found, _column(e, cast(e, count, I64, via), t))
    elif op.reduction in ("max", "min"):
        (found,) = e.node("Where", _column(e, cast(e, of_group, I64, BOOL), t), found, e.constant(0, via, ()))
    return cast(e, found, via, t.dtype)


def _type_to_combine_in(dtype: DType, kernels: frozenset[str]) -> DType:
    """Many rows are combined in f32 at least."""
    return F32 if dtype.is_float and dtype.bits < 32 else kernel_type(dtype, kernels)


def _column(e: Emitter, row: str, t: TensorType) -> str:
    """A vector over the first axis of `t`, to be broadcast over its others."""
    return e.node("Unsqueeze", row, e.constant(range(1, t.rank), I64))[0] if t.rank > 1 else row


def _start(reduction: str, dtype: DType) -> float | int:
    """What changes nothing in a reduction."""
    if reduction not in ("max", "min"):
        return int(reduction == "prod")
    low, high = (-inf, inf) if dtype.is_float else (-(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1)
    return low if reduction == "max" else high


TABLE: dict[type[Op], Lower] = {SegmentReduce: _segment_reduce}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
