"""Reading and writing by index: take, scatter, one-hot."""

from dataclasses import replace
from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.proofs import require, require_rank, require_table, unify_other_axes
from netdsl.record import dataclass
from netdsl.tensor_type import (
    F32,
    Axis,
    DType,
    Kind,
    ShapeError,
    TensorType,
    idx,
    require_kind,
    require_same_dtype,
    unify_axis,
)

REDUCTIONS: dict[str, tuple[Kind, ...]] = {
    "none": ("float", "int", "bool"),
    "add": ("float", "int"),
    "mul": ("float", "int"),
    "max": ("float", "int"),
    "min": ("float", "int"),
}


def _require_indices(t: TensorType, *, what: str, operand: int = 1) -> None:
    if t.dtype.storage.name not in ("i64", "i32"):
        raise ShapeError("E0217", f"{what} needs indices of type idx, i64 or i32, found {t.dtype}", operand=operand)


def _require_reduction(reduction: str, t: TensorType, *, what: str) -> None:
    if reduction not in REDUCTIONS:
        raise ShapeError("E0219", f"{what} has the reductions {', '.join(REDUCTIONS)}, found `{reduction}`")
    require_kind(t, REDUCTIONS[reduction], what=f"{what} by `{reduction}`")


@dataclass(frozen=True, slots=True)
class Take(Op):
    """The slices of x along `axis` that `indices` names; an embedding is `take` at axis 0.

    Indices count from 0; where one is outside of the axis, running the network is an error or gives any value.
    Repeated indices add up in the gradient.

    Shapes: x (a.., n, b..), indices (i..) -> (a.., i.., b..).
    Raises: ShapeError: E0218: the indices point into another table; E0217: they are not idx, i64 or i32; E0206.
    Source: numpy.take; torch.nn.functional.embedding; ONNX Gather, opset 13.
    """

    axis: int = 0

    name: ClassVar[str] = "take"
    operands: ClassVar[tuple[str, ...]] = ("x", "indices")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, indices = types
        _require_indices(indices, what="`take`")
        require_table(indices.dtype, x.axes[self.axis], facts, what="`take`", operand=1, at=self.axis)
        return (x.with_axes((*x.axes[: self.axis], *indices.axes, *x.axes[self.axis + 1 :])),)


@dataclass(frozen=True, slots=True)
class TakeAlong(Op):
    """The elements of x at `indices` along `axis`, each from its own place in the other axes.

    Indices count from 0; where one is outside of the axis, running the network is an error or gives any value.

    Shapes: x (a.., n, b..), indices (a.., k, b..) -> (a.., k, b..).
    Raises: ShapeError: E0218: the indices point into another table; E0217: they are not idx, i64 or i32; E0205, E0202,
            E0207, E0208: the other axes differ; E0206.
    Source: numpy.take_along_axis; torch.gather; ONNX GatherElements, opset 13.
    """

    axis: int

    name: ClassVar[str] = "take_along"
    operands: ClassVar[tuple[str, ...]] = ("x", "indices")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, indices = types
        _require_indices(indices, what="`take_along`")
        axes = list(unify_other_axes(types, self.axis, facts, what="`take_along`"))
        require_table(indices.dtype, x.axes[self.axis], facts, what="`take_along`", operand=1, at=self.axis)
        axes[self.axis] = indices.axes[self.axis]
        return (x.with_axes(axes),)


@dataclass(frozen=True, slots=True)
class Scatter(Op):
    """x, with each slice of `updates` along `axis` combined into the slice of x that its index names.

    Indices count from 0, may repeat and come in any order; where one is outside of the axis, running the network is an
    error or gives any value. The order of sums and products is not defined, their rounding neither.

    Shapes: x (a.., n, b..), indices (k,), updates (a.., k, b..) -> (a.., n, b..).
    Args:   reduction: `add`, `mul`, `max`, `min` with what stands in x; `none` replaces it, and of several updates of
            one slice the last stays.
    Raises: ShapeError: E0218: the indices point into another table; E0217: an element type; E0219: another reduction;
            E0201, E0202, E0205, E0207, E0208: the operands do not fit; E0206.
    Source: torch.index_add, torch.scatter_reduce; ONNX ScatterElements, opset 18.
    """

    axis: int
    reduction: str

    name: ClassVar[str] = "scatter"
    operands: ClassVar[tuple[str, ...]] = ("x", "indices", "updates")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, indices, updates = types
        what = "`scatter`"
        _require_indices(indices, what=what)
        _require_reduction(self.reduction, x, what=what)
        require_rank(indices, 1, what="`scatter` by slices", operand=1)
        require_rank(updates, x.rank, what=what, operand=2)
        dtype = _common_dtype(x, updates, what=what)
        for at, axis in enumerate(x.axes):
            if at != self.axis:
                unify_axis(axis, updates.axes[at], facts, what=what, operands=(0, 2), at=(at, at))
        unify_axis(indices.axes[0], updates.axes[self.axis], facts, what=what, operands=(1, 2), at=(0, self.axis))
        require_table(indices.dtype, x.axes[self.axis], facts, what=what, operand=1, at=self.axis)
        return (x.with_dtype(dtype),)


