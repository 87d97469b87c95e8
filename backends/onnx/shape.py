"""Shapes: reshape, transpose, broadcast, and axes added, taken away or turned."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import cast, kernel_type
from netdsl.backends.onnx.pieces import PIECES
from netdsl.dims import Dim, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.tensor_type import DTYPES, I64

_EXPANDS = frozenset(DTYPES) - {"bf16"}


def reshape(e: Emitter, x: str, old: tuple[Dim, ...], new: tuple[Dim, ...]) -> str:
    """`x` with the sizes `new`, right for sizes of 0, and with a constant shape wherever there is one."""
    if old == new:
        return x
    constant = _constant_shape(old, new)
    if constant is not None:
        return e.node("Reshape", x, e.constant(constant, I64, (len(new),)))[0]
    cut = _flatten_axis(old, new)
    if cut is not None:
        return e.node("Flatten", x, axis=cut)[0]
    return e.node("Reshape", x, e.shape(new), allowzero=1)[0]


def _constant_shape(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> list[int] | None:
    """Sizes with 0 for "as it was" or -1 for "what is left"; not both, because beside a size of 0 any -1 would do."""
    if any(size == 0 for size in new):
        return None
    free = [at for at, size in enumerate(new) if not size.is_const]
    if all(at < len(old) and old[at] == new[at] for at in free):
        return [size.value if size.is_const else 0 for size in new]
    if len(free) == 1:
        return [size.value if size.is_const else -1 for size in new]
    return None


def _flatten_axis(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> int | None:
    """Where ONNX Flatten cuts the axes in two groups that make the two new axes."""
    cuts = range(len(old) + 1 if len(new) == 2 else 0)
    return next((cut for cut in cuts if new == (product(old[:cut]), product(old[cut:]))), None)


def _reshape(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    return (reshape(e, operands[0], node.operands[0].type.sizes, node.result.type.sizes),)


def _transpose(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Transpose)
    return operands if op.perm == tuple(range(len(op.perm))) else e.node("Transpose", operands[0], perm=op.perm)


def _broadcast(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    t = node.operands[0].type
    old, new = t.sizes, node.result.type.sizes
    if old == new:
        return operands
    # Expand takes the larger of two sizes where one is 1: axes that stay need not be known.
    added = len(new) - len(old)
    one = Dim.of(1)
    shape = [size if at < added or old[at - added] == 1 else one for at, size in enumerate(new)]
    via = kernel_type(t.dtype, _EXPANDS)
    return (cast(e, e.node("Expand", cast(e, operands[0], t.dtype, via), e.shape(shape))[0], via, t.dtype),)


def _squeeze(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Squeeze)
    return e.node("Squeeze", operands[0], e.constant([op.axis], I64))


def _unsqueeze(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Unsqueeze)
    return e.node("Unsqueeze", operands[0], e.constant([op.axis], I64))


def _flip(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Flip)
    if not op.axes:
        return operands
    count = len(op.axes)
    start, end, step = (e.constant([value] * count, I64) for value in (-1, -(2**63), -1))
    return e.node("Slice", operands[0], start, end, e.constant(op.axes, I64), step)


TABLE: dict[type[Op], Lower] = {
    Reshape: _reshape,
    Transpose: _transpose,
    Broadcast: _broadcast,
    Squeeze: _squeeze,
    Unsqueeze: _unsqueeze,
    Flip: _flip,
    **PIECES,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
