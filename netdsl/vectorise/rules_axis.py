"""Ops along axes that an attribute names: in the new graph each axis stands one place later."""

from dataclasses import fields, replace

from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops import cumulative, reduction, sorting
from netdsl.ops.base import Op
from netdsl.ops.normalisation import Moments
from netdsl.ops.pieces import Concat, Pick, Slice, Split, Stack, Unstack
from netdsl.ops.polynomial import Polynomials
from netdsl.ops.reduction import Reduction
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax
from netdsl.ops.spectral import Irfft, Rfft
from netdsl.ops.spline import BSpline, BSplineOn
from netdsl.vectorise.slices import Rule, Slices, Slot


def later(op: Op, node: Node) -> Op:
    """`op` of `node` with each axis one place later."""
    op = op.normalised(node.operand_types)
    changes: dict[str, object] = {}
    for f in fields(op):
        value = getattr(op, f.name)
        if f.name == "axis":
            changes[f.name] = value + 1
        elif f.name == "axes":
            changes[f.name] = tuple(axis + 1 for axis in value)
    return replace(op, **changes)


def shifted(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    return s.results(node, later(node.op, node), *map(s.lifted, slots))


def _reduction(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """No axes means all axes of a slice; a scalar has none, and is one row of one element."""
    op, (x,) = node.op, slots
    assert isinstance(op, Reduction)
    value, axes, keep = x.value, op.axes_of(node.operand_types[0]), op.keep
    if not x.rank:
        value, axes, keep = s.emit(Unsqueeze(1), value), (0,), False
    return s.results(node, replace(op, axes=tuple(axis + 1 for axis in axes), keep=keep), value)


def _reshape(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    return s.results(node, Reshape((s.size, *_result_sizes(node))), slots[0].value)


def _transpose(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, Transpose)
    return s.results(node, Transpose((0, *(axis + 1 for axis in op.perm))), slots[0].value)


def _broadcast(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    sizes = _result_sizes(node)
    return s.results(node, Broadcast((s.size, *sizes)), s.spread(slots[0], len(sizes)))


def _bspline_on(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """Slices of x and of the axes that the knots are broadcast along are aligned at their ends."""
    x, knots = slots
    rank = node.result.type.rank - 1
    return s.results(node, later(node.op, node), s.spread(x, rank), s.spread(knots, rank + 1))


def _result_sizes(node: Node) -> tuple[Dim, ...]:
    return node.result.type.sizes


RULES: dict[type[Op], Rule] = {
    **dict.fromkeys((*reduction.OPS, LogSumExp), _reduction),
    **dict.fromkeys((*cumulative.OPS, *sorting.OPS, Softmax, LogSoftmax, Moments, Rfft, Irfft), shifted),
    **dict.fromkeys(
        (Concat, Stack, Split, Unstack, Slice, Pick, Flip, Squeeze, Unsqueeze, BSpline, Polynomials), shifted
    ),
    BSplineOn: _bspline_on,
    Reshape: _reshape,
    Transpose: _transpose,
    Broadcast: _broadcast,
}
