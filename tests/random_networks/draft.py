"""A network under construction: values with their types as the checker sees them, and their numbers in every case."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.context import Env
from netdsl.dims import Dim, DimError, Facts
from netdsl.ir import Init, Instance, Node, Param, Value, walk
from netdsl.ir_source_ops import literal_types
from netdsl.ops.base import Op
from netdsl.ops.creation import Constant, DimValue, Eye, Full, Iota
from netdsl.ops.indexing import OneHot
from netdsl.ops.masks import LengthMask, TriMask
from netdsl.ops.shape import Broadcast, Reshape
from netdsl.sampling import storage_dtype
from netdsl.tensor_type import F16, F32, F64, Axis, DType, ShapeError, TensorType
from tests.random_networks.coverage import Coverage
from tests.random_networks.worlds import NOISY, Case, Declined, Views, evaluate

Array = NDArray[Any]
Sampler = Callable[[np.random.Generator, tuple[int, ...], Mapping[str, int]], Array]

MOST_ELEMENTS = 1500
MOST_INPUTS, MOST_PARAMS = 7, 7


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A value that can be read: `type` carries axis names as in the text; `views` are its numbers, one entry a case.

    Args:
        producer: the name of the op that made it; empty for inputs, parameters and arguments.
        number:   the op of a constant or a size that stands in the text where it is used.
        views:    None in a case in which the value is never computed (the body of a loop without steps).
    """

    value: Value
    type: TensorType
    views: tuple[Views | None, ...]
    producer: str = ""
    number: Constant | DimValue | None = None


@dataclass(eq=False)
class Frame:
    """One body being built, the innermost last: nodes, and the values made in it."""

    nodes: list[Node] = field(default_factory=list)
    pool: list[Held] = field(default_factory=list)
    used: Counter[Value] = field(default_factory=Counter)
    #: Whether values of the frames around it can be read.
    is_open: bool = True
    instance: int = 0
    path: str = ""


