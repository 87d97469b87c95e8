"""Lowers runs of nodes: of the network, of a loop's body, of a fused instance."""

from collections.abc import Sequence

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.expansions import Expansions, expansions_of, lower_expansion
from netdsl.backends.onnx.fused import FUSED, Call, fused_runs
from netdsl.backends.onnx.grouped import Grouped, grouped_in, lower_grouped
from netdsl.backends.onnx.loops import lower_loop, parts_of
from netdsl.backends.onnx.recurrent import lower_recurrent
from netdsl.backends.onnx.tables import TABLE
from netdsl.ir import Node, Value
from netdsl.ops.loop import Loop


def lower_nodes(emitter: GraphEmitter, nodes: Sequence[Node], names: dict[Value, str], wanted: Sequence[Value]) -> None:
    """Emit `nodes` into the current scope and enter their results in `names`.

    Args: names: of what is in scope; wanted: the results that are read outside.
    """
    runs = fused_runs(emitter, nodes, wanted)
    expanded = expansions_of(nodes, wanted)
    grouped = grouped_in(nodes, wanted)
    inner = expanded.inner.union(node for part in grouped.values() for node in part.nodes)
    at = 0
    while at < len(nodes):
        end = at + 1
        for row, run_end in runs.get(at, ()):
            if _fuse(emitter, row, nodes[at:run_end], names):
                end = run_end
                break
        else:
            if nodes[at] in expanded.products:
                _expand(emitter, nodes[at], expanded, names)
            elif nodes[at] in grouped:
                _group(emitter, grouped[nodes[at]], names)
            elif nodes[at] not in inner:
                _lower_node(emitter, nodes[at], names)
        at = end


def _expand(emitter: GraphEmitter, node: Node, expanded: Expansions, names: dict[Value, str]) -> None:
    with emitter.at(node.instance, node.spans):
        names[node.result] = lower_expansion(emitter, node, expanded, names)
        emitter.describe(names[node.result], node.result.type, node.result.hint)


def _group(emitter: GraphEmitter, part: Grouped, names: dict[Value, str]) -> None:
    last = part.nodes[-1]
    with emitter.at(last.instance, last.spans):
        names[last.result] = lower_grouped(emitter, part, names)
        emitter.describe(names[last.result], last.result.type, last.result.hint)


def _fuse(emitter: GraphEmitter, row: int, nodes: Sequence[Node], names: dict[Value, str]) -> bool:
    instance = emitter.graph.instances[row]
    with emitter.at(row, (instance.span,)):
        is_done = FUSED[instance.block](emitter, Call(row, instance, tuple(nodes), names, _lower_plainly))
        if is_done:
            for value in instance.outputs:
                emitter.describe(names[value], value.type, value.hint)
    return is_done


def _lower_plainly(
    emitter: GraphEmitter, nodes: Sequence[Node], names: dict[Value, str], wanted: Sequence[Value]
) -> None:
    for node in nodes:
        _lower_node(emitter, node, names)


def _lower_node(emitter: GraphEmitter, node: Node, names: dict[Value, str]) -> None:
    with emitter.at(node.instance, node.spans):
        operands = tuple(names[value] for value in node.operands)
        if isinstance(node.op, Loop):
            parts = parts_of(node, operands)
            results = lower_recurrent(emitter, parts) or lower_loop(emitter, parts, lower_nodes)
        else:
            results = TABLE[type(node.op)](emitter, node, operands)
        assert len(results) == len(node.results), f"{node.op!r} has {len(node.results)} results, found {results}"
        for value, name in zip(node.results, results, strict=True):
            names[value] = name
            emitter.describe(name, value.type, value.hint)
