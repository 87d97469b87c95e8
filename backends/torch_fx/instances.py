"""Whole block instances that are lowered by one function instead of node by node."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch.fx import Proxy

from netdsl.ir import Graph, Instance, Node, Value, walk

if TYPE_CHECKING:
    from netdsl.backends.torch_fx.emitter import GraphEmitter

#: (emitter, instance, boundary input proxies) -> boundary output proxies, or None, decided before anything is
#: emitted, where the plain nodes must be used.
LowerInstance = Callable[["GraphEmitter", Instance, tuple[Proxy, ...]], tuple[Proxy, ...] | None]


class FusedRows:
    """Which nodes belong to an intact instance of a fused block whose inner values nobody else reads."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Node], results: Iterable[Value], fused: Mapping[str, LowerInstance]
    ) -> None:
        self.done: set[int] = set()
        self._outermost = _outermost_rows(graph, fused)
        if self._outermost:
            for row in self._leaking(graph, nodes, results):
                self.decline(row)

    def owner(self, node: Node) -> int | None:
        """The row that stands for the node."""
        return self._outermost.get(node.instance)

    def decline(self, row: int) -> None:
        """Use the plain nodes of this row."""
        for key in [key for key, owner in self._outermost.items() if owner == row]:
            del self._outermost[key]

    def _leaking(self, graph: Graph, nodes: Sequence[Node], results: Iterable[Value]) -> set[int]:
        """Rows with a value that is read outside, is not an output, and so must be computed by the plain nodes."""
        made_by = {v: row for n in nodes if (row := self.owner(n)) is not None for v in n.results}
        leaking: set[int] = set()
        read = [(v, self.owner(n)) for n in nodes for v in n.operands] + [(v, None) for v in results]
        for value, reader in read:
            row = made_by.get(value)
            if row is not None and row != reader and value not in graph.instances[row].outputs:
                leaking.add(row)
        for row in set(made_by.values()):
            if any(
                made_by.get(v) != row and v not in graph.instances[row].inputs for v in graph.instances[row].outputs
            ):
                leaking.add(row)
        return leaking


def _outermost_rows(graph: Graph, fused: Mapping[str, LowerInstance]) -> dict[int, int]:
    """Instance row -> the outermost intact fused row around it (parents stand before children)."""
    found: dict[int, int] = {}
    for row, instance in enumerate(graph.instances):
        if instance.parent in found:
            found[row] = found[instance.parent]
        elif instance.intact and instance.block in fused:
            found[row] = row
    return found


def subtree(graph: Graph, row: int) -> set[int]:
    """The row and every row below it."""
    rows = {row}
    for index, instance in enumerate(graph.instances):
        if instance.parent in rows:
            rows.add(index)
    return rows


def nodes_inside(graph: Graph, nodes: Sequence[Node], row: int) -> bool:
    """Whether every one of `nodes` belongs to the instance at `row`."""
    rows = subtree(graph, row)
    return all(node.instance in rows for node in walk(nodes))
