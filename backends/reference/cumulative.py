"""Running sums and products."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.cumulative import CumProd, CumSum


def _running(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, CumSum | CumProd)
    accumulate, identity = (np.cumsum, 0) if isinstance(op, CumSum) else (np.cumprod, 1)
    x: Any = np.moveaxis(operands[0], op.axis, 0)
    x = x[::-1] if op.reverse else x
    if op.exclusive:
        x = np.concatenate((np.full_like(x[:1], identity), x[:-1]))
    total: Any = accumulate(x, axis=0, dtype=x.dtype)
    total = total[::-1] if op.reverse else total
    return (np.moveaxis(total, 0, op.axis),)


TABLE: dict[type[Op], Compute] = {CumSum: _running, CumProd: _running}
