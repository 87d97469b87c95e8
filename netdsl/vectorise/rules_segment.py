"""Groups of rows. With groups of its own, each slice has its groups in one long table."""

from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.segment import SegmentReduce
from netdsl.vectorise.rules_indexing import into_long_table
from netdsl.vectorise.slices import Rule, Slices, Slot


def _segment_reduce(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    op, (x, by) = node.op.normalised(node.operand_types), slots
    assert isinstance(op, SegmentReduce)
    if not by.is_mapped:
        y = s.emit(SegmentReduce(op.reduction, op.count), s.moved(x.value, 0, 1), by.value)
        return (s.moved(y, 1, 0),)
    groups = s.reshaped(into_long_table(s, by, op.count), (s.size * by.sizes[0],))
    y = s.emit(SegmentReduce(op.reduction, s.size * op.count), s.folded(x), groups)
    return (s.unfolded(y, op.count),)


RULES: dict[type[Op], Rule] = {SegmentReduce: _segment_reduce}
