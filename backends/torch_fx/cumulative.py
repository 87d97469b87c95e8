"""Running sums and products."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.cumulative import CumProd, CumSum


def _running(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, CumSum | CumProd)
    function, identity = (torch.cumsum, 0) if isinstance(op, CumSum) else (torch.cumprod, 1)
    (x,) = operands
    t = node.result.type
    x = x.flip(op.axis) if op.reverse else x
    if op.exclusive:  # one identity in front, one place too many at the end
        front = [0, 0] * (t.rank - 1 - op.axis) + [1, 0]
        x = e.call(torch.nn.functional.pad, x, front, value=identity)
    total = e.call(function, x, op.axis) if t.dtype.is_float else e.call(function, x, op.axis, dtype=e.dtype(t.dtype))
    total = total.narrow(op.axis, 0, e.dim(t.axes[op.axis].size)) if op.exclusive else total
    return (total.flip(op.axis) if op.reverse else total,)


TABLE: dict[type[Op], Lower] = {CumSum: _running, CumProd: _running}

UNSUPPORTED: dict[type[Op], str] = {}
