"""What follows from facts about sizes: simpler forms, bounds, three-valued proofs and assignments to try."""

import copy
import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import gcd, lcm
from typing import TYPE_CHECKING, TypeVar

from netdsl.dim_algebra import Dim, apply_atom, monomial_dim, unchecked_symbol
from netdsl.dim_bounds import SIZE, Bounds, Interval, join
from netdsl.dim_solving import UNDECIDABLE, Relation, RelationOp, Solution, holds, nested_atoms
from netdsl.dim_terms import Atom

if TYPE_CHECKING:
    from random import Random

_CASES = 64
_SPLITS = 2
_ATTEMPTS = 2_000
_MEMO_SIZE = 65_536

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Knowledge:
    """Answers from the solved form of a set of facts, remembered."""

    def __init__(self, relations: Iterable[Relation], ranges: Iterable[tuple[str, int | None, int | None]]) -> None:
        self._solution = Solution(relations, ranges)
        self._simple: dict[Dim, Dim] = {}
        self._proved: dict[Relation, bool | None] = {}

    def simplify(self, dim: Dim) -> Dim:
        if dim.is_const:
            return dim
        found = self._simple.get(dim)
        if found is None:
            found = dim
            with suppress(*UNDECIDABLE):
                rewritten = self._solution.backward(self._solution.forwarded(dim))
                found = rewritten if len(str(rewritten)) <= len(str(dim)) else dim
            _remember(self._simple, dim, found)
        return found

    def bounds(self, dim: Dim) -> Interval:
        low, high = self._solution.limits.interval(dim)
        with suppress(*UNDECIDABLE):
            other_low, other_high = self._solution.limits.interval(self._solution.forwarded(dim))
            low, high = join(max, low, other_low), join(min, high, other_high)
        return low, high

    def prove(self, op: RelationOp, left: Dim, right: Dim) -> bool | None:
        if left.is_const and right.is_const:
            return holds(op, left.value, right.value)
        if left == right:
            return op in ("==", "<=", ">=")
        key = (op, left, right)
        if key not in self._proved:
            answer: bool | None = None
            with suppress(*UNDECIDABLE):
                answer = self._prove(op, left - right)
            _remember(self._proved, key, answer)
        return self._proved[key]

    def _prove(self, op: RelationOp, gap: Dim) -> bool | None:
        match op:
            case "==":
                return self._is_zero(gap, _SPLITS)
            case "!=":
                return _not(self._is_zero(gap, _SPLITS))
            case "<=":
                return self._is_size(-gap)
            case ">":
                return _not(self._is_size(-gap))
            case ">=":
                return self._is_size(gap)
            case "<":
                return _not(self._is_size(gap))

    def _is_size(self, gap: Dim) -> bool | None:
        gap = self._solution.forwarded(gap)
        if self._solution.limits.is_nonnegative(gap):
            return True
        return False if self._solution.limits.is_nonnegative(-gap - 1) else None

    def _is_zero(self, gap: Dim, splits: int) -> bool | None:
        gap = self._solution.forwarded(_without_remainders(self._solution.forwarded(gap)))
        if gap.is_const:
            return gap.value == 0
        content = gcd(*(factor for monomial, factor in gap.terms if monomial))
        if gap.coefficient(()) % content or gap in self._solution.nonzero or -gap in self._solution.nonzero:
            return False
        is_nonnegative = self._solution.limits.is_nonnegative
        if is_nonnegative(gap) and is_nonnegative(-gap):
            return True
        if is_nonnegative(gap - 1) or is_nonnegative(-gap - 1):
            return False
        answers: set[bool | None] = set()
        if splits:
            answers = {known._is_zero(case, splits - 1) for known, case in self._extremum_cases(gap)}
            answers = answers or {self._is_zero(case, 0) for case in self._residue_cases(gap)}
        return answers.pop() if len(answers) == 1 else None

    def _extremum_cases(self, gap: Dim) -> Iterator[tuple["Knowledge", Dim]]:
        """`gap` with one `min` or `max` replaced by each of its operands, and what is known in that case."""
        for atom in nested_atoms(gap):
            if atom.op in ("min", "max"):
                for arg in atom.args:
                    known = copy.copy(self)
                    known._solution = copy.copy(self._solution)
                    limits = Bounds(self._solution.limits.ranges, self._solution.limits.nonnegative)
                    known._solution.limits = limits
                    for other in atom.args:
                        limits.add(other - arg if atom.op == "min" else arg - other)
                    yield known, _with_atom(gap, atom, arg)
                return

    def _residue_cases(self, gap: Dim) -> list[Dim]:
        """`gap` for each residue of its symbols by the common multiple of its constant divisors; none if too many."""
        names: set[str] = set()
        modulus = 1
        for atom in gap.atoms():
            if atom.op == "//" and atom.args[1].is_const:
                names |= atom.args[0].symbols
                modulus = lcm(modulus, atom.args[1].value)
        if (
            not names
            or modulus ** len(names) > _CASES
            or any(not self._solution.limits.is_size(name) for name in names)
        ):
            return []
        cases = [gap]
        for name in sorted(names):
            step = unchecked_symbol(f"{name}~") * modulus
            cases = [case.substitute({name: step + residue}) for case in cases for residue in range(modulus)]
        return cases

    def candidates(self, names: list[str], rng: "Random", low: int, high: int) -> Iterator[dict[str, int]]:
        """Assignments to `names` that obey the solved facts, not always the rest; then small ones."""
        images = {name: self._solution.forward.get(name, Dim.of(name)) for name in names}
        used = frozenset[str]().union(*(image.symbols for image in images.values()))
        free = sorted(used, key=lambda name: (name in self._solution.quotients, name))
        for attempt in range(_ATTEMPTS):
            env: dict[str, int] = {}
            top = high << max(0, attempt * 12 // _ATTEMPTS - 6)
            for name in free:
                scale = self._scale(name, env)
                least, most = self._solution.limits.ranges.get(name, SIZE)
                start = max(least, low // scale) if least is not None else -(top // scale)
                stop = max(start + (scale > 1), top // scale)
                env[name] = rng.randint(start, stop) if most is None else rng.randint(min(start, most), min(stop, most))
            with suppress(ZeroDivisionError):
                yield {name: image.evaluate(env) for name, image in images.items()}
        side = int(_ATTEMPTS ** (1 / max(1, len(names))))
        for values in itertools.product(range(low, low + side + 1), repeat=len(names)):
            yield dict(zip(names, values, strict=True))

    def _scale(self, name: str, env: dict[str, int]) -> int:
        """By how much the size behind a free symbol grows with it."""
        if name not in self._solution.quotients:
            return 1
        divisor = self._solution.quotients[name].divisor
        return max(1, divisor.evaluate(env)) if divisor.symbols <= env.keys() else 1


def _with_atom(dim: Dim, old: Atom, image: Dim) -> Dim:
    def replaced(atom: Atom) -> Dim:
        if atom == old:
            return image
        if atom.op == "symbol":
            return monomial_dim((atom,))
        return apply_atom(atom.op, tuple(_with_atom(arg, old, image) for arg in atom.args))

    return dim.map_atoms(replaced)


def _without_remainders(dim: Dim) -> Dim:
    """The size with each `n % d` written `n - d * (n // d)`."""

    def image(atom: Atom) -> Dim:
        if atom.op == "symbol":
            return monomial_dim((atom,))
        args = tuple(_without_remainders(arg) for arg in atom.args)
        return args[0] - args[1] * (args[0] // args[1]) if atom.op == "%" else apply_atom(atom.op, args)

    return dim.map_atoms(image)


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _remember(memo: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memo) >= _MEMO_SIZE:
        memo.clear()
    memo[key] = value
