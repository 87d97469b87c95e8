"""Reductions over axes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
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


def _reduced(compute: Callable[[Array, tuple[int, ...], bool], Any]) -> Compute:
    """A computation from one on (array, axes, keep)."""

    def run(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
        op = node.op
        assert isinstance(op, Reduction)
        (x,) = operands
        return (np.asarray(compute(x, op.axes_of(node.operands[0].type), op.keep)),)

    return run


def _mean(x: Array, axes: tuple[int, ...], keep: bool) -> Any:
    return np.sum(x, axis=axes, keepdims=keep) / max(_count(x, axes), 1)


def _prod(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return np.prod(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _max(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    return np.max(x, axis=axes, keepdims=keep, initial=lowest)


def _min(x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    highest = np.iinfo(x.dtype).max if x.dtype.kind in "iu" else np.inf
    return np.min(x, axis=axes, keepdims=keep, initial=highest)


def _variance(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Variance)
    (x,) = operands
    axes = op.axes_of(node.operands[0].type)
    distance = x - _mean(x, axes, True)
    divisor = max(_count(x, axes) - op.correction, 1)
    return (np.asarray(np.sum(distance * distance, axis=axes, keepdims=op.keep) / divisor),)


def _count(x: Array, axes: tuple[int, ...]) -> int:
    count = 1
    for axis in axes:
        count *= x.shape[axis]
    return count


TABLE: dict[type[Op], Compute] = {
    ReduceSum: _reduced(lambda x, axes, keep: np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype)),
    ReduceMean: _reduced(_mean),
    ReduceProd: _reduced(_prod),
    ReduceMax: _reduced(_max),
    ReduceMin: _reduced(_min),
    ReduceAny: _reduced(lambda x, axes, keep: np.any(x, axis=axes, keepdims=keep)),
    ReduceAll: _reduced(lambda x, axes, keep: np.all(x, axis=axes, keepdims=keep)),
    Variance: _variance,
}
