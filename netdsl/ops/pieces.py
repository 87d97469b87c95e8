"""Joins and cuts along axes: concat, stack, split, unstack, slice, pick, pad."""

from dataclasses import replace
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts, RelationOp
from netdsl.ops.base import Op
from netdsl.ops.proofs import new_axis, require, unify_other_axes
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, DType, ShapeError, TensorType, normal_axis, require_same_dtype

PAD_MODES = ("constant", "reflect", "replicate", "circular")


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """The operands one after another along `axis`, which loses its name if there are several.

    Shapes: xs (.., n1, ..), (.., n2, ..), .. -> (.., n1 + n2 + .., ..).
    Raises: ShapeError: E0205: no operand, or another rank; E0201, E0202, E0207, E0208: they do not fit; E0206.
    Source: torch.cat; ONNX Concat, opset 13.
    """

    axis: int

    name: ClassVar[str] = "concat"
    operands: ClassVar[tuple[str, ...]] = ("xs*",)

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        _require_operands(types, what="`concat`")
        return replace(self, axis=normal_axis(self.axis, types[0].rank, what="`concat`"))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        dtype = require_same_dtype(types, what="`concat`")
        axes = list(unify_other_axes(types, self.axis, facts, what="`concat`"))
        if len(types) > 1:
            total = Dim.of(0)
            for t in types:
                total = total + t.axes[self.axis].size
            axes[self.axis] = Axis(None, facts.simplify(total))
        return (TensorType(dtype, tuple(axes)),)


@dataclass(frozen=True, slots=True)
class Stack(Op):
    """The operands side by side along a new axis at place `axis` of the result.

    Shapes: n times (.., ..) -> (.., n, ..).
    Raises: ShapeError: E0205: no operand, or another rank; E0201, E0202, E0207, E0208: they do not fit; E0206.
    Source: torch.stack; ONNX Unsqueeze and Concat, opset 13.
    """

    axis: int = 0

    name: ClassVar[str] = "stack"
    operands: ClassVar[tuple[str, ...]] = ("xs*",)

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        _require_operands(types, what="`stack`")
        return replace(self, axis=new_axis(self.axis, types[0].rank, what="`stack`"))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        dtype = require_same_dtype(types, what="`stack`")
        axes = unify_other_axes(types, -1, facts, what="`stack`")
        new = Axis(None, Dim.of(len(types)))
        return (TensorType(dtype, (*axes[: self.axis], new, *axes[self.axis :])),)


def _require_operands(types: tuple[TensorType, ...], *, what: str) -> None:
    if not types:
        raise ShapeError("E0205", f"{what} needs at least one operand, found none")


@dataclass(frozen=True, slots=True)
class Split(Op):
    """x cut along `axis` into parts of the given sizes, one result a part. The axis loses its name.

    Shapes: x (.., s1 + s2 + .., ..) -> (.., s1, ..), (.., s2, ..), ..
    Raises: ShapeError: E0202: the sizes do not add up to the axis; E0208: nothing says that they do; E0206.
    Source: torch.split; ONNX Split, opset 18.
    """

    sizes: tuple[Dim, ...]
    axis: int = -1

    name: ClassVar[str] = "split"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        axis = x.axes[self.axis]
        total = Dim.of(0)
        for size in self.sizes:
            require(size, ">=", 0, facts, what="`split` needs sizes of 0 or more")
            total = total + size
        sizes = " + ".join(map(str, self.sizes)) or "nothing"
        what = f"`split` takes an axis of size {axis.size} apart into {sizes}"
        require(axis.size, "==", total, facts, what=what, code="E0202", axes=((0, self.axis),))
        parts = [axis] if len(self.sizes) == 1 else [Axis(None, size) for size in self.sizes]
        return tuple(_with_axis(x, self.axis, part) for part in parts)


