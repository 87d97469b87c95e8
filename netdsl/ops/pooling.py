"""Pooling: what a window holds becomes its maximum or its mean."""

from dataclasses import replace
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.windows import (
    Need,
    demand,
    element_needs,
    extents,
    per_axis,
    per_side,
    refuse,
    slid_axes,
    spatial_count,
    window_counts,
    window_needs,
)
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, require_kind


@dataclass(frozen=True, slots=True)
class MaxPool(Op):
    """The maximum of each window; `stride` is the kernel's size unless given.

    Lists have one number for each spatial axis, `padding` has two, before and after each axis in turn, each at most
    half of what the window spans; a single number stands for all. Padding never wins. With `ceil` a last window may
    hang over the end, as long as it does not start there. NaN wins, and a window of -inf is -inf; the float32 kernel
    of ONNX Runtime drops NaN and gives the lowest finite number instead of -inf.

    Shapes: x (N, C, *spatial) -> (N, C, *out) where
            out = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1, rounded up with `ceil`.
    Raises: ShapeError: E0209: an empty axis, or a window larger than its padded axis; E0205: rank; E0219: attributes.
    Source: torch.nn.functional.max_pool1d, max_pool2d, max_pool3d; ONNX MaxPool, opset 12.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    ceil: bool = False

    name: ClassVar[str] = "max_pool"

    def sample_rank(self, types: tuple[TensorType, ...]) -> int | None:
        return len(self.kernel) + 1

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        what, count = "`max_pool`", len(self.kernel)
        spatial_count(types[0], count, what=what)
        dilation = per_axis(self.dilation, count, what=what, attribute="dilation", least=1)
        return replace(
            self,
            kernel=per_axis(self.kernel, count, what=what, attribute="kernel", least=1),
            stride=per_axis(self.stride or self.kernel, count, what=what, attribute="stride", least=1),
            padding=_half_padding(self.padding, self.kernel, dilation, what=what),
            dilation=dilation,
        )

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        op = self.normalised(types)
        (x,) = types
        require_kind(x, ("float",), what="`max_pool`")
        refuse(op._needs(x), facts)
        return (_pooled(x, op.kernel, op.stride, op.padding, op.dilation, op.ceil, facts),)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        demand(self.normalised(types)._needs(types[0]), facts)

    def _needs(self, x: TensorType) -> list[Need]:
        return window_needs(x, extents(self.kernel, self.dilation), self.padding, what="`max_pool`")


@dataclass(frozen=True, slots=True)
class AvgPool(Op):
    """The mean of each window; `stride` is the kernel's size unless given.

    Attributes are written as for `max_pool`. With `count_include_pad` zeros of the padding count as elements; what
    hangs over the padded end with `ceil` never does.

    Shapes: x (N, C, *spatial) -> (N, C, *out) where out = (size + before + after - kernel) // stride + 1, rounded up
            with `ceil`.
    Raises: ShapeError: E0209: an empty axis, or a window larger than its padded axis; E0205: rank; E0219: attributes.
    Source: torch.nn.functional.avg_pool1d, avg_pool2d, avg_pool3d; ONNX AveragePool, opset 11.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = (0,)
    count_include_pad: bool = True
    ceil: bool = False

    name: ClassVar[str] = "avg_pool"

    def sample_rank(self, types: tuple[TensorType, ...]) -> int | None:
        return len(self.kernel) + 1

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        what, count = "`avg_pool`", len(self.kernel)
        spatial_count(types[0], count, what=what)
        return replace(
            self,
            kernel=per_axis(self.kernel, count, what=what, attribute="kernel", least=1),
            stride=per_axis(self.stride or self.kernel, count, what=what, attribute="stride", least=1),
            padding=_half_padding(self.padding, self.kernel, (1,) * count, what=what),
        )

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        op = self.normalised(types)
        (x,) = types
        require_kind(x, ("float",), what="`avg_pool`")
        refuse(op._needs(x), facts)
        return (_pooled(x, op.kernel, op.stride, op.padding, (1,) * len(op.kernel), op.ceil, facts),)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        demand(self.normalised(types)._needs(types[0]), facts)

    def _needs(self, x: TensorType) -> list[Need]:
        return window_needs(x, extents(self.kernel, (1,) * len(self.kernel)), self.padding, what="`avg_pool`")


@dataclass(frozen=True, slots=True)
class AdaptiveAvgPool(Op):
    """The mean of windows that divide each spatial axis as evenly as possible.

    Window `i` of `n` spans the places from `i * size // n` up to, not including, `-(-(i + 1) * size // n)`.

    Shapes: x (N, C, *spatial) -> (N, C, *output).
    Raises: ShapeError: E0209: an axis of size 0; E0205: rank; E0219: an output below 1.
    Source: torch.nn.functional.adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d;
            ONNX ReduceMean, opset 18.
    """

    output: tuple[int, ...]

    name: ClassVar[str] = "adaptive_avg_pool"

    def sample_rank(self, types: tuple[TensorType, ...]) -> int | None:
        return len(self.output) + 1

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        what = "`adaptive_avg_pool`"
        count = spatial_count(x, len(self.output), what=what)
        per_axis(self.output, count, what=what, attribute="output", least=1)
        require_kind(x, ("float",), what=what)
        refuse(element_needs(x, what=what), facts)
        axes = [
            axis if axis.size == size else Axis(None, Dim.of(size))
            for axis, size in zip(x.axes[2:], self.output, strict=True)
        ]
        return (x.with_axes((*x.axes[:2], *axes)),)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        demand(element_needs(types[0], what="`adaptive_avg_pool`"), facts)


def _half_padding(
    padding: tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...], *, what: str
) -> tuple[int, ...]:
    """Raises: ShapeError: E0219: more than half a window, so that some window might hold nothing."""
    filled = per_side(padding, len(kernel), what=what)
    for index, extent in enumerate(extents(kernel, dilation)):
        most = max(filled[2 * index : 2 * index + 2])
        if 2 * most > extent.value:
            raise ShapeError(
                "E0219", f"`padding` of {what} is at most half of the {extent} that a window spans, found {most}"
            )
    return filled


def _pooled(
    x: TensorType,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil: bool,
    facts: Facts,
) -> TensorType:
    counts = window_counts(x.sizes[2:], extents(kernel, dilation), stride, padding, ceil=ceil)
    return x.with_axes((*x.axes[:2], *slid_axes(x, counts, facts)))


OPS: tuple[type[Op], ...] = (MaxPool, AvgPool, AdaptiveAvgPool)
