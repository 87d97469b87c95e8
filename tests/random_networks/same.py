"""Whether two graphs are the same but for names, spans and the numbering of instances."""

from collections import Counter
from collections.abc import Iterator, Sequence

from netdsl.ir import Graph, Node, Value
from netdsl.tensor_type import TensorType


def difference(first: Graph, second: Graph) -> str:
    """The first difference in words; empty if there is none."""
    return next(_differences(first, second), "")


def _differences(first: Graph, second: Graph) -> Iterator[str]:
    if first.facts != second.facts or first.training != second.training:
        yield f"facts {first.facts.items} and {second.facts.items}, training {first.training} and {second.training}"
    if [n for n, _ in first.inputs] != [n for n, _ in second.inputs]:
        yield "the inputs have other names"
    if [n for n, _ in first.outputs] != [n for n, _ in second.outputs]:
        yield "the outputs have other names"
    held = {p.path: p for p in second.params}
    if held.keys() != {p.path for p in first.params}:
        yield f"parameters {sorted(p.path for p in first.params)} and {sorted(held)}"
        return
    pairs: dict[Value, Value] = {}
    for param in first.params:
        other = held[param.path]
        if (param.kind, param.init) != (other.kind, other.init):
            yield f"`{param.path}`: {param.kind} ~ {param.init} and {other.kind} ~ {other.init}"
        yield from _meet([param.value], [other.value], pairs, f"`{param.path}`")
    yield from _meet([v for _, v in first.inputs], [v for _, v in second.inputs], pairs, "the inputs")
    yield from _nodes(first.nodes, second.nodes, pairs)
    for what, a, b in (
        ("output", [v for _, v in first.outputs], [v for _, v in second.outputs]),
        ("tap", [t.value for t in _sorted(first.taps)], [t.value for t in _sorted(second.taps)]),
        ("update", [u.value for u in _sorted(first.updates)], [u.value for u in _sorted(second.updates)]),
    ):
        if len(a) != len(b) or any(pairs.get(x) is not y for x, y in zip(a, b, strict=True)):
            yield f"the {what}s are other values"
    rows = [Counter((row.path, row.digest, row.intact) for row in g.instances) for g in (first, second)]
    if rows[0] != rows[1]:
        yield f"instances {sorted(rows[0] - rows[1])} and {sorted(rows[1] - rows[0])}"


def _sorted(items: Sequence[object]) -> list:  # type: ignore[type-arg]
    return sorted(items, key=lambda item: item.path)  # type: ignore[attr-defined]


def _nodes(first: Sequence[Node], second: Sequence[Node], pairs: dict[Value, Value]) -> Iterator[str]:
    for a, b in zip(first, second, strict=False):
        if a.op != b.op:
            yield f"{a.op} and {b.op}"
            return
        if len(a.operands) != len(b.operands) or any(
            pairs.get(x) is not y for x, y in zip(a.operands, b.operands, strict=True)
        ):
            yield f"{a.op} reads other values"
            return
        for left, right in zip(a.regions, b.regions, strict=True):
            yield from _meet(left.arguments, right.arguments, pairs, f"the body of {a.op}")
            yield from _nodes(left.nodes, right.nodes, pairs)
            if any(pairs.get(x) is not y for x, y in zip(left.results, right.results, strict=True)):
                yield f"the body of {a.op} returns other values"
        yield from _meet(a.results, b.results, pairs, str(a.op))
    if len(first) != len(second):
        yield f"{len(first)} nodes and {len(second)}"


def _meet(first: Sequence[Value], second: Sequence[Value], pairs: dict[Value, Value], what: str) -> Iterator[str]:
    if len(first) != len(second):
        yield f"{what}: {len(first)} values and {len(second)}"
    for a, b in zip(first, second, strict=False):
        pairs[a] = b
        if _bare(a.type) != _bare(b.type):
            yield f"{what}: {_bare(a.type)} and {_bare(b.type)}"


def _bare(t: TensorType) -> TensorType:
    return t.without_names()
