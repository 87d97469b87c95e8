"""Windows and grids over (N, C, *spatial): the slices are folded into the batch; a kernel a slice is `conv_each`."""

from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.image import GridSample, Resize
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.vectorise.slices import Rule, Slices, Slot


def _folded(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    y = s.emit(node.op, *map(s.folded, slots))
    return (s.unfolded(y, slots[0].sizes[0]),)


RULES: dict[type[Op], Rule] = dict.fromkeys((MaxPool, AvgPool, AdaptiveAvgPool, Resize, GridSample), _folded)
