"""Orthogonal polynomials, by their recurrence; half types in float32."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.polynomial import Polynomials


def _polynomials(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, Polynomials)
    return (e.call(polynomials, operands[0], op.recurrence, op.axis),)


def polynomials(x: torch.Tensor, recurrence: tuple[tuple[float, float, float], ...], axis: int) -> torch.Tensor:
    """The polynomials at `x`, with coefficients (a, b, c) of p[n] = (a x + b) p[n - 1] + c p[n - 2]."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    found = [torch.ones_like(wide)]
    for n, (a, b, c) in enumerate(recurrence, 1):
        line = wide * a if a != 1 else wide
        line = line + b if b else line
        value = line * found[-1] if n > 1 else line
        found.append(torch.add(value, found[n - 2], alpha=c) if c else value)
    return torch.stack(found, axis).to(x.dtype)


TABLE: dict[type[Op], Lower] = {Polynomials: _polynomials}

UNSUPPORTED: dict[type[Op], str] = {}
