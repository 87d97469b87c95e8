"""Arithmetic on elements, select, clamp and cast."""

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Div,
    FloorDiv,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Pow,
    Select,
    Sign,
    Sub,
)


def function(target: Callable[..., Any], **options: Any) -> Lower:
    """A lowering that is one call of `target` on the operands."""

    def lower(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
        return (e.call(target, *operands, **options),)

    return lower


def _sign(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    (x,) = operands
    sign = e.call(torch.sign, x)
    if not node.result.type.dtype.is_float:
        return (sign,)
    return (e.call(torch.where, e.call(torch.isnan, x), x.detach(), sign),)  # torch: the sign of NaN is 0


def _clamp(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, Clamp)
    if node.op.low is None and node.op.high is None:
        return operands
    return (e.call(torch.clamp, operands[0], node.op.low, node.op.high),)


def _cast(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    return (operands[0].to(e.dtype(node.result.type.dtype)),)


TABLE: dict[type[Op], Lower] = {
    Add: function(torch.add),
    Sub: function(torch.sub),
    Mul: function(torch.mul),
    Div: function(torch.div),
    FloorDiv: function(torch.div, rounding_mode="floor"),  # torch.floor_divide has no derivative
    Mod: function(torch.remainder),
    Pow: function(torch.pow),
    Maximum: function(torch.maximum),
    Minimum: function(torch.minimum),
    Neg: function(torch.neg),
    Abs: function(torch.abs),
    Sign: _sign,
    Clamp: _clamp,
    Select: function(torch.where),
    Cast: _cast,
}

UNSUPPORTED: dict[type[Op], str] = {}
