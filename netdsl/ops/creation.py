"""Tensors made from nothing: constants, ranges, run-time sizes; and dropout. Their axes have no names."""

from dataclasses import field
from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.elementwise import require_number
from netdsl.record import dataclass
from netdsl.tensor_type import F32, I64, Axis, DType, ShapeError, TensorType, require_kind


@dataclass(frozen=True, slots=True)
class Constant(Op):
    """The numbers written in the source, row by row: for small literals. Larger constants are parameters.

    Shapes: () -> shape.
    Raises: ShapeError: E0202: the shape needs another number of values; E0201: one is not of the element type.
    Source: torch.tensor; an ONNX initializer.
    """

    values: tuple[int | float | bool, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: DType = F32

    name: ClassVar[str] = "constant"
    operands: ClassVar[tuple[str, ...]] = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        count = 1
        for size in self.shape:
            count *= size
        if count != len(self.values):
            raise ShapeError(
                "E0202", f"`constant` of shape {list(self.shape)} needs {count} values: {len(self.values)}"
            )
        for value in self.values:
            require_number(value, self.dtype, what="`constant`")
        return (TensorType(self.dtype, _axes(*map(Dim.of, self.shape))),)


@dataclass(frozen=True, slots=True)
class Full(Op):
    """One number everywhere.

    Shapes: () -> shape.
    Raises: ShapeError: E0201: the number is not of the element type.
    Source: torch.full; ONNX Expand, opset 13.
    """

    shape: tuple[Dim, ...] = field(default=(), metadata={"variadic": True})
    value: int | float | bool = 0
    dtype: DType = F32

    name: ClassVar[str] = "full"
    operands: ClassVar[tuple[str, ...]] = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        require_number(self.value, self.dtype, what="`full`")
        return (TensorType(self.dtype, _axes(*self.shape)),)


@dataclass(frozen=True, slots=True)
class Iota(Op):
    """0, 1, .. size - 1.

    Shapes: () -> (size,).
    Raises: ShapeError: E0217: bool.
    Source: torch.arange; ONNX Range, opset 11.
    """

    size: Dim
    dtype: DType = I64

    name: ClassVar[str] = "iota"
    operands: ClassVar[tuple[str, ...]] = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        result = TensorType(self.dtype, _axes(self.size))
        require_kind(result, ("float", "int"), what="`iota`")
        return (result,)


@dataclass(frozen=True, slots=True)
class Eye(Op):
    """Ones (or true) on the diagonal, else zeros (or false).

    Shapes: () -> (size, size).
    Source: torch.eye; ONNX Range and Equal, opset 13.
    """

    size: Dim
    dtype: DType = F32

    name: ClassVar[str] = "eye"
    operands: ClassVar[tuple[str, ...]] = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        return (TensorType(self.dtype, _axes(self.size, self.size)),)


@dataclass(frozen=True, slots=True)
class DimValue(Op):
    """A size as a number: i64, known at run time where the size is free.

    Shapes: () -> ().
    Source: torch.Tensor.size; ONNX Shape, opset 15.
    """

    dim: Dim

    name: ClassVar[str] = "dim_value"
    operands: ClassVar[tuple[str, ...]] = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        return (TensorType(I64),)


@dataclass(frozen=True, slots=True)
class Dropout(Op):
    """Each element is 0 with probability `p`, else x / (1 - p). It stands in training graphs only.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not float; E0219: `p` is not from 0 to 1.
    Source: Srivastava et al. 2014; torch.nn.functional.dropout.
    """

    p: float = 0.5

    name: ClassVar[str] = "dropout"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what="`dropout`")
        if not 0 <= self.p <= 1:
            raise ShapeError("E0219", f"`p` of `dropout` needs a number from 0 to 1, found {self.p}")
        return (x,)


def _axes(*sizes: Dim) -> tuple[Axis, ...]:
    return tuple(Axis(None, size) for size in sizes)


OPS: tuple[type[Op], ...] = (Constant, Full, Iota, Eye, DimValue, Dropout)