@dataclass(frozen=True, slots=True)
class ScatterAlong(Op):
    """x, with each element of `updates` combined into the element of x that its index along `axis` names.

    Indices are as in `scatter`; here each element has its own, and stays at its place in the other axes.

    Shapes: x (a.., n, b..), indices (a.., k, b..), updates (a.., k, b..) -> (a.., n, b..).
    Args:   reduction: as in `scatter`.
    Raises: ShapeError: E0218: the indices point into another table; E0217: an element type; E0219: another reduction;
            E0201, E0202, E0205, E0207, E0208: the operands do not fit; E0206.
    Source: torch.scatter_reduce; ONNX ScatterElements, opset 18.
    """

    axis: int
    reduction: str

    name: ClassVar[str] = "scatter_along"
    operands: ClassVar[tuple[str, ...]] = ("x", "indices", "updates")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, indices, updates = types
        what = "`scatter_along`"
        _require_indices(indices, what=what)
        _require_reduction(self.reduction, x, what=what)
        require_rank(indices, x.rank, what=what, operand=1)
        require_rank(updates, x.rank, what=what, operand=2)
        dtype = _common_dtype(x, updates, what=what)
        for at, axis in enumerate(x.axes):
            unify_axis(indices.axes[at], updates.axes[at], facts, what=what, operands=(1, 2), at=(at, at))
            if at != self.axis:
                unify_axis(axis, updates.axes[at], facts, what=what, operands=(0, 2), at=(at, at))
        require_table(indices.dtype, x.axes[self.axis], facts, what=what, operand=1, at=self.axis)
        return (x.with_dtype(dtype),)


def _common_dtype(x: TensorType, updates: TensorType, *, what: str) -> DType:
    """The element type of x and the updates, which are operands 0 and 2."""
    try:
        return require_same_dtype((x, updates), what=what)
    except ShapeError as error:
        labels = tuple((operand * 2, text) for operand, text in error.labels)
        raise replace(error, operand=2, labels=labels) from None


@dataclass(frozen=True, slots=True)
class OneHot(Op):
    """1 where the place along a new last axis equals the index, 0 elsewhere; true and false if `dtype` is bool.

    An index outside of 0..size-1 gives zeros throughout.

    Shapes: indices (i..) -> (i.., size).
    Raises: ShapeError: E0218: the indices point into a table of another size; E0217: they are not idx, i64 or i32.
    Source: torch.nn.functional.one_hot; ONNX Equal, opset 13.
    """

    size: Dim
    dtype: DType = F32

    name: ClassVar[str] = "one_hot"
    operands: ClassVar[tuple[str, ...]] = ("indices",)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (indices,) = types
        _require_indices(indices, what="`one_hot`", operand=0)
        table = indices.dtype.table
        axis = Axis(table.name if table is not None else None, self.size)
        if facts.prove(">=", self.size, 0) is False:
            raise ShapeError("E0219", f"`one_hot` needs a size of 0 or more, found {self.size}")
        if table is not None and facts.prove_eq(table.size, self.size) is not True:
            raise ShapeError(
                "E0218",
                f"`one_hot` makes an axis of size {self.size} for indices into one of size {table.size}",
                operand=0,
                help=f"write `one_hot[{table.size}](..)`",
            )
        return (TensorType(self.dtype, (*indices.axes, axis)),)


@dataclass(frozen=True, slots=True)
class Retarget(Op):
    """The same numbers, and `offset` more, as indices into an axis of `size`.

    Where one is outside of that axis, running the network is an error or gives any value.

    Shapes: x (..) -> (..) of `idx[size]`.
    Raises: ShapeError: E0218: indices into a longer table; E0208: nothing says that it is not; E0217: no integers.
    Source: torch.add; ONNX Add, opset 14.
    """

    size: Dim
    offset: Dim = Dim.of(0)

    name: ClassVar[str] = "retarget"
    operands: ClassVar[tuple[str, ...]] = ("x",)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        _require_indices(x, what="`retarget`", operand=0)
        if x.dtype.table is not None:
            stop = x.dtype.table.size + self.offset
            require(stop, "<=", self.size, facts, what="`retarget` needs a table that holds all indices", code="E0218")
        return (x.with_dtype(idx(Axis(None, self.size))),)


OPS: tuple[type[Op], ...] = (Take, TakeAlong, Scatter, ScatterAlong, OneHot, Retarget)
