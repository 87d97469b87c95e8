"""Normalisation: what is normalised does not depend on the slices' own scales, which are multiplied in afterwards."""

from collections.abc import Sequence

from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.creation import Full
from netdsl.ops.elementwise import Add, Div, Mul, Sub
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, RmsNorm
from netdsl.ops.unary import Sqrt
from netdsl.vectorise.slices import Rule, Slices, Slot


def _over_last_axes(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """Layer norm and RMS norm: a leading axis more is a leading axis."""
    x, *scales = slots
    kept, loose = _split(scales)
    y = s.emit(node.op, x.value, *(scale.value for scale in kept))
    return (_scaled(s, Slot(y, x.is_mapped), len(kept), loose, x.rank),)


def _group_norm(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """The slices are one more batch axis, but for scales of their own."""
    x, *scales = slots
    kept, loose = _split(scales)
    y = s.emit(node.op, s.folded(x) if x.is_mapped else x.value, *(scale.value for scale in kept))
    y = s.unfolded(y, x.sizes[0]) if x.is_mapped else y
    loose = [_beside_channels(s, scale, x.rank) for scale in loose]
    return (_scaled(s, Slot(y, x.is_mapped), len(kept), loose, x.rank),)


def _batch_norm(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """With statistics or scales of its own a slice is multiplied by one number a channel, and another is added."""
    op, (x, *others) = node.op, slots
    assert isinstance(op, BatchNorm)
    if not any(other.is_mapped for other in others):
        y = s.emit(op, s.folded(x), *(other.value for other in others))
        return (s.unfolded(y, x.sizes[0]),)
    mean, var, weight, bias = (other.value for other in others)
    eps = s.emit(Full((), op.eps, var.type.dtype))
    factor = s.emit(Div(), weight, s.emit(Sqrt(), s.emit(Add(), var, eps)))
    shift = s.emit(Sub(), bias, s.emit(Mul(), mean, factor))
    scales = [_beside_channels(s, Slot(v, v.type.rank == 2), x.rank) for v in (factor, shift)]
    return (_scaled(s, x, 0, scales, x.rank),)


def _split(scales: Sequence[Slot]) -> tuple[Sequence[Slot], Sequence[Slot]]:
    """Those that the op itself can take, from the left, and the rest."""
    count = next((at for at, scale in enumerate(scales) if scale.is_mapped), len(scales))
    return scales[:count], scales[count:]


def _scaled(s: Slices, y: Slot, done: int, scales: Sequence[Slot], rank: int) -> Value:
    """`y` times the weight plus the bias, of which the first `done` are in it already."""
    value = s.spread(y, rank)
    for op, scale in zip((Mul(), Add())[done:], scales, strict=False):
        value = s.emit(op, value, s.spread(scale, rank))
    return value


def _beside_channels(s: Slices, scale: Slot, rank: int) -> Slot:
    """One number a channel, with axes of size 1 for what comes after the channels."""
    sizes = (*scale.value.type.sizes, *(Dim.of(1),) * (rank - 2))
    return Slot(s.reshaped(scale.value, sizes), scale.is_mapped)


RULES: dict[type[Op], Rule] = {
    LayerNorm: _over_last_axes,
    RmsNorm: _over_last_axes,
    GroupNorm: _group_norm,
    BatchNorm: _batch_norm,
}
