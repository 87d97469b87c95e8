"""Order: argmax, argmin, topk, sort. Of equal elements the one with the lowest index comes first, everywhere."""

from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.proofs import require
from netdsl.record import dataclass
from netdsl.tensor_type import I64, Axis, DType, ShapeError, TensorType, idx, require_kind


def _index_type(axis: Axis) -> DType:
    """Indices into a named axis are of type `idx`, else plain i64."""
    return idx(axis) if axis.name is not None else I64


@dataclass(frozen=True, slots=True)
class _Extremum(Op):
    axis: int
    keep: bool = False

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float", "int"), what=f"`{self.name}`")
        axis = x.axes[self.axis]
        if facts.prove_eq(axis.size, 0):
            raise ShapeError(
                "E0209", f"`{self.name}` has no index to give: axis {self.axis} of {x} is empty", operand=0
            )
        kept = (Axis(None, Dim.of(1)),) if self.keep else ()
        return (TensorType(_index_type(axis), (*x.axes[: self.axis], *kept, *x.axes[self.axis + 1 :])),)


class ArgMax(_Extremum):
    """The index of the largest element along `axis`; of several, the first.

    The axis must have an element when the network runs. A NaN among the elements gives an undefined index.

    Shapes: x (.., n, ..) -> (.., ..), or (.., 1, ..) if `keep`.
    Raises: ShapeError: E0217: bool elements; E0209: an axis of size 0; E0206.
    Source: torch.argmax; ONNX ArgMax, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "argmax"


class ArgMin(_Extremum):
    """The index of the smallest element along `axis`; of several, the first.

    The axis must have an element when the network runs. A NaN among the elements gives an undefined index.

    Shapes: x (.., n, ..) -> (.., ..), or (.., 1, ..) if `keep`.
    Raises: ShapeError: E0217: bool elements; E0209: an axis of size 0; E0206.
    Source: torch.argmin; ONNX ArgMin, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "argmin"


@dataclass(frozen=True, slots=True)
class TopK(Op):
    """The `k` largest (or smallest) elements along `axis`, best first, and their indices.

    Equal elements come in the order of their indices. NaN among the elements gives undefined results.

    Shapes: x (.., n, ..) -> values (.., k, ..), indices (.., k, ..).
    Args:   k: 0 to n.
    Raises: ShapeError: E0209: k is larger than the axis; E0208: nothing says that it is not; E0217: bool elements;
            E0206.
    Source: torch.topk, but stable; ONNX TopK, opset 11.
    """

    k: Dim
    axis: int = -1
    largest: bool = True

    name: ClassVar[str] = "topk"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float", "int"), what="`topk`")
        axis = x.axes[self.axis]
        places = ((0, self.axis),)
        require(self.k, ">=", 0, facts, what="`topk` takes 0 elements or more")
        what = f"`topk` takes {self.k} of the {axis.size} elements of axis {self.axis}"
        require(self.k, "<=", axis.size, facts, what=what, axes=places)
        axes = (*x.axes[: self.axis], Axis(None, self.k), *x.axes[self.axis + 1 :])
        return (x.with_axes(axes), TensorType(_index_type(axis), axes))


@dataclass(frozen=True, slots=True)
class Sort(Op):
    """The elements along `axis` in ascending (or descending) order, and the indices where they stood.

    Equal elements come in the order of their indices, also when descending. The sorted axis has no name: its places
    are ranks. NaN among the elements gives undefined results.

    Shapes: x (.., n, ..) -> values (.., n, ..), indices (.., n, ..).
    Raises: ShapeError: E0217: bool elements; E0206.
    Source: torch.sort(stable=True); ONNX TopK, opset 11.
    """

    axis: int = -1
    descending: bool = False

    name: ClassVar[str] = "sort"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float", "int"), what="`sort`")
        axis = x.axes[self.axis]
        axes = (*x.axes[: self.axis], Axis(None, axis.size), *x.axes[self.axis + 1 :])
        return (x.with_axes(axes), TensorType(_index_type(axis), axes))


OPS: tuple[type[Op], ...] = (ArgMax, ArgMin, TopK, Sort)
