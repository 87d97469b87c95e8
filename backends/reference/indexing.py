"""Reading and writing by index."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env, numpy_dtype
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.indexing import OneHot, Retarget, Scatter, ScatterAlong, Take, TakeAlong

_COMBINE: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _take(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Take)
    x, indices = operands[0], np.asarray(operands[1], np.int64)
    _require_inside(indices, x.shape[op.axis])
    if indices.size == 0:
        return (np.zeros(x.shape[: op.axis] + indices.shape + x.shape[op.axis + 1 :], x.dtype),)
    return (np.take(x, indices, op.axis),)


def _take_along(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, TakeAlong)
    x, indices = operands
    _require_inside(indices, x.shape[op.axis])
    return (np.take_along_axis(x, indices.astype(np.int64), op.axis),)


def _scatter(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Scatter)
    x, indices, updates = operands
    _require_inside(indices, x.shape[op.axis])
    result = x.copy()
    place: Any = (slice(None),) * op.axis + (indices,)
    _write(op.reduction, result, place, updates)
    return (result,)


def _scatter_along(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, ScatterAlong)
    x, indices, updates = operands
    _require_inside(indices, x.shape[op.axis])
    result = x.copy()
    place: list[Any] = list(np.indices(indices.shape, sparse=True))
    place[op.axis] = indices
    _write(op.reduction, result, tuple(place), updates)
    return (result,)


def _write(reduction: str, result: Array, place: Any, updates: Array) -> None:
    """numpy assigns repeated places in the order of the updates: the last stays."""
    if reduction == "none":
        result[place] = updates
    else:
        _COMBINE[reduction].at(result, place, updates)


def _require_inside(indices: Array, size: int) -> None:
    whole: Any = indices
    if whole.size and (whole.min() < 0 or whole.max() >= size):
        raise IndexError(f"an axis has {size} entries, and indices from {whole.min()} to {whole.max()}")


def _one_hot(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, OneHot)
    is_hot = operands[0][..., None] == np.arange(env.dim(op.size))
    return (is_hot.astype(numpy_dtype(op.dtype)),)


def _retarget(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Retarget)
    moved = np.asarray(operands[0], np.int64) + env.dim(op.offset)
    _require_inside(moved, env.dim(op.size))
    return (moved,)


TABLE: dict[type[Op], Compute] = {
    Take: _take,
    TakeAlong: _take_along,
    Scatter: _scatter,
    ScatterAlong: _scatter_along,
    OneHot: _one_hot,
    Retarget: _retarget,
}
