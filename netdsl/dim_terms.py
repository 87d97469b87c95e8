"""Polynomials as plain dictionaries from monomials to coefficients: order, products, division and text."""

from math import gcd
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from netdsl.dim_algebra import Dim

MAX_DEPTH = 64
MAX_TEXT = 1_000

AtomOp: TypeAlias = Literal["symbol", "//", "%", "min", "max"]


class DimError(ValueError):
    """A size expression grew past the limits of this module."""


class Atom(str):
    """An indivisible factor: its canonical text, with its operation and operands.

    Equal text means equal atom, so comparison, order and hash are those of the text.
    """

    __slots__ = ("args", "depth", "op")
    op: AtomOp
    args: "tuple[Dim, ...]"
    depth: int

    def __new__(cls, op: AtomOp, args: "tuple[Dim, ...]" = (), name: str = "") -> Self:
        self = str.__new__(cls, name or _atom_text(op, args))
        self.op, self.args = op, args
        self.depth = 1 + max((atom.depth for arg in args for atom in arg.atoms()), default=0)
        if self.depth > MAX_DEPTH:
            raise DimError(f"a size nests `//`, `%`, `min` and `max` more than {MAX_DEPTH} deep")
        if len(self) > MAX_TEXT:
            raise DimError(f"a part of a size is {len(self):,} letters long, more than {MAX_TEXT:,}")
        return self

    def __getnewargs__(self) -> "tuple[AtomOp, tuple[Dim, ...], str]":  # type: ignore[override]
        return self.op, self.args, str(self)


Monomial: TypeAlias = tuple[Atom, ...]
"""Atoms in ascending order, repeated for powers; the empty one is the constant term."""

Terms: TypeAlias = dict[Monomial, int]
"""Coefficients by monomial, none of them 0."""


def rank(monomial: Monomial) -> tuple[int, Monomial]:
    """Key of the graded lexicographic order, highest monomial first."""
    return -len(monomial), monomial


def term_rank(term: tuple[Monomial, int]) -> tuple[int, Monomial]:
    return rank(term[0])


def add_term(terms: Terms, monomial: Monomial, coefficient: int) -> None:
    """Adds to `terms` in place and keeps it free of zero coefficients."""
    total = terms.get(monomial, 0) + coefficient
    if total:
        terms[monomial] = total
    else:
        terms.pop(monomial, None)


def multiplied(first: Terms, second: Terms) -> Terms:
    total: Terms = {}
    for left, scale in first.items():
        for right, coefficient in second.items():
            add_term(total, tuple(sorted(left + right)), scale * coefficient)
    return total


def monomial_quotient(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """`monomial / divisor`, or None when that is not a monomial."""
    if not divisor:
        return monomial
    if len(divisor) > len(monomial):
        return None
    left = list(monomial)
    for factor in divisor:
        if factor not in left:
            return None
        left.remove(factor)
    return tuple(left)


def divided(number: Terms, divisor: Terms) -> tuple[Terms, Terms]:
    """`(q, r)` with `number == q * divisor + r`, no term of `r` holding a whole leading term of `divisor`.

    The pair is unique: `number + p * divisor` gives `(q + p, r)` for every polynomial `p`.
    """
    lead = min(divisor, key=rank)
    lead_factor = divisor[lead]
    pending = number.copy()
    quotient: Terms = {}
    rest: Terms = {}
    while pending:
        monomial = min(pending, key=rank) if lead else next(iter(pending))
        coefficient = pending.pop(monomial)
        cofactor = monomial_quotient(monomial, lead)
        times = 0 if cofactor is None else coefficient // lead_factor
        if cofactor is not None and times:
            quotient[cofactor] = times
            for term, scale in divisor.items():
                if term is not lead:
                    add_term(pending, tuple(sorted(term + cofactor)), -times * scale)
        if coefficient != times * lead_factor:
            rest[monomial] = coefficient - times * lead_factor
    return quotient, rest


def without_content(number: Terms, divisor: Terms) -> tuple[Terms, Terms, int, Monomial]:
    """`(n, d, f, m)`: both divided by their common factor `f * m`, the constant term of `number` rounded down.

    `m` holds symbols only: they are not negative, other atoms may be.
    """
    factor = gcd(*divisor.values(), *(coefficient for monomial, coefficient in number.items() if monomial))
    monomials = [*number, *divisor]
    shared: list[Atom] = []
    for atom in dict.fromkeys(monomials[0]):
        if atom.op == "symbol":
            shared += [atom] * min(monomial.count(atom) for monomial in monomials)

    def shrunk(terms: Terms) -> Terms:
        reduced: Terms = {}
        for monomial, coefficient in terms.items():
            left = monomial_quotient(monomial, tuple(shared))
            if left is not None and coefficient // factor:
                reduced[left] = coefficient // factor
        return reduced

    return shrunk(number), shrunk(divisor), factor, tuple(shared)


def sum_text(terms: tuple[tuple[Monomial, int], ...]) -> str:
    """The terms in source syntax, in the order given."""
    text = ""
    for monomial, coefficient in terms:
        magnitude = abs(coefficient)
        factors = [str(magnitude)] if magnitude != 1 or not monomial else []
        is_bare = len(monomial) == 1 and not factors and (bool(text) or coefficient > 0)
        factors += [str(factor) if is_bare or _is_closed(factor) else f"({factor})" for factor in monomial]
        sign = (" - " if coefficient < 0 else " + ") if text else ("-" if coefficient < 0 else "")
        text += sign + " * ".join(factors)
    return text or "0"


def _atom_text(op: AtomOp, args: "tuple[Dim, ...]") -> str:
    if op == "min" or op == "max":
        return f"{op}({', '.join(map(str, args))})"
    return f"{_operand_text(args[0])} {op} {_operand_text(args[1])}"


def _operand_text(dim: "Dim") -> str:
    text = str(dim)
    atom = next(dim.atoms(), None)
    is_plain = text.isdigit() or (atom is not None and text == atom and _is_closed(atom))
    return text if is_plain else f"({text})"


def _is_closed(atom: Atom) -> bool:
    """Whether the atom needs no brackets as an operand."""
    return atom.op in ("symbol", "min", "max")
