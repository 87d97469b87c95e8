"""Entries of the ops that reduce, order and index."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.ops.cumulative import CumProd, CumSum
from netdsl.ops.indexing import OneHot, Retarget, Scatter, ScatterAlong, Take, TakeAlong
from netdsl.ops.reduction import (
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Variance,
)
from netdsl.ops.segment import REDUCTIONS, SegmentReduce
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK
from netdsl.tensor_type import BOOL, I64, Axis, TensorType, idx
from tests.random_networks.draft import Draft, Held, Sampler
from tests.random_networks.entries import HIGHEST, Entry, axes_of, axis_of, entry, like

Array = NDArray[Any]
_F1, _FI1, _ANY1 = ("f", 1, HIGHEST), ("fi", 1, HIGHEST), ("fib", 1, HIGHEST)


def _reduce(kinds: str):  # type: ignore[no-untyped-def]
    def make(d: Draft, op: type[Op]) -> object:
        x = d.take(like(kinds), op.name)
        if x is None:
            return None
        # The checker writes out which axes go; `logsumexp` keeps "all of them" as none.
        axes = tuple(range(x.type.rank)) if d.rng.random() < 0.15 or x.type.rank == 0 else axes_of(d, x.type)
        extra = {"correction": d.rng.choice((0, 1))} if op is Variance else {}
        return d.emit(op(axes, d.rng.random() < 0.35, **extra), x)  # type: ignore[call-arg]

    return make


def _along(kinds: str):  # type: ignore[no-untyped-def]
    def make(d: Draft, op: type[Op]) -> object:
        x = d.take(like(kinds, 1), op.name, numbers=False)
        if x is None:
            return None
        axis = axis_of(d, x.type)
        if op in (CumSum, CumProd):
            return d.emit(op(axis, d.rng.random() < 0.3, d.rng.random() < 0.3), x)  # type: ignore[call-arg]
        if op in (ArgMax, ArgMin):
            return d.emit(op(axis, d.rng.random() < 0.3), x)  # type: ignore[call-arg]
        if op is Sort:
            return d.emit(Sort(axis, d.rng.random() < 0.5), x)
        return d.emit(op(axis), x)  # type: ignore[call-arg]

    return make


def _topk(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fi", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)
    low = max(d.facts.bounds(x.type.sizes[axis])[0] or 0, 0)
    k = d.rng.choice((Dim.of(d.rng.randint(0, min(low, 4))), d.facts.simplify((x.type.sizes[axis] + 1) // 2)))
    return d.emit(TopK(k, axis, d.rng.random() < 0.6), x)


# --- indices -----------------------------------------------------------------------------------------------------------


def points_into(h: Held, d: Draft, size: Dim) -> bool:
    """Whether integers are indices into an axis of `size`, in every case."""
    if h.type.dtype.storage != I64:
        return False
    if h.type.dtype.table is not None and h.type.dtype.table.size != size:
        return False
    for case, views in zip(d.cases, h.views, strict=True):
        if views is not None and views[0].size:
            top = size.value if size.is_const else size.evaluate(case.sizes)
            if int(views[0].min()) < 0 or int(views[0].max()) >= top:
                return False
    return True


def index_sampler(size: Dim) -> Sampler:
    """Indices below `size`, unsorted and repeated."""

    def sample(rng: np.random.Generator, shape: tuple[int, ...], sizes: Any) -> Array:
        return rng.integers(0, max(size.evaluate(sizes), 1), shape)

    return sample


def indices(d: Draft, x: Held, axis: int, axes: tuple[Axis, ...], consumer: str) -> Held | None:
    """Indices into an axis of `x` with these axes of their own; an input where nothing fits."""
    size = x.type.sizes[axis]
    sizes = tuple(a.size for a in axes)
    fits = {h.value: points_into(h, d, size) for h in d.visible()}

    def wanted(t: TensorType) -> bool:
        return t.sizes == sizes and t.dtype.is_int

    if d.forced is not None and wanted(d.forced.type) and points_into(d.forced, d, size):
        return d.take(wanted, consumer, numbers=False)
    found = [h for h in d.visible() if wanted(h.type) and fits[h.value]]
    if found and d.rng.random() < 0.8:
        return d.rng.choice(found)
    table = x.type.axes[axis]
    dtype = idx(Axis(table.name, size)) if d.rng.random() < 0.5 else I64
    return d.new_input(TensorType(dtype, axes), index_sampler(size)) or (d.rng.choice(found) if found else None)


def _take(d: Draft, op: type[Op]) -> object:
    forced = d.forced
    if forced is not None and forced.type.dtype.is_int and d.rng.random() < 0.7:
        fitting = [
            (h, at)
            for h in d.visible()
            for at, size in enumerate(h.type.sizes)
            if h.type.rank + forced.type.rank <= HIGHEST + 1 and points_into(forced, d, size)
        ]
        if fitting:
            x, axis = d.rng.choice(fitting)
            index = d.take(like("i"), op.name, numbers=False)
            return d.emit(Take(axis), x, index)
    x_ = d.take(like("fib", 1, 4), op.name, numbers=False)
    if x_ is None:
        return None
    axis = d.rng.randrange(x_.type.rank)
    room = HIGHEST + 1 - x_.type.rank
    axes = tuple(Axis(None, d.any_size()) for _ in range(d.rng.randint(0, min(2, room))))
    scalar = any(h.type.rank == 0 and points_into(h, d, x_.type.sizes[axis]) for h in d.visible())
    choices = [h for h in d.visible() if h.type.rank <= room and points_into(h, d, x_.type.sizes[axis])]
    if choices and d.rng.random() < 0.6:
        return d.emit(Take(axis), x_, d.rng.choice(choices))
    return d.emit(Take(axis), x_, indices(d, x_, axis, () if scalar and d.rng.random() < 0.2 else axes, op.name))


def _take_along(d: Draft, op: type[Op]) -> object:
    forced = d.forced
    if forced is not None and forced.type.dtype.is_int and forced.type.rank and d.rng.random() < 0.7:
        for h in d.visible():
            for axis in range(forced.type.rank):
                others = h.type.sizes[:axis] + h.type.sizes[axis + 1 :]
                if (
                    h.type.rank == forced.type.rank
                    and others == forced.type.sizes[:axis] + forced.type.sizes[axis + 1 :]
                ) and points_into(forced, d, h.type.sizes[axis]):
                    return d.emit(TakeAlong(axis), h, d.take(like("i"), op.name, numbers=False))
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)
    axes = list(x.type.axes)
    if d.rng.random() < 0.5:
        axes[axis] = Axis(None, d.any_size())
    return d.emit(TakeAlong(axis), x, indices(d, x, axis, tuple(axes), op.name))


def _scatter(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)
    reduction = d.rng.choice(("none", "add", "mul", "max", "min")) if x.type.dtype.kind != "bool" else "none"
    updates = None
    if d.rng.random() < 0.7:
        others = x.type.sizes[:axis] + x.type.sizes[axis + 1 :]

        def fits(t: TensorType) -> bool:
            same = t.dtype == x.type.dtype and t.rank == x.type.rank
            return same and t.sizes[:axis] + t.sizes[axis + 1 :] == others

        updates = d.take(fits, op.name, numbers=False)
    updates = updates or x
    axes = updates.type.axes if op is ScatterAlong else (updates.type.axes[axis],)
    return d.emit(op(axis, reduction), x, indices(d, x, axis, axes, op.name), updates)  # type: ignore[call-arg]


def _segment_reduce(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fi", 1), op.name, numbers=False)
    table = d.rng.choice([h for h in d.visible() if h.type.rank] or [None])
    if x is None or table is None:
        return None
    known = REDUCTIONS if x.type.dtype.is_float else [r for r in REDUCTIONS if r != "mean"]
    axis = d.rng.randrange(table.type.rank)
    by = indices(d, table, axis, (x.type.axes[0],), op.name)
    return d.emit(SegmentReduce(d.rng.choice(sorted(known)), table.type.sizes[axis]), x, by)


def _one_hot(d: Draft, op: type[Op]) -> object:
    x = d.take(like("i", 0, HIGHEST - 1), op.name)
    if x is None:
        x = d.new_input(
            TensorType(I64, (Axis(None, d.any_size()),)), lambda rng, shape, sizes: rng.integers(-1, 4, shape)
        )
    if x is None:
        return None
    size = x.type.dtype.table.size if x.type.dtype.table is not None else d.any_size()
    return d.emit(OneHot(size, d.rng.choice((d.any_float(), I64, BOOL))), x)


def _retarget(d: Draft, op: type[Op]) -> object:
    x = d.take(lambda t: t.dtype.table is not None, op.name, numbers=False)
    if x is None:
        size = Dim.of(d.rng.randint(1, 4))
        x = d.new_input(TensorType(idx(Axis(None, size)), (Axis(None, d.any_size()),)), index_sampler(size))
    if x is None or x.type.dtype.table is None:
        return None
    offset = d.rng.randint(0, 2)
    return d.emit(Retarget(x.type.dtype.table.size + offset + d.rng.randint(0, 1), Dim.of(offset)), x)


INDEX: tuple[Entry, ...] = (
    *(entry(op, _reduce("fi"), [("fi", 0, HIGHEST)], [("fi", 0, HIGHEST)]) for op in (ReduceSum, ReduceProd)),
    *(entry(op, _reduce("fi"), [("fi", 0, HIGHEST)], [("fi", 0, HIGHEST)]) for op in (ReduceMax, ReduceMin)),
    *(entry(op, _reduce("f"), [("f", 0, HIGHEST)], [("f", 0, HIGHEST)]) for op in (ReduceMean, Variance, LogSumExp)),
    *(entry(op, _reduce("b"), [("b", 0, HIGHEST)], [("b", 0, HIGHEST)]) for op in (ReduceAny, ReduceAll)),
    *(entry(op, _along("f"), [_F1], [_F1]) for op in (Softmax, LogSoftmax)),
    *(entry(op, _along("fi"), [_FI1], [_FI1]) for op in (CumSum, CumProd)),
    *(entry(op, _along("fi"), [_FI1], [("i", 0, HIGHEST)]) for op in (ArgMax, ArgMin)),
    entry(Sort, _along("fi"), [_FI1], [_FI1]),
    entry(TopK, _topk, [_FI1], [_FI1]),
    entry(Take, _take, [_ANY1, ("i", 0, HIGHEST)], [("fib", 0, HIGHEST)]),
    entry(TakeAlong, _take_along, [_ANY1], [_ANY1]),
    *(entry(op, _scatter, [_ANY1], [_ANY1]) for op in (Scatter, ScatterAlong)),
    entry(SegmentReduce, _segment_reduce, [_FI1, ("i", 1, 1)], [_FI1]),
    entry(OneHot, _one_hot, [("i", 0, HIGHEST - 1)], [_ANY1]),
    entry(Retarget, _retarget, [("i", 0, HIGHEST)], [("i", 0, HIGHEST)]),
)
