"""Reductions over axes."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import FLOATS, NUMBERS, SUMS, cast, kernel_type
from netdsl.dims import dmax, product
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
from netdsl.tensor_type import BOOL, I16, I64, U8

_EXTREMA = NUMBERS | {"i8", "u8"}


def lower_reduction(op_type: str, kernels: frozenset[str]) -> Lower:
    """One reduction node, in a type that has a kernel; a scalar has nothing to reduce."""

    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        op = node.op
        assert isinstance(op, Reduction)
        t = node.operands[0].type
        axes = op.axes_of(t)
        if not axes:
            return operands
        via = kernel_type(t.dtype, kernels)
        x = cast(e, operands[0], t.dtype, via)
        return (cast(e, reduce(e, op_type, x, axes, op.keep), via, t.dtype),)

    return lower


def reduce(e: Emitter, op_type: str, x: str, axes: tuple[int, ...], keep: bool) -> str:
    return e.node(op_type, x, e.constant(axes, I64), keepdims=keep)[0]


def _extremum(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    is_max = isinstance(node.op, ReduceMax)
    plain = lower_reduction("ReduceMax" if is_max else "ReduceMin", _EXTREMA)
    t = node.operands[0].type
    if t.dtype != I16 or not t.rank:
        return plain(e, node, operands)
    # The extremum of nothing is that of the type, and i16 has no kernel: bound what i32 gives.
    op = node.op
    assert isinstance(op, Reduction)
    via = kernel_type(t.dtype, _EXTREMA)
    wide = reduce(e, "ReduceMax" if is_max else "ReduceMin", cast(e, operands[0], I16, via), op.axes_of(t), op.keep)
    bound = e.constant(-(2**15) if is_max else 2**15 - 1, via, ())
    return (cast(e, e.node("Max" if is_max else "Min", wide, bound)[0], via, I16),)


def _logical(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, ReduceAny | ReduceAll)
    axes = op.axes_of(node.operands[0].type)
    if not axes:
        return operands
    op_type = "ReduceMax" if isinstance(op, ReduceAny) else "ReduceMin"
    # ONNX Runtime refuses to reduce empty bool tensors (opset 20), but not u8.
    return (cast(e, reduce(e, op_type, cast(e, operands[0], BOOL, U8), axes, op.keep), U8, BOOL),)


def _variance(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Variance)
    t = node.operands[0].type
    axes = op.axes_of(t)
    via = kernel_type(t.dtype, FLOATS)
    x = cast(e, operands[0], t.dtype, via)
    if not axes:
        return (cast(e, e.node("Sub", x, x)[0], via, t.dtype),)
    (distance,) = e.node("Sub", x, reduce(e, "ReduceMean", x, axes, True))
    found = reduce(e, "ReduceMean", e.node("Mul", distance, distance)[0], axes, op.keep)
    if op.correction:
        count = product(t.axes[axis].size for axis in axes)
        divisor = dmax(count - op.correction, 1)
        if count.is_const:
            ratio = e.constant(count.value / divisor.value, via, ())
        else:
            (ratio,) = e.node("Div", *(cast(e, e.dim(size), I64, via) for size in (count, divisor)))
        (found,) = e.node("Mul", found, ratio)
    return (cast(e, found, via, t.dtype),)


TABLE: dict[type[Op], Lower] = {
    ReduceSum: lower_reduction("ReduceSum", SUMS),
    ReduceMean: lower_reduction("ReduceMean", FLOATS),
    ReduceProd: lower_reduction("ReduceProd", SUMS),
    ReduceMax: _extremum,
    ReduceMin: _extremum,
    ReduceAny: _logical,
    ReduceAll: _logical,
    Variance: _variance,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
