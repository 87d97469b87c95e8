"""Facts about sizes in solved form: symbols written by others, rewriting rules and bounds."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from math import gcd
from typing import Literal, TypeAlias, get_args

from netdsl.dim_algebra import Dim, apply_atom, dmax, dmin, monomial_dim, polynomial_division, unchecked_symbol
from netdsl.dim_bounds import Bounds, Interval, exact_quotient_range, floor_quotient_range
from netdsl.dim_terms import Atom, DimError, Monomial, monomial_quotient
from netdsl.record import dataclass

RelationOp: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Relation: TypeAlias = tuple[RelationOp, Dim, Dim]
RELATION_OPS: dict[str, RelationOp] = {op: op for op in get_args(RelationOp)}

UNDECIDABLE = (DimError, ZeroDivisionError)
_ZERO, _ONE = Dim.of(0), Dim.of(1)
_ROUNDS = 8
_OPENINGS = 8


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
    """What a free symbol stands for: `number / divisor`, exact where the facts hold, in the user's symbols."""

    number: Dim
    divisor: Dim


@dataclass(frozen=True, slots=True)
class Rule:
    """`factor * lead` equals `image`."""

    lead: Monomial
    factor: int
    image: Dim


class Solution:
    """The solved form of a set of facts.

    Equalities are solved for a symbol where one occurs alone (`forward`), divisibilities `n % d == 0` introduce the
    quotient as a free symbol (`quotients`), other equalities rewrite one term (`rules`), inequalities are `limits`.
    """

    def __init__(self, relations: Iterable[Relation], ranges: Iterable[tuple[str, int | None, int | None]]) -> None:
        self.forward: dict[str, Dim] = {}
        self.quotients: dict[str, Quotient] = {}
        self.rules: list[Rule] = []
        self.limits = Bounds({name: (max(0, low or 0), high) for name, low, high in ranges})
        self.nonzero: list[Dim] = []
        equal: list[Dim] = []
        for op, left, right in relations:
            gap = left - right
            match op:
                case "==":
                    equal.append(gap)
                case "!=":
                    self.nonzero.append(gap)
                case "<" | "<=":
                    self.limits.add(-gap - (op == "<"))
                case ">" | ">=":
                    self.limits.add(gap - (op == ">"))
        with suppress(*UNDECIDABLE):  # what was solved before a size grew too large is still true
            self._solve(equal)
            self._restrict()

    def _solve(self, equal: list[Dim]) -> None:
        pending = list(equal)
        while pending := [gap for gap in map(self.forwarded, pending) if not gap.is_const]:
            best = min(pending, key=_solving_order)
            pending.remove(best)
            divisibility = _as_divisibility(best)
            if divisibility is None:
                if not self._solve_equality(best):
                    if self._open_division(best):
                        pending.append(best)
                    else:
                        self._rewrite_equality(best)
                continue
            number, divisor = divisibility
            self.limits.add(divisor - 1)
            if number.is_const and number.value > 0:
                self.limits.add(number - divisor)
            if not self._solve_divisibility(number, divisor, pending):
                if self._open_division(best):
                    pending.append(best)
                else:
                    self._rewrite_divisible(number, divisor)
                    self._rewrite_equality(best)

    def _restrict(self) -> None:
        """Sharpens the inequalities by what the equalities said and by the sizes that are not 0."""
        self.nonzero = [self.forwarded(gap) for gap in self.nonzero]
        for gap in [*self.nonzero, *(-gap for gap in self.nonzero)]:
            if self.limits.is_nonnegative(gap):
                self.limits.add(gap - 1)
        for gap in tuple(self.limits.nonnegative):
            self.limits.add(self.forwarded(gap))

    def _solve_equality(self, gap: Dim) -> bool:
        name = _solvable_symbol(gap)
        if name is None:
            return False
        lead = _symbol_monomial(name)
        factor = gap.coefficient(lead)
        self._replace(name, (gap - monomial_dim(lead, factor)) * -factor)
        return True

    def _rewrite_equality(self, gap: Dim) -> None:
        """Adds the rule for the leading term; inequalities instead, where the rule would rewrite its own image."""
        lead, factor = min(gap.terms, key=lambda term: (-len(term[0]), abs(term[1]) != 1, term[0]))
        image = monomial_dim(lead, factor) - gap
        if set(lead).isdisjoint(inner for atom in image.atoms() for arg in atom.args for inner in nested_atoms(arg)):
            self._add_rule(lead, factor, image)
        else:
            self.limits.add(gap)
            self.limits.add(-gap)

    def _solve_divisibility(self, number: Dim, divisor: Dim, others: list[Dim]) -> bool:
        """Writes a symbol of `number` by the quotient, a fresh symbol; False when no symbol stands alone."""
        if len(divisor.terms) > 1:
            return False
        names = sorted(number.symbols - divisor.symbols)
        for name in sorted(names, key=lambda name: sum(name in other.symbols for other in others)):
            lead = _symbol_monomial(name)
            factor = number.coefficient(lead)
            solved = number if factor >= 0 else -number
            if abs(factor) != 1 and divisor.is_const and gcd(factor, divisor.value) == 1:
                solved = polynomial_division(number * pow(factor, -1, divisor.value), divisor)[1]
            rest = solved - monomial_dim(lead)
            if solved.coefficient(lead) == 1 and name not in rest.symbols:
                interval = exact_quotient_range(self.limits.interval(solved), self.limits.interval(divisor))
                base = self.quotients.get(name, Quotient(monomial_dim(lead), _ONE))
                whole = base.number + base.divisor * self.backward(rest)
                fresh = self._fresh(name, interval, Quotient(whole, base.divisor * self.backward(divisor)))
                self._replace(name, divisor * fresh - rest)
                return True
        return False

    def _open_division(self, gap: Dim) -> bool:
        """Writes a symbol under a constant divisor as `divisor * quotient + remainder`, two fresh symbols."""
        for atom in nested_atoms(gap) if len(self.quotients) < _OPENINGS else ():
            if atom.op not in ("//", "%") or not atom.args[1].is_const:
                continue
            number, divisor = atom.args
            name = _solvable_symbol(number)
            if name is not None:
                lead = _symbol_monomial(name)
                factor = number.coefficient(lead)
                interval = floor_quotient_range(self.limits.interval(number), (divisor.value, divisor.value))
                whole = self.backward(number)
                quotient = self._fresh(name, interval, Quotient(whole // divisor, _ONE))
                rest = Quotient(whole - divisor * (whole // divisor), _ONE)
                remainder = self._fresh(name, (0, divisor.value - 1), rest)
                self._replace(name, (divisor * quotient + remainder - number + monomial_dim(lead, factor)) * factor)
                return True
        return False

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

    def _fresh(self, name: str, interval: Interval, meaning: Quotient) -> Dim:
        fresh = f"{name}'"
        while fresh in self.quotients:
            fresh += "'"
        self.quotients[fresh] = meaning
        self.limits.limit(fresh, interval)
        return unchecked_symbol(fresh)

    def _add_rule(self, lead: Monomial, factor: int, image: Dim) -> None:
        self.rules.append(Rule(lead, factor, image) if factor > 0 else Rule(lead, -factor, -image))

    def _replace(self, name: str, image: Dim) -> None:
        env = {name: image}
        self.forward = {key: dim.substitute(env) for key, dim in self.forward.items()}
        self.forward[name] = image
        self.limits.eliminate(name, image)
        rules, self.rules = self.rules, []
        for rule in rules:
            lead = monomial_dim(rule.lead, rule.factor).substitute(env)
            if len(lead.terms) == 1 and not lead.is_const:
                self._add_rule(*lead.terms[0], rule.image.substitute(env))

    def forwarded(self, dim: Dim, rounds: int = _ROUNDS) -> Dim:
        """The size in free symbols, rewritten until nothing changes; inside atoms with one round fewer."""
        dim = dim.substitute(self.forward)
        for left in range(rounds, 0, -1):
            before = dim
            if any(atom.op != "symbol" for atom in dim.atoms()):
                dim = dim.map_atoms(partial(self._rewritten_atom, left - 1))
            for rule in self.rules:
                dim = _apply_rule(dim, rule)
            if dim == before:
                break
        return dim

    def _rewritten_atom(self, rounds: int, atom: Atom) -> Dim:
        if atom.op == "symbol":
            return monomial_dim((atom,))
        dim = apply_atom(atom.op, tuple(self.forwarded(arg, rounds) for arg in atom.args))
        if dim != monomial_dim((atom,)):
            return dim
        if atom.op in ("min", "max"):
            return self._decided_extremum(atom)
        number, divisor = atom.args
        low, high = self.limits.atom_interval(atom)
        if low is not None and low == high:
            return Dim.of(low)
        if self.limits.is_nonnegative(number) and self.limits.is_nonnegative(divisor - 1 - number):
            return number if atom.op == "%" else _ZERO
        return self._without_small_terms(atom) if divisor.is_const else dim

    def _decided_extremum(self, atom: Atom) -> Dim:
        kept = list(atom.args)
        for arg in atom.args:
            others = [other for other in kept if other != arg]
            gaps = ((arg - other) if atom.op == "min" else (other - arg) for other in others)
            if any(self.limits.is_nonnegative(gap) for gap in gaps):
                kept = others
        return dmin(*kept) if atom.op == "min" else dmax(*kept)

    def _without_small_terms(self, atom: Atom) -> Dim:
        """`(g * n + s) // (g * d) == n // d` where `0 <= s < g`, and the same for `%`."""
        number, divisor = atom.args
        contents = {gcd(factor, divisor.value) for _, factor in number.terms} - {1}
        for content in sorted(contents, reverse=True):
            small = Dim({monomial: factor for monomial, factor in number.terms if factor % content})
            low, high = self.limits.interval(small)
            if low is None or high is None or low // content != high // content:
                continue
            carry = low // content
            large, part = (number - small) // content + carry, divisor // content
            return large // part if atom.op == "//" else content * (large % part) + small - carry * content
        return monomial_dim((atom,))

    def backward(self, dim: Dim) -> Dim:
        """The size in user symbols again."""
        for name in reversed(self.quotients):
            if name in dim.symbols:
                dim = _restore(dim, name, self.quotients[name])
        return dim


def nested_atoms(dim: Dim) -> Iterator[Atom]:
    """Every atom, those inside before those around them."""
    for atom in dim.atoms():
        for arg in atom.args:
            yield from nested_atoms(arg)
        yield atom


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
    """`(n, d)` when `gap == 0` says `n % d == 0` or, with a constant `d`, fixes another remainder."""
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


def _symbol_monomial(name: str) -> Monomial:
    return (Atom("symbol", name=name),)


def _apply_rule(dim: Dim, rule: Rule) -> Dim:
    result = dim
    for monomial, factor in dim.terms:
        cofactor = monomial_quotient(monomial, rule.lead)
        times = factor // rule.factor if factor > 0 else -(-factor // rule.factor)
        if cofactor is not None and times:
            result += monomial_dim(cofactor, times) * (rule.image - monomial_dim(rule.lead, rule.factor))
    return result


def _restore(dim: Dim, name: str, quotient: Quotient) -> Dim:
    """`dim` with the free symbol written as a division by what its coefficient leaves of the divisor."""
    ((divisor_monomial, divisor_factor),) = quotient.divisor.terms
    total = _ZERO
    for monomial, factor in dim.terms:
        atoms = [atom for atom in monomial if atom != name]
        product = _ONE
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
            args = tuple(_restore(arg, name, quotient) for arg in atom.args)
            product *= monomial_dim((atom,)) if atom.op == "symbol" else apply_atom(atom.op, args)
        total += product * factor
    return total
