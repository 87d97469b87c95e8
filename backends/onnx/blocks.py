"""Groups of rows, block by block: rows are sorted by the size of their group, and equally large groups stand together.

A block is a few groups of one size, a tensor (groups, rows of each, ..) without padding, so that any function of groups
is one over its axis 1. Each turn of a loop gathers one block. Groups of one size are cut where a block would leave the
cache. There are at most as many sizes as the root of twice the rows: time is linear in the rows, but for the sort.
"""

from collections.abc import Callable
from dataclasses import dataclass

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.kernels import cast
from netdsl.backends.onnx.masks import places
from netdsl.dims import Dim
from netdsl.tensor_type import BOOL, I64, DType, TensorType

#: Elements of a block, unless one group has more; with more elements, blocks are larger and not more than so many.
_ELEMENTS = 1 << 18
_BLOCKS = 1024


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of what tells where rows stand; one for all that is grouped by the same indices.

    Groups without rows come last.

    Args:
        order:  the rows, those of large groups first, and those of a group in their order.
        groups: in that order; sizes: how many rows each has; starts: where they start in `order`, and its end.
        rank:   where each group stands among `groups`.
        larger: for each of `groups`, how many are larger.
    """

    count: Dim
    rows: Dim
    order: str
    groups: str
    sizes: str
    starts: str
    rank: str
    larger: str


def layout_of(e: GraphEmitter, by: str, dtype: DType, rows: Dim, count: Dim) -> Layout:
    """The layout of `count` groups. Equal nodes are emitted once, so are equal layouts."""
    zero, one = e.constant(0, I64, ()), e.constant(1, I64, ())
    by = cast(e, by, dtype, I64)
    of_group = counts(e, by, rows, count)
    sizes, groups = e.node("TopK", of_group, e.shape([count]), outputs=2, axis=0, largest=1, sorted=1)
    (unset,) = e.node("Expand", zero, e.shape([count]))
    (rank,) = e.node("ScatterElements", unset, groups, places(e, count), axis=0)
    (keys,) = e.node("Gather", rank, by, axis=0)
    (_, order) = e.node("TopK", keys, e.shape([rows]), outputs=2, axis=0, largest=0, sorted=1)
    (ends,) = e.node("CumSum", sizes, zero)
    (starts,) = e.node("Concat", e.constant([0], I64), ends, axis=0)
    (no_groups,) = e.node("Expand", zero, e.shape([rows + 1]))
    (ones,) = e.node("Expand", one, e.shape([count]))
    (of_size,) = e.node("ScatterElements", no_groups, of_group, ones, axis=0, reduction="add")
    (above,) = e.node("CumSum", of_size, zero, exclusive=1, reverse=1)
    (larger,) = e.node("Gather", above, sizes, axis=0)
    return Layout(count, rows, order, groups, sizes, starts, rank, larger)


def counts(e: GraphEmitter, by: str, rows: Dim, groups: Dim) -> str:
    """How many rows each group has; `by` is of i64."""
    (zeros,) = e.node("Expand", e.constant(0, I64, ()), e.shape([groups]))
    (ones,) = e.node("Expand", e.constant(1, I64, ()), e.shape([rows]))
    return e.node("ScatterElements", zeros, by, ones, axis=0, reduction="add")[0]


@dataclass(frozen=True, slots=True)
class Block:
    """What the body of the loop knows, vectors of i64.

    Args: groups, rows: where its groups and its rows begin and end; shape: how many groups, how many rows of each.
    """

    e: GraphEmitter
    layout: Layout
    groups: tuple[str, str]
    rows: tuple[str, str]
    shape: str

    def of_rows(self, table: str, order: str) -> str:
        """The rows (groups, rows of each, ..) of a table; `order` says which row stands where."""
        (found,) = self.e.node("Slice", order, *self.rows)
        return self.e.node("Gather", table, self.e.node("Reshape", found, self.shape)[0], axis=0)[0]

    def of_groups(self, table: str) -> str:
        """The rows (groups, 1, ..) of a table with one row a group."""
        (found,) = self.e.node("Slice", self.layout.groups, *self.groups)
        return self.e.node("Gather", table, self.e.node("Unsqueeze", found, self.e.constant([1], I64))[0], axis=0)[0]


def in_blocks(e: GraphEmitter, layout: Layout, width: Dim, empty: str, body: Callable[[Block], str]) -> str:
    """What `body` makes of each group, a table with one row a group.

    Args:
        width: elements of a row.
        empty: what it would make of a group without rows, which it never sees: (1, 1, ..).
        body:  gives a row (groups, 1, ..) for each group of a block.
    """
    one, second = e.constant(1, I64, ()), e.constant([1], I64)
    begins, filled = _bounds(e, layout, width)
    (bounds,) = e.node("Concat", begins, filled, axis=0)
    (row_bounds,) = e.node("Gather", layout.starts, bounds, axis=0)
    (together,) = e.node("Sub", e.node("Slice", bounds, second, e.constant([2**62], I64))[0], begins)
    (sizes,) = e.node("Gather", layout.sizes, begins, axis=0)
    (shapes,) = e.node("Concat", *(e.node("Unsqueeze", row, second)[0] for row in (together, sizes)), axis=1)
    (none_yet,) = e.node("SequenceConstruct", empty)
    with e.subgraph("blocks") as scope:
        turn = e.argument(scope, "turn", TensorType(I64))
        keep_on = e.argument(scope, "keep_on", TensorType(BOOL))
        before = e.argument(scope, "before", None)
        (at,) = e.node("Unsqueeze", turn, e.constant([0], I64))
        (next_at,) = e.node("Add", at, one)
        groups, rows = (
            (e.node("Gather", table, at, axis=0)[0], e.node("Gather", table, next_at, axis=0)[0])
            for table in (bounds, row_bounds)
        )
        block = Block(e, layout, groups, rows, e.node("Gather", shapes, turn, axis=0)[0])
        (after,) = e.node("SequenceInsert", before, body(block))
        e.result(scope, keep_on)
        e.result(scope, after)
    (found,) = e.node_with_bodies("Loop", e.node("Size", begins)[0], "", none_yet, outputs=1, bodies={"body": scope})
    (table,) = e.node("ConcatFromSequence", found, axis=0)
    (is_filled,) = e.node("Less", layout.rank, filled)
    (place,) = e.node("Where", is_filled, e.node("Add", layout.rank, one)[0], e.constant(0, I64, ()))
    return e.node("Squeeze", e.node("Gather", table, place, axis=0)[0], second)[0]


def _bounds(e: GraphEmitter, layout: Layout, width: Dim) -> tuple[str, str]:
    """Where blocks begin among the groups, and in a vector of one where the last block ends."""
    zero, one = e.constant(0, I64, ()), e.constant(1, I64, ())
    (has_rows,) = e.node("Greater", layout.sizes, zero)
    (filled,) = e.node("ReduceSum", cast(e, has_rows, BOOL, I64), keepdims=1)
    (share,) = e.node("Div", e.dim(layout.rows * width), e.constant(_BLOCKS, I64, ()))
    (most,) = e.node("Max", share, e.constant(_ELEMENTS, I64, ()))
    (elements,) = e.node("Max", e.node("Mul", layout.sizes, e.dim(width))[0], one)
    (together,) = e.node("Max", e.node("Div", most, elements)[0], one)
    (before,) = e.node("Sub", places(e, layout.count), layout.larger)
    (begins,) = e.node("And", e.node("Equal", e.node("Mod", before, together)[0], zero)[0], has_rows)
    return e.node("Compress", places(e, layout.count), begins, axis=0)[0], filled
