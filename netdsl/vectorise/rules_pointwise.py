"""Ops that take a new leading axis as it comes: elementwise ones, and those that look at their last axes only."""

from netdsl.ir import Node, Value
from netdsl.ops import activation, comparison, elementwise, unary
from netdsl.ops.base import Op
from netdsl.ops.creation import Dropout
from netdsl.ops.gradient import StopGradient, WithGradient
from netdsl.ops.indexing import OneHot, Retarget
from netdsl.ops.masks import LengthMask, Tril, Triu
from netdsl.ops.pieces import Pad
from netdsl.vectorise.slices import Rule, Slices, Slot


def aligned(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """The same op; operands of slices with fewer axes get axes of size 1 in front of them."""
    rank = max(slot.rank for slot in slots)
    return s.results(node, node.op, *(s.spread(slot, rank) for slot in slots))


def lifted(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """The same op on operands that all have the leading axis."""
    return s.results(node, node.op, *map(s.lifted, slots))


RULES: dict[type[Op], Rule] = {
    **{op: aligned for family in (elementwise, comparison, unary, activation) for op in family.OPS},
    **dict.fromkeys((StopGradient, WithGradient, Dropout, OneHot, Retarget, LengthMask, Tril, Triu, Pad), lifted),
}
