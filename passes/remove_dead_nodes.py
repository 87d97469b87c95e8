"""Removal of nodes whose results nothing reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from netdsl.edit import edit
from netdsl.ir import Graph, Node, Value
from netdsl.passes.base import EXACT, Guarantee, PassResult


@dataclass(frozen=True)
class RemoveDeadNodes:
    """Drop each node that no output, update, tap or kept node depends on, inside loop bodies too.

    Parameters stay: they belong to the network's state dict, used or not.
    """

    name: ClassVar[str] = "remove-dead-nodes"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        wanted = {v for _, v in graph.outputs} | {u.value for u in graph.updates} | {t.value for t in graph.taps}
        dead: list[Node] = []
        _collect(graph.nodes, wanted, dead)
        if not dead:
            return PassResult(graph, 0)
        with edit(graph) as e:
            for node in dead:
                e.erase(node)
        return PassResult(e.graph, len(dead))


def _collect(nodes: Sequence[Node], wanted: set[Value], dead: list[Node]) -> None:
    for node in reversed(nodes):
        if wanted.isdisjoint(node.results):
            dead.append(node)
            continue
        wanted.update(node.operands)
        for region in node.regions:
            _collect(region.nodes, set(region.results), dead)
