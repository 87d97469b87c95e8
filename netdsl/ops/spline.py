"""Bases of splines: piecewise polynomials that a layer weighs to make learned functions of one number."""

from dataclasses import replace
from math import isfinite
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.proofs import new_axis
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, broadcast_axes, require_kind, require_same_dtype

#: Above it the rounding of every form is larger than what a spline is smooth for.
HIGHEST_ORDER = 20


@dataclass(frozen=True, slots=True)
class BSpline(Op):
    """The values at x of the B-splines of degree `order` on `grid` equal intervals from `low` to `high`.

    The knots go on for `order` intervals on both sides, so that from `low` to `high` the splines add up to 1. An
    interval holds its left end and not its right one; at the last knot, outside of the knots and at ±inf every spline
    is 0. NaN gives NaN. The slope at a knot is the one to the right of it. A new axis at place `axis` of the result
    holds the splines from left to right.

    Shapes: x (..) -> (.., grid + order, ..).
    Args:
        grid:  1 or more intervals.
        order: 0 (steps) to 20; 3 is cubic.
    Raises: ShapeError: E0217: not float; E0219: `grid`, `order`, `low` or `high`; E0206.
    Source: de Boor 1978, chapter IX; scipy.interpolate.BSpline; Liu et al. 2024 (the extended knots).
    """

    grid: int = 5
    order: int = 3
    low: float = -1.0
    high: float = 1.0
    axis: int = -1

    name: ClassVar[str] = "bspline"

    @property
    def count(self) -> int:
        """How many splines there are."""
        return self.grid + self.order

    @property
    def step(self) -> float:
        """Between two knots."""
        return (self.high - self.low) / self.grid

    @property
    def knots(self) -> tuple[float, ...]:
        """All grid + 2 * order + 1 of them, in order."""
        return tuple(self.low + at * self.step for at in range(-self.order, self.grid + self.order + 1))

    @property
    def centres(self) -> tuple[float, ...]:
        """Of the splines."""
        return tuple((low + high) / 2 for low, high in zip(self.knots, self.knots[self.order + 1 :], strict=False))

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        return replace(self, axis=new_axis(self.axis, types[0].rank, what=f"`{self.name}`"))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what="`bspline`")
        if self.grid < 1:
            raise ShapeError("E0219", f"`bspline` needs a grid of 1 interval or more, found {self.grid}")
        _require_order(self.order, what="`bspline`")
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ShapeError("E0219", f"`bspline` goes from `low` up to `high`, found {self.low} and {self.high}")
        axis = new_axis(self.axis, x.rank, what="`bspline`")
        return (x.with_axes((*x.axes[:axis], Axis(None, Dim.of(self.count)), *x.axes[axis:])),)


@dataclass(frozen=True, slots=True)
class BSplineOn(Op):
    """The values at x of the B-splines of degree `order` on given knots, by the recursion of Cox and de Boor.

    The last axis of `knots` holds them in ascending order; its other axes are broadcast against x, so that each
    feature can have its own. Where knots coincide, 0 / 0 counts as 0. Ends, outside and NaN are as in `bspline`.

    Shapes: x (..), knots (.., n) -> (.., n - order - 1, ..).
    Args:   order: 0 (steps) to 20; axis: the place of the splines in the result.
    Raises: ShapeError: E0217: not float; E0201, E0202, E0207, E0208: they do not fit; E0205: scalar knots; E0209: fewer
            than order + 2 knots; E0219: `order`; E0206.
    Source: de Boor 1978, chapter IX; scipy.interpolate.BSpline.
    """

    order: int = 3
    axis: int = -1

    name: ClassVar[str] = "bspline_on"
    operands: ClassVar[tuple[str, ...]] = ("x", "knots")

    def axis_rank(self, types: tuple[TensorType, ...]) -> int:
        """Of x and the knots without their last axis, broadcast."""
        x, knots = types
        return max(x.rank, knots.rank - 1)

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        return replace(self, axis=new_axis(self.axis, self.axis_rank(types), what=f"`{self.name}`"))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, knots = types
        for index, t in enumerate(types):
            require_kind(t, ("float",), what="`bspline_on`", operand=index)
        require_same_dtype(types, what="`bspline_on`")
        _require_order(self.order, what="`bspline_on`")
        if knots.rank == 0:
            raise ShapeError("E0205", f"`bspline_on` needs an axis of knots, found the scalar {knots}", operand=1)
        least, found = self.order + 2, knots.axes[-1].size
        if facts.prove(">=", found, least) is not True:
            raise ShapeError(
                "E0209" if facts.prove("<", found, least) else "E0208",
                f"`bspline_on` of order {self.order} needs {least} knots or more, found {found}",
                operand=1,
                axes=((1, knots.rank - 1),),
            )
        axes = broadcast_axes((x, knots.with_axes(knots.axes[:-1])), facts, what="`bspline_on`")
        axis = new_axis(self.axis, len(axes), what="`bspline_on`")
        count = Axis(None, facts.simplify(found - (self.order + 1)))
        return (x.with_axes((*axes[:axis], count, *axes[axis:])),)


def _require_order(order: int, *, what: str) -> None:
    if not 0 <= order <= HIGHEST_ORDER:
        raise ShapeError("E0219", f"{what} takes an order of 0 to {HIGHEST_ORDER}, found {order}")


OPS: tuple[type[Op], ...] = (BSpline, BSplineOn)
