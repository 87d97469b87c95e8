"""Tensors made from nothing: constants, ranges, run-time sizes; and dropout."""

import numpy as np

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full, Iota
from netdsl.tensor_type import BOOL, I64

#: Up to so many elements of a known shape are stored; more are computed.
_STORED = 4096


def _constant(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, Constant)
    return (e.constant(node.op.values, node.op.dtype, node.op.shape),)


def _full(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Full)
    shape = [d.value for d in op.shape if d.is_const]
    if len(shape) == len(op.shape) and np.prod(shape, dtype=float) <= _STORED:
        return (e.constant(op.value, op.dtype, shape),)
    return e.node("Expand", e.constant(op.value, op.dtype), e.shape(op.shape))


def _iota(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Iota)
    if op.size.is_const and op.size.value <= _STORED:
        return (e.constant(np.arange(op.size.value), op.dtype),)
    counted = _range(e, op.size)
    return (counted,) if op.dtype.storage == I64 else e.node("Cast", counted, to=e.tensor_dtype(op.dtype))


def _eye(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Eye)
    if op.size.is_const and op.size.value**2 <= _STORED:
        return (e.constant(np.eye(op.size.value), op.dtype),)
    counted = _range(e, op.size)
    (column,) = e.node("Unsqueeze", counted, e.constant([1], I64))
    (is_diagonal,) = e.node("Equal", column, counted)
    return (is_diagonal,) if op.dtype == BOOL else e.node("Cast", is_diagonal, to=e.tensor_dtype(op.dtype))


def _range(e: Emitter, size: Dim) -> str:
    return e.node("Range", e.constant(0, I64), e.dim(size), e.constant(1, I64))[0]


def _dim_value(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, DimValue)
    return (e.dim(node.op.dim),)


TABLE: dict[type[Op], Lower] = {
    Constant: _constant,
    Full: _full,
    Iota: _iota,
    Eye: _eye,
    DimValue: _dim_value,
}

UNSUPPORTED: dict[type[Op], str] = {Dropout: "it acts in training only, and a model is exported in evaluation mode"}

EMPTY_REFUSED: dict[type[Op], str] = {}
