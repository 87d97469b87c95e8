"""A linear map and a linear aggregation commute: the narrower side of the map is gathered and added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from netdsl.edit import GraphEdit, edit
from netdsl.ir import Graph, Node, Value
from netdsl.ops.elementwise import Mul
from netdsl.ops.indexing import Take
from netdsl.ops.product import Matmul
from netdsl.ops.segment import SegmentReduce
from netdsl.passes.base import EXACT, Guarantee, PassResult, Skip

#: Aggregations that are linear in their rows.
_LINEAR = ("sum", "mean")


@dataclass(frozen=True)
class NarrowAggregations:
    """Put a product with a matrix on the side of a sum or mean over gathered rows on which the rows are narrower.

    `sum(x[src], by) @ w` is `sum((x @ w)[src], by)`, also where the gathered rows are scaled one by one. It goes ahead
    of the gather where the matrix narrows the rows, and behind the sum where it widens them. It declines where a width
    is not known, or another node reads what lies between the product and the sum.
    """

    name: ClassVar[str] = "narrow-aggregations"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        skips: list[Skip] = []
        fired = 0
        with edit(graph) as e:
            finder = _Finder(graph, e)
            for node in graph.nodes:
                if isinstance(node.op, Matmul) and (found := finder.aggregated(node)) is not None:
                    fired += _move(finder, e, node, found, skips)
        return PassResult(e.graph if fired else graph, fired, tuple(skips))


@dataclass(frozen=True, slots=True)
class _Sum:
    """A linear aggregation of gathered rows.

    Args: scales: the products of one number a row that stand between, in their order.
    """

    take: Node
    scales: tuple[Node, ...]
    reduce: Node

    @property
    def table(self) -> Value:
        return self.take.operands[0]


class _Finder:
    """What stands around a product."""

    def __init__(self, graph: Graph, e: GraphEdit) -> None:
        self.uses = e.uses
        self.makers = {value: node for node in graph.nodes for value in node.results}
        self.kept = {v for _, v in graph.outputs} | {u.value for u in graph.updates} | {t.value for t in graph.taps}

    def is_between(self, value: Value) -> bool:
        """Whether one node reads it and nothing else does."""
        return value not in self.kept and len(self.uses(value)) == 1

    def aggregated(self, product: Node) -> _Sum | None:
        """The aggregation that a product with a matrix follows, or that follows it."""
        if product.operand_types[1].rank != 2 or product.operand_types[0].rank != 2:
            return None
        return self._before(product.operands[0]) or self._after(product.result)

    def _before(self, value: Value) -> _Sum | None:
        reduce = self.makers.get(value)
        if reduce is None or not _is_linear(reduce):
            return None
        scales: list[Node] = []
        node = self.makers.get(reduce.operands[0])
        while node is not None and _row_scale(node) is not None:
            scales.insert(0, node)
            node = self.makers.get(_rows(node))
        return _Sum(node, tuple(scales), reduce) if node is not None and _is_gather(node) else None

    def _after(self, value: Value) -> _Sum | None:
        take = self._only_reader(value)
        if take is None or not _is_gather(take) or take.operands[0] is not value:
            return None
        scales: list[Node] = []
        node = self._only_reader(take.result)
        last = take
        while node is not None and _row_scale(node) is not None and _rows(node) is last.result:
            scales.append(node)
            last = node
            node = self._only_reader(node.result)
        if node is None or not _is_linear(node) or node.operands[0] is not last.result:
            return None
        return _Sum(take, tuple(scales), node)

    def _only_reader(self, value: Value) -> Node | None:
        return self.uses(value)[0] if self.is_between(value) else None


def _is_linear(node: Node) -> bool:
    return isinstance(node.op, SegmentReduce) and node.op.reduction in _LINEAR and node.result.type.rank == 2


def _is_gather(node: Node) -> bool:
    """Whether it takes rows of a matrix."""
    return (
        isinstance(node.op, Take)
        and node.op.axis == 0
        and node.operand_types[0].rank == 2
        and node.operand_types[1].rank == 1
    )


def _row_scale(node: Node) -> int | None:
    """Which operand of a product holds one number for each row of the other."""
    if not isinstance(node.op, Mul) or node.result.type.rank != 2:
        return None
    for at, t in enumerate(node.operand_types):
        rows = node.operand_types[1 - at]
        if rows.rank == 2 and t.rank == 2 and t.sizes == (rows.sizes[0], t.sizes[1]) and t.sizes[1] == 1:
            return at
    return None


def _rows(scale: Node) -> Value:
    """What a product of one number a row scales."""
    at = _row_scale(scale)
    assert at is not None
    return scale.operands[1 - at]


def _move(finder: _Finder, e: GraphEdit, product: Node, found: _Sum, skips: list[Skip]) -> int:
    wide, narrow = product.operand_types[1].sizes
    is_after = product.operands[0] is found.reduce.result
    if not (wide.is_const and narrow.is_const):
        skips.append(Skip(product, f"the widths {wide} and {narrow} are not known"))
        return 0
    if (narrow.value < wide.value) != is_after or narrow == wide:
        skips.append(Skip(product, f"rows of {min(wide.value, narrow.value)} are aggregated already"))
        return 0
    if is_after and not finder.is_between(found.reduce.result):
        skips.append(Skip(product, "something else reads what is aggregated"))
        return 0
    weight = product.operands[1]
    if is_after:
        mapped = e.insert_before(product, product.op, (found.table, weight)).result
        rows = _gathered(e, product, found, mapped)
        e.replace_node(product, found.reduce.op, (rows, found.reduce.operands[1]))
        return 1
    rows = _gathered(e, found.reduce, found, product.operands[0])
    summed = e.insert_before(found.reduce, found.reduce.op, (rows, found.reduce.operands[1])).result
    e.replace_node(found.reduce, product.op, (summed, weight))
    return 1


def _gathered(e: GraphEdit, anchor: Node, found: _Sum, table: Value) -> Value:
    """The rows of another table, gathered and scaled alike."""
    rows = e.insert_before(anchor, found.take.op, (table, found.take.operands[1])).result
    for scale in found.scales:
        at = _row_scale(scale)
        assert at is not None
        operands: Sequence[Value] = (scale.operands[0], rows) if at == 0 else (rows, scale.operands[1])
        rows = e.insert_before(anchor, scale.op, operands).result
    return rows
