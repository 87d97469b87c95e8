"""The gradient of a fixed point, by the implicit function theorem instead of the steps to it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

#: The change of the gradient, relative to it, at which the solution counts as found.
TOLERANCE = 1e-7


def at_fixed_point(
    step: Callable[..., Sequence[torch.Tensor]], count: int, carries: Sequence[torch.Tensor], captured: tuple[Any, ...]
) -> tuple[torch.Tensor, ...]:
    """The carries, as the fixed point z of `step` that they are.

    For a gradient g of z, what reaches the captured values is the solution u of u = g + uᵀ dstep/dz, found in `count`
    steps at most. Carries that are no floats have no gradient, nor do their starting values.

    Source: Bai et al. 2019, theorem 1.
    """
    fixed = tuple(c.detach() for c in carries)
    following = list(step(*fixed, *captured))[: len(fixed)]
    floats = [i for i, c in enumerate(fixed) if c.is_floating_point()]
    if not any(following[i].requires_grad for i in floats):
        return fixed
    leaves = [c.clone().requires_grad_(c.is_floating_point()) for c in fixed]
    around = [f for i, f in enumerate(list(step(*leaves, *captured))[: len(fixed)]) if i in floats]

    def solve(gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        found = list(gradients)
        sources = [leaves[i] for i in floats]
        for _ in range(count):
            through = torch.autograd.grad(
                around, sources, found, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            before, found = found, [g + t for g, t in zip(gradients, through, strict=True)]
            change = sum((f - b).norm() for f, b in zip(found, before, strict=True))
            if change <= TOLERANCE * sum(f.norm() for f in found):
                break
        return found

    values = (*(fixed[i] for i in floats), *(following[i] for i in floats))
    ends = _Solved.apply(solve, len(floats), *values)  # type: ignore[no-untyped-call]
    solved = dict(zip(floats, ends, strict=True))
    return tuple(solved.get(i, c) for i, c in enumerate(fixed))


class _Solved(torch.autograd.Function):
    """Forward the fixed point, backward what `solve` makes of the gradient, to one more step from it."""

    @staticmethod
    def forward(ctx: Any, solve: Callable[..., Any], count: int, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.solve, ctx.count = solve, count
        return tuple(v.clone() for v in values[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        with torch.enable_grad():
            solved = ctx.solve(gradients)
        return (None, None, *([None] * ctx.count), *solved)
