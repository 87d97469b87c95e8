"""What inequalities say about sizes: intervals of symbols, and proofs that a size is not negative."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from netdsl.dim_algebra import Dim, monomial_dim, unchecked_symbol
from netdsl.dim_terms import Atom, Monomial, monomial_quotient

Interval: TypeAlias = tuple[int | None, int | None]
"""Inclusive bounds; None where there is none."""

SIZE: Interval = (0, None)
_DEPTH = 2
_EFFORT = 120


class Bounds:
    """An interval for each symbol, and sizes known to be at least 0."""

    def __init__(self, ranges: dict[str, Interval], nonnegative: Iterable[Dim] = ()) -> None:
        self.ranges: dict[str, Interval] = {}
        for name, interval in ranges.items():
            self.limit(name, interval)
        self.nonnegative = list(nonnegative)
        self._effort = 0

    def limit(self, name: str, interval: Interval) -> None:
        """Sets the interval of a symbol; an empty one, which contradicting facts give, is not taken."""
        low, high = interval
        if low is None or high is None or low <= high:
            self.ranges[name] = interval

    def add(self, gap: Dim) -> None:
        """Learns `gap >= 0`: the interval of a symbol where `gap` is linear in one, an inequality otherwise."""
        terms = gap.terms
        if not terms or gap.is_const:
            return
        (monomial, factor), *rest = terms
        if len(monomial) == 1 and monomial[0].op == "symbol" and not any(other for other, _ in rest):
            name, constant = str(monomial[0]), gap.coefficient(())
            low, high = self.ranges.get(name, SIZE)
            if factor > 0:
                self.limit(name, (join(max, low, -(constant // factor)), high))
            else:
                self.limit(name, (low, join(min, high, constant // -factor)))
        elif gap not in self.nonnegative and not (_is_positive(gap) and all(map(self.is_size, gap.symbols))):
            self.nonnegative.append(gap)

    def eliminate(self, name: str, image: Dim) -> None:
        """Replaces a symbol; its interval becomes inequalities about its image."""
        low, high = self.ranges.pop(name, SIZE)
        learned = [gap.substitute({name: image}) for gap in self.nonnegative]
        learned += [image - low] if low is not None else []
        learned += [high - image] if high is not None else []
        self.nonnegative = []
        for gap in learned:
            self.add(gap)

    def is_size(self, name: str) -> bool:
        """Whether the symbol is at least 0; symbols that stand for a part of a size need not be."""
        low, _ = self.ranges.get(name, SIZE)
        return low is not None and low >= 0

    def interval(self, dim: Dim) -> Interval:
        low: int | None = 0
        high: int | None = 0
        for monomial, factor in dim.terms:
            term: Interval = (factor, factor)
            for atom in dict.fromkeys(monomial):
                term = _times(term, _power(self.atom_interval(atom), monomial.count(atom)))
            low = None if low is None or term[0] is None else low + term[0]
            high = None if high is None or term[1] is None else high + term[1]
        return low, high

    def atom_interval(self, atom: Atom) -> Interval:
        if atom.op == "symbol":
            return self.ranges.get(atom, SIZE)
        intervals = [self.interval(arg) for arg in atom.args]
        lows = [low for low, _ in intervals if low is not None]
        highs = [high for _, high in intervals if high is not None]
        if atom.op == "min":
            return (min(lows) if len(lows) == len(intervals) else None), min(highs, default=None)
        if atom.op == "max":
            return max(lows, default=None), (max(highs) if len(highs) == len(intervals) else None)
        (low, high), (least, most) = intervals
        if atom.op == "//":
            return floor_quotient_range((low, high), (least, most))
        top = None if most is None else max(0, most - 1)
        return 0, join(min, top, high) if low is not None and low >= 0 else top

    def is_nonnegative(self, gap: Dim) -> bool:
        """Whether `gap >= 0` follows; False means that a bounded search did not prove it."""
        self._effort = _EFFORT
        return self._search(gap, _DEPTH)

    def _search(self, gap: Dim, depth: int) -> bool:
        low, high = self.interval(gap)
        if low is not None and low >= 0:
            return True
        self._effort -= 1
        if gap.is_const or (high is not None and high < 0) or self._effort < 0:
            return False
        if all(self.ranges.get(name, SIZE)[0] is not None for name in gap.symbols) and _is_positive(self._shifted(gap)):
            return True
        if depth:
            for fact in self.nonnegative:
                if any(self._search(combined, depth - 1) for combined in self._eliminations(gap, fact)):
                    return True
        for monomial, factor in gap.terms:
            for atom in monomial:
                others = monomial_quotient(monomial, (atom,))
                if atom.op == "symbol" or others is None or not self._is_nonnegative_monomial(others):
                    continue
                choose, scale, estimates = self._estimates(atom, is_upper=factor < 0)
                rest = (gap - monomial_dim(monomial, factor)) * scale + (scale - 1)
                return choose(self._search(rest + monomial_dim(others, factor) * value, depth) for value in estimates)
        return False

    def _estimates(self, atom: Atom, *, is_upper: bool) -> tuple[Callable[[Iterable[bool]], bool], int, list[Dim]]:
        """`scale * atom` is at most (else at least) each of some sizes, or with `all`, at least one of them."""
        if atom.op in ("min", "max"):
            return (any if is_upper == (atom.op == "min") else all), 1, list(atom.args)
        number, divisor = atom.args
        low, _ = self.interval(number)
        is_size = low is not None and low >= 0
        if atom.op == "%":
            return any, 1, [divisor - 1, *([number] if is_size else [])] if is_upper else [Dim.of(0)]
        if divisor.is_const:
            return any, divisor.value, [number if is_upper else number - (divisor - 1)]
        return any, 1, [number if is_upper else Dim.of(0)] if is_size else []

    def _eliminations(self, gap: Dim, fact: Dim) -> Iterator[Dim]:
        """Combinations `a * gap - b * fact`, `a` and `b` positive, without one negative term of `gap`."""
        for monomial, factor in gap.terms:
            for other, scale in fact.terms:
                cofactor = monomial_quotient(monomial, other) if factor < 0 and scale < 0 and other else None
                if cofactor is not None and self._is_nonnegative_monomial(cofactor):
                    yield gap * -scale - fact * monomial_dim(cofactor, -factor)

    def _is_nonnegative_monomial(self, monomial: Monomial) -> bool:
        return all((low := self.atom_interval(atom)[0]) is not None and low >= 0 for atom in monomial)

    def _shifted(self, gap: Dim) -> Dim:
        """The size with each symbol replaced by its lower bound plus a symbol."""
        lows = {name: self.ranges.get(name, SIZE)[0] for name in gap.symbols}
        return gap.substitute({name: unchecked_symbol(name) + low for name, low in lows.items() if low})


def join(choose: Callable[[int, int], int], first: int | None, second: int | None) -> int | None:
    """`choose` among the bounds that exist."""
    if first is None or second is None:
        return second if first is None else first
    return choose(first, second)


def _is_positive(gap: Dim) -> bool:
    return all(factor > 0 for _, factor in gap.terms) and all(atom.op == "symbol" for atom in gap.atoms())


def floor_quotient_range(number: Interval, divisor: Interval) -> Interval:
    """Bounds of `n // d`; divisors are positive."""
    (start, stop), (least, most) = number, divisor
    least = max(1, least or 1)
    most = None if most is None else max(least, most)
    if start is not None:
        start = start // least if start < 0 else 0 if most is None else start // most
    if stop is not None:
        stop = stop // least if stop >= 0 else -1 if most is None else stop // most
    return start, stop


def exact_quotient_range(number: Interval, divisor: Interval) -> Interval:
    """Bounds of `n // d` where `d` divides `n`."""
    _, mirrored = floor_quotient_range(_negated(number), divisor)
    _, stop = floor_quotient_range(number, divisor)
    return (None if mirrored is None else -mirrored), stop


def _times(first: Interval, second: Interval) -> Interval:
    if first == (0, 0) or second == (0, 0):
        return 0, 0
    if first[1] is not None and first[1] <= 0:
        return _negated(_times(_negated(first), second))
    if second[1] is not None and second[1] <= 0:
        return _negated(_times(first, _negated(second)))
    if second[0] is None or second[0] < 0:
        first, second = second, first
    if second[0] is not None and second[0] >= 0:
        start = second[0] if first[0] is not None and first[0] >= 0 else second[1]
        return _product(first[0], start), _product(first[1], second[1])
    corners = [_product(left, right) for left in first for right in second]
    known = [corner for corner in corners if corner is not None]
    return (min(known), max(known)) if len(known) == len(corners) else (None, None)


def _product(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first * second


def _negated(interval: Interval) -> Interval:
    low, high = interval
    return (None if high is None else -high), (None if low is None else -low)


def _power(interval: Interval, exponent: int) -> Interval:
    result: Interval = (1, 1)
    for _ in range(exponent):
        result = _times(result, interval)
    low, high = result
    return (max(0, low or 0), high) if exponent % 2 == 0 else result
