"""Checks of a module's arguments against the types and facts of the network's header."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import torch
from torch import fx, nn

from netdsl.backends.torch_fx.dtypes import torch_dtype, type_name
from netdsl.backends.torch_fx.sizes import SizePlan
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph
from netdsl.tensor_type import DType, TensorType

#: A polynomial over numbered sizes in plain tuples, which compilers can trace: (coefficient, factors) of each term.
#: A factor is the number of a size, or an operation on polynomials.
Polynomial: TypeAlias = "tuple[tuple[int, tuple[Factor, ...]], ...]"
Factor: TypeAlias = "int | tuple[Callable[..., int], tuple[Polynomial, ...]]"


class InputError(ValueError):
    """An argument of a module is not what the network's header says."""


@dataclass(frozen=True, slots=True)
class _Tests:
    """What is read from the shapes, in this order.

    Args:
        fixed:   (input, axis, size) of constant axes.
        bound:   (input, axis, slot): the axis gives the size in the slot.
        solved:  (input, axis, slot, rest, factor): slot = (axis + rest) // factor, which must be exact.
        derived: (slot, number, factor): slot = number // factor, by a fact.
        equal:   (input, axis, slot) of further axes of a bound size.
        computed: (input, axis, size) of axes whose size is an expression.
        facts:   (operator, left, right, text, slots of its symbols).
        tables:  (input, size that its indices stay below).
        ranges:  (input, low, high) of values.
    """

    symbols: tuple[str, ...]
    fixed: tuple[tuple[int, int, int], ...]
    bound: tuple[tuple[int, int, int], ...]
    solved: tuple[tuple[int, int, int, Polynomial, Polynomial], ...]
    derived: tuple[tuple[int, Polynomial, Polynomial], ...]
    equal: tuple[tuple[int, int, int], ...]
    computed: tuple[tuple[int, int, Polynomial], ...]
    facts: tuple[tuple[Callable[[int, int], bool], Polynomial, Polynomial, str, tuple[int, ...]], ...]
    tables: tuple[tuple[int, Polynomial], ...]
    ranges: tuple[tuple[int, float, float], ...]


class EntryChecks(nn.Module):
    """A leaf at the start of a module that raises `InputError` for an argument of another type.

    Rank, element type, constant sizes, equal symbols and the network's `where` facts are read from shapes, so that
    compilers turn them into guards. Values (those of `idx`, and ranges) are tested in eager mode on the CPU only.
    """

    _is_impure = True
    anchor: torch.Tensor

    def __init__(self, graph: Graph, own: DType | None) -> None:
        super().__init__()
        self.names = tuple(name for name, _ in graph.inputs)
        self.types = tuple(value.type for _, value in graph.inputs)
        self.kinds = tuple(
            (torch_dtype(t.dtype), t.rank, own is not None and t.dtype.name == own.name) for t in self.types
        )
        self.tests = _tests(self.types, graph.facts, [(self.names.index(r.name), r.low, r.high) for r in graph.ranges])
        self.register_buffer("anchor", torch.empty(0, dtype=torch_dtype(own) if own else None), persistent=False)

    def forward(self, *tensors: Any) -> None:
        own = self.anchor.dtype
        for index, (dtype, rank, follows) in enumerate(self.kinds):
            tensor = tensors[index]
            if isinstance(tensor, fx.Proxy):
                return
            if not isinstance(tensor, torch.Tensor) or tensor.dtype != (own if follows else dtype):
                self._refuse(tensors, index, "")
            if tensor.dim() != rank:
                self._refuse(tensors, index, f": {_axes(rank)}, found {tensor.dim()}")
        tests = self.tests
        for index, axis, size in tests.fixed:
            if tensors[index].shape[axis] != size:
                self._refuse(tensors, index, f": axis {axis} is {size}, found {tensors[index].shape[axis]}")
        if tests.symbols:
            self._check_sizes(tests, tensors)
        if tests.ranges and not torch.compiler.is_compiling():
            for index, low, high in tests.ranges:
                self._check_range(self.names[index], tensors[index], low, high)

    def _check_sizes(self, tests: _Tests, tensors: tuple[torch.Tensor, ...]) -> None:
        sizes = [0] * len(tests.symbols)
        for index, axis, slot in tests.bound:
            sizes[slot] = tensors[index].shape[axis]
        for index, axis, slot, rest, factor in tests.solved:
            number, divisor = tensors[index].shape[axis] + _evaluate(rest, sizes), _evaluate(factor, sizes)
            if divisor == 0 or number % divisor != 0 or number < 0:
                self._refuse_size(tensors, index, axis, "")
            sizes[slot] = number // divisor
        for slot, fact, factor in tests.derived:
            divisor = _evaluate(factor, sizes)
            sizes[slot] = _evaluate(fact, sizes) // divisor if divisor != 0 else 0
        for index, axis, slot in tests.equal:
            if tensors[index].shape[axis] != sizes[slot]:
                self._refuse_size(tensors, index, axis, f" = {sizes[slot]}")
        for index, axis, size in tests.computed:
            if tensors[index].shape[axis] != (value := _evaluate(size, sizes)):
                self._refuse_size(tensors, index, axis, f" = {value}")
        for holds, left, right, text, slots in tests.facts:
            if not holds(_evaluate(left, sizes), _evaluate(right, sizes)):
                found = ", ".join(f"{tests.symbols[slot]} = {sizes[slot]}" for slot in slots)
                raise InputError(f"the network needs `{text}`, found {found}")
        if tests.tables and not torch.compiler.is_compiling():
            for index, table in tests.tables:
                self._check_indices(self.names[index], tensors[index], _evaluate(table, sizes))

    def _check_indices(self, name: str, tensor: torch.Tensor, size: int) -> None:
        if tensor.numel() == 0 or not is_concrete(tensor):
            return
        low, high = torch.aminmax(tensor)
        for found in (int(low), int(high)):
            if not 0 <= found < size:
                raise InputError(f"`{name}` holds indices below {size}, found {found}")

    def _check_range(self, name: str, tensor: torch.Tensor, low: float, high: float) -> None:
        if tensor.numel() == 0 or not is_concrete(tensor):
            return
        least, most = torch.aminmax(tensor.detach())
        ends = torch.tensor([low, high], dtype=tensor.dtype if tensor.is_floating_point() else torch.float64)
        if not (ends[0] <= least and most <= ends[1]):
            shown = f"{least.item():g} to {most.item():g}"
            raise InputError(f"`{name}` lies in {low:g}..{high:g}, found {shown}")

    def _refuse_size(self, tensors: Sequence[object], index: int, axis: int, value: str) -> NoReturn:
        found = tensors[index]
        assert isinstance(found, torch.Tensor)
        size = self.types[index].sizes[axis]
        self._refuse(tensors, index, f": axis {axis} is {size}{value}, found {found.shape[axis]}")

    def _refuse(self, tensors: Sequence[object], index: int, why: str) -> NoReturn:
        expected: object = self.types[index]
        if self.kinds[index][2]:
            axes = self.types[index].axes
            name = type_name(self.anchor.dtype)
            expected = f"{name}[{', '.join(map(str, axes))}]" if axes else name
        found = tensors[index]
        text = "something that is no tensor"
        if isinstance(found, torch.Tensor):
            shape = ", ".join(str(size) for size in found.shape)
            text = f"{type_name(found.dtype)}[{shape}]" if found.dim() else type_name(found.dtype)
        raise InputError(f"`{self.names[index]}` is {expected}, found {text}{why}")


