"""Windows and grids over (N, C, *spatial): the slices are in the batch; with kernels of their own they are groups."""

from dataclasses import fields, replace

from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach
from netdsl.ops.elementwise import Add
from netdsl.ops.image import GridSample, Resize
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.shape import Broadcast, Unsqueeze
from netdsl.vectorise.slices import Rule, Slices, Slot


def _folded(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    y = s.emit(node.op, *map(s.folded, slots))
    return (s.unfolded(y, slots[0].sizes[0]),)


def _convolution(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """One convolution: the slices are in the batch, in the output channels, or groups."""
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, Conv | ConvTranspose)
    x, weight, *bias = slots
    if weight.is_mapped and bias:
        bias = [Slot(s.lifted(bias[0]), True)]
    if not weight.is_mapped:
        kept = [slot for slot in bias if not slot.is_mapped]
        y = s.emit(op, s.folded(x) if x.is_mapped else x.value, weight.value, *(slot.value for slot in kept))
        y = s.unfolded(y, x.sizes[0]) if x.is_mapped else y
        return (_with_bias(s, y, bias[0].value, x.rank) if len(kept) < len(bias) else y,)
    if not x.is_mapped and s.facts.prove(">=", s.size, 1):
        return (_stacked_outputs(s, op, x.value, weight.value, bias),)
    if x.is_mapped and s.size.is_const and s.size != 0:
        return (_grouped(s, op, x.value, weight.value, bias),)
    first = x.value if x.is_mapped else s.emit(Unsqueeze(0), x.value)
    whole = ConvEach if isinstance(op, Conv) else ConvTransposeEach
    attributes = {f.name: getattr(op, f.name) for f in fields(op)}
    return (s.emit(whole(**attributes), first, weight.value, *(slot.value for slot in bias)),)


def _each(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """The slices of both kinds are slices of one kind; an `x` that the inner ones share is repeated for them."""
    x, *own = slots
    (count,) = own[0].sizes[:1]
    if x.sizes[0] != count:
        x = Slot(s.emit(Broadcast((*x.value.type.sizes[: x.is_mapped], count, *x.sizes[1:])), x.value), x.is_mapped)
    y = s.emit(node.op, *map(s.folded, (x, *own)))
    return (s.unfolded(y, count),)


def _with_bias(s: Slices, y: Value, bias: Value, rank: int) -> Value:
    """`y`, whose slices have `rank` axes, plus one number a slice and channel."""
    slices, channels = bias.type.sizes
    one = Dim.of(1)
    return s.emit(Add(), y, s.reshaped(bias, (slices, one, channels, *(one,) * (rank - 2))))


def _grouped(s: Slices, op: Conv | ConvTranspose, x: Value, weight: Value, bias: list[Slot]) -> Value:
    """Each slice is a run of groups."""
    count, batch, channels, *sizes = x.type.sizes
    merged = s.reshaped(_swapped(s, x), (batch, count * channels, *sizes))
    whole = replace(op, groups=op.groups * count.value)
    y = s.emit(whole, merged, _flat(s, weight), *(_flat(s, slot.value) for slot in bias))
    _, outputs, *sizes = y.type.sizes
    return _swapped(s, s.reshaped(y, (batch, count, outputs // count, *sizes)))


def _stacked_outputs(s: Slices, op: Conv | ConvTranspose, x: Value, weight: Value, bias: list[Slot]) -> Value:
    """The outputs of all slices side by side, within each group."""
    groups, batch = Dim.of(op.groups), x.type.sizes[0]
    if isinstance(op, Conv):
        count, outputs, *rest = weight.type.sizes
        per_group = outputs // groups
        weight = _merged_within_groups(s, weight, (count, groups, per_group, *rest))
    else:
        count, inputs, per_group, *rest = weight.type.sizes
        weight = s.reshaped(s.moved(weight, 0, 1), (inputs, count * per_group, *rest))
    flat = [_merged_within_groups(s, slot.value, (count, groups, per_group)) for slot in bias]
    y = s.emit(op, x, weight, *flat)
    sizes = y.type.sizes[2:]
    y = s.reshaped(y, (batch, groups, count, per_group, *sizes))
    y = s.transposed(y, (2, 0, 1, 3, *range(4, y.type.rank)))
    return s.reshaped(y, (count, batch, groups * per_group, *sizes))


def _merged_within_groups(s: Slices, value: Value, sizes: tuple[Dim, ...]) -> Value:
    """`value` of `sizes` (slices, groups, outputs of a group, ..) as (groups * slices * outputs of a group, ..)."""
    count, groups, per_group, *rest = sizes
    if groups != 1:
        value = s.moved(s.reshaped(value, sizes), 0, 1)
    return s.reshaped(value, (groups * count * per_group, *rest))


def _swapped(s: Slices, value: Value) -> Value:
    """Slices and batch in the other order: no transpose where one of them has size 1."""
    first, second, *rest = value.type.sizes
    if first == 1 or second == 1:
        return s.reshaped(value, (second, first, *rest))
    return s.moved(value, 0, 1)


def _flat(s: Slices, value: Value) -> Value:
    first, second, *rest = value.type.sizes
    return s.reshaped(value, (first * second, *rest))


RULES: dict[type[Op], Rule] = {
    **dict.fromkeys((MaxPool, AvgPool, AdaptiveAvgPool, Resize, GridSample), _folded),
    **dict.fromkeys((Conv, ConvTranspose), _convolution),
    **dict.fromkeys((ConvEach, ConvTransposeEach), _each),
}
