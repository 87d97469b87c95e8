"""`where gamma in 0..1`: what the elements of a network's input lie between (rule R5)."""

import math
from collections.abc import Iterator

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.modules import FileScope
from netdsl.check.report import Mistake, mistake
from netdsl.check.statics import plain
from netdsl.check.values import TensorValue, describe
from netdsl.ir import Range


def is_of_values(header: s.Header, fact: s.Fact) -> bool:
    """Whether a fact is about the elements of an input, and not about sizes or statics."""
    return fact.low is not None and isinstance(fact.value, s.Name) and fact.value.id in {p.name for p in header.params}


def value_ranges(body: Body, header: s.Header) -> tuple[Range, ...]:
    """Those of a network.

    Raises: Mistake E0340: an input that has none, ends that are no numbers, or two of one input; E0210: an empty one.
    """
    found: dict[str, Range] = {}
    for fact in (f for f in header.where if is_of_values(header, f)):
        assert isinstance(fact.value, s.Name) and fact.low is not None and fact.high is not None
        name = fact.value.id
        named = body.scope.find(name)
        tensor = named.value if named is not None else None
        if (
            not isinstance(tensor, TensorValue)
            or tensor.type.dtype.kind == "bool"
            or tensor.type.dtype.table is not None
        ):
            kind = tensor.type if isinstance(tensor, TensorValue) else describe(tensor)
            raise mistake("E0340", f"`{name}` is {kind}, whose elements have no range", fact.span)
        if name in found:
            raise mistake("E0340", f"`{name}` has two ranges", fact.span, help="keep the narrower one")
        ends = [_end(body, written) for written in (fact.low, fact.high)]
        if ends[0] > ends[1]:
            raise mistake("E0210", f"no number lies in `{body.text(fact)}`", fact.span)
        found[name] = Range(name, *ends)
    return tuple(found.values())


def _end(body: Body, written: s.Expr) -> float:
    value = plain(body.evaluate(written))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise mistake("E0340", f"an end of a range is a number, found {describe(value)}", written.span)
    return float(value)


def range_mistakes(file: FileScope) -> Iterator[Mistake]:
    """E0340: ranges of values in the header of a block, which nothing could prove."""
    blocks = [d for d in file.own.values() if isinstance(d, s.Block) and d.kind != "network"]
    for decl in blocks:
        for fact in decl.header.where:
            if is_of_values(decl.header, fact):
                yield mistake(
                    "E0340",
                    "ranges of values stand in the header of a network",
                    fact.span,
                    help="values are checked where they enter: give the range to the network's own input",
                )
