"""Normalisation: mean 0 and variance 1 over some axes, then a scale and a shift."""

import operator

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm


def _layer_norm(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, LayerNorm)
    x, *others = operands
    sizes = e.shape(node.operand_types[0].sizes[-op.axes_count :])
    return (e.call(torch.layer_norm, x, sizes, *_both(others), op.eps),)


def _rms_norm(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, RmsNorm)
    x, *weight = operands
    sizes = e.shape(node.operand_types[0].sizes[-1:])
    return (e.call(torch.rms_norm, x, sizes, weight[0] if weight else None, op.eps),)


def _group_norm(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    """Not `torch.nn.functional.group_norm`, which refuses one element a group."""
    op = node.op
    assert isinstance(op, GroupNorm)
    x, *others = operands
    return (e.call(torch.group_norm, x, op.groups, *_both(others), op.eps),)


def _batch_norm(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, BatchNorm)
    return (e.call(channel_affine, *operands, op.eps),)


def _moments(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Moments)
    pair = e.call(moments, operands[0], op.normalised(node.operand_types).axes)
    return e.call(operator.getitem, pair, 0), e.call(operator.getitem, pair, 1)


def moments(x: torch.Tensor, axes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance; 0 over no elements, for which torch gives NaN."""
    if x.numel() == 0:
        return x.sum(axes), x.sum(axes)
    variance, mean = torch.var_mean(x, axes, correction=0)
    return mean, variance


def channel_affine(
    x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, as one multiplication and addition for each element of `x`.

    `torch.nn.functional.batch_norm` gives no gradient to mean and var, which the batch itself makes in training.
    """
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    scale = weight.to(wide) * torch.rsqrt(var.to(wide) + eps)
    shift = bias.to(wide) - mean.to(wide) * scale
    shape = (-1, *(1,) * (x.dim() - 2))
    return torch.addcmul(shift.reshape(shape), x.to(wide), scale.reshape(shape)).to(x.dtype)


def _both(others: list[Proxy]) -> tuple[Proxy | None, Proxy | None]:
    """Weight and bias, None where they are left out."""
    return (others[0] if others else None), (others[1] if len(others) > 1 else None)


TABLE: dict[type[Op], Lower] = {
    LayerNorm: _layer_norm,
    RmsNorm: _rms_norm,
    GroupNorm: _group_norm,
    BatchNorm: _batch_norm,
    Moments: _moments,
}

UNSUPPORTED: dict[type[Op], str] = {}
