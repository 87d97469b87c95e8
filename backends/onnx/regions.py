"""Lowers runs of nodes: of the network, of a loop's body, of a fused instance."""

from collections.abc import Sequence

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.loops import lower_loop, parts_of
from netdsl.backends.onnx.recurrent import lower_recurrent
from netdsl.backends.onnx.tables import TABLE
from netdsl.ir import Node, Value
from netdsl.ops.loop import Loop


def lower_nodes(emitter: GraphEmitter, nodes: Sequence[Node], names: dict[Value, str], wanted: Sequence[Value]) -> None:
    """Emit `nodes` into the current scope and enter their results in `names`.

    Args: names: of what is in scope; wanted: the results that are read outside.
    """
    for node in nodes:
        with emitter.at(node):
            operands = tuple(names[value] for value in node.operands)
            results = _lower(emitter, node, operands)
            assert len(results) == len(node.results), f"{node.op!r} has {len(node.results)} results, found {results}"
            for value, name in zip(node.results, results, strict=True):
                names[value] = name
                emitter.describe(name, value.type, value.hint)


def _lower(emitter: GraphEmitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(node.op, Loop):
        parts = parts_of(node, operands)
        return lower_recurrent(emitter, parts) or lower_loop(emitter, parts, lower_nodes)
    return TABLE[type(node.op)](emitter, node, operands)
