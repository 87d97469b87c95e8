"""Calls of plug-ins in the reference."""

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.external import ExternCall
from netdsl.plugins import find


def _call(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, ExternCall)
    return tuple(np.asarray(v) for v in find(op.plugin).reference(dict(op.statics), *operands))


TABLE: dict[type[Op], Compute] = {ExternCall: _call}
