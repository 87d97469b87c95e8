"""What axes are made of: runs of channels that move together, one after another or one within another."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from netdsl.dims import Dim, Facts, product
from netdsl.ir import Node, Value


@dataclass(frozen=True, slots=True)
class Pin:
    """Why channels keep their places, and the node that says so; None for the network's own inputs and outputs."""

    reason: str
    node: Node | None = None

    def __str__(self) -> str:
        return self.reason if self.node is None else f"`{self.node.op.name}` {self.reason}"


class Run:
    """A run of channels that are alike: of one size, and free to change places unless it has a pin.

    Args: image: what the run turned out to be made of, or the run that it is the same as.
    """

    __slots__ = ("image", "pin", "size")

    def __init__(self, size: Dim, pin: Pin | None = None) -> None:
        self.size = size
        self.pin = pin
        self.image: Term | None = None


class Joined:
    """Parts one after another, as `concat` leaves them. There are at least two."""

    __slots__ = ("parts", "size")

    def __init__(self, parts: "tuple[Term, ...]") -> None:
        self.parts = parts
        self.size: Dim = sum((part.size for part in parts), Dim.of(0))


class Nested:
    """Parts one within another, as `reshape` merges axes: the first is the outermost. There are at least two."""

    __slots__ = ("parts", "size")

    def __init__(self, parts: "tuple[Term, ...]") -> None:
        self.parts = parts
        self.size: Dim = product(part.size for part in parts)


Term: TypeAlias = Run | Joined | Nested


def joined(parts: "Sequence[Term]") -> Term:
    """The parts one after another, empty ones left out."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Joined) else (part,))]
    kept = [part for part in flat if part.size != 0] or flat[:1]
    return kept[0] if len(kept) == 1 else Joined(tuple(kept))


def nested(parts: "Sequence[Term]") -> Term:
    """The parts one within another, those of size 1 left out; where the outer ones are joined, each has the inner."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Nested) else (part,))]
    kept = [part for part in flat if part.size != 1] or flat[:1]
    if len(kept) == 1:
        return kept[0]
    if isinstance(kept[0], Joined):
        return joined([nested([outer, *kept[1:]]) for outer in kept[0].parts])
    return Nested(tuple(kept))


def resolved(term: Term) -> Term:
    """The term with every run in the place of what it turned out to be."""
    if not isinstance(term, Run):
        parts = [resolved(part) for part in term.parts]
        return joined(parts) if isinstance(term, Joined) else nested(parts)
    chain = [term]
    while isinstance(chain[-1].image, Run):
        chain.append(chain[-1].image)
    image = chain[-1].image
    found = chain[-1] if image is None else resolved(image)
    for run in chain:
        run.image = None if run is found else found
    return found


def runs(term: Term) -> "Iterator[Run]":
    """The runs of a resolved term, in order; one that repeats is there as often."""
    if isinstance(term, Run):
        yield term
    else:
        for part in term.parts:
            yield from runs(part)


