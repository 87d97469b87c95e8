"""Running sums and products."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import TensorType, require_kind


@dataclass(frozen=True, slots=True)
class CumSum(Op):
    """At each place of `axis`, the sum of the elements up to it. Integers wrap around.

    Shapes: x (..) -> the same.
    Args:   exclusive: without the element itself, so that the first result is 0.
            reverse:   the elements from it to the end.
    Raises: ShapeError: E0217: bool elements; E0206.
    Source: torch.cumsum; ONNX CumSum, opset 14.
    """

    axis: int
    exclusive: bool = False
    reverse: bool = False

    name: ClassVar[str] = "cumsum"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        require_kind(types[0], ("float", "int"), what=f"`{self.name}`")
        return (types[0].with_dtype(types[0].dtype.storage),)


@dataclass(frozen=True, slots=True)
class CumProd(Op):
    """At each place of `axis`, the product of the elements up to it. Integers wrap around.

    Exact zeros stay exact, also for their neighbours. ONNX Runtime multiplies integers exactly as far as 2**53.

    Shapes: x (..) -> the same.
    Args:   exclusive: without the element itself, so that the first result is 1.
            reverse:   the elements from it to the end.
    Raises: ShapeError: E0217: bool elements; E0206.
    Source: torch.cumprod; ONNX ReduceProd over a triangle, opset 18 (CumProd is newer than opset 23).
    """

    axis: int
    exclusive: bool = False
    reverse: bool = False

    name: ClassVar[str] = "cumprod"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        require_kind(types[0], ("float", "int"), what=f"`{self.name}`")
        return (types[0].with_dtype(types[0].dtype.storage),)


OPS: tuple[type[Op], ...] = (CumSum, CumProd)