def is_concrete(tensor: torch.Tensor) -> bool:
    """Whether reading the values is possible and cheap: a plain tensor on the CPU, outside every transformation."""
    return (
        type(tensor) in (torch.Tensor, nn.Parameter)
        and tensor.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _tests(types: Sequence[TensorType], facts: Facts, ranges: Sequence[tuple[int, float, float]]) -> _Tests:
    plan = SizePlan(types, facts)
    slots = {name: slot for slot, name in enumerate(plan.solutions)}
    sources = {s.source: name for name, s in plan.solutions.items() if s.source is not None}
    fixed, bound, solved, equal, computed = [], [], [], [], []
    for index, t in enumerate(types):
        for axis, size in enumerate(t.sizes):
            name = sources.get((index, axis))
            if size.is_const:
                fixed.append((index, axis, size.value))
            elif name == str(size):
                bound.append((index, axis, slots[name]))
            elif name is not None:
                solution = plan.solutions[name]
                rest, factor = _polynomial(solution.rest, slots), _polynomial(solution.factor, slots)
                solved.append((index, axis, slots[name], rest, factor))
            elif str(size) in slots:
                equal.append((index, axis, slots[str(size)]))
            elif size.symbols <= slots.keys():
                computed.append((index, axis, _polynomial(size, slots)))
    order = list(slots.values())
    solved.sort(key=lambda test: order.index(test[2]))
    derived = [
        (slots[name], _polynomial(s.rest, slots), _polynomial(s.factor, slots))
        for name, s in plan.solutions.items()
        if s.source is None
    ]
    relations = [
        (
            _HOLDS[op],
            _polynomial(left, slots),
            _polynomial(right, slots),
            f"{left} {op} {right}",
            tuple(slot for name, slot in slots.items() if name in left.symbols | right.symbols),
        )
        for op, left, right in facts.items
        if left.symbols | right.symbols <= slots.keys()
    ]
    tables = [
        (index, _polynomial(t.dtype.table.size, slots))
        for index, t in enumerate(types)
        if t.dtype.table is not None and t.dtype.table.size.symbols <= slots.keys()
    ]
    return _Tests(
        tuple(slots),
        tuple(fixed),
        tuple(bound),
        tuple(solved),
        tuple(derived),
        tuple(equal),
        tuple(computed),
        tuple(relations),
        tuple(tables),
        tuple(ranges),
    )


def _polynomial(size: Dim, slots: dict[str, int]) -> Polynomial:
    return tuple(
        (
            coefficient,
            tuple(
                slots[str(atom)]
                if atom.op == "symbol"
                else (_OPERATIONS[atom.op], tuple(_polynomial(arg, slots) for arg in atom.args))
                for atom in atoms
            ),
        )
        for atoms, coefficient in size.terms
    )


def _evaluate(polynomial: Polynomial, sizes: Sequence[int]) -> int:
    total = 0
    for coefficient, factors in polynomial:
        term = coefficient
        for factor in factors:
            if isinstance(factor, int):
                term = term * sizes[factor]
            else:
                operation, args = factor
                term = term * operation(*[_evaluate(arg, sizes) for arg in args])
        total = total + term
    return total


def _axes(rank: int) -> str:
    return "1 axis" if rank == 1 else f"{rank} axes"


_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATIONS: dict[str, Callable[..., int]] = {"//": operator.floordiv, "%": operator.mod, "min": min, "max": max}
