"""What every step of a loop computes alike is computed once, in front of the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from netdsl.instances import refresh, settled
from netdsl.ir import Graph, Node, Region, Value
from netdsl.ops import activation, comparison, elementwise, masks, product, shape, unary
from netdsl.ops.base import Op
from netdsl.ops.creation import DimValue, Full, Iota
from netdsl.ops.elementwise import FloorDiv, Mod
from netdsl.ops.loop import Loop
from netdsl.ops.shape import Transpose
from netdsl.passes.base import EXACT, Guarantee, PassResult

#: Ops that have a result for every operand, so that they may run where the loop takes no step.
_MOVABLE: frozenset[type[Op]] = frozenset(
    {*activation.OPS, *comparison.OPS, *elementwise.OPS, *masks.OPS, *product.OPS, *shape.OPS, *unary.OPS}
    | {DimValue, Full, Iota}
) - {FloorDiv, Mod}


@dataclass(frozen=True)
class HoistFromLoops:
    """Move each node that reads neither a step nor a carried value in front of its loop.

    A transposed weight stays, unless something that moves reads it: backends know cells by their weights. An instance
    that is cut is not intact any more.
    """

    name: ClassVar[str] = "hoist-from-loops"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        if not any(isinstance(node.op, Loop) for node in graph.nodes):
            return PassResult(graph, 0)
        nodes: list[Node] = []
        for node in graph.nodes:
            before, node = _hoisted(node)
            nodes += [*before, node]
        known = set(graph.nodes)
        fired = sum(node not in known for node in nodes)
        if not fired:
            return PassResult(graph, 0)
        made = settled(replace(graph, nodes=tuple(nodes)), frozenset())
        return PassResult(refresh(made, frozenset(range(len(made.instances)))), fired)


def _hoisted(node: Node) -> tuple[list[Node], Node]:
    """The nodes that go in front of a loop, and the loop without them; of loops inside it likewise."""
    if not isinstance(node.op, Loop):
        return [], node
    op, (region,) = node.op, node.regions
    inner: list[Node] = []
    for child in region.nodes:
        before, child = _hoisted(child)
        inner += [*before, child]
    own = op.sequences + op.carries
    moving = _moving(inner, region.arguments[:own])
    if not moving and len(inner) == len(region.nodes):
        return [], node
    first = len(node.operands) - (len(region.arguments) - own)
    outside = dict(zip(region.arguments[own:], node.operands[first:], strict=True))
    moved = [replace(n, operands=tuple(outside.get(v, v) for v in n.operands)) for n in inner if n in moving]
    staying = [n for n in inner if n not in moving]
    made = {v: Value(v.type, v.hint) for n in moved for v in n.results}
    staying = [replace(n, operands=tuple(made.get(v, v) for v in n.operands)) for n in staying]
    results = tuple(made.get(v, v) for v in region.results)
    read = {v for n in staying for v in n.operands} | set(results)
    captured = {a: v for a, v in outside.items() if a in read} | {a: v for v, a in made.items() if a in read}
    body = Region((*region.arguments[:own], *captured), tuple(staying), results)
    return moved, replace(node, operands=(*node.operands[:first], *captured.values()), regions=(body,))


def _moving(nodes: Sequence[Node], own: Sequence[Value]) -> set[Node]:
    inside = set(own)
    free: dict[Value, Node] = {}
    for node in nodes:
        if type(node.op) in _MOVABLE and inside.isdisjoint(node.operands):
            free.update((value, node) for value in node.results)
        else:
            inside.update(node.results)
    moving: set[Node] = set()
    for node in reversed(list(free.values())):
        if node in moving or not isinstance(node.op, Transpose):
            moving.add(node)
            moving.update(free[v] for v in node.operands if v in free)
    return moving
