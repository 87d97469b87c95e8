"""Shapes: reshape, transpose, broadcast, and axes added, taken away or turned."""

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.backends.reference.pieces import PIECES
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze


def _reshape(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    return (operands[0].reshape(env.shape(node.result.type.sizes)),)


def _transpose(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Transpose)
    return (operands[0].transpose(op.perm),)


def _broadcast(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    return (np.broadcast_to(operands[0], env.shape(node.result.type.sizes)),)


def _flip(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Flip)
    return (np.flip(operands[0], op.axes),)


TABLE: dict[type[Op], Compute] = {
    Reshape: _reshape,
    Transpose: _transpose,
    Broadcast: _broadcast,
    Squeeze: _reshape,
    Unsqueeze: _reshape,
    Flip: _flip,
    **PIECES,
}
