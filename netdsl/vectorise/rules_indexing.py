"""Reading and writing by index. With a table and indices of its own, each slice has its rows in one long table."""

from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.creation import DimValue, Iota
from netdsl.ops.elementwise import Add, Cast, Mul
from netdsl.ops.indexing import Scatter, ScatterAlong, Take, TakeAlong
from netdsl.tensor_type import I64
from netdsl.vectorise.rules_axis import shifted
from netdsl.vectorise.slices import Rule, Slices, Slot


def _take(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    op, (x, indices) = node.op.normalised(node.operand_types), slots
    assert isinstance(op, Take)
    if not indices.is_mapped:
        return (s.emit(Take(op.axis + 1), x.value, indices.value),)
    if not x.is_mapped:
        return (s.moved(s.emit(Take(op.axis), x.value, indices.value), op.axis, 0),)
    table = _long_table(s, x, op.axis)
    y = s.emit(Take(0), table, into_long_table(s, indices, x.sizes[op.axis]))
    return (_moved_back(s, y, indices.rank, op.axis),)


def _scatter(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    op, (x, indices, updates) = node.op.normalised(node.operand_types), slots
    assert isinstance(op, Scatter)
    if not indices.is_mapped:
        return (s.emit(Scatter(op.axis + 1, op.reduction), s.lifted(x), indices.value, s.lifted(updates)),)
    at = s.reshaped(into_long_table(s, indices, x.sizes[op.axis]), (s.size * indices.sizes[0],))
    operands = _long_table(s, x, op.axis), at, _long_table(s, updates, op.axis)
    y = s.unfolded(s.emit(Scatter(0, op.reduction), *operands), x.sizes[op.axis])
    return (s.moved(y, 1, op.axis + 1),)


def _long_table(s: Slices, x: Slot, axis: int) -> Value:
    """All slices of `x`, with `axis` in front, one after another."""
    return s.folded(Slot(s.moved(s.lifted(x), axis + 1, 1), True))


def into_long_table(s: Slices, indices: Slot, rows: Dim) -> Value:
    """Indices into tables of `rows`, as indices into all of them one after another."""
    starts = s.emit(Mul(), s.emit(Iota(s.size)), s.emit(DimValue(rows)))
    starts = s.spread(Slot(starts, True), indices.rank)
    wide = indices.value
    if wide.type.dtype.storage != I64:
        wide = s.emit(Cast(I64), wide)
    return s.emit(Add(), wide, starts)


def _moved_back(s: Slices, y: Value, count: int, axis: int) -> Value:
    """`count` axes after the slices moved behind the `axis` axes that follow them."""
    old = range(1, 1 + count)
    front = range(1 + count, 1 + count + axis)
    return s.transposed(y, [0, *front, *old, *range(1 + count + axis, y.type.rank)])


RULES: dict[type[Op], Rule] = {Take: _take, TakeAlong: shifted, Scatter: _scatter, ScatterAlong: shifted}
