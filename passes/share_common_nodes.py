"""Common subexpressions: the same op on the same operands is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from netdsl.edit import GraphEdit, edit
from netdsl.ir import Graph, Node, Value
from netdsl.ops.creation import Dropout
from netdsl.ops.external import ExternCall
from netdsl.passes.base import EXACT, Guarantee, PassResult, Skip

#: Two calls differ even on the same operands.
_IMPURE = (Dropout, ExternCall)


@dataclass(frozen=True)
class ShareCommonNodes:
    """Replace a node by an earlier one with the same op, attributes and operands in the same instance.

    Across instances it declines: the instance would no longer be what its block says, which fused lowerings need.
    Constants stay where they are, and so do loops, whose bodies are searched on their own. The ONNX backend shares
    what is left when it writes the file.
    """

    name: ClassVar[str] = "share-common-nodes"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        skips: list[Skip] = []
        with edit(graph) as e:
            fired = _share(graph.nodes, e, {}, skips)
        return PassResult(e.graph if fired else graph, fired, tuple(skips))


def _share(nodes: Sequence[Node], e: GraphEdit, merged: dict[Value, Value], skips: list[Skip]) -> int:
    fired = 0
    seen: dict[object, Node] = {}
    for node in nodes:
        if node.regions:
            for region in node.regions:
                fired += _share(region.nodes, e, merged, skips)
            continue
        if not node.operands:
            continue
        key = (node.op, tuple(merged.get(v, v) for v in node.operands), tuple(v.type.dtype for v in node.results))
        first = seen.setdefault(key, node)
        if first is node:
            continue
        if isinstance(node.op, _IMPURE):
            skips.append(Skip(node, f"`{node.op.name}` gives another result at every call"))
            continue
        if first.instance != node.instance:
            skips.append(Skip(node, f"the same `{node.op.name}` at {first.spans[0]} belongs to another instance"))
            continue
        for old, new in zip(node.results, first.results, strict=True):
            merged[old] = new
            e.replace_value(old, new)
        e.erase(node)
        fired += 1
    return fired
