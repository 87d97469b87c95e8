"""Values that constants determine are computed once, and what only they needed is gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from netdsl.edit import edit
from netdsl.ir import Graph, Node, Param, Value
from netdsl.ops.shape import Transpose
from netdsl.passes.base import EXACT, Guarantee, PassResult, Skip
from netdsl.passes.evaluation import evaluated, free_path, is_computable

#: A value up to this size may be larger than the constants that it is made of.
_SMALL_BYTES = 16 * 1024


@dataclass(frozen=True)
class FoldConstants:
    """Replace each value that bound parameters and constants alone determine by a constant.

    A parameter counts once it holds data. A constant is named after the parameter that a call was given it as, else
    `PATH.folded` after the first parameter that it is made of. Values that would take more room than the parameters
    that go stay, and so do transposes, which a backend stores. Parameters that nothing reads any more are gone.
    """

    name: ClassVar[str] = "fold-constants"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        made = _made_of(graph)
        wanted, kept, skips = _frontier(graph, made)
        gone = [node for node in graph.nodes if node.results[0] in made and node not in kept]
        if not gone:
            return PassResult(graph, 0, tuple(skips))
        values = evaluated(graph, [n for n in graph.nodes if n.results[0] in made], wanted, {}, {})
        places = {value: node.spans[0] for node in gone for value in node.results}
        taken = {param.path for param in graph.params}
        given = {tap.value: tap.path for tap in graph.taps if tap.is_weight}
        with edit(graph) as e:
            for value, array in values.items():
                first = made[value][0].path if made[value] else ""
                path = given.get(value) or (f"{first}.folded" if first else value.hint or "folded")
                path = free_path(path, taken)
                e.replace_value(value, e.add_const(path, array, value.type, places[value]))
            for node in gone:
                e.erase(node)
            dead = set(gone)
            stay = {v for n in graph.nodes if n not in dead for v in n.operands} | {v for _, v in graph.outputs}
            folded = {v for node in gone for v in node.operands} - stay
            for param in graph.params:
                if param.value in folded:
                    e.drop_param(param.path)
        return PassResult(e.graph, len(gone), tuple(skips))


def _made_of(graph: Graph) -> dict[Value, tuple[Param, ...]]:
    """Values of nodes that bound parameters determine, and those parameters, in the order in which they are read."""
    bound = {p.value: p for p in graph.params if p.data is not None and not (graph.training and p.kind == "state")}
    made: dict[Value, tuple[Param, ...]] = {}
    for node in graph.nodes:
        if all(v in bound or v in made for v in node.operands) and is_computable(node):
            parts = [made[v] if v in made else (bound[v],) for v in node.operands]
            made.update(dict.fromkeys(node.results, tuple(dict.fromkeys(p for part in parts for p in part))))
    return made


def _frontier(graph: Graph, made: Mapping[Value, tuple[Param, ...]]) -> tuple[list[Value], set[Node], list[Skip]]:
    """Values to compute, the nodes that stay although their operands are constant, and why the large ones do."""
    read = {v for _, v in graph.outputs} | {u.value for u in graph.updates}
    stay = read.union(*(node.operands for node in graph.nodes if node.results[0] not in made))
    wanted: list[Value] = []
    kept: set[Node] = set()
    skips: list[Skip] = []
    for node in reversed(graph.nodes):
        if node.results[0] not in made:
            read.update(node.operands)
            continue
        results = [value for value in node.results if value in read]
        if not results:
            continue
        room = max(_SMALL_BYTES, sum(_bytes(p.value) for p in made[node.results[0]] if p.value not in stay))
        is_large = sum(map(_bytes, results)) > room
        if is_large and node.operands:
            skips.append(Skip(node, f"its value takes more than the {room} bytes that would go"))
        if is_large or not node.operands or isinstance(node.op, Transpose):
            kept.add(node)
            read.update(node.operands)
        else:
            wanted += results
    return wanted[::-1], kept, skips


def _bytes(value: Value) -> int:
    return prod(size.value for size in value.type.sizes) * value.type.dtype.bits // 8
