"""Symbolic sizes: polynomials over named sizes with `//`, `%`, `min` and `max` atoms, kept in one canonical form."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Literal

from netdsl.dim_terms import (
    Atom,
    AtomOp,
    DimError,
    Monomial,
    Terms,
    add_term,
    divided,
    multiplied,
    sum_text,
    term_rank,
    without_content,
)

MAX_TERMS = 512
MAX_DEGREE = 64

SYMBOL_PATTERN = r"[^\W\d]\w*(?:\.\w+)*"


class Dim:
    """A size: an integer polynomial over atoms, equal to another exactly when their canonical forms are.

    Divisors are taken to be positive. Canonical rewriting is exact for every integer value of the symbols,
    also for negative ones; knowledge about symbols (sizes are not negative) is used by `Facts` only.

    Raises: DimError: more than 512 terms, a power over 64, or atoms nested over 64 deep.
    """

    __slots__ = ("_constant", "_hash", "_symbols", "_terms", "_text")
    _terms: Terms
    _constant: int | None
    _hash: int | None
    _text: str | None
    _symbols: frozenset[str] | None

    def __init__(self, terms: Terms) -> None:
        """Takes over `terms`, which holds sorted monomials and no zero coefficient."""
        self._terms = terms
        self._constant = None
        self._hash = self._text = self._symbols = None
        if len(terms) < 2:
            self._constant = terms.get(()) if terms else 0
        elif len(terms) > MAX_TERMS:
            raise DimError(f"a size has {len(terms)} terms, more than {MAX_TERMS}")

    @staticmethod
    def of(value: "int | str | Dim") -> "Dim":
        """The constant of an int, the symbol of a name, or the size itself.

        Raises: ValueError: the name is not an identifier (dots may join several).
        """
        if value.__class__ is Dim:
            return value
        if isinstance(value, int):
            return _constant(value)
        if isinstance(value, str):
            return _symbol(str(value))
        raise TypeError(f"a size is an int, a name or a Dim, not {value!r}")

    @property
    def is_const(self) -> bool:
        return self._constant is not None

    @property
    def value(self) -> int:
        """The integer it is. Raises ValueError: it has symbols."""
        if self._constant is None:
            raise ValueError(f"`{self}` is not a constant")
        return self._constant

    @property
    def symbols(self) -> frozenset[str]:
        if self._symbols is None:
            names: set[str] = set()
            for atom in self.atoms():
                if atom.op == "symbol":
                    names.add(str(atom))
                else:
                    names.update(*(arg.symbols for arg in atom.args))
            self._symbols = frozenset(names)
        return self._symbols

    @property
    def terms(self) -> tuple[tuple[Monomial, int], ...]:
        """(atoms, coefficient) of each term, highest degree first; for lowering a size to other code."""
        return tuple(sorted(self._terms.items(), key=term_rank))

    def atoms(self) -> Iterator[Atom]:
        """Every factor of every term, with repetition, not descending into atoms."""
        for monomial in self._terms:
            yield from monomial

    def coefficient(self, monomial: Monomial) -> int:
        return self._terms.get(monomial, 0)

    def map_atoms(self, image: "Callable[[Atom], Dim]") -> "Dim":
        """The polynomial with each atom replaced by `image(atom)`."""
        if self._constant is not None:
            return self
        total: Terms = {}
        for monomial, factor in self._terms.items():
            product = prod((image(atom) for atom in monomial), start=_constant(factor))
            for key, coefficient in product._terms.items():
                add_term(total, key, coefficient)
        return Dim(total)

    def evaluate(self, env: Mapping[str, int]) -> int:
        """Its value when each symbol has the value in `env`.

        Raises: KeyError: a symbol is missing. ZeroDivisionError: a divisor is 0.
        """
        if self._constant is not None:
            return self._constant
        return sum(
            factor * prod(_evaluate_atom(atom, env) for atom in monomial) for monomial, factor in self._terms.items()
        )

    def substitute(self, env: "Mapping[str, Dim | int]") -> "Dim":
        """The size with symbols replaced, all at once; symbols that `env` lacks stay."""
        if self._constant is not None or self.symbols.isdisjoint(env):
            return self
        return self.map_atoms(lambda atom: _substitute_atom(atom, env))

    def __add__(self, other: "Dim | int") -> "Dim":
        if other.__class__ is not Dim:
            if not isinstance(other, int):
                return NotImplemented
            other = _constant(other)
        left, right = self._constant, other._constant
        if right is not None:
            if left is not None:
                return _constant(left + right)
            if right == 0:
                return self
        elif left == 0:
            return other
        total = self._terms.copy()
        for monomial, coefficient in other._terms.items():
            add_term(total, monomial, coefficient)
        return Dim(total)

    def __mul__(self, other: "Dim | int") -> "Dim":
        if other.__class__ is not Dim:
            if not isinstance(other, int):
                return NotImplemented
            other = _constant(other)
        left, right = self._constant, other._constant
        if left is not None:
            if right is not None:
                return _constant(left * right)
            return _scale(other, left)
        if right is not None:
            return _scale(self, right)
        if max(map(len, self._terms)) + max(map(len, other._terms)) > MAX_DEGREE:
            raise DimError(f"a size has a power over {MAX_DEGREE}")
        return Dim(multiplied(self._terms, other._terms))

    def __neg__(self) -> "Dim":
        return _scale(self, -1)

    def __sub__(self, other: "Dim | int") -> "Dim":
        return self + -other

    def __rsub__(self, other: int) -> "Dim":
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: "Dim | int") -> "Dim":
        divisor = Dim.of(other)
        left, right = self._constant, divisor._constant
        if left is not None and right is not None:
            return _constant(left // right)
        return self if right == 1 else _floor_divide(self, divisor)

    def __mod__(self, other: "Dim | int") -> "Dim":
        divisor = Dim.of(other)
        left, right = self._constant, divisor._constant
        if left is not None and right is not None:
            return _constant(left % right)
        return _modulo(self, divisor)

    def __rfloordiv__(self, other: int) -> "Dim":
        return _constant(other) // self

    def __rmod__(self, other: int) -> "Dim":
        return _constant(other) % self

    def __pow__(self, exponent: int) -> "Dim":
        if exponent < 0:
            raise ValueError(f"a size has no power {exponent}")
        if self._constant is None and exponent > MAX_DEGREE:
            raise DimError(f"a size has a power over {MAX_DEGREE}")
        if self._constant is not None:
            return _constant(self._constant**exponent)
        return prod((self for _ in range(exponent)), start=_constant(1))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Dim):
            if self._constant is not None or other._constant is not None:
                return self._constant == other._constant
            return self._terms == other._terms
        if isinstance(other, int):
            return self._constant == other
        return NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            constant = self._constant
            self._hash = hash(frozenset(self._terms.items())) if constant is None else hash(constant)
        return self._hash

    def __str__(self) -> str:
        """The size in source syntax; `parse_dim` reads it back."""
        if self._text is None:
            self._text = sum_text(self.terms)
        return self._text

    def __repr__(self) -> str:
        return f"Dim({self})"

    def __reduce__(self) -> "tuple[type[Dim], tuple[Terms]]":
        return Dim, (self._terms,)


def dmin(*args: Dim | int) -> Dim:
    """The smallest of the sizes: flat, without repetition, constants folded."""
    return _extremum("min", tuple(map(Dim.of, args)))


def dmax(*args: Dim | int) -> Dim:
    """The largest of the sizes: flat, without repetition, constants folded."""
    return _extremum("max", tuple(map(Dim.of, args)))


def polynomial_division(number: Dim, divisor: Dim) -> tuple[Dim, Dim]:
    """The unique `(q, r)` with `number == q * divisor + r` and `r` reduced by the leading term of `divisor`."""
    quotient, rest = divided(number._terms, divisor._terms)
    return Dim(quotient), Dim(rest)


def monomial_dim(monomial: Monomial, factor: int = 1) -> Dim:
    """The size of one term."""
    return Dim({monomial: factor}) if factor else _constant(0)


def _constant(value: int) -> Dim:
    found = _CONSTANTS.get(value)
    if found is None:
        found = Dim({(): int(value)} if value else {})
        if -1024 <= value <= 1024:
            _CONSTANTS[value] = found
    return found


def _symbol(name: str) -> Dim:
    found = _SYMBOLS.get(name)
    if found is None:
        if not re.fullmatch(SYMBOL_PATTERN, name):
            raise ValueError(f"`{name}` is not a name")
        found = _SYMBOLS[name] = unchecked_symbol(name)
    return found


def unchecked_symbol(name: str) -> Dim:
    """A symbol whose name need not be an identifier, so that it can clash with no other."""
    return Dim({(Atom("symbol", name=name),): 1})


def _scale(dim: Dim, factor: int) -> Dim:
    if factor == 1:
        return dim
    if factor == 0:
        return _constant(0)
    if dim._constant is not None:
        return _constant(dim._constant * factor)
    return Dim({monomial: coefficient * factor for monomial, coefficient in dim._terms.items()})


@lru_cache(maxsize=16_384)
def _floor_divide(number: Dim, divisor: Dim) -> Dim:
    if divisor._constant is not None and divisor._constant <= 0:
        if divisor._constant == 0:
            raise ZeroDivisionError(f"`{number}` divided by 0")
        number, divisor = -number, -divisor
    quotient, rest = polynomial_division(number, divisor)
    if rest == 0 or (divisor.is_const and rest.is_const):
        return quotient
    small_rest, small_divisor, _, content = _without_content(rest, divisor)
    if content != 1:
        return quotient + small_rest // small_divisor
    nested = [atom for atom in rest.atoms() if atom.op == "//"]
    if len(nested) == 1 and rest._terms.get((nested[0],)) == 1:
        inner_number, inner_divisor = nested[0].args
        others = rest - monomial_dim((nested[0],))
        return quotient + (inner_number + inner_divisor * others) // (inner_divisor * divisor)
    for atom in rest.atoms():
        factor = rest._terms.get((atom,), 0)
        if atom.op == "%" and len(rest._terms) == 1 and _is_constant_up_to(atom.args[1] * factor, divisor):
            return quotient
    return quotient + Dim({(Atom("//", (rest, divisor)),): 1})


@lru_cache(maxsize=16_384)
def _modulo(number: Dim, divisor: Dim) -> Dim:
    if divisor._constant is not None and divisor._constant <= 0:
        if divisor._constant == 0:
            raise ZeroDivisionError(f"`{number}` divided by 0")
        return -(-number % -divisor)
    _, rest = polynomial_division(number, divisor)
    if rest == 0 or (divisor.is_const and rest.is_const):
        return rest
    small_rest, small_divisor, low_part, content = _without_content(rest, divisor)
    if content != 1:
        return content * (small_rest % small_divisor) + low_part
    for atom in rest.atoms():
        if atom.op == "%" and (factor := rest._terms.get((atom,))) is not None:
            if polynomial_division(atom.args[1] * factor, divisor)[1] == 0:
                return (rest + factor * (atom.args[0] - monomial_dim((atom,)))) % divisor
            if rest == monomial_dim((atom,)) and _is_constant_up_to(atom.args[1], divisor):
                return rest
    return Dim({(Atom("%", (rest, divisor)),): 1})


def _is_constant_up_to(dim: Dim, limit: Dim) -> bool:
    return dim._constant is not None and limit._constant is not None and 0 < dim._constant <= limit._constant


def _without_content(number: Dim, divisor: Dim) -> tuple[Dim, Dim, int, Dim]:
    """`(n, d, low, g)` with `number == g * n + low`, `divisor == g * d` and `0 <= low < g`."""
    small_number, small_divisor, factor, shared = without_content(number._terms, divisor._terms)
    if factor == 1 and not shared:
        return number, divisor, 0, _constant(1)
    low = number._terms.get((), 0) % factor
    return Dim(small_number), Dim(small_divisor), low, monomial_dim(shared, factor)


def _extremum(op: Literal["min", "max"], args: tuple[Dim, ...]) -> Dim:
    if not args:
        raise ValueError(f"`{op}` needs an argument")
    kept: list[Dim] = []
    for arg in args:
        atom = next(arg.atoms(), None)
        nested = atom is not None and atom.op == op and arg == monomial_dim((atom,))
        for candidate in atom.args if nested and atom is not None else (arg,):
            for index, other in enumerate(kept):
                gap = (candidate - other)._constant
                if gap is not None:
                    if (gap < 0) == (op == "min"):
                        kept[index] = candidate
                    break
            else:
                kept.append(candidate)
    if len(kept) == 1:
        return kept[0]
    return Dim({(Atom(op, tuple(sorted(kept, key=lambda arg: (arg.is_const, str(arg))))),): 1})


def _evaluate_atom(atom: Atom, env: Mapping[str, int]) -> int:
    if atom.op == "symbol":
        return env[atom]
    values = [arg.evaluate(env) for arg in atom.args]
    if atom.op == "//":
        return values[0] // values[1]
    if atom.op == "%":
        return values[0] % values[1]
    return min(values) if atom.op == "min" else max(values)


def _substitute_atom(atom: Atom, env: Mapping[str, Dim | int]) -> Dim:
    if atom.op == "symbol":
        return Dim.of(env[atom]) if atom in env else monomial_dim((atom,))
    return apply_atom(atom.op, tuple(arg.substitute(env) for arg in atom.args))


def apply_atom(op: AtomOp, args: tuple[Dim, ...]) -> Dim:
    """The canonical size of an atom's operation on new operands."""
    if op == "//":
        return args[0] // args[1]
    if op == "%":
        return args[0] % args[1]
    assert op == "min" or op == "max"
    return _extremum(op, args)


_CONSTANTS: dict[int, Dim] = {}
_SYMBOLS: dict[str, Dim] = {}
