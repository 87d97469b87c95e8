"""Softmax and its logarithm."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.ops.reduction import Reduction
from netdsl.record import dataclass
from netdsl.tensor_type import Kind, TensorType, require_kind


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """exp(x) divided by its sum over `axis`; the largest element is subtracted first, so that nothing overflows.

    -inf gives exactly 0. A slice that is -inf throughout, or holds inf or NaN, gives NaN.

    Shapes: x (..) -> the same.
    Raises: ShapeError: E0217: elements that are not floats; E0206.
    Source: torch.softmax; ONNX Softmax, opset 13.
    """

    axis: int = -1

    name: ClassVar[str] = "softmax"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        require_kind(types[0], ("float",), what=f"`{self.name}`")
        return types


@dataclass(frozen=True, slots=True)
class LogSoftmax(Op):
    """The logarithm of `softmax`, computed without it: x minus its logsumexp over `axis`.

    -inf stays -inf. A slice that is -inf throughout, or holds inf or NaN, is undefined (NaN in part or throughout).

    Shapes: x (..) -> the same.
    Raises: ShapeError: E0217: elements that are not floats; E0206.
    Source: torch.log_softmax; ONNX LogSoftmax, opset 13.
    """

    axis: int = -1

    name: ClassVar[str] = "log_softmax"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        require_kind(types[0], ("float",), what=f"`{self.name}`")
        return types


class LogSumExp(Reduction):
    """log(sum(exp(x))) over `axes`, without overflow; -inf over none, and where all elements are -inf.

    Shapes: x (..) -> (..) without `axes`.
    Raises: ShapeError: E0217: elements that are not floats; E0206.
    Source: torch.logsumexp; ONNX ReduceLogSumExp, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "logsumexp"
    kinds: ClassVar[tuple[Kind, ...]] = ("float",)


OPS: tuple[type[Op], ...] = (Softmax, LogSoftmax, LogSumExp)
