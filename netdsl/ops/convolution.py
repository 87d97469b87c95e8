"""Convolution and its transpose over 1 to 3 spatial axes."""

from dataclasses import fields, replace
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
from netdsl.tensor_type import Axis, ShapeError, TensorType, require_kind, require_same_dtype, unify_axis

MODES = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True, slots=True)
class Conv(Op):
    """The sum over windows of `x` times `weight` (cross-correlation, as in every framework), plus `bias`.

    Lists have one number for each spatial axis, `padding` has two, before and after each axis in turn; a single
    number stands for all. `mode` says what the padding holds: zeros, `reflect` (the axis mirrored at its ends, which
    are not repeated), `replicate` (its ends) or `circular`. The batch keeps its name, the channels take the name of
    `weight`'s first axis, a spatial axis keeps its name where its size provably stays. The batch may be empty, the
    weight may not.

    Shapes: x (N, C, *spatial), weight (O, C // groups, *kernel), bias (O,) -> (N, O, *out) where
            out = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1.
    Raises: ShapeError: E0204: channels or bias; E0209: an empty axis, or a window larger than its padded axis; E0205:
            ranks; E0219: attributes.
    Source: torch.nn.functional.conv1d, conv2d, conv3d; ONNX Conv, opset 11.
    """

    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    mode: str = "zeros"

    name: ClassVar[str] = "conv"
    operands: ClassVar[tuple[str, ...]] = ("x", "weight", "bias?")

    def sample_rank(self, types: tuple[TensorType, ...]) -> int | None:
        return types[1].rank - 1

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        count = spatial_count(types[0], types[1].rank - 2, what="`conv`")
        return replace(
            self,
            stride=per_axis(self.stride, count, what="`conv`", attribute="stride", least=1),
            padding=per_side(self.padding, count, what="`conv`"),
            dilation=per_axis(self.dilation, count, what="`conv`", attribute="dilation", least=1),
        )

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        op = self.normalised(types)
        x, weight, *bias = types
        if op.mode not in MODES:
            raise ShapeError("E0219", f"`mode` of `conv` is one of {_listed(MODES)}, found `{op.mode}`")
        _check_operands(types, what="`conv`")
        _check_groups(op.groups, weight.sizes[0], facts, what="`conv`", operand=1, axis=0)
        _check_channels(x, weight, op.groups, facts)
        if bias:
            _check_bias(bias[0], weight.axes[0], facts, what="`conv`", at=0)
        refuse(op._needs(x, weight), facts)
        counts = window_counts(x.sizes[2:], extents(weight.sizes[2:], op.dilation), op.stride, op.padding)
        return (x.with_axes((x.axes[0], weight.axes[0], *slid_axes(x, counts, facts))),)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        demand(self.normalised(types)._needs(types[0], types[1]), facts)

    def _needs(self, x: TensorType, weight: TensorType) -> list[Need]:
        """A window fits, and what the padding holds is there: `reflect` leaves the end out."""
        needs = window_needs(x, extents(weight.sizes[2:], self.dilation), self.padding, what="`conv`")
        for at, size in enumerate(x.sizes[2:], 2):
            most = max(self.padding[2 * at - 4 : 2 * at - 2])
            least = {"reflect": most + 1, "circular": most}.get(self.mode, 1)
            if most and least > 1:
                title = f"`{self.mode}` padding of {most} needs an axis of at least {least}"
                needs.append(Need(at, size, Dim.of(least), f"{title}, found {size}", f"{title}, found {size}"))
        return needs

    def flops(self, types: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> Dim:
        return results[0].sizes[0] * results[0].with_axes(results[0].axes[2:]).numel() * types[1].numel() * 2


@dataclass(frozen=True, slots=True)
class ConvTranspose(Op):
    """The transpose of `conv` as a linear map: each element of `x` adds its multiple of `weight` to a window.

    Attributes are written as for `conv`. `padding` is cut off from the result, `output_padding` adds to its ends and is
    less than the stride.

    Shapes: x (N, C, *spatial), weight (C, O // groups, *kernel), bias (O,) -> (N, O, *out) where
            out = (size - 1) * stride + dilation * (kernel - 1) + 1 + output_padding - before - after.
    Raises: ShapeError: E0204: channels or bias; E0209: an empty axis, or nothing is left; E0205: ranks; E0219:
            attributes.
    Source: torch.nn.functional.conv_transpose1d, conv_transpose2d, conv_transpose3d; ONNX ConvTranspose, opset 11.
    """

    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    output_padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1

    name: ClassVar[str] = "conv_transpose"
    operands: ClassVar[tuple[str, ...]] = ("x", "weight", "bias?")

    def sample_rank(self, types: tuple[TensorType, ...]) -> int | None:
        return types[1].rank - 1

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        what = "`conv_transpose`"
        count = spatial_count(types[0], types[1].rank - 2, what=what)
        return replace(
            self,
            stride=per_axis(self.stride, count, what=what, attribute="stride", least=1),
            padding=per_side(self.padding, count, what=what),
            output_padding=per_axis(self.output_padding, count, what=what, attribute="output_padding", least=0),
            dilation=per_axis(self.dilation, count, what=what, attribute="dilation", least=1),
        )

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        op = self.normalised(types)
        what = "`conv_transpose`"
        x, weight, *bias = types
        for added, stride in zip(op.output_padding, op.stride, strict=True):
            if added >= stride:
                raise ShapeError("E0219", f"`output_padding` of {what} is below the stride of {stride}, found {added}")
        _check_operands(types, what=what)
        _check_groups(op.groups, weight.sizes[0], facts, what=what, operand=1, axis=0)
        title = f"{what} expects {weight.sizes[0]} input channels, found {x.sizes[1]}"
        _meet((0, 1, x.axes[1]), (1, 0, weight.axes[0]), facts, what=f"the input channels of {what}", title=title)
        channels = weight.axes[1] if op.groups == 1 else Axis(None, weight.sizes[1] * op.groups)
        if bias:
            _check_bias(bias[0], channels, facts, what=what, at=1)
        refuse(op._needs(x, weight), facts)
        counts = op._counts(x, weight)
        return (x.with_axes((x.axes[0], channels, *slid_axes(x, counts, facts))),)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        demand(self.normalised(types)._needs(types[0], types[1]), facts)

    def _counts(self, x: TensorType, weight: TensorType) -> list[Dim]:
        """The spatial sizes of the result."""
        sizes = full_sizes(x.sizes[2:], weight.sizes[2:], self)
        return [
            s - before - after for s, before, after in zip(sizes, self.padding[::2], self.padding[1::2], strict=True)
        ]

    def _needs(self, x: TensorType, weight: TensorType) -> list[Need]:
        """Each axis has elements, and something is left of the result's."""
        needs = element_needs(x, what="`conv_transpose`")
        sizes = full_sizes(x.sizes[2:], weight.sizes[2:], self)
        for at, (size, count) in enumerate(zip(sizes, self._counts(x, weight), strict=True), 2):
            wrong = f"the padding of `conv_transpose` leaves nothing of an axis of size {size}"
            unknown = f"nothing says that the padding of `conv_transpose` leaves some of an axis of size {size}"
            needs.append(Need(at, count, Dim.of(1), wrong, unknown))
        return needs

    def flops(self, types: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> Dim:
        x, weight = types[:2]
        return x.sizes[0] * x.with_axes(x.axes[2:]).numel() * weight.numel() * 2


class Each(Op):
    """A convolution on each slice of a leading axis, with the slice's own weight and bias.

    An `x` whose leading axis has the literal size 1 is shared by all slices.
    """

    __slots__ = ()
    operands: ClassVar[tuple[str, ...]] = ("x", "weight", "bias?")

    @property
    def slice(self) -> Conv | ConvTranspose:
        """What is done to one slice."""
        raise NotImplementedError(self.name)

    def slice_types(self, types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        """The operands of one slice."""
        return tuple(t.with_axes(t.axes[1:]) for t in types)

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        single = self.slice.normalised(self.slice_types(types))
        return replace(self, **{f.name: getattr(single, f.name) for f in fields(single)})

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        try:
            (result,) = self.slice.infer(self.slice_types(types), facts)
        except ShapeError as error:
            raise replace(error, axes=tuple((operand, at + 1) for operand, at in error.axes)) from None
        slices = types[1].axes[0]
        for index, t in enumerate(types):
            if index or t.sizes[0] != 1:
                slices = unify_axis(slices, t.axes[0], facts, what=f"`{self.name}`", operands=(1, index))
        return (result.with_axes((slices, *result.axes)),)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        try:
            self.slice.check_room(self.slice_types(types), facts)
        except ShapeError as error:
            raise replace(error, axes=tuple((operand, at + 1) for operand, at in error.axes)) from None

    def flops(self, types: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> Dim:
        return results[0].sizes[0] * self.slice.flops(self.slice_types(types), self.slice_types(results))


@dataclass(frozen=True, slots=True)
class ConvEach(Each):
    """`conv` on each slice of a leading axis, with the slice's own weight and bias.

    Attributes are those of `conv`. An `x` whose leading axis has the literal size 1 is shared by all slices.

    Shapes: x (S, N, C, *spatial), weight (S, O, C // groups, *kernel), bias (S, O) -> (S, N, O, *out).
    Raises: ShapeError: as `conv`; E0202, E0207, E0208: the leading axes differ.
    Source: torch.conv1d, conv2d, conv3d with a group a slice; ONNX Loop, opset 13, around Conv.
    """

    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    mode: str = "zeros"

    name: ClassVar[str] = "conv_each"

    @property
    def slice(self) -> Conv:
        return Conv(self.stride, self.padding, self.dilation, self.groups, self.mode)


@dataclass(frozen=True, slots=True)
class ConvTransposeEach(Each):
    """`conv_transpose` on each slice of a leading axis, with the slice's own weight and bias.

    Attributes are those of `conv_transpose`. An `x` whose leading axis has the literal size 1 is shared by all slices.

    Shapes: x (S, N, C, *spatial), weight (S, C, O // groups, *kernel), bias (S, O) -> (S, N, O, *out).
    Raises: ShapeError: as `conv_transpose`; E0202, E0207, E0208: the leading axes differ.
    Source: torch.conv_transpose1d, conv_transpose2d, conv_transpose3d with a group a slice; ONNX Loop, opset 13.
    """

    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    output_padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1

    name: ClassVar[str] = "conv_transpose_each"

    @property
    def slice(self) -> ConvTranspose:
        return ConvTranspose(self.stride, self.padding, self.output_padding, self.dilation, self.groups)


def full_sizes(sizes: tuple[Dim, ...], kernel: tuple[Dim, ...], op: ConvTranspose) -> tuple[Dim, ...]:
    """The spatial sizes of a transposed convolution before `padding` is cut off."""
    reach = extents(kernel, op.dilation)
    return tuple(
        (size - 1) * stride + extent + added
        for size, stride, extent, added in zip(sizes, op.stride, reach, op.output_padding, strict=True)
    )


def _check_operands(types: tuple[TensorType, ...], *, what: str) -> None:
    require_same_dtype(types, what=what)
    for index, t in enumerate(types):
        require_kind(t, ("float",), what=what, operand=index)
    for at, size in enumerate(types[1].sizes):
        if size == 0:
            raise ShapeError(
                "E0204", f"{what} needs a weight with elements, found {types[1]}", operand=1, axes=((1, at),)
            )


def _check_groups(groups: int, channels: Dim, facts: Facts, *, what: str, operand: int, axis: int) -> None:
    if groups < 1:
        raise ShapeError("E0219", f"`groups` of {what} is at least 1, found {groups}")
    divides = facts.prove_eq(channels % groups, 0)
    if divides:
        return
    if divides is None:
        raise ShapeError(
            "E0208",
            f"{what} in {groups} groups needs channels that they divide, and nothing says so of {channels}",
            operand=operand,
            axes=((operand, axis),),
            help=f"add `where {channels} % {groups} == 0` to the header",
        )
    raise ShapeError(
        "E0204",
        f"{what} in {groups} groups needs channels that they divide, found {channels}",
        operand=operand,
        axes=((operand, axis),),
    )


def _check_channels(x: TensorType, weight: TensorType, groups: int, facts: Facts) -> None:
    wanted = weight.axes[1] if groups == 1 else Axis(None, weight.sizes[1] * groups)
    title = f"`conv` expects {wanted.size} input channels, found {x.sizes[1]}"
    _meet((0, 1, x.axes[1]), (1, 1, wanted), facts, what="the input channels of `conv`", title=title)


def _check_bias(bias: TensorType, channels: Axis, facts: Facts, *, what: str, at: int) -> None:
    if bias.rank != 1:
        raise ShapeError("E0205", f"the bias of {what} needs 1 axis, found {bias.rank}: {bias}", operand=2)
    title = f"the bias of {what} needs {channels.size} numbers, found {bias.sizes[0]}"
    _meet((2, 0, bias.axes[0]), (1, at, channels), facts, what=f"the bias of {what}", title=title)


def _meet(found: tuple[int, int, Axis], wanted: tuple[int, int, Axis], facts: Facts, *, what: str, title: str) -> None:
    """(operand, place, axis) twice. Raises: ShapeError: E0204, `title`: the sizes differ; E0207; E0208."""
    try:
        unify_axis(found[2], wanted[2], facts, what=what, operands=(found[0], wanted[0]), at=(found[1], wanted[1]))
    except ShapeError as error:
        if error.code != "E0202":
            raise
        raise ShapeError("E0204", title, operand=found[0], axes=(found[:2], wanted[:2])) from None


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


OPS: tuple[type[Op], ...] = (Conv, ConvTranspose, ConvEach, ConvTransposeEach)
