"""What a network is made of: its layers with shapes, parameters and FLOPs, and the totals."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from netdsl.dims import Dim
from netdsl.ir import Graph, Node
from netdsl.ops.loop import Loop
from netdsl.record import dataclass
from netdsl.tensor_type import TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One call of a block.

    Args:
        path:   of its parameters; "" for the network itself.
        block:  its qualified name, such as `std.layers.Linear`.
        level:  how many calls enclose it.
        parameters: elements of the trained parameters in it.
        is_shared: an earlier layer holds the same parameters.
        flops:  of one call of the network, inner layers included.
        last:   path of the last of a run of equal layers that this one stands for; "" for one alone.
        count:  how many layers it stands for.
    """

    path: str
    block: str
    statics: tuple[tuple[str, str], ...]
    level: int
    outputs: tuple[TensorType, ...]
    parameters: int
    is_shared: bool
    flops: Dim
    last: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of a network; FLOPs are a size over its free dimensions."""

    parameters: int
    states: int
    size_bytes: int
    flops: Dim
    nodes: int


def totals(graph: Graph) -> Totals:
    """What the network holds and costs; bytes are those of parameters and states as stored."""
    counts = {"param": 0, "state": 0, "const": 0}
    size_bits = 0
    for param in graph.params:
        elements = param.value.type.numel().value
        counts[param.kind] += elements
        size_bits += elements * param.value.type.dtype.storage.bits
    flops = sum(flops_by_instance(graph), Dim.of(0))
    return Totals(counts["param"], counts["state"], size_bits // 8, flops, sum(1 for _ in graph.walk()))


def layers(graph: Graph) -> tuple[Layer, ...]:
    """Every call of a block, the network first, each before the calls in it."""
    own = flops_by_instance(graph)
    for index in range(len(own) - 1, 0, -1):  # a row stands after its parent
        own[graph.instances[index].parent] += own[index]
    held = _parameters_by_prefix(graph)
    levels: list[int] = []
    seen: set[str] = set()
    found = []
    for index, row in enumerate(graph.instances):
        levels.append(levels[row.parent] + 1 if row.parent >= 0 else 0)
        parameters = held.get(row.path, 0)
        is_shared = parameters > 0 and row.path in seen
        seen.add(row.path)
        outputs = tuple(value.type for value in row.outputs)
        found.append(Layer(row.path, row.block, row.statics, levels[index], outputs, parameters, is_shared, own[index]))
    return tuple(_in_program_order(graph, found))


def flops_by_instance(graph: Graph) -> list[Dim]:
    """FLOPs of the nodes of each row of the instance table, inner calls aside; a loop counts its body once a step."""
    found = [Dim.of(0)] * max(1, len(graph.instances))

    def visit(nodes: Sequence[Node], steps: Dim) -> None:
        for node in nodes:
            if isinstance(node.op, Loop):
                visit(node.regions[0].nodes, steps * node.op.count)
            else:
                cost = node.op.flops(node.operand_types, tuple(v.type for v in node.results))
                if not (cost.is_const and cost.value == 0):
                    found[node.instance] += cost * steps

    visit(graph.nodes, Dim.of(1))
    return found


def collapse(rows: Sequence[Layer], depth: int) -> tuple[Layer, ...]:
    """The rows down to `depth` levels, each run of equal neighbours (with all that is in them) as one row."""
    kept = [row for row in rows if row.level <= depth]
    return tuple(_collapsed(kept, 0, len(kept)))


def _collapsed(rows: Sequence[Layer], start: int, end: int) -> Iterator[Layer]:
    while start < end:
        stop = _subtree_end(rows, start, end)
        shape = [_likeness(row) for row in rows[start:stop]]
        following, last, count = stop, rows[start], 1
        while following < end:
            after = _subtree_end(rows, following, end)
            if [_likeness(row) for row in rows[following:after]] != shape or rows[following].level == 0:
                break
            last, following, count = rows[following], after, count + 1
        head = rows[start]
        yield head if count == 1 else replace(head, last=last.path, count=count)
        yield from _collapsed(rows, start + 1, stop)
        start = following


def _subtree_end(rows: Sequence[Layer], start: int, end: int) -> int:
    stop = start + 1
    while stop < end and rows[stop].level > rows[start].level:
        stop += 1
    return stop


def _likeness(row: Layer) -> object:
    outputs = tuple(str(t.without_names()) for t in row.outputs)
    return row.block, row.statics, row.level, outputs, row.parameters, row.is_shared, row.flops


def _parameters_by_prefix(graph: Graph) -> dict[str, int]:
    """Elements of the trained parameters under each prefix of their paths; "" holds all."""
    held: dict[str, int] = {}
    for param in graph.params:
        if param.kind != "param":
            continue
        elements = param.value.type.numel().value
        parts = param.path.split(".")
        for length in range(len(parts)):
            prefix = ".".join(parts[:length])
            held[prefix] = held.get(prefix, 0) + elements
    return held


def _in_program_order(graph: Graph, found: Sequence[Layer]) -> Iterator[Layer]:
    inside: dict[int, list[int]] = {}
    for index, row in enumerate(graph.instances):
        inside.setdefault(row.parent, []).append(index)
    pending = inside.get(-1, [])[::-1]
    while pending:
        index = pending.pop()
        yield found[index]
        pending += reversed(inside.get(index, []))
