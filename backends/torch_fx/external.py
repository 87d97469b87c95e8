"""Calls of plug-ins in torch."""

import operator
from typing import Any

from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.external import ExternCall
from netdsl.plugins import find


def _call(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, ExternCall)
    function, statics = find(op.plugin).torch, dict(op.statics)

    def call_plugin(*tensors: Any) -> tuple[Any, ...]:
        return function(statics, *tensors)

    results = e.call(call_plugin, *operands)
    return tuple(e.call(operator.getitem, results, i) for i in range(len(op.results)))


TABLE: dict[type[Op], Lower] = {ExternCall: _call}
