"""What takes rows of tables, maps them and reduces them by group is one loop over blocks: only a block is ever held."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from netdsl.backends.onnx.blocks import Block, in_blocks, layout_of
from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.segment import is_wide, of_no_rows, reduced
from netdsl.backends.onnx.tables import TABLE
from netdsl.dims import Dim, product
from netdsl.expansions import POINTWISE
from netdsl.ir import Node, Value
from netdsl.ops.gradient import StopGradient
from netdsl.ops.indexing import Take
from netdsl.ops.segment import SegmentReduce
from netdsl.tensor_type import I64


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Nodes of which only the last one's result, a table with one row a group, is read elsewhere.

    Args:
        nodes:  reductions of rows by the same indices, rows of tables of groups by these, and what is pointwise.
        first:  a reduction among them.
        rows:   what has one row for each index, read or made.
        groups: what has one row for each group, read or made.
        takes:  of the rows that nothing in `nodes` makes, those that are the rows of a table at other indices.
    """

    nodes: tuple[Node, ...]
    first: Node
    rows: frozenset[Value]
    groups: frozenset[Value]
    takes: Mapping[Value, Node]

    @property
    def result(self) -> Value:
        return self.nodes[-1].result


def grouped_in(nodes: Sequence[Node], wanted: Sequence[Value]) -> dict[Node, Grouped]:
    """Parts of `nodes`, each as large as it gets, by their last nodes. `wanted`: what is read outside."""
    if not any(_reduces(node) and is_wide(node) for node in nodes):
        return {}
    return {part.nodes[-1]: part for part in _Finder(nodes, wanted).found()}


def lower_grouped(e: GraphEmitter, part: Grouped, names: Mapping[Value, str]) -> str:
    """The name of the result."""
    by = part.first.operands[1]
    assert isinstance(part.first.op, SegmentReduce)
    layout = layout_of(e, names[by], by.type.dtype, by.type.sizes[0], part.first.op.count)
    work = _Work(e, part, names)
    tables = {}
    for value in part.rows:
        take = part.takes.get(value)
        if take is not None:
            table, order = (names[operand] for operand in take.operands)
            tables[value] = table, e.node("Gather", order, layout.order, axis=0)[0]
        elif value in names:
            tables[value] = names[value], layout.order
    sizes = part.result.type.sizes
    (empty,) = e.node("Expand", work.of_no_rows(), e.shape([Dim.of(1), Dim.of(1), *sizes[1:]]))
    return in_blocks(e, layout, product(sizes[1:]), empty, lambda block: work.of_block(block, tables))


@dataclass(frozen=True, slots=True)
class _Work:
    """The lowering of one part; `names` are those outside of the loop."""

    e: GraphEmitter
    part: Grouped
    names: Mapping[Value, str]

    def of_no_rows(self) -> str:
        """What a group without rows gives, with axes of size 1 in front and perhaps elsewhere."""
        made: dict[Value, str] = {}
        for node in self.part.nodes:
            if isinstance(node.op, SegmentReduce):
                made[node.result] = of_no_rows(self.e, node.op, node.operand_types[0])
            elif node.result in self.part.groups:
                self._lower(node, made, [made.get(v) or self.names[v] for v in node.operands])
        return made[self.part.result]

    def of_block(self, block: Block, tables: Mapping[Value, tuple[str, str]]) -> str:
        """What the groups of a block give, (groups, 1, ..)."""
        made: dict[Value, str] = {}
        #: Values with a row of their own for each index, not one for all of a group.
        whole = set(tables)
        for node in self.part.nodes:
            operands = [self._operand(value, block, tables, made) for value in node.operands]
            x = node.operands[0]
            with self.e.at(node.instance, node.spans):
                if isinstance(node.op, Take):
                    made[node.result] = operands[0]
                elif isinstance(node.op, SegmentReduce):
                    rows = operands[0] if x in whole else self._repeated(operands[0], block, x.type.rank)
                    made[node.result] = reduced(self.e, node.op, rows, x.type.dtype)
                else:
                    self._lower(node, made, operands)
                    whole.update(node.results if whole.intersection(node.operands) else ())
        return made[self.part.result]

    def _operand(
        self, value: Value, block: Block, tables: Mapping[Value, tuple[str, str]], made: dict[Value, str]
    ) -> str:
        if value not in made:
            if value in tables:
                made[value] = block.of_rows(*tables[value])
            elif value in self.part.groups:
                made[value] = block.of_groups(self.names[value])
            else:
                return self.names[value]
        return made[value]

    def _repeated(self, x: str, block: Block, rank: int) -> str:
        """One row of each group (groups, 1, ..) as often as the group has rows."""
        (shape,) = self.e.node("Concat", block.shape, self.e.constant([1] * (rank - 1), I64), axis=0)
        return self.e.node("Expand", x, shape)[0]

    def _lower(self, node: Node, made: dict[Value, str], operands: Sequence[str]) -> None:
        (made[node.result],) = TABLE[type(node.op)](self.e, node, tuple(operands))


