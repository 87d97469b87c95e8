"""Shapes: reshape, transpose, broadcast, and axes added, taken away or turned."""

from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.backends.torch_fx.pieces import PIECES
from netdsl.dims import Dim, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze


def _reshape(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    (x,) = operands
    sizes = node.result.type.sizes
    if sizes == node.operands[0].type.sizes:
        return (x,)
    free = [size for size in sizes if not size.is_const]
    if len(free) == 1 and all(size != 0 for size in sizes):
        return (x.reshape(tuple(size.value if size.is_const else -1 for size in sizes)),)
    merged = _merged(node.operands[0].type.sizes, sizes)
    if merged is not None:  # torch's scan has no gradient where a body is given a product of sizes
        return (x.flatten(*merged),)
    return (x.reshape(e.shape(sizes)),)


def _merged(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> tuple[int, int] | None:
    """The first and the last axis of a run that is one axis in `new`, where all others stay."""
    more = len(old) - len(new)
    for first in range(len(new) if more > 0 else 0):
        last = first + more
        if (*old[:first], product(old[first : last + 1]), *old[last + 1 :]) == new:
            return first, last
    return None


def _transpose(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Transpose)
    return (operands[0].permute(op.perm),)


def _broadcast(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    (x,) = operands
    old, new = node.operands[0].type.sizes, node.result.type.sizes
    added = len(new) - len(old)
    if old == new:
        return (x,)
    is_kept = [at >= added and (old[at - added] == size or old[at - added] != 1) for at, size in enumerate(new)]
    return (x.expand(tuple(-1 if kept else e.dim(size) for kept, size in zip(is_kept, new, strict=True))),)


def _squeeze(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Squeeze)
    return (operands[0].squeeze(op.axis),)


def _unsqueeze(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Unsqueeze)
    return (operands[0].unsqueeze(op.axis),)


def _flip(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Flip)
    return (operands[0].flip(op.axes),)


TABLE: dict[type[Op], Lower] = {
    Reshape: _reshape,
    Transpose: _transpose,
    Broadcast: _broadcast,
    Squeeze: _squeeze,
    Unsqueeze: _unsqueeze,
    Flip: _flip,
    **PIECES,
}

UNSUPPORTED: dict[type[Op], str] = {}
