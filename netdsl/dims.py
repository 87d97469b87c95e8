"""Sizes and what is known of them: the algebra of `Dim`, and `Facts` that simplify, compare and sample sizes."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from math import prod
from typing import TYPE_CHECKING, ClassVar

from netdsl.dim_algebra import Dim, dmax, dmin
from netdsl.dim_parser import parse_dim
from netdsl.dim_proofs import Knowledge
from netdsl.dim_solving import RELATION_OPS, Relation, RelationOp, holds
from netdsl.dim_terms import DimError
from netdsl.record import dataclass

if TYPE_CHECKING:
    from random import Random

_PATIENCE = 200

__all__ = ["RELATION_OPS", "Dim", "DimError", "Facts", "RelationOp", "dmax", "dmin", "parse_dim", "product"]


def product(sizes: Iterable[Dim]) -> Dim:
    """1 for no sizes."""
    return prod(sizes, start=Dim.of(1))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the symbols in scope; every symbol is a size, hence at least 0, and every divisor positive.

    Answers are three-valued and sound: True and False hold for each assignment that satisfies the facts.
    Facts given in another order compare as different.
    """

    relations: tuple[Relation, ...] = ()
    ranges: tuple[tuple[str, int | None, int | None], ...] = ()
    _knowledge: list[Knowledge] = field(default_factory=list, init=False, compare=False, repr=False)
    EMPTY: ClassVar["Facts"]

    def with_fact(self, op: RelationOp, left: Dim | int, right: Dim | int) -> "Facts":
        """The facts and one more. Divisibility is written `with_fact("==", n % d, 0)`."""
        relation: Relation = (op, Dim.of(left), Dim.of(right))
        is_known = relation in self.relations
        if relation[1].is_const and relation[2].is_const:
            is_known = holds(op, relation[1].value, relation[2].value)
        return self if is_known else Facts((*self.relations, relation), self.ranges)

    def with_bounds(self, symbol: str, low: int | None, high: int | None) -> "Facts":
        """The facts and `low <= symbol <= high`; None leaves that side as it was."""
        ranges = {name: (least, most) for name, least, most in self.ranges}
        old_low, old_high = ranges.get(symbol, (None, None))
        lows = [bound for bound in (old_low, low) if bound is not None]
        highs = [bound for bound in (old_high, high) if bound is not None]
        ranges[symbol] = (max(lows, default=None), min(highs, default=None))
        return Facts(self.relations, tuple((name, *ranges[name]) for name in sorted(ranges)))

    def substitute(self, env: Mapping[str, Dim | int]) -> "Facts":
        """The facts with symbols replaced; a bound on a replaced symbol becomes a fact about its replacement."""
        kept = tuple(bound for bound in self.ranges if bound[0] not in env)
        result = Facts((), kept)
        for op, left, right in self.relations:
            result = result.with_fact(op, left.substitute(env), right.substitute(env))
        for name, low, high in self.ranges:
            if name in env:
                image = Dim.of(env[name])
                if str(image) in image.symbols:
                    result = result.with_bounds(str(image), low, high)
                    continue
                if low is not None:
                    result = result.with_fact(">=", image, low)
                if high is not None:
                    result = result.with_fact("<=", image, high)
        return result

    def bounds(self, dim: Dim) -> tuple[int | None, int | None]:
        """Inclusive bounds of its value; None where no bound is known."""
        return self._known.bounds(dim)

    def simplify(self, dim: Dim) -> Dim:
        """A size that is equal wherever the facts hold; equal for sizes that the rewriting proves equal."""
        return self._known.simplify(dim)

    def prove(self, op: RelationOp, left: Dim | int, right: Dim | int) -> bool | None:
        """True: always so. False: never so. None: not decided."""
        return self._known.prove(op, Dim.of(left), Dim.of(right))

    def prove_eq(self, a: Dim | int, b: Dim | int) -> bool | None:
        return self.prove("==", a, b)

    @property
    def items(self) -> tuple[Relation, ...]:
        """(op, left, right) of each fact in the order given, then of each bound; what an entry check must test."""
        bounds: list[Relation] = []
        for name, low, high in self.ranges:
            if low is not None and low > 0:
                bounds.append((">=", Dim.of(name), Dim.of(low)))
            if high is not None:
                bounds.append(("<=", Dim.of(name), Dim.of(high)))
        return (*self.relations, *bounds)

    @property
    def symbols(self) -> frozenset[str]:
        names = {name for name, _, _ in self.ranges}
        return frozenset(names.union(*(left.symbols | right.symbols for _, left, right in self.relations)))

    def satisfies(self, env: Mapping[str, int]) -> bool:
        """Whether the assignment obeys every fact and makes no size negative and no divisor of a fact zero.

        Raises: KeyError: a symbol of the facts is missing.
        """
        if any(value < 0 for value in env.values()):
            return False
        try:
            return all(holds(op, left.evaluate(env), right.evaluate(env)) for op, left, right in self.items)
        except ZeroDivisionError:
            return False

    def sample(self, symbols: Iterable[str], rng: "Random", low: int = 1, high: int = 16) -> dict[str, int] | None:
        """An assignment that satisfies the facts, or None when a bounded search finds none.

        Args: symbols: assigned besides those of the facts. low, high: the preferred range of each size; a value
              outside it is taken only when the facts leave no other that the search finds.
        """
        names = sorted(self.symbols.union(symbols))
        best: dict[str, int] | None = None
        best_rank = (True, 0)
        patience = _PATIENCE
        for env in self._known.candidates(names, rng, low, high):
            patience -= best is not None
            if patience == 0:
                break
            if self.satisfies(env):
                smallest, largest = min(env.values(), default=low), max(env.values(), default=low)
                if low <= smallest and largest <= high:
                    return env
                rank = (smallest < low, largest)
                if best is None or rank < best_rank:
                    best, best_rank = env, rank
        return best

    def __reduce__(self) -> tuple[type["Facts"], tuple[object, object]]:
        return Facts, (self.relations, self.ranges)

    @property
    def _known(self) -> Knowledge:
        if not self._knowledge:
            self._knowledge.append(Knowledge(self.relations, self.ranges))
        return self._knowledge[0]


Facts.EMPTY = Facts()