def _reduces(node: Node) -> bool:
    """Whether it reduces groups of rows, and there may be rows and groups."""
    op = node.op
    return isinstance(op, SegmentReduce) and all(size != 0 for size in (*node.operand_types[0].sizes, op.count))


def _is_pointwise(node: Node) -> bool:
    return type(node.op) in POINTWISE or isinstance(node.op, StopGradient)


def _whole(node: Node) -> list[Value]:
    """The operands of a pointwise node that have a row of their own for each row of its result."""
    t = node.result.type
    return [v for v in node.operands if v.type.rank == t.rank > 0 and (v.type.sizes[0] != 1 or t.sizes[0] == 1)]


#: The indices, and how many groups they point into.
_By = tuple[Value, Dim]


class _Finder:
    """Grows parts backwards from their last node."""

    def __init__(self, nodes: Sequence[Node], wanted: Sequence[Value]) -> None:
        self._nodes = nodes
        self._wanted = frozenset(wanted)
        self._places = {value: at for at, node in enumerate(nodes) for value in node.results}
        self._readers: dict[Value, list[Node]] = {}
        for node in nodes:
            for value in node.operands:
                self._readers.setdefault(value, []).append(node)
        self._by = self._of_groups()

    def found(self) -> Iterator[Grouped]:
        used: set[Node] = set()
        for at in range(len(self._nodes) - 1, -1, -1):
            last = self._nodes[at]
            if last not in used and len(last.results) == 1 and last.result in self._by and is_wide(last):
                part = self._grown(at)
                if part is not None:
                    used.update(part.nodes)
                    yield part

    def _of_groups(self) -> dict[Value, _By]:
        """The values with one row a group that reductions by the same indices determine alone."""
        found: dict[Value, _By] = {}
        for node in self._nodes:
            if _reduces(node):
                found[node.result] = _by(node)
            elif _is_pointwise(node):
                sources = {found.get(value) for value in _whole(node)}
                if len(sources) == 1 and (source := sources.pop()) is not None:
                    found[node.result] = source
        return found

    def _grown(self, at: int) -> Grouped | None:
        """The part that ends with the node at `at`."""
        last = self._nodes[at]
        left: set[Node] = set()
        while last not in left:
            nodes, rows, groups = self._reached(at, left)
            made = {node.result for node in nodes}
            # What is pointwise on groups has to know all that it reads of a group without rows.
            short = {n for n in nodes if n.result in groups and _is_pointwise(n) and not made.issuperset(_whole(n))}
            if not short:
                if not any(_reduces(node) and is_wide(node) for node in nodes):
                    return None
                first = next(node for node in nodes if _reduces(node))
                takes = {v: n for v in rows - made if (n := self._maker(v)) is not None and _takes_rows(n)}
                return Grouped(nodes, first, rows, groups, takes)
            left |= short
        return None

    def _maker(self, value: Value) -> Node | None:
        at = self._places.get(value)
        return None if at is None else self._nodes[at]

    def _reached(self, at: int, left: set[Node]) -> tuple[tuple[Node, ...], frozenset[Value], frozenset[Value]]:
        """Nodes, the last one at `at`, that are read by each other only, without `left`; values of rows, of groups."""
        by = self._by[self._nodes[at].result]
        nodes: dict[Node, None] = {}
        rows: set[Value] = set()
        groups = {self._nodes[at].result}
        waiting = [-at]
        seen = {at}
        while waiting:
            node = self._nodes[-heappop(waiting)]
            if node in left or (nodes and not self._is_inner(node, nodes)):
                continue
            to_rows, to_groups = _read(node, by, is_row=node.result in rows)
            if not (to_rows or to_groups) or to_rows & (groups | to_groups) or to_groups & rows:
                continue
            nodes[node] = None
            rows |= to_rows
            groups |= to_groups
            makers = {self._places[value] for value in to_rows | to_groups if value in self._places} - seen
            seen |= makers
            for maker in makers:
                heappush(waiting, -maker)
        return tuple(reversed(nodes)), frozenset(rows), frozenset(groups)

    def _is_inner(self, node: Node, nodes: Mapping[Node, None]) -> bool:
        return (
            len(node.results) == 1
            and node.result not in self._wanted
            and all(reader in nodes for reader in self._readers[node.result])
        )


def _by(node: Node) -> _By:
    assert isinstance(node.op, SegmentReduce)
    return node.operands[1], node.op.count


def _read(node: Node, by: _By, *, is_row: bool) -> tuple[set[Value], set[Value]]:
    """What a node reads of rows, and what of groups; nothing if it stays outside."""
    if _is_pointwise(node):
        whole = set(_whole(node))
        return (whole, set()) if is_row else (set(), whole)
    if is_row and isinstance(node.op, Take) and node.op.axis == 0 and node.operands[1] is by[0]:
        return set(), {node.operands[0]}
    if not is_row and _reduces(node) and _by(node) == by:
        return {node.operands[0]}, set()
    return set(), set()


def _takes_rows(node: Node) -> bool:
    return isinstance(node.op, Take) and node.op.axis == 0 and node.operand_types[1].rank == 1
