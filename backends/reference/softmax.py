"""Softmax and its logarithm."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax


def _softmax(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Softmax)
    x: Any = operands[0]
    e = np.exp(x - np.max(x, axis=op.axis, keepdims=True, initial=-np.inf))
    return (e / np.sum(e, axis=op.axis, keepdims=True),)


def _log_softmax(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, LogSoftmax)
    x: Any = operands[0]
    below = x - np.max(x, axis=op.axis, keepdims=True, initial=-np.inf)
    return (below - np.log(np.sum(np.exp(below), axis=op.axis, keepdims=True)),)


def _logsumexp(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, LogSumExp)
    x: Any = operands[0]
    axes = op.axes_of(node.operands[0].type)
    top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    base = np.where(np.isfinite(top), top, 0.0)
    total = np.log(np.sum(np.exp(x - base), axis=axes, keepdims=True)) + base
    return (total if op.keep else np.squeeze(total, axis=axes),)


TABLE: dict[type[Op], Compute] = {Softmax: _softmax, LogSoftmax: _log_softmax, LogSumExp: _logsumexp}
