"""Run-time values of symbolic sizes: read from the shapes of the inputs, computed once, in int64.

A size is held as a tensor of one element, because shapes are concatenations of these. All nodes stand in the model's
own graph, where the bodies of loops can read them.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from netdsl.backends.onnx.context import Attribute
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.dim_algebra import monomial_dim
from netdsl.dim_terms import Atom
from netdsl.dims import Dim, Facts
from netdsl.tensor_type import I64, DType, TensorType


class _Emitter(Protocol):
    def node(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Attribute) -> tuple[str, ...]: ...
    def constant(self, values: object, dtype: DType, shape: Sequence[int] | None = None) -> str: ...
    def at_root(self) -> AbstractContextManager[None]: ...


class Sizes:
    """Names of tensors that hold sizes and shapes."""

    def __init__(self, emitter: _Emitter, facts: Facts) -> None:
        self._emitter = emitter
        self._facts = facts
        self._inputs: list[tuple[str, tuple[Dim, ...]]] = []
        self._vectors: dict[Dim, str] = {}
        self._scalars: dict[Dim, str] = {}
        self._shapes: dict[tuple[Dim, ...], str] = {}
        self._solved: dict[str, tuple[Dim, Dim, Dim]] | None = None

    def add_input(self, name: str, t: TensorType) -> None:
        self._inputs.append((name, t.sizes))

    def scalar(self, dim: Dim) -> str:
        """A 0-d i64 tensor with the value of `dim`."""
        if dim.is_const:
            return self._emitter.constant(dim.value, I64, ())
        found = self._scalars.get(dim)
        if found is None:
            with self._emitter.at_root():
                (found,) = self._emitter.node("Squeeze", self._vector(dim))
            self._scalars[dim] = found
        return found

    def vector(self, dim: Dim) -> str:
        """An i64 tensor of one element with the value of `dim`."""
        with self._emitter.at_root():
            return self._vector(dim)

    def shape(self, dims: Sequence[Dim]) -> str:
        """A 1-d i64 tensor with the values of `dims`."""
        key = tuple(dims)
        found = self._shapes.get(key)
        if found is None:
            with self._emitter.at_root():
                parts = self._parts(key)
                found = parts[0] if len(parts) == 1 else self._emitter.node("Concat", *parts, axis=0)[0]
            self._shapes[key] = found
        return found

    def _parts(self, dims: tuple[Dim, ...]) -> list[str]:
        """The shape in pieces: runs of constants, runs that one input has, and single sizes."""
        parts: list[str] = []
        at = 0
        while at < len(dims):
            end = at
            while end < len(dims) and dims[end].is_const:
                end += 1
            if end > at:
                parts.append(self._emitter.constant([d.value for d in dims[at:end]], I64, (end - at,)))
            else:
                name, start, count = self._longest_run(dims[at:])
                end = at + max(count, 1)
                parts.append(self._read(name, start, start + count) if count > 1 else self._vector(dims[at]))
            at = end
        return parts or [self._emitter.constant([], I64, (0,))]

    def _longest_run(self, wanted: tuple[Dim, ...]) -> tuple[str, int, int]:
        """(input, first axis, number of axes) of the longest run of axes that `wanted` begins with."""
        best = ("", 0, 0)
        for name, sizes in self._inputs:
            for start in range(len(sizes)):
                count = 0
                while start + count < len(sizes) and count < len(wanted) and sizes[start + count] == wanted[count]:
                    count += 1
                if count > best[2]:
                    best = (name, start, count)
        return best

    def _read(self, name: str, start: int, end: int) -> str:
        return self._emitter.node("Shape", name, start=start, end=end)[0]

    def _vector(self, dim: Dim) -> str:
        found = self._vectors.get(dim)
        if found is None:
            found = self._vectors[dim] = self._compute(dim)
        return found

    def _compute(self, dim: Dim) -> str:
        if dim.is_const:
            return self._emitter.constant([dim.value], I64, (1,))
        name, start, count = self._longest_run((dim,))
        if count:
            return self._read(name, start, start + 1)
        (monomial, factor), *rest = dim.terms
        if rest:
            return self._sum(dim)
        if factor != 1:
            return self._binary("Mul", self._vector(monomial_dim(monomial)), self._vector(Dim.of(factor)))
        *head, last = monomial
        if head:
            return self._binary("Mul", self._vector(monomial_dim(tuple(head))), self._vector(monomial_dim((last,))))
        return self._atom(last)

    def _sum(self, dim: Dim) -> str:
        """Positive terms first, so that nothing needs a negation."""
        terms = sorted(dim.terms, key=lambda term: term[1] < 0)
        total = Dim.of(0)
        for monomial, factor in terms:
            if total == 0:
                total = monomial_dim(monomial, factor)
                continue
            step = monomial_dim(monomial, abs(factor))
            left = self._vector(total)
            total = total + monomial_dim(monomial, factor)
            if total not in self._vectors:
                self._vectors[total] = self._binary("Add" if factor > 0 else "Sub", left, self._vector(step))
        return self._vectors[total]

    def _atom(self, atom: Atom) -> str:
        if atom.op == "symbol":
            return self._solve(atom)
        operands = tuple(self._vector(arg) for arg in atom.args)
        if atom.op == "min" or atom.op == "max":
            return self._emitter.node(atom.op.capitalize(), *operands)[0]
        number, divisor = operands
        if not self._is_positive(atom.args[1]):
            # ONNX Runtime ends the process at an integer division by 0.
            divisor = self._binary("Max", divisor, self._vector(Dim.of(1)))
        if atom.op == "%":
            return self._binary("Mod", number, divisor)
        low, _ = self._facts.bounds(atom.args[0])
        if low is None or low < 0:
            # ONNX Div rounds towards 0, sizes round down; Mod takes the sign of the divisor.
            number = self._binary("Sub", number, self._binary("Mod", number, divisor))
        return self._binary("Div", number, divisor)

    def _solve(self, symbol: Atom) -> str:
        """A symbol that is no axis by itself: from an axis or a fact that is linear in it."""
        found = self._solutions().get(symbol)
        if found is None:
            raise NetError(
                Diagnostic(
                    "E0712",
                    f"the size `{symbol}` cannot be read from the inputs",
                    notes=("no input has an axis of this size, or one that is linear in it",),
                    help=f"give an input an axis of size `{symbol}`",
                )
            )
        total, slope, offset = found
        number = self._vector(total)
        if offset != 0:
            negative = offset.is_const and offset.value < 0
            number = self._binary("Add" if negative else "Sub", number, self._vector(-offset if negative else offset))
        if slope == 1:
            return number
        divisor = self._vector(slope)
        if not self._is_positive(slope):
            divisor = self._binary("Max", divisor, self._vector(Dim.of(1)))
        return self._binary("Div", number, divisor)

    def _solutions(self) -> dict[str, tuple[Dim, Dim, Dim]]:
        """(total, slope, offset) of each symbol that an equation gives: total == slope * symbol + offset."""
        if self._solved is not None:
            return self._solved
        sizes = [size for _, axes in self._inputs for size in axes]
        known = {str(size) for size in sizes if str(size) in size.symbols}
        pending = [(size, size) for size in sizes if not size.is_const]
        pending += [
            pair for op, left, right in self._facts.items if op == "==" for pair in ((left, right), (right, left))
        ]
        self._solved = {}
        is_new = True
        while is_new:
            is_new = False
            for total, expression in pending:
                unknown = expression.symbols - known
                is_axis = total is expression
                if len(unknown) != 1 or not (is_axis or total.symbols <= known):
                    continue
                slope, offset = linear(expression, next(iter(unknown)))
                if slope == 0 or (slope.is_const and slope.value < 0):
                    continue
                self._solved[next(iter(unknown))] = total, slope, offset
                known |= unknown
                is_new = True
        return self._solved

    def _is_positive(self, dim: Dim) -> bool:
        low, _ = self._facts.bounds(dim)
        return low is not None and low >= 1

    def _binary(self, op_type: str, left: str, right: str) -> str:
        return self._emitter.node(op_type, left, right)[0]


def linear(size: Dim, symbol: str) -> tuple[Dim, Dim]:
    """`(slope, offset)` with `size == slope * symbol + offset`; slope 0 if it is not linear in the symbol."""
    slope, offset = Dim.of(0), Dim.of(0)
    for monomial, factor in size.terms:
        others = tuple(atom for atom in monomial if atom != symbol)
        rest = monomial_dim(others, factor)
        if symbol in rest.symbols or len(monomial) - len(others) > 1:
            return Dim.of(0), Dim.of(0)
        if len(others) < len(monomial):
            slope = slope + rest
        else:
            offset = offset + rest
    return slope, offset
