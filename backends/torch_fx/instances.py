"""Whole block instances that are lowered by one function instead of node by node."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch.fx import Proxy

from netdsl.instances import ancestors
from netdsl.ir import Graph, Instance, Node, Value, walk

if TYPE_CHECKING:
    from netdsl.backends.torch_fx.emitter import GraphEmitter

#: (emitter, instance, boundary input proxies, proxies of what it reads besides, in order of first use: its parameters)
#: -> boundary output proxies, or None, decided before anything is emitted, where the plain nodes must be used.
LowerInstance = Callable[["GraphEmitter", Instance, tuple[Proxy, ...], tuple[Proxy, ...]], tuple[Proxy, ...] | None]


class FusedRows:
    """Which nodes belong to an intact instance of a fused block whose inner values nobody else reads."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Node], results: Sequence[Value], fused: Mapping[str, LowerInstance]
    ) -> None:
        self.done: set[int] = set()
        self._graph = graph
        self._fused = fused
        self._declined: set[int] = set()
        self._owners: dict[int, int | None] = {}
        self._nodes: dict[int, list[Node]] = {}
        self._sort(nodes)
        while leaking := self._leaking(nodes, results):
            for row in leaking:
                self.decline(row)

    def owner(self, node: Node) -> int | None:
        """The outermost row that stands for the node."""
        index = node.instance
        if index not in self._owners:
            rows = self._graph.instances
            chain = ancestors(rows, index) if index < len(rows) else ()
            found = [i for i in chain if i not in self._declined and rows[i].intact and rows[i].block in self._fused]
            self._owners[index] = found[-1] if found else None
        return self._owners[index]

    def decline(self, row: int) -> None:
        """Use the plain nodes of this row, or fused rows inside it."""
        self._declined.add(row)
        nodes = self._nodes.pop(row, [])
        for node in nodes:
            self._owners.pop(node.instance, None)
        self._sort(nodes)

    def captured(self, row: int) -> tuple[Value, ...]:
        """What the row's nodes read that is neither a boundary input nor made by them, in order of first use."""
        known = set(self._graph.instances[row].inputs)
        read: dict[Value, None] = {}
        for node in self._nodes[row]:
            read.update(dict.fromkeys(v for v in node.operands if v not in known))
            known.update(node.results)
        return tuple(read)

    def _sort(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            row = self.owner(node)
            if row is not None:
                self._nodes.setdefault(row, []).append(node)

    def _leaking(self, nodes: Sequence[Node], results: Sequence[Value]) -> set[int]:
        """Rows with a value that is read outside and is no output, or with an output that is made elsewhere."""
        made_by = {v: row for n in nodes if (row := self.owner(n)) is not None for v in n.results}
        rows = {row: self._graph.instances[row] for row in set(made_by.values())}
        leaking = {row for row, i in rows.items() if any(made_by.get(v) != row for v in i.outputs)}
        readers = [(v, self.owner(n)) for n in nodes for v in n.operands] + [(v, None) for v in results]
        for value, reader in readers if rows else ():
            row = made_by.get(value)
            if row is not None and row != reader and value not in rows[row].outputs:
                leaking.add(row)
        return leaking


def are_inside(graph: Graph, nodes: Sequence[Node], row: int) -> bool:
    """Whether every one of `nodes` belongs to the instance at `row`."""
    return all(row in ancestors(graph.instances, node.instance) for node in walk(nodes))
