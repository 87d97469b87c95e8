"""Normalisation: mean 0 and variance 1 over some axes, then a scale and a shift."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, require_kind, require_same_dtype, unify_axis


@dataclass(frozen=True, slots=True)
class LayerNorm(Op):
    """(x - mean) / sqrt(variance + eps) over the last `axes_count` axes, times `weight`, plus `bias`.

    The variance is the biased one. An axis takes the name that `x` or `weight` gives it. Where all elements are equal
    the result is 0, in a backend within the rounding of `x` over sqrt(eps).

    Shapes: x (..., *axes), weight (*axes), bias (*axes) -> like x.
    Raises: ShapeError: E0204: sizes of weight or bias; E0205: ranks; E0219: attributes.
    Source: torch.nn.functional.layer_norm; ONNX LayerNormalization, opset 17.
    """

    axes_count: int = 1
    eps: float = 1e-5

    name: ClassVar[str] = "layer_norm"
    operands: ClassVar[tuple[str, ...]] = ("x", "weight?", "bias?")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x = _float_operand(types, what="`layer_norm`")
        _check_eps(self.eps, what="`layer_norm`")
        if not 1 <= self.axes_count:
            raise ShapeError("E0219", f"`axes_count` of `layer_norm` is at least 1, found {self.axes_count}")
        if x.rank < self.axes_count:
            raise ShapeError("E0205", f"`layer_norm` over {self.axes_count} axes needs as many, found {x}", operand=0)
        start = x.rank - self.axes_count
        return (_scaled(types, tuple(range(start, x.rank)), facts, what="`layer_norm`"),)


@dataclass(frozen=True, slots=True)
class RmsNorm(Op):
    """x / sqrt(mean of x² + eps) over the last axis, times `weight`.

    Shapes: x (..., d), weight (d,) -> like x.
    Raises: ShapeError: E0204: size of weight; E0205: ranks; E0219: eps.
    Source: torch.nn.functional.rms_norm; ONNX RMSNormalization, opset 23.
    """

    eps: float = 1e-6

    name: ClassVar[str] = "rms_norm"
    operands: ClassVar[tuple[str, ...]] = ("x", "weight?")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x = _float_operand(types, what="`rms_norm`")
        _check_eps(self.eps, what="`rms_norm`")
        if x.rank == 0:
            raise ShapeError("E0205", f"`rms_norm` needs an axis, found the scalar {x}", operand=0)
        return (_scaled(types, (x.rank - 1,), facts, what="`rms_norm`"),)


@dataclass(frozen=True, slots=True)
class GroupNorm(Op):
    """(x - mean) / sqrt(variance + eps) over each of `groups` runs of channels and all axes after them.

    `weight` and `bias` are one number a channel. The variance is the biased one.

    Shapes: x (N, C, ...), weight (C,), bias (C,) -> like x; `groups` divides C.
    Raises: ShapeError: E0204: sizes of weight or bias, channels; E0205: ranks; E0208: divisibility; E0219: attributes.
    Source: torch.nn.functional.group_norm; ONNX InstanceNormalization, opset 6.
    """

    groups: int
    eps: float = 1e-5

    name: ClassVar[str] = "group_norm"
    operands: ClassVar[tuple[str, ...]] = ("x", "weight?", "bias?")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x = _float_operand(types, what="`group_norm`")
        _check_eps(self.eps, what="`group_norm`")
        if self.groups < 1:
            raise ShapeError("E0219", f"`groups` of `group_norm` is at least 1, found {self.groups}")
        _check_channel_rank(x, what="`group_norm`")
        channels = x.sizes[1]
        divides = facts.prove_eq(channels % self.groups, 0)
        if divides is None:
            raise ShapeError(
                "E0208",
                f"`group_norm` in {self.groups} groups needs channels they divide, and nothing says so of {channels}",
                operand=0,
                axes=((0, 1),),
                help=f"add `where {channels} % {self.groups} == 0` to the header",
            )
        if not divides:
            raise ShapeError(
                "E0204",
                f"`group_norm` in {self.groups} groups needs channels they divide, found {channels}",
                operand=0,
                axes=((0, 1),),
            )
        return (_scaled(types, (1,), facts, what="`group_norm`"),)


@dataclass(frozen=True, slots=True)
class BatchNorm(Op):
    """(x - mean) / sqrt(var + eps) * weight + bias, each of them one number a channel that is given.

    Gradients flow to all five operands, so that the same op serves training with the batch's own `moments`.

    Shapes: x (N, C, ...), mean (C,), var (C,), weight (C,), bias (C,) -> like x.
    Raises: ShapeError: E0204: sizes of the others; E0205: ranks; E0219: eps.
    Source: torch.nn.functional.batch_norm with training=False; ONNX BatchNormalization, opset 15.
    """

    eps: float = 1e-5

    name: ClassVar[str] = "batch_norm"
    operands: ClassVar[tuple[str, ...]] = ("x", "mean", "var", "weight", "bias")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x = _float_operand(types, what="`batch_norm`")
        _check_eps(self.eps, what="`batch_norm`")
        _check_channel_rank(x, what="`batch_norm`")
        return (_scaled(types, (1,), facts, what="`batch_norm`"),)


@dataclass(frozen=True, slots=True)
class Moments(Op):
    """The mean and the biased variance over `axes`, which are gone from the results; 0 over no elements.

    Shapes: x (..) -> mean and variance, both (..) without `axes`.
    Raises: ShapeError: E0206, E0219: axes.
    Source: torch.var_mean with correction=0, but for no elements; ONNX ReduceMean, opset 18.
    """

    axes: tuple[int, ...]

    name: ClassVar[str] = "moments"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x = _float_operand(types, what="`moments`")
        axes = self.normalised(types).axes
        if not axes:
            raise ShapeError("E0219", "`moments` needs at least one axis")
        if len(set(axes)) < len(axes):
            raise ShapeError("E0219", "`moments` names an axis twice")
        result = x.with_axes([axis for index, axis in enumerate(x.axes) if index not in axes])
        return result, result


def _float_operand(types: tuple[TensorType, ...], *, what: str) -> TensorType:
    require_same_dtype(types, what=what)
    for index, t in enumerate(types):
        require_kind(t, ("float",), what=what, operand=index)
    return types[0]


def _check_eps(eps: float, *, what: str) -> None:
    if not 0.0 <= eps < float("inf"):
        raise ShapeError("E0219", f"`eps` of {what} is 0 or a positive number, found {eps}")


def _check_channel_rank(x: TensorType, *, what: str) -> None:
    if x.rank < 2:
        raise ShapeError("E0205", f"{what} needs at least 2 axes (batch, channels), found {x.rank}: {x}", operand=0)


def _scaled(types: tuple[TensorType, ...], at: tuple[int, ...], facts: Facts, *, what: str) -> TensorType:
    """`x` whose axes at `at` have met those of every other operand.

    Raises: ShapeError: E0204, E0205, E0207, E0208.
    """
    axes: list[Axis] = list(types[0].axes)
    for index, other in enumerate(types[1:], 1):
        if other.rank != len(at):
            wanted = f"{len(at)} axis" if len(at) == 1 else f"{len(at)} axes"
            raise ShapeError("E0205", f"operand {index + 1} of {what} needs {wanted}, found {other}", operand=index)
        for own, (place, axis) in enumerate(zip(at, other.axes, strict=True)):
            where = (place, own)
            try:
                axes[place] = unify_axis(axes[place], axis, facts, what=what, operands=(0, index), at=where)
            except ShapeError as error:
                if error.code != "E0202":
                    raise
                raise ShapeError(
                    "E0204",
                    f"{what} expects {axes[place].size} numbers, found {axis.size}",
                    operand=index,
                    labels=((0, str(types[0])), (index, str(other))),
                    axes=error.axes,
                ) from None
    return types[0].with_axes(axes)


OPS: tuple[type[Op], ...] = (LayerNorm, RmsNorm, GroupNorm, BatchNorm, Moments)
