"""What flows backwards: stopped and replaced gradients."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.gradient import StopGradient, WithGradient


class _Straight(torch.autograd.Function):
    """Forward the first argument, backward to the second."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, proxy: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept for the way back."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[None, Tensor]:
        return None, gradients[0]


def with_gradient(value: Tensor, proxy: Tensor) -> Tensor:
    """`value`, with the gradient of `proxy`."""
    result: Tensor = _Straight.apply(value, proxy)  # type: ignore[no-untyped-call]
    return result


def _stop_gradient(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    return (operands[0].detach(),)


def _with_gradient(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    return (e.call(with_gradient, *operands),)


TABLE: dict[type[Op], Lower] = {StopGradient: _stop_gradient, WithGradient: _with_gradient}

UNSUPPORTED: dict[type[Op], str] = {}
