"""Reductions of groups of rows."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.segment import SegmentReduce

_COMBINE: dict[str, np.ufunc] = {
    "sum": np.add,
    "mean": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _segment_reduce(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, SegmentReduce)
    x, by = operands[0], np.asarray(operands[1], np.int64)
    groups = env.dim(op.count)
    if by.size and (by.min() < 0 or by.max() >= groups):
        raise IndexError(f"there are {groups} groups, and indices from {by.min()} to {by.max()}")
    result: Any = np.full((groups, *x.shape[1:]), _start(op.reduction, x.dtype), x.dtype)
    _COMBINE[op.reduction].at(result, by, x)
    counts = np.bincount(by, minlength=groups)
    if op.reduction in ("max", "min"):
        result[counts == 0] = 0
    if op.reduction == "mean":
        result /= np.maximum(counts, 1).reshape(groups, *[1] * (x.ndim - 1))
    return (result,)


def _start(reduction: str, dtype: np.dtype[np.generic]) -> Any:
    if reduction in ("max", "min"):
        ends: Any = np.iinfo(dtype) if dtype.kind in "iu" else None
        lowest, highest = (ends.min, ends.max) if ends is not None else (-np.inf, np.inf)
        return lowest if reduction == "max" else highest
    return 1 if reduction == "prod" else 0


TABLE: dict[type[Op], Compute] = {SegmentReduce: _segment_reduce}
