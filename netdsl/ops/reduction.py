"""Reductions over axes."""

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, Kind, ShapeError, TensorType, normal_axis, require_kind


@dataclass(frozen=True, slots=True)
class Reduction(Op):
    """What reductions share: `axes` are gone from the result, or of size 1 and without a name if `keep`.

    No axes means all axes. An axis of size 0 gives the value that each op names; other axes of size 0 give no elements.
    """

    axes: tuple[int, ...] = ()
    keep: bool = False

    kinds: ClassVar[tuple[Kind, ...]] = ("float", "int")

    @property
    def title(self) -> str:
        """The op as a user writes it, for messages."""
        return f"`{self.name.removeprefix('reduce_')}`"

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        """The same op with its axes counted from 0, in ascending order.

        Raises: ShapeError: E0206: an axis out of range, or named twice.
        """
        axes = self.axes_of(types[0])
        return replace(self, axes=axes) if self.axes and axes != self.axes else self

    def axes_of(self, x: TensorType) -> tuple[int, ...]:
        """The axes that go, from 0 and ascending."""
        if not self.axes:
            return tuple(range(x.rank))
        found = sorted(normal_axis(axis, x.rank, what=self.title) for axis in self.axes)
        for first, second in pairwise(found):
            if first == second:
                raise ShapeError("E0206", f"{self.title} names axis {first} twice", operand=0)
        return tuple(found)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, self.kinds, what=self.title)
        gone = self.axes_of(x)
        kept = (_ONE,) if self.keep else ()
        axes = (part for at, axis in enumerate(x.axes) for part in (kept if at in gone else (axis,)))
        return (TensorType(x.dtype.storage, tuple(axes)),)


_ONE = Axis(None, Dim.of(1))


class ReduceSum(Reduction):
    """The sum over `axes`; 0 over none. Integers wrap around; ONNX Runtime adds them exactly as far as 2**53.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: bool elements; E0206.
    Source: torch.sum; ONNX ReduceSum, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_sum"


class ReduceMean(Reduction):
    """The mean over `axes`; 0 over none, as for the mean of an empty group, so that no NaN is born.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: elements that are not floats; E0206.
    Source: torch.mean, but for no elements; ONNX ReduceMean, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_mean"
    kinds: ClassVar[tuple[Kind, ...]] = ("float",)


class ReduceProd(Reduction):
    """The product over `axes`; 1 over none. Integers wrap around; ONNX Runtime multiplies them exactly as far as 2**53.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: bool elements; E0206.
    Source: torch.prod; ONNX ReduceProd, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_prod"


class ReduceMax(Reduction):
    """The largest element over `axes`; over none -inf, or the least integer. Its gradient is shared among ties.

    A NaN among the elements gives an undefined result: ONNX Runtime overlooks some.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: bool elements (use `any`); E0206.
    Source: torch.amax; ONNX ReduceMax, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_max"


class ReduceMin(Reduction):
    """The smallest element over `axes`; over none inf, or the largest integer. Its gradient is shared among ties.

    A NaN among the elements gives an undefined result: ONNX Runtime overlooks some.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: bool elements (use `all`); E0206.
    Source: torch.amin; ONNX ReduceMin, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_min"


class ReduceAny(Reduction):
    """Whether an element over `axes` is true; false over none.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: elements that are not bool; E0206.
    Source: torch.any; ONNX ReduceMax, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_any"
    kinds: ClassVar[tuple[Kind, ...]] = ("bool",)


class ReduceAll(Reduction):
    """Whether every element over `axes` is true; true over none.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: elements that are not bool; E0206.
    Source: torch.all; ONNX ReduceMin, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "reduce_all"
    kinds: ClassVar[tuple[Kind, ...]] = ("bool",)


@dataclass(frozen=True, slots=True)
class Variance(Reduction):
    """The sum of squared distances from the mean over `axes`, divided by the larger of 1 and `size - correction`.

    So it is biased by default, and 0 over one element or none.

    Shapes: x (..) -> (..) without `axes`.
    Args:   correction: 0 (biased) or more; 1 is Bessel's.
    Raises: ShapeError: E0217: elements that are not floats; E0206; E0219: a negative correction.
    Source: torch.var, but where the divisor is below 1.
    """

    correction: int = 0

    name: ClassVar[str] = "variance"
    kinds: ClassVar[tuple[Kind, ...]] = ("float",)

    @property
    def title(self) -> str:
        return "`var`"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        if self.correction < 0:
            raise ShapeError("E0219", f"`var` needs a correction of 0 or more, found {self.correction}")
        return Reduction.infer(self, types, facts)


OPS: tuple[type[Op], ...] = (
    ReduceSum,
    ReduceMean,
    ReduceProd,
    ReduceMax,
    ReduceMin,
    ReduceAny,
    ReduceAll,
    Variance,
)
