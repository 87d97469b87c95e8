"""Joins and cuts along axes."""

from operator import getitem

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.backends.torch_fx.reduction import sym_max
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split, Stack, Unstack


def padded_axis(x: torch.Tensor, axis: int, before: int, after: int, mode: str) -> torch.Tensor:
    """x with one axis padded from its own entries; any type, any axis, and differentiable."""
    size = x.shape[axis]
    place = torch.arange(-before, size + after, device=x.device)
    if mode == "replicate":
        source = place.clamp(0, size - 1)
    elif mode == "circular":
        source = place.remainder(sym_max(size, 1))
    else:
        source = (size - 1) - ((size - 1) - place.abs()).abs()
    return x.index_select(axis, source)


def _concat(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Concat)
    return (operands[0] if len(operands) == 1 else e.call(torch.cat, operands, op.axis),)


def _stack(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Stack)
    return (e.call(torch.stack, operands, op.axis),)


def _split(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Split)
    if len(op.sizes) < 2:
        return operands[: len(op.sizes)]
    parts = e.call(torch.split, operands[0], e.shape(op.sizes), op.axis)
    return tuple(e.call(getitem, parts, index) for index in range(len(op.sizes)))


def _unstack(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Unstack)
    parts = operands[0].unbind(op.axis)
    return tuple(e.call(getitem, parts, index) for index in range(len(node.results)))


def _slice(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Slice)
    (x,) = operands
    size = node.operands[0].type.axes[op.axis].size
    if op.stop == size and op.start == 0 and op.step == 1:
        return (x,)
    part = slice(e.dim(op.start), None if op.stop == size else e.dim(op.stop), op.step)
    return (e.call(getitem, x, (slice(None),) * op.axis + (part,)),)


def _pick(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Pick)
    return (operands[0].select(op.axis, e.dim(op.index)),)


def _pad(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Pad)
    (x,) = operands
    t = node.result.type
    if op.mode == "constant":
        amounts = [e.dim(amount) for pair in reversed(op.padding) for amount in pair]
        value = op.value if t.dtype.is_float else int(op.value)
        return (e.call(torch.nn.functional.pad, x, amounts, value=value) if amounts else x,)
    for axis, (before, after) in enumerate(op.padding, t.rank - len(op.padding)):
        if before != 0 or after != 0:
            x = e.call(padded_axis, x, axis, e.dim(before), e.dim(after), op.mode)
    return (x,)


PIECES: dict[type[Op], Lower] = {
    Concat: _concat,
    Stack: _stack,
    Split: _split,
    Unstack: _unstack,
    Slice: _slice,
    Pick: _pick,
    Pad: _pad,
}
