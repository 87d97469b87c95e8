"""Softmax and its logarithm."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import FLOATS, cast, kernel_type
from netdsl.backends.onnx.reduction import lower_reduction
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax


def _softmax(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Softmax | LogSoftmax)
    dtype = node.result.type.dtype
    via = kernel_type(dtype, FLOATS)
    op_type = "Softmax" if isinstance(op, Softmax) else "LogSoftmax"
    return (cast(e, e.node(op_type, cast(e, operands[0], dtype, via), axis=op.axis)[0], via, dtype),)


TABLE: dict[type[Op], Lower] = {
    Softmax: _softmax,
    LogSoftmax: _softmax,
    LogSumExp: lower_reduction("ReduceLogSumExp", FLOATS),
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
