"""Activation functions."""

import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.backends.torch_fx.elementwise import function
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


def _leaky_relu(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, LeakyRelu)
    return (e.call(F.leaky_relu, operands[0], node.op.slope),)


def _elu(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, Elu)
    return (e.call(F.elu, operands[0], node.op.alpha),)


def _celu(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, Celu)
    return (e.call(F.celu, operands[0], node.op.alpha),)


def _gelu(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, Gelu)
    return (e.call(F.gelu, operands[0], approximate="tanh" if node.op.approximate else "none"),)


def _softplus(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, Softplus)
    return (e.call(F.softplus, operands[0], node.op.beta),)


TABLE: dict[type[Op], Lower] = {
    Relu: function(F.relu),
    LeakyRelu: _leaky_relu,
    Elu: _elu,
    Selu: function(F.selu),
    Celu: _celu,
    Gelu: _gelu,
    Silu: function(F.silu),
    Sigmoid: function(torch.sigmoid),
    LogSigmoid: function(F.logsigmoid),
    Softplus: _softplus,
    Softsign: function(F.softsign),
    HardSigmoid: function(F.hardsigmoid),
    HardSwish: function(F.hardswish),
    Relu6: function(F.relu6),
    Mish: function(F.mish),
    HardTanh: function(F.hardtanh),
}

UNSUPPORTED: dict[type[Op], str] = {}
