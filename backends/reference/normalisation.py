"""Normalisation: mean 0 and variance 1 over some axes, then a scale and a shift."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm


def _layer_norm(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, LayerNorm)
    x, *others = operands
    y = _standard(x, tuple(range(x.ndim - op.axes_count, x.ndim)), op.eps)
    return (_affine(y, others),)


def _rms_norm(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, RmsNorm)
    x, *others = operands
    y = np.asarray(x / np.sqrt(np.square(x).mean(-1, keepdims=True) + op.eps)) if x.size else x
    return (_affine(y, others),)


def _group_norm(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, GroupNorm)
    x, *others = operands
    grouped = x.reshape(x.shape[0], op.groups, x.shape[1] // op.groups, *x.shape[2:])
    y = _standard(grouped, tuple(range(2, grouped.ndim)), op.eps).reshape(x.shape)
    return (_affine(y, [_per_channel(other, x) for other in others]),)


def _batch_norm(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, BatchNorm)
    x: Any = operands[0]
    mean, var, weight, bias = (_per_channel(other, x) for other in operands[1:])
    return (np.asarray((x - mean) / np.sqrt(var + op.eps) * weight + bias),)


def _moments(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Moments)
    (x,) = operands
    axes = op.normalised(node.operand_types).axes
    count = max(prod(x.shape[axis] for axis in axes), 1)
    mean = x.sum(axes, keepdims=True) / count
    return np.asarray(mean.squeeze(axes)), np.asarray(np.square(x - mean).sum(axes) / count)


def _standard(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    if not x.size:
        return x
    centred = x - x.mean(axes, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + eps))


def _affine(y: Array, others: Sequence[Array]) -> Array:
    for other, apply in zip(others, (np.multiply, np.add), strict=False):
        y = np.asarray(apply(y, other))
    return y


def _per_channel(vector: Array, x: Array) -> Any:
    return vector.reshape(-1, *(1,) * (x.ndim - 2))


TABLE: dict[type[Op], Compute] = {
    LayerNorm: _layer_norm,
    RmsNorm: _rms_norm,
    GroupNorm: _group_norm,
    BatchNorm: _batch_norm,
    Moments: _moments,
}
