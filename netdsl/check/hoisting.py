"""What every step of a loop computes alike is computed once, in front of the loop."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from netdsl.check.builder import Builder
from netdsl.ir import Node, Value
from netdsl.ops import activation, comparison, elementwise, masks, product, shape, unary
from netdsl.ops.base import Op
from netdsl.ops.creation import DimValue, Full, Iota
from netdsl.ops.elementwise import FloorDiv, Mod
from netdsl.ops.shape import Transpose

#: Ops that have a result for every operand, also where no step is taken.
_MOVABLE: frozenset[type[Op]] = frozenset(
    {*activation.OPS, *comparison.OPS, *elementwise.OPS, *masks.OPS, *product.OPS, *shape.OPS, *unary.OPS}
    | {DimValue, Full, Iota}
) - {FloorDiv, Mod}


def hoist(
    builder: Builder, nodes: Sequence[Node], own: Iterable[Value], first: int
) -> tuple[list[Node], frozenset[int]]:
    """Move nodes that read neither a step nor a carried value to the region around; return those that stay.

    A transposed weight stays, unless something that moves reads it: backends read cells with their weights.

    Args:    own: steps, carried values and states. first: the first row of the instances that the nodes made.
    Returns: also the rows of instances that moved as a whole. Rows that were cut are not intact any more.
    """
    inside = set(own)
    free: dict[Value, Node] = {}
    for node in nodes:
        if type(node.op) in _MOVABLE and inside.isdisjoint(node.operands):
            free.update((value, node) for value in node.results)
        else:
            inside.update(node.results)
    moving: set[Node] = set()
    for node in reversed(list(free.values())):
        if not isinstance(node.op, Transpose) or node in moving:
            moving.add(node)
            moving.update(free[v] for v in node.operands if v in free)
    if not moving:
        return list(nodes), frozenset()
    target = builder.regions[-1] if builder.regions else builder.nodes
    target += [node for node in nodes if node in moving]
    return [node for node in nodes if node not in moving], _moved_rows(builder, nodes, moving, first)


def _moved_rows(builder: Builder, nodes: Sequence[Node], moving: set[Node], first: int) -> frozenset[int]:
    every = Counter(row for node in nodes for row in _rows(builder, node.instance))
    moved = Counter(row for node in nodes if node in moving for row in _rows(builder, node.instance))
    for row, count in moved.items():
        if count < every[row] and row >= first:
            builder.instances[row] = replace(builder.instances[row], intact=False)
    return frozenset(row for row, count in moved.items() if count == every[row])


def _rows(builder: Builder, instance: int) -> Iterator[int]:
    """Places in the builder's table of an instance and of those around it; 0 is the body itself, which has none."""
    while instance > 0:
        yield instance - 1
        instance = builder.instances[instance - 1].parent
