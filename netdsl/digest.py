"""The fingerprint of a run of nodes, by which an instance knows whether a rewrite touched it."""

import hashlib
from collections.abc import Iterable, Sequence

from netdsl.ir import Node, Value


def digest(nodes: Iterable[Node], inputs: Sequence[Value], outputs: Sequence[Value]) -> str:
    """A hash of ops, attributes, wiring and result types; independent of value identity and of axis names.

    Values from outside `nodes` are numbered where they first appear, after `inputs`.
    """
    numbers: dict[Value, int] = {}
    for value in inputs:
        numbers.setdefault(value, len(numbers))
    lines: list[str] = []
    _describe(nodes, numbers, lines)
    lines.append(",".join(str(numbers.setdefault(v, len(numbers))) for v in outputs))
    return hashlib.sha1("\n".join(lines).encode()).hexdigest()


def _describe(nodes: Iterable[Node], numbers: dict[Value, int], lines: list[str]) -> None:
    for node in nodes:
        operands = ",".join(str(numbers.setdefault(v, len(numbers))) for v in node.operands)
        lines.append(f"{node.op!r}({operands})")
        for region in node.regions:
            for value in region.arguments:
                numbers.setdefault(value, len(numbers))
            _describe(region.nodes, numbers, lines)
            lines.append("}" + ",".join(str(numbers.setdefault(v, len(numbers))) for v in region.results))
        for value in node.results:
            numbers.setdefault(value, len(numbers))
            lines.append(str(value.type.without_names()))
