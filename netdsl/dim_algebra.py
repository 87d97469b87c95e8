"""Symbolic sizes: polynomials over named sizes with `//`, `%`, `min` and `max` atoms, kept in one canonical form."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import gcd, prod
from typing import Literal, NoReturn, Self, TypeAlias

MAX_TERMS = 512
MAX_DEGREE = 64
MAX_DEPTH = 64
MAX_TEXT = 20_000

AtomOp: TypeAlias = Literal["symbol", "//", "%", "min", "max"]

_SYMBOL = r"[^\W\d]\w*(?:\.\w+)*"
_TOKEN = rf"\s*(?:(\d+)|({_SYMBOL})|(//|[-+*%(),])|(\S))"


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
        if self.depth > MAX_DEPTH or len(self) > MAX_TEXT:
            raise DimError(f"a size nests `//`, `%`, `min` and `max` more than {MAX_DEPTH} deep")
        return self

    def __getnewargs__(self) -> "tuple[AtomOp, tuple[Dim, ...], str]":  # type: ignore[override]
        return self.op, self.args, str(self)


Monomial: TypeAlias = tuple[Atom, ...]
"""Atoms in ascending order, repeated for powers; the empty one is the constant term."""


class Dim:
    """A size: an integer polynomial over atoms, equal to another exactly when their canonical forms are.

    Divisors are taken to be positive. Canonical rewriting is exact for every integer value of the symbols,
    also for negative ones; knowledge about symbols (sizes are not negative) is used by `Facts` only.

    Raises: DimError: more than 512 terms, a power over 64, or atoms nested over 64 deep.
    """

    __slots__ = ("_constant", "_hash", "_symbols", "_terms", "_text")
    _terms: dict[Monomial, int]
    _constant: int | None
    _hash: int | None
    _text: str | None
    _symbols: frozenset[str] | None

    def __init__(self, terms: dict[Monomial, int]) -> None:
        """Takes over `terms`, which holds sorted monomials and no zero coefficient."""
        self._terms = terms
        self._constant = None
        self._hash = self._text = self._symbols = None
        if len(terms) < 2:
            self._constant = terms.get((), None) if terms else 0
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
        return tuple(sorted(self._terms.items(), key=_term_rank))

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
        total: dict[Monomial, int] = {}
        for monomial, factor in self._terms.items():
            product = prod((image(atom) for atom in monomial), start=_constant(factor))
            for key, coefficient in product._terms.items():
                _accumulate(total, key, coefficient)
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
            _accumulate(total, monomial, coefficient)
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
        total: dict[Monomial, int] = {}
        for first, scale in self._terms.items():
            for second, coefficient in other._terms.items():
                _accumulate(total, tuple(sorted(first + second)), scale * coefficient)
        return Dim(total)

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
            self._text = _sum_text(self.terms)
        return self._text

    def __repr__(self) -> str:
        return f"Dim({self})"

    def __reduce__(self) -> "tuple[type[Dim], tuple[dict[Monomial, int]]]":
        return Dim, (self._terms,)


def dmin(*args: Dim | int) -> Dim:
    """The smallest of the sizes: flat, without repetition, constants folded."""
    return _extremum("min", tuple(map(Dim.of, args)))


def dmax(*args: Dim | int) -> Dim:
    """The largest of the sizes: flat, without repetition, constants folded."""
    return _extremum("max", tuple(map(Dim.of, args)))


def parse_dim(text: str) -> Dim:
    """The size that `text` writes: names, integers, `+ - * // %`, `min(..)`, `max(..)` and brackets.

    Raises: ValueError: anything else, or a division by the constant 0.
    """
    try:
        return _Parser(text).whole()
    except ZeroDivisionError:
        raise ValueError(f"`{text}` divides by 0") from None
    except RecursionError:
        raise ValueError("a size has too many nested brackets") from None


def polynomial_division(number: Dim, divisor: Dim) -> tuple[Dim, Dim]:
    """`(q, r)` with `number == q * divisor + r` and no term of `r` a multiple of the leading term of `divisor`.

    The pair is unique: `number + p * divisor` gives `(q + p, r)` for every polynomial `p`.
    """
    lead = min(divisor._terms, key=_rank)
    lead_factor = divisor._terms[lead]
    pending = number._terms.copy()
    quotient: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    while pending:
        monomial = min(pending, key=_rank) if lead else next(iter(pending))
        factor = pending.pop(monomial)
        cofactor = monomial_quotient(monomial, lead)
        times = 0 if cofactor is None else factor // lead_factor
        if cofactor is not None and times:
            quotient[cofactor] = times
            for term, coefficient in divisor._terms.items():
                if term is not lead:
                    _accumulate(pending, tuple(sorted(term + cofactor)), -times * coefficient)
        if factor != times * lead_factor:
            rest[monomial] = factor - times * lead_factor
    return Dim(quotient), Dim(rest)


def monomial_quotient(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """`monomial / divisor`, or None when that is not a monomial."""
    if not divisor:
        return monomial
    if len(divisor) > len(monomial):
        return None
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


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
        if not re.fullmatch(_SYMBOL, name):
            raise ValueError(f"`{name}` is not a name")
        found = _SYMBOLS[name] = unchecked_symbol(name)
    return found


def unchecked_symbol(name: str) -> Dim:
    """A symbol whose name need not be an identifier, so that it can clash with no other."""
    return Dim({(Atom("symbol", name=name),): 1})


def _accumulate(terms: dict[Monomial, int], monomial: Monomial, coefficient: int) -> None:
    total = terms.get(monomial, 0) + coefficient
    if total:
        terms[monomial] = total
    else:
        terms.pop(monomial, None)


def _scale(dim: Dim, factor: int) -> Dim:
    if factor == 1:
        return dim
    if factor == 0:
        return _constant(0)
    if dim._constant is not None:
        return _constant(dim._constant * factor)
    return Dim({monomial: coefficient * factor for monomial, coefficient in dim._terms.items()})


def _rank(monomial: Monomial) -> tuple[int, Monomial]:
    """Sorts a graded lexicographic order, highest monomial first."""
    return -len(monomial), monomial


def _term_rank(term: tuple[Monomial, int]) -> tuple[int, Monomial]:
    return _rank(term[0])


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
    if divisor.is_const and len(rest._terms) == 1 and len(nested := list(rest.atoms())) == 1 and nested[0].op == "%":
        bound = nested[0].args[1] * rest._terms[(nested[0],)]
        if bound.is_const and bound.value <= divisor.value:
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
            if rest == monomial_dim((atom,)) and divisor.is_const and atom.args[1].is_const:
                if atom.args[1].value <= divisor.value:
                    return rest
    return Dim({(Atom("%", (rest, divisor)),): 1})


def _without_content(number: Dim, divisor: Dim) -> tuple[Dim, Dim, int, Dim]:
    """`(n, d, low, g)` with `number == g * n + low`, `divisor == g * d`, `0 <= low < g` and `g` as large as it is clear."""
    constant = number._terms.get((), 0)
    factor = gcd(*divisor._terms.values(), *(c for m, c in number._terms.items() if m))
    shared: Monomial = ()
    if not constant:
        monomials = [*number._terms, *divisor._terms]
        for atom in dict.fromkeys(monomials[0]):
            if atom.op == "symbol":
                shared += (atom,) * min(monomial.count(atom) for monomial in monomials)
    if factor == 1 and not shared:
        return number, divisor, 0, _constant(1)

    def shrink(dim: Dim) -> Dim:
        reduced: dict[Monomial, int] = {}
        for monomial, coefficient in dim._terms.items():
            left = monomial_quotient(monomial, shared)
            if left is not None and coefficient // factor:
                reduced[left] = coefficient // factor
        return Dim(reduced)

    return shrink(number), shrink(divisor), constant % factor, monomial_dim(shared, factor)


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
    return Dim({(Atom(op, tuple(sorted(kept, key=_extremum_rank))),): 1})


def _extremum_rank(dim: Dim) -> tuple[bool, str]:
    return dim.is_const, str(dim)


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


def _atom_text(op: AtomOp, args: tuple[Dim, ...]) -> str:
    if op == "min" or op == "max":
        return f"{op}({', '.join(map(str, args))})"
    return f"{_operand_text(args[0])} {op} {_operand_text(args[1])}"


def _operand_text(dim: Dim) -> str:
    text = str(dim)
    is_plain = text.isdigit() or (len(dim._terms) == 1 and text == next(dim.atoms(), None) and _is_closed(text))
    return text if is_plain else f"({text})"


def _is_closed(text: str) -> bool:
    return " " not in text or text.startswith(("min(", "max("))


def _sum_text(terms: tuple[tuple[Monomial, int], ...]) -> str:
    text = ""
    for monomial, factor in terms:
        magnitude = abs(factor)
        factors = [str(magnitude)] if magnitude != 1 or not monomial else []
        is_bare = len(monomial) == 1 and not factors and (bool(text) or factor > 0)
        factors += [atom if is_bare or _is_closed(atom) else f"({atom})" for atom in monomial]
        sign = (" - " if factor < 0 else " + ") if text else ("-" if factor < 0 else "")
        text += sign + " * ".join(factors)
    return text or "0"


class _Parser:
    """Precedence climbing over the tokens of one size."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        for number, name, operator, junk in re.findall(_TOKEN, text):
            if junk:
                self.fail(junk)
            self.tokens.append(("number", number) if number else ("name", name) if name else ("operator", operator))
        self.tokens.append(("end", ""))
        self.index = 0

    def fail(self, found: str) -> NoReturn:
        raise ValueError(f"`{self.text}` is not a size: did not expect `{found or 'the end'}`")

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def accept(self, *operators: str) -> str | None:
        kind, text = self.tokens[self.index]
        if kind != "operator" or text not in operators:
            return None
        self.index += 1
        return text

    def whole(self) -> Dim:
        dim = self.sum()
        kind, text = self.take()
        return dim if kind == "end" else self.fail(text)

    def sum(self) -> Dim:
        dim = self.product()
        while operator := self.accept("+", "-"):
            right = self.product()
            dim = dim + right if operator == "+" else dim - right
        return dim

    def product(self) -> Dim:
        dim = self.factor()
        while operator := self.accept("*", "//", "%"):
            right = self.factor()
            dim = dim * right if operator == "*" else dim // right if operator == "//" else dim % right
        return dim

    def factor(self) -> Dim:
        if self.accept("-"):
            return -self.factor()
        kind, text = self.take()
        if kind == "number":
            return _constant(int(text))
        if kind == "name":
            if text in ("min", "max") and self.accept("("):
                args = [self.sum()]
                while self.accept(","):
                    args.append(self.sum())
                self.close()
                return dmin(*args) if text == "min" else dmax(*args)
            return _symbol(text)
        if text != "(" or kind == "end":
            self.fail(text)
        dim = self.sum()
        self.close()
        return dim

    def close(self) -> None:
        if not self.accept(")"):
            self.fail(self.tokens[self.index][1])


_CONSTANTS: dict[int, Dim] = {}
_SYMBOLS: dict[str, Dim] = {}
