"""How to apply an op to what a draft holds: one entry an op, and what its places accept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.tensor_type import BOOL, I64, Axis, DType, ShapeError, TensorType, broadcast_axes
from tests.random_networks.draft import Draft, Held

HIGHEST = 5
#: Kinds of element types (float, int, bool), and the ranks from .. to.
Place = tuple[str, int, int]
Wanted = Callable[[TensorType], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """One op.

    Args:
        make:   apply it once, to values that fit; falsy where nothing came of it.
        takes:  what its operands may be; gives: what its results may be.
    """

    op: type[Op]
    make: Callable[[Draft], object]
    takes: tuple[Place, ...]
    gives: tuple[Place, ...]

    @property
    def name(self) -> str:
        return self.op.name


def entry(
    op: type[Op],
    make: Callable[[Draft, type[Op]], object],
    takes: Sequence[Place],
    gives: Sequence[Place],
) -> Entry:
    return Entry(op, partial(_call, make, op), tuple(takes), tuple(gives))


def _call(make: Callable[[Draft, type[Op]], object], op: type[Op], d: Draft) -> object:
    return make(d, op)


# --- what fits ---------------------------------------------------------------------------------------------------------


def letter(dtype: DType) -> str:
    return dtype.kind[0]


def like(places: str, low: int = 0, high: int = HIGHEST) -> Wanted:
    """Types of the kinds whose first letters are given, with `low` to `high` axes."""
    return lambda t: letter(t.dtype) in places and low <= t.rank <= high


def same_as(t: TensorType) -> Wanted:
    """The same element type and axes that could be its own."""
    return lambda other: other.dtype.storage == t.dtype.storage and other.sizes == t.sizes


def broadcasts_with(d: Draft, *types: TensorType, dtype: DType | None = None) -> Wanted:
    """Types that broadcast with these, of the element type of the first."""
    wanted = dtype or types[0].dtype.storage

    def fits(t: TensorType) -> bool:
        if t.dtype.storage != wanted:
            return False
        try:
            broadcast_axes((*types, t), d.facts, what="a partner")
        except ShapeError:
            return False
        return True

    return fits


def any_number(d: Draft, dtype: DType) -> Held:
    """A constant of some element type that stands in the text as a number."""
    if dtype.kind == "bool":
        return d.number(d.rng.random() < 0.5, BOOL)
    if dtype.is_float:
        return d.number(d.rng.choice((0.5, 2.0, -1.5, 0.25, 3.0, 0.1, 1.0, -0.75)), dtype)
    if dtype.storage == I64 and d.rng.random() < 0.3 and d.symbols:
        return d.dim_number(Dim.of(d.rng.choice(d.symbols)))
    return d.number(d.rng.choice((1, 2, 3, -1, 5)), dtype.storage)


def partner(d: Draft, a: Held, consumer: str) -> Held | None:
    """A second operand that broadcasts with `a`: often another value, sometimes `a` itself, a number or a parameter."""
    fits = broadcasts_with(d, a.type)
    if d.forced is not None and fits(d.forced.type):
        return d.take(fits, consumer, numbers=a.number is None)
    roll = d.rng.random()
    if roll < 0.1 and a.number is None:
        return a
    if roll < 0.22 and a.number is None:
        return any_number(d, a.type.dtype)
    if roll < 0.32 and a.type.dtype.is_float:
        axes = _static_tail(a.type)
        made = d.new_param(TensorType(a.type.dtype, axes)) if axes else None
        if made is not None:
            return made
    return d.take(fits, consumer, numbers=a.number is None) or (a if a.number is None else None)


def _static_tail(t: TensorType) -> tuple[Axis, ...]:
    count = 0
    while count < t.rank and t.axes[-1 - count].size.is_const:
        count += 1
    return t.axes[t.rank - count :]


def in_order(d: Draft, a: Held | None, b: Held | None) -> tuple[Held | None, Held | None]:
    return (a, b) if d.rng.random() < 0.7 else (b, a)


def axis_of(d: Draft, t: TensorType) -> int:
    """An axis, sometimes counted from the end."""
    axis = d.rng.randrange(t.rank)
    return axis - t.rank if d.rng.random() < 0.3 else axis


def axes_of(d: Draft, t: TensorType) -> tuple[int, ...]:
    """At least one axis, ascending."""
    count = d.rng.choice((1, 1, 1, 2, t.rank))
    return tuple(sorted(d.rng.sample(range(t.rank), min(max(count, 1), t.rank))))
