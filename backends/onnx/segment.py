"""Reductions of groups of rows.

ScatterND with a reduction is never used: it races in ONNX Runtime. ScatterElements does not, and serves narrow rows,
but it works element by element on one thread. Wide rows are sorted by group and padded to the next power of two of
their group's size; groups of one such size are one block, for one gather and one reduction over an axis. Both forms
take time and memory linear in the rows, but for the sort, and keep what is not a number in its group.
"""

from dataclasses import dataclass
from math import inf, log

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.indexing import spread
from netdsl.backends.onnx.kernels import NUMBERS, SUMS, cast, kernel_type
from netdsl.backends.onnx.loops import leading, trailing
from netdsl.backends.onnx.masks import places
from netdsl.dims import Dim, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.segment import SegmentReduce
from netdsl.tensor_type import BOOL, F32, F64, I64, DType, TensorType

#: Rows of at most so many elements are scattered.
_NARROW = 32
_SCATTER = {"sum": "add", "mean": "add", "prod": "mul", "max": "max", "min": "min"}
_REDUCE = {"sum": "ReduceSum", "mean": "ReduceSum", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


def _segment_reduce(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, SegmentReduce)
    assert isinstance(e, GraphEmitter)
    t, tb = node.operand_types
    sizes = node.result.type.sizes
    if any(size == 0 for size in (*t.sizes, op.count)):
        return e.node("Expand", e.constant(op.reduction == "prod", t.dtype, ()), e.shape(sizes))
    width = product(sizes[1:])
    is_narrow = width.is_const and width.value <= _NARROW
    via = _type_to_combine_in(t.dtype, NUMBERS if is_narrow or op.reduction in ("max", "min") else SUMS)
    x, by = cast(e, operands[0], t.dtype, via), cast(e, operands[1], tb.dtype, I64)
    counts = _counts(e, by, tb.sizes, op.count)
    if is_narrow:
        found = _scattered(e, op, x, by, t, via)
    else:
        found = _in_blocks(e, op, x, t, via, layout_of(e, by, counts, tb.sizes[0], op.count))
    if op.reduction == "mean":
        (count,) = e.node("Max", counts, e.constant(1, I64, ()))
        (found,) = e.node("Div", found, _column(e, cast(e, count, I64, via), t))
    elif op.reduction in ("max", "min"):
        (found,) = e.node("Where", _column(e, cast(e, counts, I64, BOOL), t), found, e.constant(0, via, ()))
    return (cast(e, found, via, t.dtype),)


def _scattered(e: GraphEmitter, op: SegmentReduce, x: str, by: str, t: TensorType, dtype: DType) -> str:
    """The rows combined element by element, with groups along the last axis: there ONNX Runtime is faster."""
    last = t.rank - 1
    columns = t.with_axes((*t.axes[1:], t.axes[0]))
    (table,) = e.node("Expand", e.constant(_start(op.reduction, dtype), dtype, ()), e.shape([*t.sizes[1:], op.count]))
    indices, values = spread(e, by, columns, last), trailing(e, x, last, t.rank)
    (found,) = e.node("ScatterElements", table, indices, values, axis=last, reduction=_SCATTER[op.reduction])
    return leading(e, found, last, t.rank)


def _type_to_combine_in(dtype: DType, kernels: frozenset[str]) -> DType:
    """Many rows are combined in f32 at least."""
    return F32 if dtype.is_float and dtype.bits < 32 else kernel_type(dtype, kernels)


def _counts(e: Emitter, by: str, rows: tuple[Dim, ...], groups: Dim) -> str:
    """How many rows each group has."""
    (zeros,) = e.node("Expand", e.constant(0, I64, ()), e.shape([groups]))
    (ones,) = e.node("Expand", e.constant(1, I64, ()), e.shape(rows))
    return e.node("ScatterElements", zeros, by, ones, axis=0, reduction="add")[0]


def _column(e: Emitter, row: str, t: TensorType) -> str:
    """A vector over the first axis of `t`, to be broadcast over its others."""
    return e.node("Unsqueeze", row, e.constant(range(1, t.rank), I64))[0] if t.rank > 1 else row


def _start(reduction: str, dtype: DType) -> float | int:
    """What changes nothing in a reduction."""
    if reduction not in ("max", "min"):
        return int(reduction == "prod")
    low, high = (-inf, inf) if dtype.is_float else (-(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1)
    return low if reduction == "max" else high


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of what tells where the rows of groups stand in blocks; one for all reductions by the same indices.

    A group is of level k if 2**k is the least power of two that its rows fit in; levels go from the largest down.

    Args:
        rows:    for each place of all blocks, the row that stands there; one past the last row for none.
        top:     the largest level.
        groups:  how many groups each level has; starts: where its block starts among the places.
        powers:  2**k.
        inverse: where the result of each group stands after the last block.
    """

    rows: str
    top: str
    groups: str
    starts: str
    powers: str
    inverse: str


def layout_of(e: Emitter, by: str, counts: str, rows: Dim, groups: Dim) -> Layout:
    """The blocks of groups that have `counts` rows. Equal nodes are emitted once, so are equal layouts."""
    zero, one = e.constant(0, I64, ()), e.constant(1, I64, ())
    (_, order) = e.node("TopK", by, e.shape([rows]), outputs=2, axis=0, largest=0, sorted=1)
    (first,) = e.node("CumSum", counts, zero, exclusive=1)
    (bits,) = e.node("Log", cast(e, e.node("Max", counts, one)[0], I64, F64))
    levels = cast(e, e.node("Ceil", e.node("Div", bits, e.constant(log(2), F64, ()))[0])[0], F64, I64)
    (with_zero,) = e.node("Concat", levels, e.constant([0], I64), axis=0)
    (top,) = e.node("ReduceMax", with_zero, keepdims=0)
    sorted_levels, by_level = e.node("TopK", levels, e.shape([groups]), outputs=2, axis=0, largest=1, sorted=1)
    powers = e.constant([2**k for k in range(40)], I64)
    (widths,) = e.node("Gather", powers, sorted_levels, axis=0)
    (ends,) = e.node("CumSum", widths, zero)
    (begins,) = e.node("Sub", ends, widths)
    (total,) = e.node("ReduceSum", widths, keepdims=0)
    (nowhere,) = e.node("Expand", zero, e.node("Unsqueeze", total, e.constant([0], I64))[0])
    (ones,) = e.node("Expand", one, e.shape([groups]))
    (marks,) = e.node("ScatterElements", nowhere, begins, ones, axis=0)
    (owner,) = e.node("Sub", e.node("CumSum", marks, zero)[0], one)
    (offset,) = e.node("Sub", e.node("Range", zero, total, one)[0], e.node("Gather", begins, owner, axis=0)[0])
    (group,) = e.node("Gather", by_level, owner, axis=0)
    (is_there,) = e.node("Less", offset, e.node("Gather", counts, group, axis=0)[0])
    (place,) = e.node("Add", e.node("Gather", first, group, axis=0)[0], offset)
    (place,) = e.node("Where", is_there, place, e.dim(rows))
    (padded,) = e.node("Concat", order, e.shape([rows]), axis=0)
    (levels_used,) = e.node("Unsqueeze", e.node("Add", top, one)[0], e.constant([0], I64))
    (no_groups,) = e.node("Expand", zero, levels_used)
    (per_level,) = e.node("ScatterElements", no_groups, levels, ones, axis=0, reduction="add")
    (used,) = e.node("Slice", powers, e.constant([0], I64), levels_used)
    (starts,) = e.node("CumSum", e.node("Mul", per_level, used)[0], zero, exclusive=1, reverse=1)
    (unset,) = e.node("Expand", zero, e.shape([groups]))
    (inverse,) = e.node("ScatterElements", unset, by_level, places(e, groups), axis=0)
    return Layout(e.node("Gather", padded, place, axis=0)[0], top, per_level, starts, powers, inverse)


def _in_blocks(e: GraphEmitter, op: SegmentReduce, x: str, t: TensorType, dtype: DType, layout: Layout) -> str:
    """The reduced rows of each group, block by block."""
    rest = t.sizes[1:]
    one = e.constant([1], I64)
    (nothing,) = e.node("Expand", e.constant(_start(op.reduction, dtype), dtype, ()), e.shape([Dim.of(1), *rest]))
    (padded,) = e.node("Concat", x, nothing, axis=0)
    (none_yet,) = e.node("Expand", e.constant(0, dtype, ()), e.shape([Dim.of(0), *rest]))
    with e.subgraph("blocks") as scope:
        turn = e.argument(scope, "turn", TensorType(I64))
        keep_on = e.argument(scope, "keep_on", TensorType(BOOL))
        before = e.argument(scope, "before", None)
        (level,) = e.node("Unsqueeze", e.node("Sub", layout.top, turn)[0], e.constant([0], I64))
        count, width, start = (
            e.node("Gather", values, level, axis=0)[0] for values in (layout.groups, layout.powers, layout.starts)
        )
        (stop,) = e.node("Add", start, e.node("Mul", count, width)[0])
        (places_,) = e.node("Slice", layout.rows, start, stop)
        (block,) = e.node("Reshape", places_, e.node("Concat", count, width, axis=0)[0], allowzero=1)
        (rows,) = e.node("Gather", padded, block, axis=0)
        (reduced,) = e.node(_REDUCE[op.reduction], rows, one, keepdims=0)
        (after,) = e.node("Concat", before, reduced, axis=0)
        e.result(scope, keep_on)
        e.result(scope, after)
    (turns,) = e.node("Add", layout.top, e.constant(1, I64, ()))
    (found,) = e.node_with_bodies("Loop", turns, "", none_yet, outputs=1, bodies={"body": scope})
    return e.node("Gather", found, layout.inverse, axis=0)[0]


TABLE: dict[type[Op], Lower] = {SegmentReduce: _segment_reduce}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
