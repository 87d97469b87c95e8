"""Activation functions, in forms that do not overflow."""

from math import pi, sqrt
from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.backends.reference.elementwise import elementwise
from netdsl.backends.reference.error_function import erf
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

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _elu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _sigmoid(x: Any) -> Any:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _softplus(x: Any) -> Any:
    return np.logaddexp(x, 0.0)


def _hard_sigmoid(x: Any) -> Any:
    return np.clip(x / 6.0 + 0.5, 0.0, 1.0)


def _leaky_relu(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, LeakyRelu)
    x: Any = operands[0]
    return (np.where(x > 0, x, node.op.slope * x),)


def _elu_of(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Elu)
    return (_elu(operands[0], node.op.alpha),)


def _celu(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Celu)
    x: Any = operands[0]
    alpha = node.op.alpha
    return (np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0) / alpha)),)


def _gelu(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Gelu)
    x: Any = operands[0]
    if node.op.approximate:
        return (0.5 * x * (1.0 + np.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x**3))),)
    bent: Any = erf(x / sqrt(2.0))
    return (0.5 * x * (1.0 + bent),)


def _softplus_of(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    assert isinstance(node.op, Softplus)
    x: Any = operands[0]
    return (_softplus(node.op.beta * x) / node.op.beta,)


TABLE: dict[type[Op], Compute] = {
    Relu: elementwise(lambda x: np.maximum(x, 0.0)),
    LeakyRelu: _leaky_relu,
    Elu: _elu_of,
    Selu: elementwise(lambda x: SELU_SCALE * _elu(x, SELU_ALPHA)),
    Celu: _celu,
    Gelu: _gelu,
    Silu: elementwise(lambda x: x * _sigmoid(x)),
    Sigmoid: elementwise(_sigmoid),
    LogSigmoid: elementwise(lambda x: -_softplus(-x)),
    Softplus: _softplus_of,
    Softsign: elementwise(lambda x: x / (1.0 + np.abs(x))),
    HardSigmoid: elementwise(_hard_sigmoid),
    HardSwish: elementwise(lambda x: x * _hard_sigmoid(x)),
    Relu6: elementwise(lambda x: np.clip(x, 0.0, 6.0)),
    Mish: elementwise(lambda x: x * np.tanh(_softplus(x))),
    HardTanh: elementwise(lambda x: np.clip(x, -1.0, 1.0)),
}
