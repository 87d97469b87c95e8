"""Triangles and lengths."""

from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.proofs import require
from netdsl.record import dataclass
from netdsl.tensor_type import BOOL, Axis, ShapeError, TensorType


@dataclass(frozen=True, slots=True)
class _Triangle(Op):
    diagonal: int = 0

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        if x.rank < 2:
            raise ShapeError("E0205", f"`{self.name}` needs rows and columns, found {x}", operand=0)
        return (x.with_dtype(x.dtype.storage),)


class Tril(_Triangle):
    """x with 0 (false) above a diagonal of its last two axes: kept where column - row <= `diagonal`.

    Shapes: x (.., n, m) -> the same.
    Raises: ShapeError: E0205: fewer than two axes.
    Source: torch.tril; ONNX Trilu, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "tril"


class Triu(_Triangle):
    """x with 0 (false) below a diagonal of its last two axes: kept where column - row >= `diagonal`.

    Shapes: x (.., n, m) -> the same.
    Raises: ShapeError: E0205: fewer than two axes.
    Source: torch.triu; ONNX Trilu, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "triu"


@dataclass(frozen=True, slots=True)
class TriMask(Op):
    """True where column - row <= `diagonal`: with 0 the causal mask, in which row i sees columns 0 to i.

    Shapes: -> (rows, cols).
    Raises: ShapeError: E0209: a negative size.
    Source: torch.tril of ones; ONNX Range and LessOrEqual, opset 16.
    """

    rows: Dim
    cols: Dim
    diagonal: int = 0

    name: ClassVar[str] = "tri_mask"
    operands: ClassVar[tuple[str, ...]] = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        for size in (self.rows, self.cols):
            require(size, ">=", 0, facts, what="`tri_mask` needs sizes of 0 or more")
        return (TensorType(BOOL, (Axis(None, self.rows), Axis(None, self.cols))),)


@dataclass(frozen=True, slots=True)
class LengthMask(Op):
    """True at the first `length` places of a new last axis: which steps of each row are there.

    A length of 0 or less gives false throughout, one of `size` or more true.

    Shapes: length (b..) -> (b.., size).
    Raises: ShapeError: E0217: lengths that are not i64 or i32; E0209: a negative size.
    Source: ONNX Range and Less, opset 13.
    """

    size: Dim

    name: ClassVar[str] = "length_mask"
    operands: ClassVar[tuple[str, ...]] = ("length",)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (length,) = types
        if length.dtype.storage.name not in ("i64", "i32"):
            raise ShapeError(
                "E0217", f"`length_mask` needs lengths of type i64 or i32, found {length.dtype}", operand=0
            )
        require(self.size, ">=", 0, facts, what="`length_mask` needs a size of 0 or more")
        return (TensorType(BOOL, (*length.axes, Axis(None, self.size))),)


OPS: tuple[type[Op], ...] = (Tril, Triu, TriMask, LengthMask)
