"""Activation functions: the operator where there is one, for f64 what ONNX Runtime has kernels for."""

from math import pi, sqrt

from netdsl.backends.onnx import double
from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.element_types import apply, operator, through
from netdsl.backends.onnx.elementwise import clipped
from netdsl.backends.onnx.unary import expm1
from netdsl.backends.reference.activation import SELU_ALPHA, SELU_SCALE
from netdsl.ir import Node
from netdsl.ops.activation import (
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyRelu,
    LogSigmoid,
    Mish,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
)
from netdsl.ops.base import Op
from netdsl.tensor_type import F32, F64, DType

_GELU_OPSET = 20


def _leaky_relu(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, LeakyRelu)
    (x,) = operands
    dtype = node.result.type.dtype
    if dtype != F64:
        return (apply(e, "LeakyRelu", dtype, x, alpha=node.op.slope),)
    (small,) = e.node("Mul", x, e.constant(node.op.slope, F64))
    return e.node("Where", e.node("Less", x, e.constant(0, F64))[0], small, x)


def _double_relu(e: Emitter, x: str) -> str:
    """ONNX Runtime 1.32 cannot load a model in which a float64 `Clip` reads a `Relu`: it fails to fuse them."""
    return e.node("Max", x, e.constant(0, F64, ()))[0]


def _elu(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, Elu)
    dtype = node.result.type.dtype
    if dtype == F64:
        return (_double_elu(e, operands[0], node.op.alpha),)
    return (apply(e, "Elu", dtype, *operands, alpha=node.op.alpha),)


def _double_elu(e: Emitter, x: str, alpha: float, divisor: float = 1.0) -> str:
    scaled = x if divisor == 1 else e.node("Div", x, e.constant(divisor, F64))[0]
    (bent,) = e.node("Mul", expm1(e, scaled, F64), e.constant(alpha, F64))
    return e.node("Where", e.node("Greater", x, e.constant(0, F64))[0], x, bent)[0]


def _double_selu(e: Emitter, x: str) -> str:
    return e.node("Mul", _double_elu(e, x, SELU_ALPHA), e.constant(SELU_SCALE, F64))[0]


def _celu(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, Celu)
    dtype = node.result.type.dtype
    if dtype == F64:
        return (_double_elu(e, operands[0], node.op.alpha, node.op.alpha),)
    return (apply(e, "Celu", dtype, *operands, alpha=node.op.alpha),)


def _gelu(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """The decomposition is the one that ONNX Runtime fuses."""
    assert isinstance(node.op, Gelu)
    (x,) = operands
    dtype = node.result.type.dtype
    is_tanh = node.op.approximate
    if dtype != F64 and e.opset >= _GELU_OPSET:
        return (apply(e, "Gelu", dtype, x, approximate="tanh" if is_tanh else "none"),)
    half, one = e.constant(0.5, dtype), e.constant(1, dtype)
    if is_tanh:
        (cube,) = e.node("Mul", e.node("Mul", x, e.node("Mul", x, x)[0])[0], e.constant(0.044715, dtype))
        (inner,) = e.node("Mul", e.node("Add", x, cube)[0], e.constant(sqrt(2 / pi), dtype))
        (bent,) = e.node("Tanh", inner)
        return e.node("Mul", e.node("Mul", x, half)[0], e.node("Add", bent, one)[0])
    (scaled,) = e.node("Div", x, e.constant(sqrt(2), dtype))
    bent = double.erf(e, scaled) if dtype == F64 else apply(e, "Erf", dtype, scaled)
    return e.node("Mul", e.node("Mul", x, e.node("Add", bent, one)[0])[0], half)


def _silu(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    (x,) = operands
    return e.node("Mul", x, e.node("Sigmoid", x)[0])


def _plus(e: Emitter, x: str, dtype: DType) -> str:
    """ONNX Runtime overflows in f16: it computes log(1 + eˣ)."""
    if dtype == F64:
        return double.softplus(e, x)
    if dtype == F32:
        return e.node("Softplus", x)[0]
    return through(e, F32, dtype, lambda wide: e.node("Softplus", wide)[0], x)


def _log_sigmoid(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    (negative,) = e.node("Neg", *operands)
    return e.node("Neg", _plus(e, negative, node.result.type.dtype))


def _softplus(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, Softplus)
    dtype = node.result.type.dtype
    if node.op.beta == 1:
        return (_plus(e, operands[0], dtype),)
    beta = e.constant(node.op.beta, dtype)
    return e.node("Div", _plus(e, e.node("Mul", operands[0], beta)[0], dtype), beta)


def _double_softsign(e: Emitter, x: str) -> str:
    return e.node("Div", x, e.node("Add", e.node("Abs", x)[0], e.constant(1, F64))[0])[0]


def _double_hard_sigmoid(e: Emitter, x: str) -> str:
    (line,) = e.node("Add", e.node("Div", x, e.constant(6, F64))[0], e.constant(0.5, F64))
    return e.node("Clip", line, e.constant(0, F64), e.constant(1, F64))[0]


def _double_hard_swish(e: Emitter, x: str) -> str:
    return e.node("Mul", x, _double_hard_sigmoid(e, x))[0]


def _double_mish(e: Emitter, x: str) -> str:
    return e.node("Mul", x, e.node("Tanh", double.softplus(e, x))[0])[0]


def _clip(low: float, high: float) -> Lower:
    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        return (clipped(e, node, operands[0], low, high),)

    return lower


TABLE: dict[type[Op], Lower] = {
    Relu: operator("Relu", _double_relu),
    LeakyRelu: _leaky_relu,
    Elu: _elu,
    Selu: operator("Selu", _double_selu, alpha=SELU_ALPHA, gamma=SELU_SCALE),
    Celu: _celu,
    Gelu: _gelu,
    Silu: _silu,
    Sigmoid: operator("Sigmoid"),
    LogSigmoid: _log_sigmoid,
    Softplus: _softplus,
    Softsign: operator("Softsign", _double_softsign),
    HardSigmoid: operator("HardSigmoid", _double_hard_sigmoid, alpha=1 / 6, beta=0.5),
    HardSwish: operator("HardSwish", _double_hard_swish),
    Relu6: _clip(0.0, 6.0),
    Mish: operator("Mish", _double_mish),
    HardTanh: _clip(-1.0, 1.0),
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
