"""Order: argmax, argmin, topk, sort. ONNX Runtime's TopK puts the lowest index of equal elements first."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import NUMBERS, cast, kernel_type
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK


def _extremum(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, ArgMax | ArgMin)
    dtype = node.operands[0].type.dtype
    x = cast(e, operands[0], dtype, kernel_type(dtype, NUMBERS))
    return e.node("ArgMax" if isinstance(op, ArgMax) else "ArgMin", x, axis=op.axis, keepdims=op.keep)


def _topk(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, TopK)
    return _ordered(e, node, operands[0], op.axis, op.k, op.largest)


def _sort(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Sort)
    return _ordered(e, node, operands[0], op.axis, node.operands[0].type.axes[op.axis].size, op.descending)


def _ordered(e: Emitter, node: Node, x: str, axis: int, count: Dim, largest: bool) -> tuple[str, ...]:
    dtype = node.operands[0].type.dtype
    via = kernel_type(dtype, NUMBERS)
    k = e.shape([count])
    values, indices = e.node("TopK", cast(e, x, dtype, via), k, outputs=2, axis=axis, largest=largest, sorted=1)
    return cast(e, values, via, dtype), indices


TABLE: dict[type[Op], Lower] = {ArgMax: _extremum, ArgMin: _extremum, TopK: _topk, Sort: _sort}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
