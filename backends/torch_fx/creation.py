"""Tensors made from nothing: constants, ranges, run-time sizes; and dropout."""

import numpy as np
import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.reference.context import numpy_dtype
from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full, Iota
from netdsl.tensor_type import I64


def _constant(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Constant)
    values = np.asarray(op.values, numpy_dtype(op.dtype))  # a list of Python floats would become f32
    return (e.constant(values, op.dtype.storage, op.shape),)


def _full(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Full)
    return (e.call(torch.full, e.shape(op.shape), op.value, dtype=e.dtype(op.dtype.storage), device=e.device()),)


def _iota(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Iota)
    return (e.call(torch.arange, e.dim(op.size), dtype=e.dtype(op.dtype.storage), device=e.device()),)


def _eye(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Eye)
    return (e.call(torch.eye, e.dim(op.size), dtype=e.dtype(op.dtype.storage), device=e.device()),)


def _dim_value(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, DimValue)
    return (e.call(torch.full, (), e.dim(node.op.dim), dtype=e.dtype(I64), device=e.device()),)


def _dropout(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    assert isinstance(node.op, Dropout)
    return (e.call(F.dropout, operands[0], node.op.p, training=True),)


TABLE: dict[type[Op], Lower] = {
    Constant: _constant,
    Full: _full,
    Iota: _iota,
    Eye: _eye,
    DimValue: _dim_value,
    Dropout: _dropout,
}

UNSUPPORTED: dict[type[Op], str] = {}
