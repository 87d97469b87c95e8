"""Joins and cuts along axes."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import NUMBERS, cast, kernel_type
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split, Stack, Unstack
from netdsl.tensor_type import I64

_END = 2**63 - 1
_ZERO = Dim.of(0)
_PADS = NUMBERS | {"i8", "u8", "bool"}
_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _concat(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Concat)
    return operands if len(operands) == 1 else e.node("Concat", *operands, axis=op.axis)


def _stack(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Stack)
    axis = e.constant([op.axis], I64)
    rows = [e.node("Unsqueeze", x, axis)[0] for x in operands]
    return (rows[0],) if len(rows) == 1 else e.node("Concat", *rows, axis=op.axis)


def _split(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Split)
    count = len(op.sizes)
    if count < 2:
        return operands[:count]
    return e.node("Split", operands[0], e.shape(op.sizes), outputs=count, axis=op.axis)


def _unstack(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Unstack)
    indices = (e.constant(index, I64, ()) for index in range(len(node.results)))
    return tuple(e.node("Gather", operands[0], index, axis=op.axis)[0] for index in indices)


def _slice(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Slice)
    is_to_end = op.stop == node.operands[0].type.axes[op.axis].size
    if is_to_end and op.start == 0 and op.step == 1:
        return operands
    stop = e.constant([_END], I64) if is_to_end else e.shape([op.stop])
    steps = (e.constant([op.step], I64),) if op.step != 1 else ()
    return e.node("Slice", operands[0], e.shape([op.start]), stop, e.constant([op.axis], I64), *steps)


def _pick(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Pick)
    return e.node("Gather", operands[0], e.dim(op.index), axis=op.axis)


def _pad(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Pad)
    (x,) = operands
    t = node.operands[0].type
    first = t.rank - len(op.padding)
    padded = [(at, *pair) for at, pair in enumerate(op.padding, first) if any(amount != 0 for amount in pair)]
    if not padded:
        return operands
    if op.mode == "circular":
        for axis, before, after in padded:
            x = _around(e, x, axis, before, after, t.axes[axis].size)
        return (x,)
    via = kernel_type(t.dtype, _PADS)
    skipped = (_ZERO,) * first
    befores, afters = ((*skipped, *(pair[side] for pair in op.padding)) for side in (0, 1))
    value = op.value if via.is_float else int(op.value)
    fill = (e.constant(value, via, ()),) if op.mode == "constant" else ()
    pads = e.shape((*befores, *afters))
    (result,) = e.node("Pad", cast(e, x, t.dtype, via), pads, *fill, mode=_MODES[op.mode])
    return (cast(e, result, via, t.dtype),)


def _around(e: Emitter, x: str, axis: int, before: Dim, after: Dim, size: Dim) -> str:
    """Each end put on the other side. ONNX Runtime's Pad refuses empty tensors in mode `wrap` (opset 19)."""
    axes = e.constant([axis], I64)
    parts = [x]
    if before != 0:
        start = e.constant([-before.value], I64) if before.is_const else e.shape([size - before])
        parts.insert(0, e.node("Slice", x, start, e.constant([_END], I64), axes)[0])
    if after != 0:
        parts.append(e.node("Slice", x, e.constant([0], I64), e.shape([after]), axes)[0])
    return e.node("Concat", *parts, axis=axis)[0]


PIECES: dict[type[Op], Lower] = {
    Concat: _concat,
    Stack: _stack,
    Split: _split,
    Unstack: _unstack,
    Slice: _slice,
    Pick: _pick,
    Pad: _pad,
}
