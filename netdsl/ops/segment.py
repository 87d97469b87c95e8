"""Reductions of groups of rows: which group a row belongs to is said by an index."""

from dataclasses import replace
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.proofs import require_rank
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, Kind, ShapeError, TensorType, require_kind, unify_axis

REDUCTIONS: dict[str, tuple[Kind, ...]] = {
    "sum": ("float", "int"),
    "mean": ("float",),
    "max": ("float", "int"),
    "min": ("float", "int"),
    "prod": ("float", "int"),
}


@dataclass(frozen=True, slots=True)
class SegmentReduce(Op):
    """For each group, the rows of x whose index in `by` is the group, reduced to one.

    A group without rows gives 1 for `prod` and else 0. Indices count from 0, may repeat and come in any order; one
    outside of the groups is an error or gives any value. What is not a number reaches its own group only; the largest
    and the smallest of a group with a NaN are undefined. Of equal largest (or smallest) elements each gets an equal
    part of the gradient. The order of sums and products is not defined. Integers wrap around; where rows are wide ONNX
    Runtime combines them exactly as far as 2**53.

    Shapes: x (e, ..), by (e,) -> (groups, ..).
    Args:   reduction: `sum`, `mean`, `max`, `min` or `prod`.
            groups:    how many there are; by default the size of the table that `by` points into.
    Raises: ShapeError: E0219: another reduction, or no number of groups; E0218: `by` points into a table of another
            size; E0217: an element type; E0205, E0202, E0207, E0208: the operands do not fit.
    Source: torch.index_add, torch.scatter_reduce; ONNX ScatterElements, opset 18.
    """

    reduction: str
    groups: Dim | None = None

    name: ClassVar[str] = "segment_reduce"
    operands: ClassVar[tuple[str, ...]] = ("x", "by")

    @property
    def count(self) -> Dim:
        """The number of groups, once it is known."""
        assert self.groups is not None
        return self.groups

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        """The same op with the number of its groups."""
        table = types[1].dtype.table
        return replace(self, groups=table.size) if self.groups is None and table is not None else self

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, by = types
        what = f"`{self.name}`"
        if self.reduction not in REDUCTIONS:
            raise ShapeError("E0219", f"{what} has the reductions {', '.join(REDUCTIONS)}, found `{self.reduction}`")
        require_kind(x, REDUCTIONS[self.reduction], what=f"{what} by `{self.reduction}`")
        groups = group_axis(x, by, self.groups, facts, what=what)
        return (TensorType(x.dtype.storage, (groups, *x.axes[1:])),)


def group_axis(x: TensorType, by: TensorType, groups: Dim | None, facts: Facts, *, what: str) -> Axis:
    """The axis of the groups that `by`, which is operand 1, points into from the rows of `x`, operand 0.

    Raises: ShapeError: E0217, E0205, E0218, E0219; E0202, E0207, E0208: there are more rows than indices, or fewer.
    """
    if by.dtype.storage.name not in ("i64", "i32"):
        raise ShapeError("E0217", f"{what} needs indices of type idx, i64 or i32, found {by.dtype}", operand=1)
    require_rank(by, 1, what=f"`by` of {what}", operand=1)
    table = by.dtype.table
    if groups is None:
        raise ShapeError(
            "E0219",
            f"{what} does not know how many groups there are: `by` is {by}",
            operand=1,
            help="give `by` the type `idx[N][..]`",
        )
    if table is not None and facts.prove_eq(table.size, groups) is not True:
        raise ShapeError("E0218", f"{what} has {groups} groups, and `by` points into {table.size}", operand=1)
    if x.rank == 0:
        raise ShapeError("E0205", f"{what} needs rows, found {x}", operand=0)
    unify_axis(x.axes[0], by.axes[0], facts, what=what)
    return Axis(table.name if table is not None else None, groups)


OPS: tuple[type[Op], ...] = (SegmentReduce,)
