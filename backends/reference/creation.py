"""Tensors made from nothing: constants, ranges, run-time sizes; and dropout."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env, numpy_dtype
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full, Iota


def _constant(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Constant)
    return (np.asarray(node.op.values, numpy_dtype(node.op.dtype)).reshape(node.op.shape),)


def _full(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Full)
    return (np.full(env.shape(node.op.shape), node.op.value, numpy_dtype(node.op.dtype)),)


def _iota(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Iota)
    return (np.arange(env.dim(node.op.size)).astype(numpy_dtype(node.op.dtype)),)


def _eye(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Eye)
    return (np.eye(env.dim(node.op.size), dtype=numpy_dtype(node.op.dtype)),)


def _dim_value(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, DimValue)
    return (np.asarray(env.dim(node.op.dim), np.int64),)


def _dropout(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    """The identity where the run has no seed."""
    assert isinstance(node.op, Dropout)
    x: Any = operands[0]
    if env.rng is None or node.op.p == 0:
        return (x,)
    is_kept = env.rng.random(x.shape) >= node.op.p
    return (np.where(is_kept, x / (1.0 - node.op.p) if node.op.p < 1 else 0.0, 0.0),)


TABLE: dict[type[Op], Compute] = {
    Constant: _constant,
    Full: _full,
    Iota: _iota,
    Eye: _eye,
    DimValue: _dim_value,
    Dropout: _dropout,
}
