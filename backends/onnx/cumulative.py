"""Running sums and products."""

from dataclasses import dataclass

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import NUMBERS, SUMS, cast, kernel_type
from netdsl.backends.onnx.masks import places
from netdsl.backends.onnx.reduction import reduce
from netdsl.backends.onnx.shape import reshape
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.cumulative import CumProd, CumSum
from netdsl.tensor_type import I64, DType

#: Products over a triangle cost the square of the size; longer axes are cut into blocks of this size.
_BLOCK = 64


def _cumsum(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, CumSum)
    dtype = node.result.type.dtype
    via = kernel_type(dtype, NUMBERS)
    x, axis = cast(e, operands[0], dtype, via), e.constant(op.axis, I64, ())
    (total,) = e.node("CumSum", x, axis, exclusive=op.exclusive, reverse=op.reverse)
    return (cast(e, total, via, dtype),)


@dataclass(frozen=True, slots=True)
class _Products:
    """Running products in ONNX before its CumProd (opset 26): those of a row are products over a triangle."""

    e: Emitter
    dtype: DType
    axis: int
    exclusive: bool
    reverse: bool

    def triangle(self, x: str, sizes: tuple[Dim, ...], axis: int, exclusive: bool) -> str:
        """Products along one axis, in memory of its size squared."""
        rows, cols = ((*range(1, len(sizes) - axis + skip),) for skip in (1, 0))
        pair = [_unsqueezed(self.e, places(self.e, sizes[axis]), axes) for axes in (cols, rows)]
        compare = {
            (False, False): "LessOrEqual",
            (True, False): "Less",
            (False, True): "GreaterOrEqual",
            (True, True): "Greater",
        }
        (mask,) = self.e.node(compare[exclusive, self.reverse], *pair)
        (spread,) = self.e.node("Where", mask, _unsqueezed(self.e, x, (axis,)), self.e.constant(1, self.dtype, ()))
        return reduce(self.e, "ReduceProd", spread, (axis + 1,), False)

    def blocks(self, x: str, sizes: tuple[Dim, ...]) -> str:
        """Products along the axis, in memory of 64 times its size and (size / 64) squared."""
        e, axis = self.e, self.axis
        size = sizes[axis]
        count = (size + (_BLOCK - 1)) // _BLOCK
        zero = Dim.of(0)
        front, back = (zero,) * axis, (zero,) * (len(sizes) - axis - 1)
        pads = e.shape((*front, zero, *back, *front, count * _BLOCK - size, *back))
        (padded,) = e.node("Pad", x, pads, e.constant(1, self.dtype, ()))
        whole = (*sizes[:axis], count * _BLOCK, *sizes[axis + 1 :])
        cut = (*sizes[:axis], count, Dim.of(_BLOCK), *sizes[axis + 1 :])
        rows = reshape(e, padded, whole, cut)
        inside = self.triangle(rows, cut, axis + 1, self.exclusive)
        totals = reduce(e, "ReduceProd", rows, (axis + 1,), False)
        before = self.triangle(totals, (*sizes[:axis], count, *sizes[axis + 1 :]), axis, True)
        (product,) = e.node("Mul", inside, _unsqueezed(e, before, (axis + 1,)))
        joined = reshape(e, product, cut, whole)
        start, axes = e.constant([0], I64), e.constant([axis], I64)
        return e.node("Slice", joined, start, e.shape([size]), axes)[0]


def _unsqueezed(e: Emitter, x: str, axes: tuple[int, ...]) -> str:
    return e.node("Unsqueeze", x, e.constant(axes, I64))[0] if axes else x


def _cumprod(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, CumProd)
    t = node.result.type
    via = kernel_type(t.dtype, SUMS)
    products = _Products(e, via, op.axis, op.exclusive, op.reverse)
    x, size = cast(e, operands[0], t.dtype, via), t.axes[op.axis].size
    if size.is_const and size.value <= _BLOCK:
        return (cast(e, products.triangle(x, t.sizes, op.axis, op.exclusive), via, t.dtype),)
    return (cast(e, products.blocks(x, t.sizes), via, t.dtype),)


TABLE: dict[type[Op], Lower] = {CumSum: _cumsum, CumProd: _cumprod}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
