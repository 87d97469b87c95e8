"""Reductions of groups of rows. ScatterND with a reduction is never used: it races in ONNX Runtime."""

from math import inf

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.indexing import spread
from netdsl.backends.onnx.kernels import NUMBERS, cast, kernel_type
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.segment import SegmentReduce
from netdsl.tensor_type import BOOL, F32, I64, DType, TensorType

_ONNX_NAME = {"sum": "add", "mean": "add", "prod": "mul", "max": "max", "min": "min"}


def _segment_reduce(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, SegmentReduce)
    x, by = operands
    t, tb = node.operand_types
    shape = e.shape(node.result.type.sizes)
    if any(size == 0 for size in t.sizes):
        return e.node("Expand", e.constant(op.reduction == "prod", t.dtype, ()), shape)
    via = F32 if t.dtype.is_float and t.dtype.bits < 32 else kernel_type(t.dtype, NUMBERS)
    by = cast(e, by, tb.dtype, I64)
    (table,) = e.node("Expand", e.constant(_start(op.reduction, via), via, ()), shape)
    indices = spread(e, by, t, 0)
    (found,) = e.node(
        "ScatterElements", table, indices, cast(e, x, t.dtype, via), axis=0, reduction=_ONNX_NAME[op.reduction]
    )
    if op.reduction == "mean":
        (count,) = e.node("Max", _counts(e, op, by, tb), e.constant(1, I64, ()))
        (found,) = e.node("Div", found, _column(e, cast(e, count, I64, via), t))
    elif op.reduction in ("max", "min"):
        has_rows = _column(e, cast(e, _counts(e, op, by, tb), I64, BOOL), t)
        (found,) = e.node("Where", has_rows, found, e.constant(0, via, ()))
    return (cast(e, found, via, t.dtype),)


def _counts(e: Emitter, op: SegmentReduce, by: str, tb: TensorType) -> str:
    """How many rows each group has."""
    (zeros,) = e.node("Expand", e.constant(0, I64, ()), e.shape([op.count]))
    (ones,) = e.node("Expand", e.constant(1, I64, ()), e.shape(tb.sizes))
    return e.node("ScatterElements", zeros, by, ones, axis=0, reduction="add")[0]


def _column(e: Emitter, row: str, t: TensorType) -> str:
    """A vector over the first axis of `t`, to be broadcast over its others."""
    return e.node("Unsqueeze", row, e.constant(range(1, t.rank), I64))[0] if t.rank > 1 else row


def _start(reduction: str, dtype: DType) -> float | int:
    if reduction not in ("max", "min"):
        return int(reduction == "prod")
    low, high = (-inf, inf) if dtype.is_float else (-(2 ** (dtype.bits - 1)), 2 ** (dtype.bits - 1) - 1)
    return low if reduction == "max" else high


TABLE: dict[type[Op], Lower] = {SegmentReduce: _segment_reduce}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
