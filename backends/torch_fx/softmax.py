"""Softmax and its logarithm."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax


def _softmax(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Softmax)
    return (e.call(torch.softmax, operands[0], op.axis),)


def _log_softmax(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, LogSoftmax)
    return (e.call(torch.log_softmax, operands[0], op.axis),)


def _logsumexp(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, LogSumExp)
    axes = op.axes_of(node.operands[0].type)
    return (e.call(torch.logsumexp, operands[0], axes, op.keep) if axes else operands[0],)


TABLE: dict[type[Op], Lower] = {Softmax: _softmax, LogSoftmax: _log_softmax, LogSumExp: _logsumexp}

UNSUPPORTED: dict[type[Op], str] = {}
