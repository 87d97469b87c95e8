"""Bases of splines.

A gradient is that of the splines of one order less on the same knots, so that no tensor of the size of the basis is
kept, and gradients of gradients are right. Half types are computed in float32.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.spline import BSpline, BSplineOn
from netdsl.ops.spline_forms import choose_form, leading, terms

#: A module may be moved to another element type: no form that fails in one of them.
_FORMS = ("steps", "closed", "local", "recursion")

Tensor = torch.Tensor


def _bspline(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, BSpline)
    form = choose_form(op, node.result.type.dtype, _FORMS).name
    return (e.call(bspline, operands[0], op.knots[0], op.step, op.count, op.order, op.axis, form),)


def _bspline_on(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, BSplineOn)
    return (e.call(bspline_on, *operands, op.order, op.axis),)


def bspline(x: Tensor, first: float, step: float, count: int, order: int, axis: int, form: str) -> Tensor:
    """The `count` splines of degree `order` whose knots are `first`, `first + step`, .., on a new axis."""
    return _basis(_widened(x), first, step, count, order, axis, form).to(x.dtype)


def bspline_on(x: Tensor, knots: Tensor, order: int, axis: int) -> Tensor:
    """The splines on the knots of the last axis of `knots`, by the recursion."""
    dtype, x, knots = x.dtype, _widened(x).unsqueeze(-1), _widened(knots)
    low, high = knots[..., :-1], knots[..., 1:]
    basis = ((x >= low) & (x < high)).to(x.dtype) + x.detach().clamp(0, 0)
    for degree in range(1, order + 1):
        start = knots[..., :-degree]
        width = knots[..., degree:] - start
        weight = ((x - start) / torch.where(width == 0, torch.ones_like(width), width)).clamp(0, 1)
        part = weight * basis
        basis = part[..., :-1] + (basis - part)[..., 1:]
    return basis.movedim(-1, axis).to(dtype)


class _Basis(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, first: float, step: float, count: int, order: int, axis: int, form: str) -> Tensor:
        place = axis if axis < x.dim() or not axis else axis - 1  # short rows are slow
        behind = x.dim() - place
        if order == 0:
            values = _steps(x.unsqueeze(place), first, step, count, place)
        elif form == "recursion":
            knots = _column([first + step * k for k in range(count + order + 1)], x, 0)
            values = bspline_on(x, knots, order, place)
        elif form == "local":
            values = _local(x.unsqueeze(place), first, step, count, order, place)
        else:
            centres = _column([first + step * (k + (order + 1) / 2) for k in range(count)], x, behind)
            values = _closed(torch.sub(x.unsqueeze(place), centres).abs_(), step, order)
        return values if place == axis else values.transpose(place, axis)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.layout = inputs[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,), (first, step, count, order, axis, form) = ctx.saved_tensors, ctx.layout
        if order == 0:
            return (None,) * 7
        lower = _basis(x, first, step, count + 1, order - 1, axis, form)
        slope = lower.narrow(axis, 0, count) - lower.narrow(axis, 1, count)
        return ((slope * gradients[0]).sum(axis) / step, *(None,) * 6)


_basis: Callable[..., Tensor] = _Basis.apply


def _closed(distance: Tensor, step: float, order: int) -> Tensor:
    """The spline at `distance` from its centre, which is overwritten."""
    *parts, last = terms(order)
    factor = leading(order) ** (1 / order)
    total: Tensor | None = None
    for term in parts:
        part = _part(torch.mul(distance, -factor * term.scale / step), factor * term.scale * term.radius, order)
        total = part if total is None else total.add_(part, alpha=1 if term.is_added else -1)
    part = _part(distance.mul_(-factor * last.scale / step), factor * last.scale * last.radius, order)
    return part if total is None else total.add_(part, alpha=1 if last.is_added else -1)


def _part(below: Tensor, top: float, order: int) -> Tensor:
    """relu(below + top) to the power of `order`; `below` may be overwritten."""
    return _power(below.add_(top).relu_(), order)


def _power(x: Tensor, exponent: int) -> Tensor:
    """`x` to an exponent of 1 or more, by squaring; `x` may be overwritten."""
    value = x
    bits = bin(exponent)[3:]
    for at, bit in enumerate(bits):
        value = value * value if value is x and "1" in bits[at:] else value.mul_(value)
        if bit == "1":
            value = value.mul_(x)
    return value


def _local(x: Tensor, first: float, step: float, count: int, order: int, axis: int) -> Tensor:
    """Splines order + 1 apart never overlap: each lane of them is one function of the place within its block."""
    lanes = order + 1
    blocks = -(-count // lanes)
    behind = x.dim() - axis - 1
    place = ((x - first) * (1 / step)).clamp(0, count + order) - _column(list(range(lanes)), x, behind)
    block = torch.floor(place * (1 / lanes))
    values = _closed((place - lanes * block - lanes / 2).abs_(), 1.0, order)
    is_there = block.unsqueeze(axis) == _column(list(range(blocks)), x, behind + 1)
    spread = is_there.to(x.dtype).mul_(values.unsqueeze(axis))
    return spread.flatten(axis, axis + 1).narrow(axis, 0, count)


def _steps(x: Tensor, first: float, step: float, count: int, axis: int) -> Tensor:
    """Knots are rounded up: an `x` is right of such a knot where it is right of the exact one."""
    exact = _column(
        [first + step * k for k in range(count + 1)], x.new_empty((), dtype=torch.float64), x.dim() - axis - 1
    )
    near = exact.to(x.dtype)
    knots = torch.where(near < exact, torch.nextafter(near, torch.full_like(near, float("inf"))), near)
    return ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype) + x.clamp(0, 0)


def _column(values: list[float], like: Tensor, behind: int) -> Tensor:
    """A constant along the axis that has `behind` axes after it."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, *(1,) * behind)


def _widened(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


TABLE: dict[type[Op], Lower] = {BSpline: _bspline, BSplineOn: _bspline_on}

UNSUPPORTED: dict[type[Op], str] = {}
