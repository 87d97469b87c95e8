"""Pooling: what a window holds becomes its maximum or its mean."""

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.backends.reference.windows import padded, windows
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool


def _max_pool(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, MaxPool)
    op = op.normalised(node.operand_types)
    view = _window_view(node, operands[0], op, op.dilation, env, -np.inf)
    return (np.asarray(view.max(axis=_last(len(op.kernel)))),)


def _avg_pool(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, AvgPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    total = _window_view(node, x, op, (1,) * len(op.kernel), env, 0.0).sum(axis=_last(len(op.kernel)))
    for index, size in enumerate(x.shape[2:]):
        before, after = op.padding[2 * index : 2 * index + 2]
        first, end = (-before, size + after) if op.count_include_pad else (0, size)
        starts = np.arange(total.shape[2 + index]) * op.stride[index] - before
        counts = np.minimum(starts + op.kernel[index], end) - np.maximum(starts, first)
        total = total / counts.reshape(-1, *(1,) * (x.ndim - 3 - index))
    return (np.asarray(total),)


def _adaptive_avg_pool(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, AdaptiveAvgPool)
    (x,) = operands
    for axis, count in enumerate(op.output, 2):
        size = x.shape[axis]
        parts = [x.take(range(i * size // count, -(-(i + 1) * size // count)), axis) for i in range(count)]
        x = np.stack([part.mean(axis) for part in parts], axis)
    return (x,)


def _window_view(
    node: Node, x: Array, op: MaxPool | AvgPool, dilation: tuple[int, ...], env: Env, fill: float
) -> Array:
    """The windows of `x`, as many as the result has: what hangs over the end is filled."""
    counts = env.shape(node.result.type.sizes[2:])
    padding = []
    for index, (count, size) in enumerate(zip(counts, x.shape[2:], strict=True)):
        before, after = op.padding[2 * index : 2 * index + 2]
        end = (count - 1) * op.stride[index] + (op.kernel[index] - 1) * dilation[index] + 1
        padding += [before, max(after, end - size - before)]
    view = windows(padded(x, padding, value=fill), op.kernel, op.stride, dilation)
    return view[(slice(None), slice(None), *(slice(count) for count in counts))]


def _last(count: int) -> tuple[int, ...]:
    return tuple(range(-count, 0))


TABLE: dict[type[Op], Compute] = {MaxPool: _max_pool, AvgPool: _avg_pool, AdaptiveAvgPool: _adaptive_avg_pool}
