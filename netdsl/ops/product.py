"""Products of matrices and tensors."""

from dataclasses import field
from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.einsum_pattern import contract, parse_pattern
from netdsl.record import dataclass
from netdsl.tensor_type import (
    Axis,
    ShapeError,
    TensorType,
    broadcast_axes,
    require_kind,
    require_same_dtype,
    unify_axis,
)


class Matmul(Op):
    """`a @ b`: the sum over the last axis of `a` and the last but one of `b`; leading axes broadcast.

    An operand with one axis is a row on the left, a column on the right, and its axis is gone from the result. Rows and
    columns keep their names. Integers wrap around. A sum over no elements is 0.

    Shapes: a (..., n, k), b (..., k, m) -> (..., n, m); a (k,) -> (..., m); b (k,) -> (..., n).
    Raises: ShapeError: E0203: inner sizes differ; E0202, E0207, E0208 on leading axes; E0205: a scalar.
    Source: numpy.matmul; torch.matmul; ONNX MatMul, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "matmul"
    operands: ClassVar[tuple[str, ...]] = ("a", "b")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        a, b = types
        dtype = require_same_dtype(types, what="`@`").storage
        for index, t in enumerate(types):
            require_kind(t, ("float", "int"), what="`@`", operand=index)
            if t.rank == 0:
                raise ShapeError("E0205", f"`@` needs an axis on each side, found the scalar {t}", operand=index)
        self._inner(a, b, facts)
        leading = [t.with_axes(t.axes[:-2]) for t in types]
        axes: tuple[Axis, ...] = broadcast_axes(leading, facts, what="`@`")
        axes += a.axes[-2:-1]
        axes += b.axes[-1:] if b.rank > 1 else ()
        return (TensorType(dtype, axes),)

    def _inner(self, a: TensorType, b: TensorType, facts: Facts) -> None:
        at = (a.rank - 1, max(b.rank - 2, 0))
        left, right = a.axes[at[0]], b.axes[at[1]]
        try:
            unify_axis(left, right, facts, what="`@`", operands=(0, 1), at=at)
        except ShapeError as error:
            if error.code == "E0207":
                raise
            is_unknown = error.code == "E0208"
            raise ShapeError(
                "E0208" if is_unknown else "E0203",
                f"`@` needs equal inner dimensions, and nothing says that {left.size} equals {right.size}"
                if is_unknown
                else f"`@` needs equal inner dimensions: {left.size} and {right.size}",
                operand=1,
                labels=((0, str(a)), (1, str(b))),
                axes=((0, at[0]), (1, at[1])),
                help=error.help,
            ) from None

    def flops(self, types: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> Dim:
        return results[0].numel() * types[0].sizes[-1] * 2


@dataclass(frozen=True, slots=True)
class Einsum(Op):
    """The sum of products that a pattern of named axes says: `einsum["b h d, g h d e -> b g h e"](x, w)`.

    - An axis that is missing on the right is summed; one that is twice in a term takes the diagonal.
    - Axes in brackets are merged on the right (`(a b)`) and split on the left, where all sizes in a bracket but one
      are given: `einsum["(h d) n -> h n d", h=3]`. `1` and `()` are an axis of size 1.
    - `...` stands for leading axes, which broadcast like those of `+`; all other axes of one name are equal in size.
    - Names are separated by spaces. Where no term has a space or a bracket, each letter is a name: `bij,bjk->bik`.
    - Whole axes keep their name, merged and split ones have none.
    - Operands are joined from left to right; the order decides the cost, not the value. Integers wrap around.

    Shapes: as the pattern says: "b n, n m -> b m" takes (B, N) and (N, M) to (B, M).
    Raises: ShapeError: E0216: the pattern; E0202, E0205, E0207, E0208: the operands do not fit it.
    Source: numpy.einsum; einops.einsum; ONNX MatMul, Transpose, Reshape and ReduceSum, opset 13.
    """

    pattern: str
    sizes: tuple[tuple[str, Dim], ...] = field(default=(), metadata={"pairs": True})

    name: ClassVar[str] = "einsum"
    operands: ClassVar[tuple[str, ...]] = ("xs*",)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        pattern = parse_pattern(self.pattern)
        contraction = contract(pattern, self.sizes, types, facts)
        for index, t in enumerate(types):
            require_kind(t, ("float", "int"), what="`einsum`", operand=index)
        dtype = require_same_dtype(types, what="`einsum`").storage
        return (TensorType(dtype, contraction.result),)

    def flops(self, types: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> Dim:
        contraction = contract(parse_pattern(self.pattern), self.sizes, types, None)
        total = Dim.of(0)
        for step in contraction.steps():
            if step.summed:
                total = total + contraction.size(step.result + step.summed) * 2
        return total


OPS: tuple[type[Op], ...] = (Matmul, Einsum)
