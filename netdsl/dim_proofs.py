"""What follows from facts about sizes: a solved form of the facts, and rewriting, bounds and proofs that use it."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import gcd, lcm
from typing import Literal, TypeAlias, TypeVar

from netdsl.dim_algebra import (
    Atom,
    Dim,
    DimError,
    Monomial,
    apply_atom,
    dmax,
    dmin,
    monomial_dim,
    monomial_quotient,
    polynomial_division,
    unchecked_symbol,
)

RelationOp: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Relation: TypeAlias = tuple[RelationOp, Dim, Dim]
Interval: TypeAlias = tuple[int | None, int | None]

_ZERO = Dim.of(0)
_SIZE: Interval = (0, None)
_ROUNDS = 12
_CASES = 64
_ATTEMPTS = 2_000
_MEMO_SIZE = 65_536

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def holds(op: RelationOp, left: int, right: int) -> bool:
    """Whether `left op right`."""
    match op:
        case "==":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right


@dataclass(frozen=True, slots=True)
class Quotient:
    """A free symbol that stands for `number / divisor`, exact by a fact; `number` is written in user symbols."""

    number: Dim
    divisor: Dim


@dataclass(frozen=True, slots=True)
class Rule:
    """`factor * lead` equals `image`."""

    lead: Monomial
    factor: int
    image: Dim


class Knowledge:
    """The solved form of a set of facts.

    Equalities are solved for a symbol where one occurs alone (`forward`), divisibilities `n % d == 0` introduce the
    quotient as a free symbol (`quotients`), other equalities rewrite their leading term (`rules`), inequalities
    become intervals of free symbols (`ranges`) and sizes that are not negative (`nonnegative`).
    """

    def __init__(
        self, relations: Iterable[Relation], ranges: Iterable[tuple[str, int | None, int | None]]
    ) -> None:
        self.forward: dict[str, Dim] = {}
        self.quotients: dict[str, Quotient] = {}
        self.rules: list[Rule] = []
        self.ranges: dict[str, Interval] = {}
        self.nonnegative: list[Dim] = []
        self.nonzero: list[Dim] = []
        self._simple: dict[Dim, Dim] = {}
        self._proved: dict[Relation, bool | None] = {}
        for name, low, high in ranges:
            self.ranges[name] = (max(0, low or 0), high)
        equal: list[Dim] = []
        for op, left, right in relations:
            gap = left - right
            match op:
                case "==":
                    equal.append(gap)
                case "!=":
                    self.nonzero.append(gap)
                case "<" | "<=":
                    self.nonnegative.append(-gap - (op == "<"))
                case ">" | ">=":
                    self.nonnegative.append(gap - (op == ">"))
        self._absorb_inequalities()
        self._solve(equal)
        self._absorb_inequalities()
        self.nonzero = [self._forwarded(gap) for gap in self.nonzero]

    # ---- solving the facts

    def _solve(self, equal: list[Dim]) -> None:
        pending = list(equal)
        while pending:
            pending = [gap for gap in map(self._forwarded, pending) if not gap.is_const]
            best = min(pending, key=_solving_order, default=None)
            if best is None:
                break
            pending.remove(best)
            divisibility = _as_divisibility(best)
            if divisibility is None:
                self._solve_equality(best)
            else:
                number, divisor = divisibility
                self.nonnegative.append(divisor - 1)
                self._absorb_inequalities()
                if number.is_const and number.value > 0:
                    self.nonnegative.append(number - divisor)
                if not self._solve_divisibility(*divisibility):
                    self._rewrite_divisible(*divisibility)
                    self._solve_equality(best)

    def _solve_equality(self, gap: Dim) -> None:
        name = _solvable_symbol(gap)
        if name is not None:
            lead = _symbol_monomial(name)
            factor = gap.coefficient(lead)
            self._replace(name, (gap - monomial_dim(lead, factor)) * -factor)
            return
        lead, factor = min(gap.terms, key=lambda term: (not term[0], abs(term[1]) != 1, -len(term[0])))
        image = monomial_dim(lead, factor) - gap
        self._add_rule(lead, factor, image)

    def _solve_divisibility(self, number: Dim, divisor: Dim) -> bool:
        if len(divisor.terms) > 1:
            return False
        for name in sorted(number.symbols):
            lead = _symbol_monomial(name)
            factor = number.coefficient(lead)
            solved = number
            if abs(factor) != 1 and divisor.is_const and gcd(factor, divisor.value) == 1:
                scaled = number * pow(factor, -1, divisor.value)
                solved = polynomial_division(scaled, divisor)[1]
                factor = solved.coefficient(lead)
            if factor < 0:
                solved, factor = -solved, -factor
            rest = solved - monomial_dim(lead, factor)
            if factor == 1 and name not in rest.symbols and name not in divisor.symbols:
                fresh = f"{name}'"
                while fresh in self.ranges:
                    fresh += "'"
                quotient = unchecked_symbol(fresh)
                low, high = self._interval(solved)
                least, most = self._interval(divisor)
                self.ranges[fresh] = _exact_quotient_range(low, high, least, most)
                self.quotients[fresh] = self._quotient(name, rest, divisor)
                self._replace(name, divisor * quotient - rest)
                return True
        return False

    def _quotient(self, name: str, rest: Dim, divisor: Dim) -> Quotient:
        """What `(name + rest) / divisor` is in user symbols."""
        rest, divisor = self._backward(rest), self._backward(divisor)
        if name not in self.quotients:
            return Quotient(Dim.of(name) + rest, divisor)
        old = self.quotients[name]
        return Quotient(old.number + old.divisor * rest, old.divisor * divisor)

    def _rewrite_divisible(self, number: Dim, divisor: Dim) -> None:
        """Adds the rule `d * (n // d) -> n`."""
        (divisor_monomial, divisor_factor), *_ = divisor.terms
        whole = number // divisor
        for monomial, scale in whole.terms:
            if scale == 1 and len(monomial) == 1 and monomial[0].op == "//":
                lead = tuple(sorted(divisor_monomial + monomial))
                image = number - divisor * whole + monomial_dim(lead, divisor_factor)
                self._add_rule(lead, divisor_factor, image)
                return

    def _add_rule(self, lead: Monomial, factor: int, image: Dim) -> None:
        if factor < 0:
            factor, image = -factor, -image
        self.rules.append(Rule(lead, factor, image))

    def _replace(self, name: str, image: Dim) -> None:
        """Eliminates one symbol; its interval lives on as inequalities about its image."""
        env = {name: image}
        low, high = self.ranges.pop(name, _SIZE)
        self.forward = {key: dim.substitute(env) for key, dim in self.forward.items()}
        self.forward[name] = image
        if low is not None:
            self.nonnegative.append(image - low)
        if high is not None:
            self.nonnegative.append(high - image)
        self.rules, old = [], self.rules
        for rule in old:
            gap = monomial_dim(rule.lead, rule.factor).substitute(env) - rule.image.substitute(env)
            if len(gap.terms) > 0 and not gap.is_const:
                lead = monomial_dim(rule.lead).substitute(env)
                if len(lead.terms) == 1:
                    (monomial, scale), *_ = lead.terms
                    self._add_rule(monomial, rule.factor * scale, rule.image.substitute(env))
        self._absorb_inequalities()

    def _absorb_inequalities(self) -> None:
        """Turns inequalities about one free symbol into its interval."""
        pending, self.nonnegative = self.nonnegative, []
        for dim in pending:
            gap = dim.substitute(self.forward)
            (monomial, factor) = gap.terms[0] if gap.terms else ((), 0)
            constant = gap.coefficient(())
            if len(monomial) == 1 and monomial[0].op == "symbol" and gap == monomial_dim(monomial, factor) + constant:
                name = str(monomial[0])
                low, high = self.ranges.get(name, _SIZE)
                if factor > 0:
                    low = max(_or(low, 0), -(constant // factor))
                else:
                    high = min(_or(high, constant // -factor), constant // -factor)
                self.ranges[name] = (low, high)
            elif not gap.is_const and gap not in self.nonnegative and not _all_positive(gap):
                self.nonnegative.append(gap)

    # ---- rewriting

    def simplify(self, dim: Dim) -> Dim:
        if dim.is_const:
            return dim
        found = self._simple.get(dim)
        if found is None:
            found = dim
            try:
                rewritten = self._backward(self._forwarded(dim))
                if len(str(rewritten)) <= len(str(dim)):
                    found = rewritten
            except DimError:
                pass
            _remember(self._simple, dim, found)
        return found

    def _forwarded(self, dim: Dim) -> Dim:
        """The size in free symbols, rewritten until nothing changes."""
        dim = dim.substitute(self.forward)
        for _ in range(_ROUNDS):
            before = dim
            dim = dim.map_atoms(self._rewritten_atom) if _is_compound(dim) else dim
            for rule in self.rules:
                dim = _apply_rule(dim, rule)
            if dim == before:
                break
        return dim

    def _rewritten_atom(self, atom: Atom) -> Dim:
        if atom.op == "symbol":
            return monomial_dim((atom,))
        args = tuple(self._forwarded(arg) for arg in atom.args)
        dim = apply_atom(atom.op, args)
        if dim != monomial_dim((atom,)):
            return dim
        if atom.op in ("min", "max"):
            return self._decided_extremum(atom)
        number, divisor = atom.args
        low, high = self._interval(monomial_dim((atom,)))
        if low is not None and low == high:
            return Dim.of(low)
        if atom.op == "%" and self._is_nonnegative(number, 1) and self._is_nonnegative(divisor - 1 - number, 1):
            return number
        if atom.op == "//" and self._is_nonnegative(number, 1) and self._is_nonnegative(divisor - 1 - number, 1):
            return _ZERO
        return self._without_small_terms(atom) if divisor.is_const else dim

    def _decided_extremum(self, atom: Atom) -> Dim:
        kept = list(atom.args)
        for arg in atom.args:
            others = [other for other in kept if other != arg]
            gaps = ((arg - other) if atom.op == "min" else (other - arg) for other in others)
            if any(self._is_nonnegative(gap, 1) for gap in gaps):
                kept = others
        return dmin(*kept) if atom.op == "min" else dmax(*kept)

    def _without_small_terms(self, atom: Atom) -> Dim:
        """`(g * n + s) // (g * d) == n // d` where `0 <= s < g`, and the same for `%`."""
        number, divisor = atom.args
        for content in sorted({gcd(factor, divisor.value) for _, factor in number.terms}, reverse=True):
            if content == 1:
                break
            small = Dim({monomial: factor for monomial, factor in number.terms if factor % content})
            low, high = self._interval(small)
            if low is None or high is None or low // content != high // content:
                continue
            carry = low // content
            large = (number - small) // content + carry
            if atom.op == "//":
                return large // (divisor // content)
            return content * (large % (divisor // content)) + small - carry * content
        return monomial_dim((atom,))

    def _backward(self, dim: Dim) -> Dim:
        """The size in user symbols again."""
        for name in reversed(self.quotients):
            if name in dim.symbols:
                dim = _restore(dim, name, self.quotients[name])
        return dim

    # ---- bounds

    def bounds(self, dim: Dim) -> Interval:
        low, high = self._interval(dim)
        other_low, other_high = self._interval(self._forwarded(dim))
        return _join(max, low, other_low), _join(min, high, other_high)

    def _interval(self, dim: Dim) -> Interval:
        low: int | None = 0
        high: int | None = 0
        for monomial, factor in dim.terms:
            term: Interval = (factor, factor)
            for atom in dict.fromkeys(monomial):
                term = _times(term, _power(self._atom_interval(atom), monomial.count(atom)))
            low = None if low is None or term[0] is None else low + term[0]
            high = None if high is None or term[1] is None else high + term[1]
        return low, high

    def _atom_interval(self, atom: Atom) -> Interval:
        if atom.op == "symbol":
            return self.ranges.get(atom, _SIZE)
        intervals = [self._interval(arg) for arg in atom.args]
        lows = [low for low, _ in intervals]
        highs = [high for _, high in intervals]
        known_lows = [low for low in lows if low is not None]
        known_highs = [high for high in highs if high is not None]
        if atom.op == "min":
            return (min(known_lows) if len(known_lows) == len(lows) else None), min(known_highs, default=None)
        if atom.op == "max":
            return max(known_lows, default=None), (max(known_highs) if len(known_highs) == len(highs) else None)
        least, most = max(1, _or(lows[1], 1)), highs[1]
        if atom.op == "%":
            top = None if most is None else most - 1
            is_size = lows[0] is not None and lows[0] >= 0
            return 0, _join(min, top, highs[0]) if is_size else top
        return _floor_quotient_range(lows[0], highs[0], least, most)

    # ---- proofs

    def prove(self, op: RelationOp, left: Dim, right: Dim) -> bool | None:
        if left.is_const and right.is_const:
            return holds(op, left.value, right.value)
        if left == right:
            return op in ("==", "<=", ">=")
        key = (op, left, right)
        if key not in self._proved:
            try:
                answer = self._prove(op, left - right)
            except DimError:
                answer = None
            _remember(self._proved, key, answer)
        return self._proved[key]

    def _prove(self, op: RelationOp, gap: Dim) -> bool | None:
        match op:
            case "==":
                return self._is_zero(gap)
            case "!=":
                return _not(self._is_zero(gap))
            case "<=":
                return self._decide_nonnegative(-gap)
            case ">":
                return _not(self._decide_nonnegative(-gap))
            case ">=":
                return self._decide_nonnegative(gap)
            case "<":
                return _not(self._decide_nonnegative(gap))

    def _decide_nonnegative(self, gap: Dim) -> bool | None:
        gap = self._forwarded(gap)
        if self._is_nonnegative(gap, 2):
            return True
        return False if self._is_nonnegative(-gap - 1, 2) else None

    def _is_zero(self, gap: Dim) -> bool | None:
        gap = self._forwarded(_without_remainders(self._forwarded(gap)))
        if gap.is_const:
            return gap.value == 0
        content = gcd(*(factor for monomial, factor in gap.terms if monomial))
        if gap.coefficient(()) % content:
            return False
        if any(gap in (other, -other) for other in self.nonzero):
            return False
        above, below = self._is_nonnegative(gap, 2), self._is_nonnegative(-gap, 2)
        if above and below:
            return True
        if self._is_nonnegative(gap - 1, 2) or self._is_nonnegative(-gap - 1, 2):
            return False
        answers = {self._is_zero(case) for case in _residue_cases(gap)}
        return answers.pop() if len(answers) == 1 else None

    def _is_nonnegative(self, gap: Dim, depth: int) -> bool:
        """Whether `gap >= 0` follows; False means not proved."""
        low, high = self._interval(gap)
        if low is not None and low >= 0:
            return True
        if gap.is_const or (high is not None and high < 0):
            return False
        shifted = self._shifted(gap)
        if _all_positive(shifted) and all(atom.op == "symbol" for atom in shifted.atoms()):
            return True
        relaxed = self._relaxed(gap)
        if relaxed is not None:
            return self._is_nonnegative(relaxed, depth)
        cases = self._extremum_cases(gap)
        if cases is not None:
            choose, choices = cases
            return choose(self._is_nonnegative(choice, depth) for choice in choices)
        if depth:
            for fact in self.nonnegative:
                for combined in self._eliminations(gap, fact):
                    if self._is_nonnegative(combined, depth - 1):
                        return True
        return False

    def _shifted(self, gap: Dim) -> Dim:
        """The size with each symbol replaced by its lower bound plus a symbol."""
        lows = {name: self.ranges[name][0] or 0 for name in gap.symbols if name in self.ranges}
        return gap.substitute({name: unchecked_symbol(name) + low for name, low in lows.items() if low})

    def _relaxed(self, gap: Dim) -> Dim | None:
        """A multiple of a lower bound of `gap` with one floor division fewer; None without one."""
        for monomial, factor in gap.terms:
            for atom in monomial:
                if atom.op != "//":
                    continue
                number, divisor = atom.args
                others = monomial_quotient(monomial, (atom,))
                assert others is not None
                if not divisor.is_const or any(_or(self._atom_interval(other)[0], -1) < 0 for other in others):
                    continue
                exact = number if factor < 0 else number - (divisor - 1)
                rest = gap - monomial_dim(monomial, factor)
                return rest * divisor + monomial_dim(others, factor) * exact
        return None

    def _extremum_cases(self, gap: Dim) -> tuple[Callable[[Iterable[bool]], bool], list[Dim]] | None:
        """Sizes of which any, or all, must be at least 0 for `gap` to be, from one `min` or `max` in it."""
        for monomial, factor in gap.terms:
            for atom in monomial:
                if atom.op not in ("min", "max"):
                    continue
                others = monomial_quotient(monomial, (atom,))
                assert others is not None
                if any(_or(self._atom_interval(other)[0], -1) < 0 for other in others):
                    continue
                rest = gap - monomial_dim(monomial, factor)
                choices = [rest + monomial_dim(others, factor) * arg for arg in atom.args]
                return (all if (factor > 0) == (atom.op == "min") else any), choices
        return None

    def _eliminations(self, gap: Dim, fact: Dim) -> Iterator[Dim]:
        """Combinations `a * gap - b * fact`, `a` and `b` positive, without one negative term of `gap`."""
        for monomial, factor in gap.terms:
            for other, scale in fact.terms:
                cofactor = monomial_quotient(monomial, other)
                if factor < 0 and scale < 0 and other and cofactor is not None:
                    if all(_or(self._atom_interval(atom)[0], -1) >= 0 for atom in cofactor):
                        yield gap * -scale - fact * monomial_dim(cofactor, -factor)

    # ---- sampling

    def candidates(self, names: list[str], rng: random.Random, low: int, high: int) -> Iterator[dict[str, int]]:
        """Assignments to `names` that obey the solved equalities and divisibilities, not always the rest."""
        images = {name: self.forward.get(name, Dim.of(name)) for name in names}
        free = sorted(
            frozenset().union(*(image.symbols for image in images.values())), key=lambda name: (name in self.quotients, name)
        )
        for attempt in range(_ATTEMPTS):
            env: dict[str, int] = {}
            top = high << (attempt * 6 // _ATTEMPTS)
            for name in free:
                scale = self._scale(name, env)
                least, most = self.ranges.get(name, _SIZE)
                start = max(_or(least, 0), low // scale)
                stop = max(start + 1, top // scale)
                env[name] = rng.randint(min(start, _or(most, start)), min(stop, _or(most, stop)))
            try:
                yield {name: image.evaluate(env) for name, image in images.items()}
            except ZeroDivisionError:
                continue

    def _scale(self, name: str, env: dict[str, int]) -> int:
        """What a step of a free symbol means for the size that it divides."""
        if name not in self.quotients:
            return 1
        divisor = self.quotients[name].divisor
        return max(1, divisor.evaluate(env)) if divisor.symbols <= env.keys() else 1


def _solving_order(gap: Dim) -> tuple[int, str]:
    """Equalities with a symbol to solve for come first, those that can only rewrite come last."""
    divisibility = _as_divisibility(gap)
    if divisibility is not None:
        return (1 if divisibility[1].is_const else 2), str(gap)
    return (3 if _solvable_symbol(gap) is None else 0), str(gap)


def _solvable_symbol(gap: Dim) -> str | None:
    """The last symbol that occurs in one term of `gap` only, alone and with coefficient 1 or -1."""
    for name in sorted(gap.symbols, reverse=True):
        lead = _symbol_monomial(name)
        factor = gap.coefficient(lead)
        if abs(factor) == 1 and name not in (gap - monomial_dim(lead, factor)).symbols:
            return name
    return None


def _as_divisibility(gap: Dim) -> tuple[Dim, Dim] | None:
    """`(n, d)` when the fact `gap == 0` is `c * (n % d) == r` with `r` known to be a remainder."""
    terms = gap.terms
    if len(terms) > 2 or len(terms[0][0]) != 1 or terms[0][0][0].op != "%":
        return None
    number, divisor = terms[0][0][0].args
    if len(terms) == 1:
        return number, divisor
    if terms[1][0] or not divisor.is_const or terms[1][1] % terms[0][1]:
        return None
    remainder = -terms[1][1] // terms[0][1]
    return (number - remainder, divisor) if 0 <= remainder < divisor.value else None


def _remember(memo: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memo) >= _MEMO_SIZE:
        memo.clear()
    memo[key] = value


def _symbol_monomial(name: str) -> Monomial:
    ((monomial, _),) = unchecked_symbol(name).terms
    return monomial


def _is_compound(dim: Dim) -> bool:
    return any(atom.op != "symbol" for atom in dim.atoms())


def _all_positive(dim: Dim) -> bool:
    return all(factor > 0 for _, factor in dim.terms) and not _is_compound(dim)


def _apply_rule(dim: Dim, rule: Rule) -> Dim:
    result = dim
    for monomial, factor in dim.terms:
        cofactor = monomial_quotient(monomial, rule.lead)
        times = int(factor / rule.factor)
        if cofactor is not None and times:
            result += monomial_dim(cofactor, times) * (rule.image - monomial_dim(rule.lead, rule.factor))
    return result


def _restore(dim: Dim, name: str, quotient: Quotient) -> Dim:
    """`dim` with the free symbol written as an exact division, as far as its coefficients do not cancel the divisor."""
    ((divisor_monomial, divisor_factor),) = quotient.divisor.terms
    total = _ZERO
    for monomial, factor in dim.terms:
        atoms = [atom for atom in monomial if atom != name]
        product = Dim.of(1)
        for _ in range(len(monomial) - len(atoms)):
            shared = gcd(factor, divisor_factor)
            left = list(divisor_monomial)
            for atom in divisor_monomial:
                if atom in atoms:
                    atoms.remove(atom)
                    left.remove(atom)
            factor //= shared
            product *= quotient.number // monomial_dim(tuple(left), divisor_factor // shared)
        for atom in atoms:
            if atom.op == "symbol":
                product *= monomial_dim((atom,))
            else:
                product *= apply_atom(atom.op, tuple(_restore(arg, name, quotient) for arg in atom.args))
        total += product * factor
    return total


def _without_remainders(dim: Dim) -> Dim:
    """The size with each `n % d` written `n - d * (n // d)`."""

    def image(atom: Atom) -> Dim:
        if atom.op == "symbol":
            return monomial_dim((atom,))
        args = tuple(_without_remainders(arg) for arg in atom.args)
        return args[0] - args[1] * (args[0] // args[1]) if atom.op == "%" else apply_atom(atom.op, args)

    return dim.map_atoms(image) if _is_compound(dim) else dim


def _residue_cases(gap: Dim) -> list[Dim]:
    """`gap` for each residue of its symbols by the least common multiple of its constant divisors; none if too many."""
    names: set[str] = set()
    modulus = 1
    for atom in gap.atoms():
        if atom.op == "//" and atom.args[1].is_const:
            names |= atom.args[0].symbols
            modulus = lcm(modulus, atom.args[1].value)
    if not names or modulus ** len(names) > _CASES:
        return []
    cases = [gap]
    for name in sorted(names):
        step = unchecked_symbol(f"{name}~") * modulus
        cases = [case.substitute({name: step + residue}) for case in cases for residue in range(modulus)]
    return cases


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _join(choose: Callable[[int, int], int], first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return choose(first, second)


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
    return (max(0, _or(low, 0)), high) if exponent % 2 == 0 else result


def _floor_quotient_range(low: int | None, high: int | None, least: int, most: int | None) -> Interval:
    """Bounds of `n // d` for `low <= n <= high` and `1 <= least <= d <= most`."""
    start, stop = low, high
    if low is not None:
        start = low // least if low < 0 else 0 if most is None else low // most
    if high is not None:
        stop = high // least if high >= 0 else -1 if most is None else high // most
    return start, stop


def _exact_quotient_range(low: int | None, high: int | None, least: int | None, most: int | None) -> Interval:
    """Bounds of `n // d` where `d` divides `n`."""
    least = max(1, _or(least, 1))
    _, mirrored = _floor_quotient_range(None, None if low is None else -low, least, most)
    _, stop = _floor_quotient_range(None, high, least, most)
    return (None if mirrored is None else -mirrored), stop
