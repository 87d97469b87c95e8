"""Arithmetic on elements, select, clamp and cast."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.element_types import apply, through
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Div,
    FloorDiv,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Pow,
    Select,
    Sign,
    Sub,
)
from netdsl.tensor_type import BF16, F16, F32, I16, I32, I64, U8


def plain(op_type: str) -> Lower:
    """A lowering that is one operator, for every element type."""

    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        return e.node(op_type, *operands)

    return lower


def _floor_div(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """(a - a mod b) / b, which is exact but for the rounding of a float quotient."""
    a, b = operands
    dtype = node.result.type.dtype
    if dtype.is_int:
        (rest,) = e.node("Mod", a, b)
        return e.node("Div", e.node("Sub", a, rest)[0], b)
    (cut,) = e.node("Mod", a, b, fmod=1)
    (quotient,) = e.node("Div", e.node("Sub", a, cut)[0], b)
    (below,) = e.node("Sub", quotient, e.constant(1, dtype))
    floored = apply(e, "Round", dtype, e.node("Where", _signs_differ(e, cut, b), below, quotient)[0])
    (by_zero,) = e.node("Equal", b, e.constant(0, dtype))
    return e.node("Where", by_zero, e.node("Div", a, b)[0], floored)


def _mod(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """ONNX Mod has the sign of the divisor for ints only."""
    if node.result.type.dtype.is_int:
        return e.node("Mod", *operands)
    a, b = operands
    (cut,) = e.node("Mod", a, b, fmod=1)
    return e.node("Where", _signs_differ(e, cut, b), e.node("Add", cut, b)[0], cut)


def _signs_differ(e: Emitter, cut: str, b: str) -> str:
    """One is positive and one negative; a product of the two could underflow."""
    (opposite,) = e.node("Neg", e.node("Sign", b)[0])
    return e.node("Equal", e.node("Sign", cut)[0], opposite)[0]


def _pow(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    dtype = node.result.type.dtype
    if dtype.is_int and dtype.bits < 32:
        return (through(e, I64, dtype, lambda *wide: e.node("Pow", *wide)[0], *operands),)
    return e.node("Pow", *operands)


def _extremum(op_type: str) -> Lower:
    """ONNX Runtime has no kernel for i16."""

    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        if node.result.type.dtype == I16:
            return (through(e, I32, I16, lambda *wide: e.node(op_type, *wide)[0], *operands),)
        return e.node(op_type, *operands)

    return lower


def _sign(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """ONNX Runtime keeps NaN in its f32 and f64 kernels only."""
    dtype = node.result.type.dtype
    if dtype in (F16, BF16):
        return (through(e, F32, dtype, lambda x: e.node("Sign", x)[0], *operands),)
    return e.node("Sign", *operands)


def _neg(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    if node.result.type.dtype == U8:
        return e.node("Sub", e.constant(0, U8), operands[0])
    return e.node("Neg", operands[0])


def clipped(e: Emitter, node: Node, x: str, low: float | None, high: float | None) -> str:
    """`x` within bounds; `high` wins where they cross."""
    dtype = node.result.type.dtype
    if low is None and high is None:
        return x
    if low is not None and high is not None and low > high:
        low = high
    wide = I32 if dtype == I16 else dtype
    bounds = ["" if bound is None else e.constant(bound, wide) for bound in (low, high)]
    bounds = bounds if bounds[1] else bounds[:1]
    if dtype == I16:
        return through(e, I32, I16, lambda y: e.node("Clip", y, *bounds)[0], x)
    return e.node("Clip", x, *bounds)[0]


def _clamp(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, Clamp)
    return (clipped(e, node, operands[0], node.op.low, node.op.high),)


def _select(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """ONNX Runtime's Where has no kernel for bool and i16."""
    cond, a, b = operands
    dtype = node.result.type.dtype
    if dtype.kind == "bool":
        (chosen,) = e.node("And", cond, a)
        return e.node("Or", chosen, e.node("And", e.node("Not", cond)[0], b)[0])
    if dtype == I16:
        return (through(e, I32, I16, lambda *wide: e.node("Where", cond, *wide)[0], a, b),)
    return e.node("Where", cond, a, b)


def _cast(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    new = node.result.type.dtype
    if node.operand_types[0].dtype.storage == new:
        return operands
    return e.node("Cast", operands[0], to=e.tensor_dtype(new))


TABLE: dict[type[Op], Lower] = {
    Add: plain("Add"),
    Sub: plain("Sub"),
    Mul: plain("Mul"),
    Div: plain("Div"),
    FloorDiv: _floor_div,
    Mod: _mod,
    Pow: _pow,
    Maximum: _extremum("Max"),
    Minimum: _extremum("Min"),
    Neg: _neg,
    Abs: plain("Abs"),
    Sign: _sign,
    Clamp: _clamp,
    Select: _select,
    Cast: _cast,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
