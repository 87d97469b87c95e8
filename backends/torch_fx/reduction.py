"""Reductions over axes."""

import math
from collections.abc import Callable

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.reduction import (
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Reduction,
    Variance,
)

#: The larger of two sizes, free ones too.
sym_max: Callable[[int, int], int] = torch.sym_max
_WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


def mean_or_zero(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The mean, 0 over no elements, without a branch on sizes."""
    total = x.sum(axes, keepdim=keep, dtype=_WIDE.get(x.dtype, x.dtype))
    return (total / sym_max(_count(x, axes), 1)).to(x.dtype)


def variance(x: torch.Tensor, axes: tuple[int, ...], keep: bool, correction: int) -> torch.Tensor:
    """The mean squared distance from the mean, rescaled for `correction`; 0 over one element or none."""
    distance = x - mean_or_zero(x, axes, True)
    biased = mean_or_zero(distance * distance, axes, keep)
    if correction == 0:
        return biased
    count = _count(x, axes)
    return biased * (count / sym_max(count - correction, 1))


def largest(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The maximum, -inf or the least integer over no elements."""
    if _count(x, axes) == 0:
        lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        return torch.full_like(x.sum(axes, keepdim=keep, dtype=x.dtype), lowest)
    return x.amax(axes, keepdim=keep)


def smallest(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The minimum, inf or the largest integer over no elements."""
    if _count(x, axes) == 0:
        highest = math.inf if x.is_floating_point() else torch.iinfo(x.dtype).max
        return torch.full_like(x.sum(axes, keepdim=keep, dtype=x.dtype), highest)
    return x.amin(axes, keepdim=keep)


def _count(x: torch.Tensor, axes: tuple[int, ...]) -> int:
    count = 1
    for axis in axes:  # torch.compile traces no math.prod of a generator
        count *= x.shape[axis]
    return count


def _reduced(lower: Callable[[Emitter, Node, Proxy, tuple[int, ...], bool], Proxy]) -> Lower:
    """A lowering from one on (emitter, node, x, axes, keep); a scalar has nothing to reduce."""

    def run(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
        op = node.op
        assert isinstance(op, Reduction)
        axes = op.axes_of(node.operands[0].type)
        return (lower(e, node, operands[0], axes, op.keep) if axes else operands[0],)

    return run


def _has_elements(node: Node, axes: tuple[int, ...]) -> bool:
    """Whether the reduced axes are known not to be empty."""
    sizes = (node.operands[0].type.axes[axis].size for axis in axes)
    return all(size.is_const and size.value > 0 for size in sizes)


def _sum(e: Emitter, node: Node, x: Proxy, axes: tuple[int, ...], keep: bool) -> Proxy:
    dtype = node.result.type.dtype
    return x.sum(axes, keepdim=keep) if dtype.is_float else x.sum(axes, keepdim=keep, dtype=e.dtype(dtype))


def _mean(e: Emitter, node: Node, x: Proxy, axes: tuple[int, ...], keep: bool) -> Proxy:
    return x.mean(axes, keepdim=keep) if _has_elements(node, axes) else e.call(mean_or_zero, x, axes, keep)


def _prod(e: Emitter, node: Node, x: Proxy, axes: tuple[int, ...], keep: bool) -> Proxy:
    dtype = node.result.type.dtype
    for axis in reversed(axes):  # torch.prod takes one axis
        x = x.prod(axis, keepdim=keep) if dtype.is_float else x.prod(axis, keepdim=keep, dtype=e.dtype(dtype))
    return x


def _max(e: Emitter, node: Node, x: Proxy, axes: tuple[int, ...], keep: bool) -> Proxy:
    return x.amax(axes, keepdim=keep) if _has_elements(node, axes) else e.call(largest, x, axes, keep)


def _min(e: Emitter, node: Node, x: Proxy, axes: tuple[int, ...], keep: bool) -> Proxy:
    return x.amin(axes, keepdim=keep) if _has_elements(node, axes) else e.call(smallest, x, axes, keep)


def _variance(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Variance)
    (x,) = operands
    t = node.operands[0].type
    axes = op.axes_of(t)
    if not axes:
        return (e.call(torch.sub, x, x),)
    if _has_elements(node, axes) and math.prod(t.axes[axis].size.value for axis in axes) > op.correction:
        return (x.var(axes, correction=op.correction, keepdim=op.keep),)
    return (e.call(variance, x, axes, op.keep, op.correction),)


TABLE: dict[type[Op], Lower] = {
    ReduceSum: _reduced(_sum),
    ReduceMean: _reduced(_mean),
    ReduceProd: _reduced(_prod),
    ReduceMax: _reduced(_max),
    ReduceMin: _reduced(_min),
    ReduceAny: _reduced(lambda e, node, x, axes, keep: x.any(axes, keepdim=keep)),
    ReduceAll: _reduced(lambda e, node, x, axes, keep: x.all(axes, keepdim=keep)),
    Variance: _variance,
}

UNSUPPORTED: dict[type[Op], str] = {}