@dataclass(frozen=True, slots=True)
class Unstack(Op):
    """The entries of x along `axis`, one result each, without the axis.

    Shapes: x (.., n, ..) -> n times (.., ..).
    Raises: ShapeError: E0208: the axis has no constant size; E0206.
    Source: torch.unbind; ONNX Split and Squeeze, opset 18.
    """

    axis: int = 0

    name: ClassVar[str] = "unstack"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        size = facts.simplify(x.axes[self.axis].size)
        if not size.is_const:
            raise ShapeError(
                "E0208",
                f"`unstack` needs an axis of constant size, found {size}",
                operand=0,
                axes=((0, self.axis),),
            )
        return (x.with_axes(x.axes[: self.axis] + x.axes[self.axis + 1 :]),) * size.value


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """The entries `start`, `start + step`, .. before `stop` of `axis`, which loses its name unless all are kept.

    Shapes: x (.., n, ..) -> (.., ceil((stop - start) / step), ..).
    Args:   start, stop: 0 to n, counted from the front.
    Raises: ShapeError: E0209: outside of the axis; E0208: nothing says that it is inside; E0219: a step below 1; E0206.
    Source: x[start:stop:step]; ONNX Slice, opset 13.
    """

    axis: int
    start: Dim
    stop: Dim
    step: int = 1

    name: ClassVar[str] = "slice"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        axis = x.axes[self.axis]
        if self.step < 1:
            raise ShapeError("E0219", f"a slice needs a step of 1 or more, found {self.step}", help="turn with `flip`")
        if self.start == 0 and self.step == 1 and facts.prove_eq(self.stop, axis.size):
            return types
        title = f"a slice {self.start}:{self.stop} lies inside axis {self.axis}, which has size {axis.size}"
        for left, right in ((Dim.of(0), self.start), (self.start, self.stop), (self.stop, axis.size)):
            require(left, "<=", right, facts, what=title, axes=((0, self.axis),))
        size = facts.simplify((self.stop - self.start + (self.step - 1)) // self.step)
        return (_with_axis(x, self.axis, Axis(None, size)),)


@dataclass(frozen=True, slots=True)
class Pick(Op):
    """The entry `index` of `axis`, without the axis.

    A constant index into an axis of free size, or a free index into a constant size, need not be proved to be inside;
    where it is not, running the network is an error.

    Shapes: x (.., n, ..) -> (.., ..).
    Args:   index: 0 to n - 1, counted from the front.
    Raises: ShapeError: E0209: outside of the axis; E0208: nothing says that it is inside; E0206.
    Source: torch.select; ONNX Gather, opset 13.
    """

    axis: int
    index: Dim

    name: ClassVar[str] = "pick"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        size = x.axes[self.axis].size
        title = f"the index {self.index} lies inside axis {self.axis}, which has size {size}"
        bounds: tuple[tuple[RelationOp, Dim], ...] = ((">=", Dim.of(0)), ("<", size))
        for op, bound in bounds:
            is_left_open = facts.prove(op, self.index, bound) is None and (self.index.is_const or size.is_const)
            if not is_left_open:
                require(self.index, op, bound, facts, what=title, axes=((0, self.axis),))
        return (x.with_axes(x.axes[: self.axis] + x.axes[self.axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class Pad(Op):
    """x with entries added before and after the last axes, which lose their names.

    Shapes: x (.., n, ..) -> (.., before + n + after, ..).
    Args:
        padding: (before, after) of each of the last axes, in their order.
        mode:    `constant` adds `value`; `reflect` mirrors without repeating the edge (fewer than n entries);
                 `replicate` repeats the edge (n at least 1); `circular` goes on at the other end (at most n entries).
    Raises: ShapeError: E0209: more padding than the mode can take; E0208: nothing says that it is not; E0205: more
            pairs than axes; E0219: an unknown mode, or a value that the element type cannot hold.
    Source: torch.nn.functional.pad; ONNX Pad, opset 18.
    """

    padding: tuple[tuple[Dim, Dim], ...]
    mode: str = "constant"
    value: float = 0.0

    name: ClassVar[str] = "pad"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        if self.mode not in PAD_MODES:
            raise ShapeError("E0219", f"`pad` has the modes {', '.join(PAD_MODES)}, found `{self.mode}`")
        if len(self.padding) > x.rank:
            raise ShapeError("E0205", f"`pad` has {len(self.padding)} pairs, and {x} has {x.rank} axes", operand=0)
        dtype = x.dtype
        if self.mode == "constant":
            dtype = dtype.storage
            if not _holds(dtype, self.value):
                raise ShapeError("E0219", f"`pad` adds {self.value} to elements of type {dtype}", operand=0)
        first = x.rank - len(self.padding)
        axes = list(x.axes)
        for at, (before, after) in enumerate(self.padding, first):
            if before != 0 or after != 0:
                self._require_enough(before, after, axes[at].size, at, facts)
                axes[at] = Axis(None, facts.simplify(axes[at].size + before + after))
        return (TensorType(dtype, tuple(axes)),)

    def _require_enough(self, before: Dim, after: Dim, size: Dim, at: int, facts: Facts) -> None:
        places = ((0, at),)
        for amount in (before, after):
            require(amount, ">=", 0, facts, what="`pad` adds 0 entries or more", axes=places)
            if self.mode == "reflect" and amount != 0:
                require(amount, "<", size, facts, what="`pad` mirrors fewer entries than an axis has", axes=places)
            if self.mode == "circular":
                require(amount, "<=", size, facts, what="`pad` goes around an axis once at most", axes=places)
        if self.mode == "replicate":
            require(size, ">=", 1, facts, what="`pad` repeats the edge of an axis that has one", axes=places)


def _holds(dtype: DType, value: float) -> bool:
    """Whether an element type that is not a float can be exactly `value`."""
    if dtype.is_float:
        return True
    if dtype.kind == "bool":
        return value in (0, 1)
    low = 0 if dtype.name == "u8" else -(2 ** (dtype.bits - 1))
    return float(value).is_integer() and low <= value < low + 2**dtype.bits


def _with_axis(x: TensorType, at: int, axis: Axis) -> TensorType:
    return x.with_axes((*x.axes[:at], axis, *x.axes[at + 1 :]))


PIECES: tuple[type[Op], ...] = (Concat, Stack, Split, Unstack, Slice, Pick, Pad)
