"""Reading and writing by index. ScatterND with a reduction is never used: it races in ONNX Runtime."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import cast
from netdsl.backends.onnx.masks import places
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.indexing import OneHot, Retarget, Scatter, ScatterAlong, Take, TakeAlong
from netdsl.tensor_type import BOOL, F32, I64, TensorType


def _take(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Take)
    return e.node("Gather", *operands, axis=op.axis)


def _take_along(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, TakeAlong)
    return e.node("GatherElements", *operands, axis=op.axis)


def _scatter(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Scatter)
    x, indices, updates = operands
    t, ti, tu = node.operand_types
    if _is_empty(tu):
        return (x,)
    if op.reduction == "none":
        table, update = places(e, t.axes[op.axis].size), _after(e, t, tu, op.axis)
        source = _last_writer(e, table, cast(e, indices, ti.dtype, I64), update, 0)
        return e.node("Gather", e.node("Concat", x, updates, axis=op.axis)[0], source, axis=op.axis)
    return (_combine(e, t, x, spread(e, indices, tu, op.axis), updates, op.axis, op.reduction),)


def _scatter_along(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, ScatterAlong)
    x, indices, updates = operands
    t, ti, tu = node.operand_types
    if _is_empty(tu):
        return (x,)
    if op.reduction == "none":
        table = spread(e, places(e, t.axes[op.axis].size), t, op.axis)
        update = spread(e, _after(e, t, tu, op.axis), tu, op.axis)
        source = _last_writer(e, table, cast(e, indices, ti.dtype, I64), update, op.axis)
        return e.node("GatherElements", e.node("Concat", x, updates, axis=op.axis)[0], source, axis=op.axis)
    return (_combine(e, t, x, indices, updates, op.axis, op.reduction),)


def _is_empty(t: TensorType) -> bool:
    """Whether there are certainly no elements; ONNX Runtime then folds sizes of the indices to others than ours."""
    return any(size == 0 for size in t.sizes)


def _combine(e: Emitter, t: TensorType, x: str, indices: str, updates: str, axis: int, reduction: str) -> str:
    """Many updates of one element are combined in f32 at least."""
    via = F32 if t.dtype.is_float and t.dtype.bits < 32 else t.dtype.storage
    data, values = cast(e, x, t.dtype, via), cast(e, updates, t.dtype, via)
    (combined,) = e.node("ScatterElements", data, indices, values, axis=axis, reduction=reduction)
    return cast(e, combined, via, t.dtype)


def _last_writer(e: Emitter, table: str, indices: str, update: str, axis: int) -> str:
    """For each place of the table, where its value stands in the table followed by the updates.

    ONNX does not define which of several updates of one place stays; the largest position does here.
    """
    return e.node("ScatterElements", table, indices, update, axis=axis, reduction="max")[0]


def _after(e: Emitter, t: TensorType, updates: TensorType, axis: int) -> str:
    """The positions of the updates behind the table."""
    size = t.axes[axis].size
    return places(e, updates.axes[axis].size, start=size)


def spread(e: Emitter, row: str, t: TensorType, axis: int) -> str:
    """A vector along `axis`, repeated over the other axes of `t`."""
    if t.rank == 1:
        return row
    if axis < t.rank - 1:
        (row,) = e.node("Unsqueeze", row, e.constant(range(1, t.rank - axis), I64))
    sizes = [Dim.of(1) if at == axis else size for at, size in enumerate(t.sizes)]
    return e.node("Expand", row, e.shape(sizes))[0]


def _one_hot(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, OneHot)
    t = node.operands[0].type
    indices = cast(e, operands[0], t.dtype, I64)
    (column,) = e.node("Unsqueeze", indices, e.constant([t.rank], I64))
    (is_hot,) = e.node("Equal", column, places(e, op.size))
    return (cast(e, is_hot, BOOL, op.dtype),)


def _retarget(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Retarget)
    indices = cast(e, operands[0], node.operands[0].type.dtype, I64)
    return (indices,) if op.offset == 0 else e.node("Add", indices, e.dim(op.offset))


TABLE: dict[type[Op], Lower] = {
    Take: _take,
    TakeAlong: _take_along,
    Scatter: _scatter,
    ScatterAlong: _scatter_along,
    OneHot: _one_hot,
    Retarget: _retarget,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
