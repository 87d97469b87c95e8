"""Triangles and lengths."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.masks import LengthMask, Tril, TriMask, Triu


def _tril(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Tril)
    (x,) = operands
    return (np.where(_lower(x.shape[-2], x.shape[-1], op.diagonal), x, np.zeros((), x.dtype)),)


def _triu(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Triu)
    (x,) = operands
    return (np.where(_lower(x.shape[-2], x.shape[-1], op.diagonal - 1), np.zeros((), x.dtype), x),)


def _tri_mask(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, TriMask)
    return (_lower(env.dim(op.rows), env.dim(op.cols), op.diagonal),)


def _lower(rows: int, cols: int, diagonal: int) -> Array:
    """True where column - row <= diagonal."""
    return np.asarray(np.arange(cols) - np.arange(rows)[:, None] <= diagonal)


def _length_mask(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, LengthMask)
    length: Any = operands[0]
    return (np.asarray(np.arange(env.dim(op.size)) < length[..., None]),)


TABLE: dict[type[Op], Compute] = {Tril: _tril, Triu: _triu, TriMask: _tri_mask, LengthMask: _length_mask}
