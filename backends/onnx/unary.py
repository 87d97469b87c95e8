"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

from netdsl.backends.onnx import double
from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.element_types import operator
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.unary import (
    Acos,
    Asin,
    Atan,
    Ceil,
    Cos,
    Cosh,
    Erf,
    Exp,
    Expm1,
    Floor,
    Log,
    Log1p,
    Reciprocal,
    Round,
    Rsqrt,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    Trunc,
)
from netdsl.tensor_type import DType


def expm1(e: Emitter, x: str, dtype: DType) -> str:
    """(eˣ + 1) tanh(x / 2), which loses nothing near 0."""
    (half,) = e.node("Mul", x, e.constant(0.5, dtype))
    (above,) = e.node("Add", e.node("Exp", x)[0], e.constant(1, dtype))
    return e.node("Mul", above, e.node("Tanh", half)[0])[0]


def _rsqrt(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    return e.node("Reciprocal", e.node("Sqrt", *operands)[0])


def _expm1(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    return (expm1(e, operands[0], node.result.type.dtype),)


def _log1p(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """log u + (x - (u - 1)) / u with u = 1 + x rounded; beyond -0.5..1 the second term is too small to matter."""
    (x,) = operands
    dtype = node.result.type.dtype
    one = e.constant(1, dtype)
    (near,) = e.node("Clip", x, e.constant(-0.5, dtype), one)
    (sum_near,) = e.node("Add", near, one)
    (lost,) = e.node("Sub", near, e.node("Sub", sum_near, one)[0])
    (correction,) = e.node("Div", lost, sum_near)
    return e.node("Add", e.node("Log", e.node("Add", x, one)[0])[0], correction)


def _trunc(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    (x,) = operands
    (is_negative,) = e.node("Less", x, e.constant(0, node.result.type.dtype))
    return e.node("Where", is_negative, e.node("Ceil", x)[0], e.node("Floor", x)[0])


TABLE: dict[type[Op], Lower] = {
    Sqrt: operator("Sqrt"),
    Rsqrt: _rsqrt,
    Reciprocal: operator("Reciprocal"),
    Exp: operator("Exp"),
    Expm1: _expm1,
    Log: operator("Log"),
    Log1p: _log1p,
    Sin: operator("Sin"),
    Cos: operator("Cos"),
    Tan: operator("Tan", double.tan),
    Asin: operator("Asin", double.asin),
    Acos: operator("Acos", double.acos),
    Atan: operator("Atan", double.atan),
    Sinh: operator("Sinh", double.sinh),
    Cosh: operator("Cosh", double.cosh),
    Tanh: operator("Tanh"),
    Erf: operator("Erf", double.erf),
    Floor: operator("Floor"),
    Ceil: operator("Ceil"),
    Round: operator("Round"),
    Trunc: _trunc,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
