"""Order: argmax, argmin, topk, sort."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK


def _extremum(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, ArgMax | ArgMin)
    find = np.argmax if isinstance(op, ArgMax) else np.argmin
    return (np.asarray(find(operands[0], axis=op.axis, keepdims=op.keep), np.int64),)


def _topk(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, TopK)
    return _ordered(operands[0], op.axis, op.largest, env.dim(op.k))


def _sort(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Sort)
    return _ordered(operands[0], op.axis, op.descending, operands[0].shape[op.axis])


def _ordered(x: Array, axis: int, descending: bool, count: int) -> tuple[Array, Array]:
    """The first `count` elements in order and their indices; equal ones by index."""
    rows: Any = np.moveaxis(x, axis, -1)
    if descending:  # a stable sort of the mirrored row, read from its end
        order = (rows.shape[-1] - 1 - np.argsort(rows[..., ::-1], axis=-1, kind="stable"))[..., ::-1]
    else:
        order = np.argsort(rows, axis=-1, kind="stable")
    order = np.moveaxis(order[..., :count], -1, axis).astype(np.int64)
    return np.take_along_axis(x, order, axis), order


TABLE: dict[type[Op], Compute] = {ArgMax: _extremum, ArgMin: _extremum, TopK: _topk, Sort: _sort}