@dataclass(eq=False)
class Draft:
    """State of one network. Everything random comes from `rng`."""

    rng: random.Random
    facts: Facts
    symbols: tuple[str, ...]
    cases: tuple[Case, ...]
    main: DType
    coverage: Coverage
    inputs: list[tuple[str, Held]] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=lambda: [Frame()])
    #: Values whose nodes stay, read or not.
    kept: set[Value] = field(default_factory=set)
    forced: Held | None = None
    declined: int = 0
    #: A float that stands alone in the text is f32, as long as the header does not name one other float type.
    needs_f32: bool = False

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    @property
    def size(self) -> int:
        """Nodes so far, bodies of loops included."""
        return sum(sum(1 for _ in walk(f.nodes)) for f in self.frames)

    def visible(self) -> list[Held]:
        found: list[Held] = []
        for frame in reversed(self.frames):
            found += frame.pool
            if not frame.is_open:
                break
        return found

    def take(self, wanted: Callable[[TensorType], bool], consumer: str, *, numbers: bool = True) -> Held | None:
        """A value of a wanted type: the forced one if it fits, else one that this consumer has seldom read."""
        forced = self.forced
        if forced is not None and wanted(forced.type) and (numbers or forced.number is None):
            self.forced = None
            return forced
        fitting = [h for h in self.visible() if wanted(h.type)]
        if not fitting:
            return None
        own = {h.value for h in self.frame.pool}
        weights = [
            (4.0 if h.value in own and h.value not in self.frame.used else 1.0)
            / (1 + 3 * self.coverage.seen(h.producer, consumer))
            for h in fitting
        ]
        return self.rng.choices(fitting, weights)[0]

    # --- making ------------------------------------------------------------------------------------------------------

    def new_input(self, t: TensorType, sampler: Sampler) -> Held | None:
        """A further input of the network, named axes for plain symbols; None where there are enough."""
        if len(self.inputs) >= MOST_INPUTS or self.elements(t.sizes) > MOST_ELEMENTS or len(self.frames) > 1:
            return None
        t = named(t)
        table = t.dtype.table
        if table is not None and any(table.size.evaluate(case.sizes) == 0 for case in self.cases):
            return None
        name = f"x{len(self.inputs)}"
        kept = storage_dtype(t.dtype.storage.name)
        views: list[Views] = []
        for case in self.cases:
            shape = tuple(size.evaluate(case.sizes) for size in t.sizes)
            array = np.asarray(sampler(case.rng, shape, case.sizes)).astype(kept)
            exact = array.astype(np.float64) if t.dtype.is_float else array
            views.append((exact,) * (1 + NOISY))
        held = Held(Value(t.without_names(), name), t, tuple(views))
        self.inputs.append((name, held))
        self.frames[0].pool.append(held)
        return held

    def new_param(self, t: TensorType, *, positive: bool = False, is_state: bool = False) -> Held | None:
        """A further parameter (in the network itself, sometimes a state) of constant shape in the current block.

        None where there are enough, or inside a loop.
        """
        frame = self.frame
        if len(self.params) >= MOST_PARAMS or not t.is_static or (len(self.frames) > 1 and frame.is_open):
            return None
        if self.elements(t.sizes) > MOST_ELEMENTS:
            return None
        name = f"p{len(self.params)}"
        path = f"{frame.path}.{name}" if frame.path else name
        shape = tuple(size.value for size in t.sizes)
        source = self.cases[0].rng
        array = (
            np.round(source.uniform(-1.5, 1.5, shape) * 8) / 8
            if self.rng.random() < 0.4
            else source.normal(0, 0.5, shape)
        )
        array = np.abs(array) + 0.25 if positive else array
        self.arrays[path] = array.astype(storage_dtype(t.dtype.name))
        value = Value(t.without_names(), path)
        kind = "state" if not frame.path and (is_state or self.rng.random() < 0.2) else "param"
        self.params.append(Param(path, kind, value, Init("normal", (("std", 0.5), ("mean", 0.0)))))
        exact = self.arrays[path].astype(np.float64)
        held = Held(value, t.without_names(), ((exact,) * (1 + NOISY),) * len(self.cases))
        frame.pool.append(held)
        return held

    def number(self, value: int | float | bool, dtype: DType) -> Held:
        """A constant that stands in the text where it is used; it becomes a node together with its reader."""
        op = Constant((value,), (), dtype)
        kind = {"float": np.float64, "int": np.int64, "bool": np.bool_}[dtype.kind]
        kept = np.asarray(value, kind)
        return self._unmade(op, TensorType(dtype), [kept] * len(self.cases))

    def dim_number(self, size: Dim) -> Held:
        """A size as an i64 scalar, likewise."""
        op = DimValue(size)
        (t,) = op.infer((), self.facts)
        return self._unmade(op, t, [np.asarray(case.env.dim(size), np.int64) for case in self.cases])

    def _unmade(self, op: Constant | DimValue, t: TensorType, arrays: Sequence[Array]) -> Held:
        node = Node(op, (), (Value(t, op.name),))
        views = tuple(evaluate(node, (), case)[0] for case in self.cases)
        return Held(node.result, t, views, op.name, op)

    def emit(self, op: Op, *operands: Held | None) -> tuple[Held, ...] | None:
        """The op's results, appended to the current body; None where the types or the numbers do not fit."""
        if any(o is None for o in operands):
            return None
        held = [o for o in operands if o is not None]
        types = tuple(o.type for o in held)
        try:
            op = op.normalised(types)
            op.check_room(types, self.facts)
            results = tuple(self._simplified(op, t) for t in op.infer(types, self.facts))
        except (ShapeError, DimError, ZeroDivisionError):
            return None
        if any(self.elements(t.sizes) > MOST_ELEMENTS for t in results) or not self._are_writable(op, held):
            return None
        values = tuple(Value(t.without_names(), op.name) for t in results)
        node = Node(op, tuple(o.value for o in held), values, instance=self.frame.instance)
        return self.append(node, held, results)

    def append(self, node: Node, operands: Sequence[Held], results: Sequence[TensorType]) -> tuple[Held, ...] | None:
        """Compute a node's results in every case and keep it; None where it is declined."""
        try:
            views = [
                None if any(o.views[i] is None for o in operands) else self._evaluated(node, operands, i)
                for i in range(len(self.cases))
            ]
        except Declined:
            self.declined += 1
            return None
        if all(v is None for v in views):
            return None
        seen: set[Value] = set()
        for operand in operands:
            if operand.number is not None and operand.value not in seen:
                seen.add(operand.value)
                self.frame.nodes.append(Node(operand.number, (), (operand.value,), instance=self.frame.instance))
                self.coverage.count_op(operand.number.name)
        self.frame.nodes.append(node)
        self.coverage.count_op(node.op.name)
        for operand in operands:
            self.coverage.count_pair(operand.producer, node.op.name)
            self.frame.used[operand.value] += 1
        made = tuple(
            Held(value, t, tuple(None if v is None else v[at] for v in views), node.op.name)
            for at, (value, t) in enumerate(zip(node.results, results, strict=True))
        )
        self.frame.pool += made
        return made

    def _evaluated(self, node: Node, operands: Sequence[Held], at: int) -> tuple[Views, ...]:
        held = []
        for operand in operands:
            views = operand.views[at]
            assert views is not None
            held.append(views)
        return evaluate(node, held, self.cases[at])

    def _are_writable(self, op: Op, held: Sequence[Held]) -> bool:
        """Numbers stand only where the text gives them their own type."""
        numbers = [h.value for h in held if h.number is not None]
        if not numbers:
            return True
        if len(set(numbers)) < len(numbers):
            return False
        wanted = literal_types(op, [("v" if h.number is None else h.number, h.type) for h in held], F32)
        if any(h.number is not None and w != h.type.dtype for h, w in zip(held, wanted, strict=True)):
            return False
        if len(numbers) == len(held) and any(h.type.dtype.is_float for h in held):
            self.needs_f32 = True
            return self.main == F32
        return True

    def _simplified(self, op: Op, t: TensorType) -> TensorType:
        """A result as the checker has it: sizes simplified, axes named where the text names them."""
        axes = [axis if axis.size.is_const else replace(axis, size=self.facts.simplify(axis.size)) for axis in t.axes]
        written = {Reshape: "shape", Full: "shape", Broadcast: "shape"}.get(type(op))
        if written is not None:
            sizes: list[Dim | None] = list(getattr(op, written))
        elif isinstance(op, (Iota, Eye)):
            sizes = [op.size] * len(axes)
        elif isinstance(op, TriMask):
            sizes = [op.rows, op.cols]
        elif isinstance(op, (OneHot, LengthMask)):
            sizes = [None] * (len(axes) - 1) + [op.size]
        else:
            return t.with_axes(axes)
        for at, size in enumerate(sizes):
            if size is not None and (symbol_of(size) or not isinstance(op, Broadcast)):
                axes[at] = replace(axes[at], name=symbol_of(size))
        return t.with_axes(axes)

    # --- choosing ----------------------------------------------------------------------------------------------------

    def elements(self, sizes: Iterable[Dim]) -> int:
        """The largest number of elements over all cases; a size below 0 counts as too many."""
        kept = tuple(sizes)
        most = 0
        for case in self.cases:
            total = 1
            for size in kept:
                at = size.value if size.is_const else size.evaluate(case.sizes)
                if at < 0:
                    return MOST_ELEMENTS + 1
                total *= at
            most = max(most, total)
        return most

    def any_size(self) -> Dim:
        """A size for a new axis: a symbol, a small number, or some arithmetic on a symbol."""
        pick = self.rng.random()
        if self.symbols and pick < 0.45:
            return Dim.of(self.rng.choice(self.symbols))
        if self.symbols and pick < 0.6:
            symbol = Dim.of(self.rng.choice(self.symbols))
            return self.facts.simplify(self.rng.choice([symbol * 2, symbol + 1, symbol * 2 + 1, (symbol + 1) // 2]))
        return Dim.of(1 if pick < 0.72 else self.rng.randint(2, 4))

    def any_float(self) -> DType:
        return self.main if self.rng.random() < 0.85 else self.rng.choice((F32, F32, F64, F16))


def symbol_of(size: Dim) -> str | None:
    """The name that a size gives its axis: that of the symbol it is."""
    return str(size) if str(size) in size.symbols else None


def named(t: TensorType) -> TensorType:
    """`t` as a header declares it: axes (and the table of indices) that are one symbol are named after it."""
    dtype = t.dtype
    if dtype.table is not None:
        dtype = replace(dtype, table=Axis(symbol_of(dtype.table.size), dtype.table.size))
    return TensorType(dtype, tuple(Axis(symbol_of(a.size), a.size) for a in t.axes))


def case_of(sizes: Mapping[str, int], seed: Sequence[int]) -> Case:
    return Case(dict(sizes), Env(dict(sizes)), np.random.default_rng(list(seed)))