class Axes:
    """The axes of all values of a graph, one term each, and what is found out of them."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._terms: dict[Value, tuple[Term, ...]] = {}
        self._at: Node | None = None

    def __getitem__(self, value: Value) -> tuple[Term, ...]:
        if value not in self._terms:
            self._terms[value] = tuple(Run(size) for size in value.type.sizes)
        return self._terms[value]

    def visiting(self, node: Node | None) -> None:
        """From now on, this node is why channels are fixed."""
        self._at = node

    def fix(self, terms: Iterable[Term], reason: str) -> None:
        """Nothing in the terms may change places."""
        _fix(terms, Pin(reason, self._at))

    def tie_all(self, a: Iterable[Term], b: Iterable[Term]) -> None:
        """`tie` for each pair."""
        for first, second in zip(a, b, strict=True):
            self.tie(first, second)

    def align(self, terms: Sequence[Term], wanted: Sequence[Term]) -> None:
        """`tie` as broadcasting does: aligned at their ends, and an axis of size 1 stretches."""
        for first, second in zip(reversed(terms), reversed(wanted), strict=False):
            if first.size != 1 or second.size == 1:
                self.tie(first, second)

    def tie(self, a: Term, b: Term) -> None:
        """Channels of `a` and `b` at the same place move together.

        Runs become the same, or are taken apart where others are; what does not fit is fixed.
        """
        a, b = resolved(a), resolved(b)
        if a is b:
            return
        if isinstance(b, Run):
            self._bind(b, a)
        elif isinstance(a, Run):
            self._bind(a, b)
        elif isinstance(a, Nested) and isinstance(b, Nested):
            self._tie_nested(list(a.parts), list(b.parts))
        else:
            self._tie_joined([a], [b])

    def equal(self, a: Dim, b: Dim) -> bool:
        """Whether the sizes are surely the same."""
        return a == b or self.facts.prove_eq(a, b) is True

    def _bind(self, run: Run, term: Term) -> None:
        if any(inner is run for inner in runs(term)):
            return self._misfit([term])
        run.image = term
        if run.pin is not None:
            _fix([term], run.pin)
        return None

    def _misfit(self, terms: Iterable[Term]) -> None:
        self.fix(terms, "takes them apart in a way that does not fit another")

    def _tie_joined(self, left: list[Term], right: list[Term]) -> None:
        while left and right:
            a, b = _first(left, Joined), _first(right, Joined)
            if not self.equal(a.size, b.size):
                if not (a.size.is_const and b.size.is_const):
                    return self._misfit([a, b, *left, *right])
                is_longer = a.size.value > b.size.value
                pieces = _cut(a if is_longer else b, min(a.size.value, b.size.value))
                if pieces is None:
                    return self._misfit([a, b, *left, *right])
                (left if is_longer else right).insert(0, pieces[1])
                a, b = (pieces[0], b) if is_longer else (a, pieces[0])
            self.tie(a, b)
        return self._misfit([*left, *right])

    def _tie_nested(self, left: list[Term], right: list[Term]) -> None:
        while left and right:
            a, b = _first(left, Nested), _first(right, Nested)
            if not self.equal(a.size, b.size):
                is_longer = b.size != 0 and a.size % b.size == 0
                longer, shorter = (a, b) if is_longer else (b, a)
                if shorter.size == 0 or longer.size % shorter.size != 0 or not isinstance(longer, Run):
                    return self._misfit([a, b, *left, *right])
                outer, inner = Run(shorter.size, longer.pin), Run(longer.size // shorter.size, longer.pin)
                longer.image = Nested((outer, inner))
                (left if is_longer else right).insert(0, inner)
                a, b = (outer, b) if is_longer else (a, outer)
            self.tie(a, b)
        return self._misfit([*left, *right])


def _fix(terms: Iterable[Term], pin: Pin) -> None:
    for term in terms:
        for run in runs(resolved(term)):
            run.pin = run.pin or pin


def _first(terms: list[Term], kind: type[Joined | Nested]) -> Term:
    """The first of the terms, taken off; of one that meanwhile is of several parts, the first part."""
    first = resolved(terms.pop(0))
    while isinstance(first, kind):
        terms[:0] = first.parts
        first = resolved(terms.pop(0))
    return first


def _cut(term: Term, at: int) -> tuple[Term, Term] | None:
    """The first `at` channels of a resolved term and the rest, or None where the cut is inside of an inner part."""
    if isinstance(term, Run):
        first, rest = Run(Dim.of(at), term.pin), Run(term.size - at, term.pin)
        term.image = Joined((first, rest))
        return first, rest
    assert isinstance(term, Nested)
    outer, inner = term.parts[0], term.parts[1:]
    stride = product(part.size for part in inner)
    if not stride.is_const or at % stride.value:
        return None
    pieces = _cut(outer, at // stride.value)
    return None if pieces is None else (nested([pieces[0], *inner]), nested([pieces[1], *inner]))
