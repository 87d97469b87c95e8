"""Functions of f64 in operators for which ONNX Runtime has f64 kernels. Each is within 1e-13 of the function."""

from math import log

from netdsl.backends.onnx.context import Emitter
from netdsl.backends.reference.error_function import TAIL
from netdsl.tensor_type import F32, F64, I64


def tan(e: Emitter, x: str) -> str:
    return e.node("Div", e.node("Sin", x)[0], e.node("Cos", x)[0])[0]


def atan(e: Emitter, x: str) -> str:
    """The f32 angle and one correction: atan x - y = atan((x cos y - sin y) / (cos y + x sin y)), a tiny angle."""
    (x,) = e.node("Clip", x, e.constant(-1e300, F64), e.constant(1e300, F64))
    (narrow,) = e.node("Atan", e.node("Cast", x, to=e.tensor_dtype(F32))[0])
    (y,) = e.node("Cast", narrow, to=e.tensor_dtype(F64))
    (sin,), (cos,) = e.node("Sin", y), e.node("Cos", y)
    (over,) = e.node("Sub", e.node("Mul", x, cos)[0], sin)
    (under,) = e.node("Add", cos, e.node("Mul", x, sin)[0])
    return e.node("Add", y, e.node("Div", over, under)[0])[0]


def asin(e: Emitter, x: str) -> str:
    """atan(x / √((1 - x) (1 + x)))."""
    one = e.constant(1, F64)
    (square,) = e.node("Mul", e.node("Sub", one, x)[0], e.node("Add", one, x)[0])
    return atan(e, e.node("Div", x, e.node("Sqrt", square)[0])[0])


def acos(e: Emitter, x: str) -> str:
    """2 atan √((1 - x) / (1 + x))."""
    one = e.constant(1, F64)
    (ratio,) = e.node("Div", e.node("Sub", one, x)[0], e.node("Add", one, x)[0])
    return e.node("Mul", e.constant(2, F64), atan(e, e.node("Sqrt", ratio)[0]))[0]


def cosh(e: Emitter, x: str) -> str:
    """e^(x - log 2) + e^(-x - log 2)."""
    (up,) = e.node("Exp", e.node("Sub", x, e.constant(log(2), F64))[0])
    (down,) = e.node("Exp", e.node("Sub", e.constant(-log(2), F64), x)[0])
    return e.node("Add", up, down)[0]


def sinh(e: Emitter, x: str) -> str:
    return e.node("Mul", e.node("Tanh", x)[0], cosh(e, x))[0]


def erf(e: Emitter, x: str) -> str:
    """sign x * (1 - t e^(p(2t - 1) - x²)) with t = 2 / (2 + |x|) and a polynomial p.

    Source: Press et al., Numerical Recipes, 3rd ed., section 6.2.2.
    """
    one, two = e.constant(1, F64), e.constant(2, F64)
    (z,) = e.node("Abs", x)
    (t,) = e.node("Div", two, e.node("Add", two, z)[0])
    (u,) = e.node("Sub", e.node("Mul", two, t)[0], one)
    (column,) = e.node("Unsqueeze", u, e.constant([-1], I64))
    (powers,) = e.node("Pow", column, e.constant(list(range(len(TAIL))), F64))
    (polynomial,) = e.node("MatMul", powers, e.constant(TAIL, F64))
    (tail,) = e.node("Exp", e.node("Sub", polynomial, e.node("Mul", z, z)[0])[0])
    (size,) = e.node("Sub", one, e.node("Mul", t, tail)[0])
    return e.node("Mul", e.node("Sign", x)[0], size)[0]


def softplus(e: Emitter, x: str) -> str:
    """max(x, 0) + log(1 + e^-|x|)."""
    (small,) = e.node("Exp", e.node("Neg", e.node("Abs", x)[0])[0])
    (rest,) = e.node("Log", e.node("Add", small, e.constant(1, F64))[0])
    return e.node("Add", e.node("Relu", x)[0], rest)[0]
