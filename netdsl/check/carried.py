"""Carried values: tensors, and static lists of tensors, that keep their types from step to step (rule R11)."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.report import Silent, mistake
from netdsl.check.values import POISON, CheckValue, ListValue, TensorValue, TupleValue, describe
from netdsl.record import dataclass
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class Carried:
    """What `from` lists: names, initial values with their places, and the same as tensors one after the other."""

    names: tuple[str | None, ...]
    starts: tuple[CheckValue, ...]
    spans: tuple[Span, ...]
    tensors: tuple[TensorValue, ...]

    def again(self, tensors: Sequence[TensorValue]) -> tuple[CheckValue, ...]:
        """Other tensors in the form of the initial values."""
        rest = iter(tensors)
        return tuple(_filled(start, rest) for start in self.starts)

    def places(self) -> Iterator[tuple[str | None, Span]]:
        """For each tensor, the name and the place of what it is a part of."""
        for name, start, span in zip(self.names, self.starts, self.spans, strict=True):
            for _ in range(_count(start)):
                yield name, span


def carried_of(body: "Body", start: s.Expr) -> Carried:
    """What `from` lists.

    Raises: Mistake E0358: no values in parentheses; E0301.
    """
    value = body.evaluate(start.inner if isinstance(start, s.Paren) else start)
    if value is POISON:
        raise Silent
    if isinstance(value, TensorValue) or (isinstance(start, s.Paren) and not isinstance(value, TupleValue)):
        value = TupleValue((value,), (None,))
    if not isinstance(value, TupleValue):
        raise mistake("E0358", f"`from` needs the carried values in parentheses, found {describe(value)}", start.span)
    starts = tuple(_tensors(body, item, start.span) for item in value.items)
    inner = start.inner if isinstance(start, s.Paren) else start
    items = inner.items if isinstance(inner, s.TupleExpr) else ()
    spans = [item.span for item in items] if len(items) == len(starts) else [start.span] * len(starts)
    return Carried(value.names, starts, tuple(spans), tuple(t for item in starts for t in _leaves(item)))


def following_of(body: "Body", value: CheckValue, start: CheckValue, name: str, span: Span) -> list[TensorValue]:
    """The tensors of a carried value after a step.

    Raises: Mistake E0360: a list of another length than it started with.
    """
    if value is POISON:
        raise Silent
    if isinstance(start, TensorValue):
        return [body.tensor(value, span, like=start.type.dtype, what=f"`{name}`")]
    assert isinstance(start, ListValue)
    if not isinstance(value, (ListValue, TupleValue)) or len(value.items) != len(start.items):
        found = (
            f"`{name}` keeps its type through the loop: it starts as {describe(start)} and becomes {describe(value)}"
        )
        raise mistake("E0360", found, span)
    return [t for v, at in zip(value.items, start.items, strict=True) for t in following_of(body, v, at, name, span)]


def keep_type(
    body: "Body", start: TensorValue, first: Span, end: TensorValue, last: Span, name: str | None
) -> TensorValue:
    """The value after a step: a carry keeps its exact type.

    Raises: Mistake E0360.
    """
    what = f"`{name}`" if name else "a carried value"
    same = start.type.rank == end.type.rank and start.type.dtype.storage == end.type.dtype.storage
    if same:
        for a, b in zip(start.type.axes, end.type.axes, strict=True):
            answer = a.size == b.size or body.builder.facts.prove_eq(a.size, b.size)
            same = same and (answer is True or (answer is None and body.generic))
    if not same:
        raise mistake(
            "E0360",
            f"{what} keeps its type through the loop: it starts as {start.type} and becomes {end.type}",
            last,
            f"{end.type} after a step",
            others=((first, f"{start.type} before"),),
        )
    return TensorValue(end.value, start.type)


def _tensors(body: "Body", value: CheckValue, span: Span) -> CheckValue:
    if isinstance(value, ListValue):
        return ListValue(tuple(_tensors(body, item, span) for item in value.items))
    return body.tensor(value, span, what="`from`")


def _leaves(value: CheckValue) -> Iterator[TensorValue]:
    if isinstance(value, ListValue):
        for item in value.items:
            yield from _leaves(item)
    else:
        assert isinstance(value, TensorValue)
        yield value


def _count(value: CheckValue) -> int:
    return sum(1 for _ in _leaves(value))


def _filled(form: CheckValue, tensors: Iterator[TensorValue]) -> CheckValue:
    if isinstance(form, ListValue):
        return ListValue(tuple(_filled(item, tensors) for item in form.items))
    return next(tensors)
