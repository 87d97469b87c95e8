"""The fingerprint of a run of nodes, by which an instance knows whether a rewrite touched it."""

import hashlib
from collections.abc import Iterable, Sequence

from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.tensor_type import TensorType


def digest(nodes: Iterable[Node], inputs: Sequence[Value], outputs: Sequence[Value]) -> str:
    """A hash of ops, attributes, wiring and result types; independent of value identity and of axis names.

    Values from outside `nodes` are numbered where they first appear, after `inputs`.
    """
    numbers: dict[Value, int] = {}
    for value in inputs:
        numbers.setdefault(value, len(numbers))
    lines: list[str] = []
    _describe(nodes, numbers, lines, {})
    lines.append(",".join(str(numbers.setdefault(v, len(numbers))) for v in outputs))
    return hashlib.sha1("\n".join(lines).encode()).hexdigest()


#: Texts of ops and types by identity, with what they are texts of, so that no other object gets that identity.
_Texts = dict[int, tuple[Op | TensorType, str]]


def _describe(nodes: Iterable[Node], numbers: dict[Value, int], lines: list[str], texts: _Texts) -> None:
    for node in nodes:
        operands = ",".join([str(numbers.setdefault(v, len(numbers))) for v in node.operands])
        lines.append(f"{_text(node.op, texts)}({operands})")
        for region in node.regions:
            for value in region.arguments:
                numbers.setdefault(value, len(numbers))
            _describe(region.nodes, numbers, lines, texts)
            lines.append("}" + ",".join(str(numbers.setdefault(v, len(numbers))) for v in region.results))
        for value in node.results:
            numbers.setdefault(value, len(numbers))
            lines.append(_text(value.type, texts))


def _text(thing: Op | TensorType, texts: _Texts) -> str:
    """Copies of a node share its op and its types, so each is written once."""
    known = texts.get(id(thing))
    if known is None:
        text = str(thing.without_names()) if isinstance(thing, TensorType) else repr(thing)
        known = texts[id(thing)] = (thing, text)
    return known[1]
