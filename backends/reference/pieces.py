"""Joins and cuts along axes."""

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split, Stack, Unstack


def _concat(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Concat)
    return (np.concatenate(operands, op.axis),)


def _stack(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Stack)
    return (np.stack(operands, op.axis),)


def _split(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Split)
    ends = np.cumsum(env.shape(op.sizes))
    return tuple(np.split(operands[0], ends[:-1], op.axis))


def _unstack(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Unstack)
    return tuple(np.moveaxis(operands[0], op.axis, 0))


def _slice(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Slice)
    part = slice(env.dim(op.start), env.dim(op.stop), op.step)
    return (operands[0][(slice(None),) * op.axis + (part,)],)


def _pick(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Pick)
    index = env.dim(op.index)
    if not 0 <= index < operands[0].shape[op.axis]:
        raise IndexError(
            f"`pick`: axis {op.axis} has {operands[0].shape[op.axis]} entries, and there is no entry {index}"
        )
    return (np.take(operands[0], index, op.axis),)


def _pad(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Pad)
    (x,) = operands
    amounts = [(0, 0)] * (x.ndim - len(op.padding)) + [(env.dim(a), env.dim(b)) for a, b in op.padding]
    if op.mode == "constant":
        return (np.pad(x, amounts, constant_values=np.asarray(op.value).astype(x.dtype)),)
    for axis, (before, after) in enumerate(amounts):
        if before or after:
            x = np.take(x, _source(op.mode, before, after, x.shape[axis]), axis)
    return (x,)


def _source(mode: str, before: int, after: int, size: int) -> NDArray[np.int64]:
    """Where each entry of a padded axis comes from."""
    place = np.arange(-before, size + after, dtype=np.int64)
    if mode == "replicate":
        return np.clip(place, 0, size - 1)
    if mode == "circular":
        return place % max(size, 1)
    return np.asarray((size - 1) - np.abs((size - 1) - np.abs(place)))


PIECES: dict[type[Op], Compute] = {
    Concat: _concat,
    Stack: _stack,
    Split: _split,
    Unstack: _unstack,
    Slice: _slice,
    Pick: _pick,
    Pad: _pad,
}
