"""Shapes: reshape, transpose, broadcast, and axes added, taken away or turned. Joins and cuts are in `pieces`."""

from dataclasses import field, replace
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts, product
from netdsl.ops.base import Op
from netdsl.ops.pieces import PIECES
from netdsl.ops.proofs import new_axis, require
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, normal_axis, unify_axis


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    """The same elements, in row-major order, with axes of the sizes `shape`.

    One size may be -1: the size that is left. Axes in front and at the end that stay as they are keep their names.

    Shapes: x (..) -> shape.
    Raises: ShapeError: E0215: another count of elements; E0208: nothing says that the counts are equal; E0219: a shape
            with two -1 or another negative size.
    Source: torch.reshape; ONNX Reshape, opset 14.
    """

    shape: tuple[Dim, ...] = field(default=(), metadata={"variadic": True})

    name: ClassVar[str] = "reshape"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        sizes = self._sizes(x, facts)
        front = 0
        while front < min(x.rank, len(sizes)) and facts.prove_eq(x.axes[front].size, sizes[front]):
            front += 1
        back = 0
        while back < min(x.rank, len(sizes)) - front and facts.prove_eq(x.axes[-1 - back].size, sizes[-1 - back]):
            back += 1
        middle = (Axis(None, size) for size in sizes[front : len(sizes) - back])
        return (x.with_axes((*x.axes[:front], *middle, *x.axes[x.rank - back :])),)

    def _sizes(self, x: TensorType, facts: Facts) -> tuple[Dim, ...]:
        open_at = [at for at, size in enumerate(self.shape) if size == -1]
        if len(open_at) > 1:
            raise ShapeError("E0219", f"`reshape` finds one size by itself, and {len(open_at)} are -1")
        for size in self.shape:
            if size != -1 and facts.prove(">=", size, 0) is False:
                raise ShapeError("E0219", f"`reshape` needs sizes of 0 or more, found {size}")
        total, known = self._uncommon(x)
        if not open_at:
            self._require_equal(x, total, known, facts)
            return self.shape
        if any(size == 0 for size in self.shape):
            raise ShapeError("E0219", "`reshape` finds no size for -1 beside an axis of size 0")
        rest = total % known
        divides = facts.prove_eq(rest, 0)
        if divides is None:
            raise ShapeError(
                "E0208",
                f"`reshape` splits {total} elements by {known}, and nothing says that it divides them",
                operand=0,
                help=f"add `where {rest} == 0` to the header",
            )
        if not divides:
            raise ShapeError(
                "E0215", f"`reshape` splits {total} elements by {known}, which does not divide them", operand=0
            )
        found = facts.simplify(total // known)
        return (*self.shape[: open_at[0]], found, *self.shape[open_at[0] + 1 :])

    def _uncommon(self, x: TensorType) -> tuple[Dim, Dim]:
        """Products of the old and the new sizes without those that both have: a 0 in them would hide a difference."""
        left, total, wanted = list(x.sizes), Dim.of(1), Dim.of(1)
        for size in self.shape:
            if size in left and size != 0:
                left.remove(size)
            elif size != -1:
                wanted = wanted * size
        for size in left:
            total = total * size
        return total, wanted

    def _require_equal(self, x: TensorType, total: Dim, wanted: Dim, facts: Facts) -> None:
        equal = facts.prove_eq(total, wanted)
        if equal is None:
            raise ShapeError(
                "E0208",
                f"`reshape` keeps all elements, and nothing says that {total} equals {wanted}",
                operand=0,
                help=f"add `where {total} == {wanted}` to the header",
            )
        if not equal:
            shape = ", ".join(map(str, self.shape))
            raise ShapeError(
                "E0215",
                f"`reshape` keeps all elements: {x} has {x.numel()}, [{shape}] has {product(self.shape)}",
                operand=0,
            )


@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """The axes in another order: axis i of the result is axis `perm[i]` of x. Axes keep their names.

    Shapes: x (a0, a1, ..) -> (a perm[0], a perm[1], ..).
    Raises: ShapeError: E0206: `perm` does not name each axis once.
    Source: torch.permute; ONNX Transpose, opset 13.
    """

    perm: tuple[int, ...] = field(default=(), metadata={"variadic": True})

    name: ClassVar[str] = "transpose"

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        perm = tuple(normal_axis(axis, types[0].rank, what="`transpose`") for axis in self.perm)
        return self if perm == self.perm else replace(self, perm=perm)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        if sorted(self.perm) != list(range(x.rank)):
            order = ", ".join(map(str, self.perm))
            raise ShapeError("E0206", f"`transpose` needs each of {x.rank} axes once, found [{order}]", operand=0)
        return (x.with_axes([x.axes[axis] for axis in self.perm]),)


@dataclass(frozen=True, slots=True)
class Broadcast(Op):
    """x repeated to the sizes `shape`, aligned from the right: unnamed axes of literal size 1 stretch, axes are added
    on the left, and all other axes have the size given. Axes that do not stretch keep their names.

    Shapes: x (.., 1, n) -> shape (.., m, n).
    Raises: ShapeError: E0205: fewer sizes than x has axes; E0202, E0208: an axis that cannot stretch has another size.
    Source: torch.Tensor.expand; ONNX Expand, opset 13.
    """

    shape: tuple[Dim, ...] = field(default=(), metadata={"variadic": True})

    name: ClassVar[str] = "broadcast"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        added = len(self.shape) - x.rank
        if added < 0:
            raise ShapeError(
                "E0205", f"`broadcast` needs a size for each axis of {x}, found {len(self.shape)}", operand=0
            )
        axes = []
        for at, size in enumerate(self.shape):
            if facts.prove(">=", size, 0) is False:
                raise ShapeError("E0219", f"`broadcast` needs sizes of 0 or more, found {size}")
            if at < added or stretches(x.axes[at - added]):
                axes.append(Axis(None, size))
            else:
                axis = x.axes[at - added]
                axes.append(
                    unify_axis(axis, Axis(None, size), facts, what="`broadcast`", operands=(0, 0), at=(at - added,) * 2)
                )
        return (x.with_axes(axes),)


def stretches(axis: Axis) -> bool:
    """Whether the axis broadcasts: no name, literal size 1."""
    return axis.name is None and axis.size == 1


@dataclass(frozen=True, slots=True)
class Squeeze(Op):
    """x without an axis of size 1.

    Shapes: x (.., 1, ..) -> (.., ..).
    Raises: ShapeError: E0202: the axis has another size; E0208: nothing says that it is 1; E0206.
    Source: torch.squeeze; ONNX Squeeze, opset 13.
    """

    axis: int

    name: ClassVar[str] = "squeeze"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        size = x.axes[self.axis].size
        what = f"`squeeze` takes away an axis of size 1, and axis {self.axis} of {x} has size {size}"
        require(size, "==", 1, facts, what=what, code="E0202", axes=((0, self.axis),))
        return (x.with_axes(x.axes[: self.axis] + x.axes[self.axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class Unsqueeze(Op):
    """x with a new axis of size 1 at place `axis` of the result.

    Shapes: x (.., ..) -> (.., 1, ..).
    Raises: ShapeError: E0206.
    Source: torch.unsqueeze; ONNX Unsqueeze, opset 13.
    """

    axis: int

    name: ClassVar[str] = "unsqueeze"

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        return replace(self, axis=new_axis(self.axis, types[0].rank, what="`unsqueeze`"))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        return (x.with_axes((*x.axes[: self.axis], Axis(None, Dim.of(1)), *x.axes[self.axis :])),)


@dataclass(frozen=True, slots=True)
class Flip(Op):
    """x with the order of the elements reversed along `axes`.

    Shapes: x (..) -> the same.
    Raises: ShapeError: E0206: an axis out of range, or named twice.
    Source: torch.flip; ONNX Slice with step -1, opset 13.
    """

    axes: tuple[int, ...]

    name: ClassVar[str] = "flip"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        if len(set(self.axes)) != len(self.axes):
            raise ShapeError("E0206", f"`flip` names an axis twice: {', '.join(map(str, self.axes))}", operand=0)
        return types


OPS: tuple[type[Op], ...] = (Reshape, Transpose, Broadcast, Squeeze, Unsqueeze, Flip, *PIECES)
