"""Calls of plug-ins in ONNX: the plug-in itself gives the nodes."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.external import ExternCall
from netdsl.plugins import find


def _call(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, ExternCall)
    lower = find(op.plugin).onnx
    if lower is None:
        title = f"`{op.plugin}` cannot be exported to ONNX: its plug-in gives no ONNX body"
        raise NetError(Diagnostic("E0710", title, Label(node.spans[0])))
    return lower(e, node, operands)


TABLE: dict[type[Op], Lower] = {ExternCall: _call}
