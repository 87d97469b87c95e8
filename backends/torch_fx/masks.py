"""Triangles and lengths."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.masks import LengthMask, Tril, TriMask, Triu


def _tril(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Tril)
    return (operands[0].tril(op.diagonal),)


def _triu(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Triu)
    return (operands[0].triu(op.diagonal),)


def _tri_mask(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, TriMask)
    rows = e.call(torch.arange, e.dim(op.rows), device=e.device()).unsqueeze(-1)
    cols = e.call(torch.arange, e.dim(op.cols), device=e.device())
    return (e.call(torch.le, cols, e.call(torch.add, rows, op.diagonal) if op.diagonal else rows),)


def _length_mask(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, LengthMask)
    places = e.call(torch.arange, e.dim(op.size), device=e.device())
    return (e.call(torch.lt, places, operands[0].unsqueeze(-1)),)


TABLE: dict[type[Op], Lower] = {Tril: _tril, Triu: _triu, TriMask: _tri_mask, LengthMask: _length_mask}

UNSUPPORTED: dict[type[Op], str] = {}
