"""Order: argmax, argmin, topk, sort."""

from operator import getitem

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK


def _extremum(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, ArgMax | ArgMin)
    find = torch.argmax if isinstance(op, ArgMax) else torch.argmin
    return (e.call(find, operands[0], op.axis, op.keep),)


def _topk(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, TopK)
    # torch.topk breaks ties as it likes; a stable sort keeps the lowest index first.
    ordered = e.call(torch.sort, operands[0], dim=op.axis, descending=op.largest, stable=True)
    count = e.dim(op.k)
    values, indices = (e.call(getitem, ordered, part) for part in (0, 1))
    return values.narrow(op.axis, 0, count), indices.narrow(op.axis, 0, count)


def _sort(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Sort)
    ordered = e.call(torch.sort, operands[0], dim=op.axis, descending=op.descending, stable=True)
    return e.call(getitem, ordered, 0), e.call(getitem, ordered, 1)


TABLE: dict[type[Op], Lower] = {ArgMax: _extremum, ArgMin: _extremum, TopK: _topk, Sort: _sort}

UNSUPPORTED: dict[type[Op], str] = {}
