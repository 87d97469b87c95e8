"""Pooling: what a window holds becomes its maximum or its mean."""

from collections.abc import Mapping, Sequence

import numpy as np

from netdsl.backends.onnx.context import Attribute, Emitter, Lower
from netdsl.backends.onnx.windows import arange, onnx_pads, padded, windows
from netdsl.dims import Dim, dmax, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.windows import extents, overhang
from netdsl.tensor_type import F64, I64, DType


def _max_pool(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, MaxPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    padding, over = op.padding, _overhang(node, op, op.dilation)
    done: Sequence[Dim | int] = ()
    whole = _with_ends(padding, [size.value if size.is_const else 0 for size in over])
    if all(size.is_const for size in over) and _is_taken(whole, op.kernel):
        padding = whole
    else:
        done = _with_dim_ends(padding, over)
        x = padded(e, x, done, node.result.type.dtype, value=-np.inf)
        padding = (0,) * len(padding)
    attributes = {"kernel_shape": op.kernel, "strides": op.stride, "pads": onnx_pads(padding), "dilations": op.dilation}
    return (_pool(e, node, "MaxPool", x, done, attributes),)


def _avg_pool(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """AveragePool where it counts as we do; else means over whole windows of zeros, weighted by what counts of each."""
    op = node.op
    assert isinstance(op, AvgPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    dtype = node.result.type.dtype
    ones = (1,) * len(op.kernel)
    over = _overhang(node, op, ones)
    is_exact = all(size == 0 for size in over)
    ends = _with_ends((0,) * len(op.padding), [size.value if size.is_const else 0 for size in over])
    whole = _with_ends(op.padding, ends[1::2])
    if dtype != F64 and all(size.is_const for size in over) and _is_taken(whole, op.kernel):
        done = op.padding if not is_exact and op.count_include_pad else ()
        x = padded(e, x, done, dtype) if done else x
        padding = ends if op.count_include_pad and not is_exact else whole
        counts = op.count_include_pad and is_exact and any(padding)
        attributes = {"kernel_shape": op.kernel, "strides": op.stride, "pads": onnx_pads(padding)}
        return (_pool(e, node, "AveragePool", x, done, attributes | {"count_include_pad": int(counts)}),)
    ends_of_dims = _with_dim_ends(op.padding, over)
    x = padded(e, x, ends_of_dims, dtype)
    y = _whole_means(e, node, x, op, ends_of_dims)
    if is_exact and (op.count_include_pad or not any(op.padding)):
        return (y,)
    return (_weighted(e, node, y, op),)


def _adaptive_avg_pool(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, AdaptiveAvgPool)
    (x,) = operands
    sizes = node.operand_types[0].sizes
    count = len(op.output)
    if all(size == 1 for size in op.output):
        return e.node("ReduceMean", x, e.constant(list(range(2, 2 + count)), I64))
    if all(size % output == 0 for size, output in zip(sizes[2:], op.output, strict=True)):
        split = [d for size, output in zip(sizes[2:], op.output, strict=True) for d in (Dim.of(output), size // output)]
        (x,) = e.node("Reshape", x, e.shape([*sizes[:2], *split]), allowzero=1)
        return e.node("ReduceMean", x, e.constant(list(range(3, 3 + 2 * count, 2)), I64), keepdims=0)
    whole = list(sizes)
    for axis, output in enumerate(op.output, 2):
        means = _even_means(e, sizes[axis], output, node.result.type.dtype)
        rest = product(whole[axis + 1 :])
        is_flat = axis == len(whole) - 2
        if not is_flat:
            (x,) = e.node("Reshape", x, e.shape([*whole[: axis + 1], rest]), allowzero=1)
        (x,) = e.node("MatMul", means, x)
        whole[axis] = Dim.of(output)
        if not is_flat:
            (x,) = e.node("Reshape", x, e.shape(whole), allowzero=1)
    return (x,)


def _even_means(e: Emitter, size: Dim, output: int, dtype: DType) -> str:
    """(output, size): row `i` takes the mean of window `i` of `output` even ones."""
    numbers = np.arange(output)
    if size.is_const:
        starts = numbers * size.value // output
        ends = -(-(numbers + 1) * size.value // output)
        places = np.arange(size.value)
        inside = (places >= starts[:, None]) & (places < ends[:, None])
        return e.constant(inside / (ends - starts)[:, None], dtype)
    length = e.dim(size)
    divisor = e.constant(output, I64, ())
    (low,) = e.node("Div", e.node("Mul", e.constant(numbers[:, None], I64), length)[0], divisor)
    (high,) = e.node("Mul", e.constant(numbers[:, None] + 1, I64), length)
    (high,) = e.node("Div", e.node("Add", high, e.constant(output - 1, I64, ()))[0], divisor)
    places_name = arange(e, size)
    (from_low,) = e.node("GreaterOrEqual", places_name, low)
    (to_high,) = e.node("Less", places_name, high)
    (inside_name,) = e.node("And", from_low, to_high)
    (weights,) = e.node("Cast", inside_name, to=e.tensor_dtype(dtype))
    (counts,) = e.node("Cast", e.node("Sub", high, low)[0], to=e.tensor_dtype(dtype))
    return e.node("Div", weights, counts)[0]


def _pool(
    e: Emitter, node: Node, op_type: str, x: str, padding: Sequence[Dim | int], attributes: Mapping[str, Attribute]
) -> str:
    """ONNX Runtime's pool, which refuses to have no channels: where that may be, they are part of the batch.

    Args:   padding: (before, after) of each axis, as `x` was padded already.
    """
    batch, channels, *sizes = node.operand_types[0].sizes
    if channels.is_const and channels.value > 0:
        return e.node(op_type, x, outputs=1, **attributes)[0]
    if padding:
        sizes = [n + before + after for n, before, after in zip(sizes, padding[::2], padding[1::2], strict=True)]
    (x,) = e.node("Reshape", x, e.shape([batch * channels, Dim.of(1), *sizes]), allowzero=1)
    (y,) = e.node(op_type, x, outputs=1, **attributes)
    return e.node("Reshape", y, e.shape(node.result.type.sizes), allowzero=1)[0]


def _whole_means(e: Emitter, node: Node, x: str, op: AvgPool, padding: Sequence[Dim | int]) -> str:
    if node.result.type.dtype != F64:
        return _pool(e, node, "AveragePool", x, padding, {"kernel_shape": op.kernel, "strides": op.stride})
    count = len(op.kernel)
    kernel = [Dim.of(size) for size in op.kernel]
    view = windows(e, x, node.result.type.sizes[2:], op.stride, kernel, (1,) * count)
    return e.node("ReduceMean", view, e.constant(list(range(3, 3 + 2 * count, 2)), I64), keepdims=0)[0]


def _weighted(e: Emitter, node: Node, y: str, op: AvgPool) -> str:
    """Means over whole windows `y` as means over the part of each window that counts."""
    dtype = node.result.type.dtype
    for index, (size, count) in enumerate(
        zip(node.operand_types[0].sizes[2:], node.result.type.sizes[2:], strict=True)
    ):
        before, after = op.padding[2 * index : 2 * index + 2]
        kernel, stride = op.kernel[index], op.stride[index]
        first, end = (-before, size + after) if op.count_include_pad else (0, size)
        tail = (1,) * (len(op.kernel) - 1 - index)
        if count.is_const and size.is_const:
            starts = np.arange(count.value) * stride - before
            inside = np.minimum(starts + kernel, end.value) - np.maximum(starts, first)
            if (inside != kernel).any():
                (y,) = e.node("Mul", y, e.constant((kernel / inside).reshape(-1, *tail), dtype))
            continue
        (scaled,) = e.node("Mul", arange(e, count), e.constant(stride, I64, ()))
        (start,) = e.node("Sub", scaled, e.constant(before, I64, ()))
        (stop,) = e.node("Min", e.node("Add", start, e.constant(kernel, I64, ()))[0], e.dim(end))
        (length,) = e.node("Sub", stop, e.node("Max", start, e.constant(first, I64, ()))[0])
        (weight,) = e.node("Cast", length, to=e.tensor_dtype(dtype))
        (weight,) = e.node("Div", e.constant(kernel, dtype, ()), weight)
        if tail:
            (weight,) = e.node("Unsqueeze", weight, e.constant(list(range(1, 1 + len(tail))), I64))
        (y,) = e.node("Mul", y, weight)
    return y


def _overhang(node: Node, op: MaxPool | AvgPool, dilation: tuple[int, ...]) -> list[Dim]:
    """How far the last window of each axis reaches past the padded end, at least 0; 0 where nothing is rounded up."""
    if not op.ceil:
        return [Dim.of(0)] * len(op.kernel)
    sizes, counts = node.operand_types[0].sizes[2:], node.result.type.sizes[2:]
    return [dmax(size, 0) for size in overhang(sizes, counts, extents(op.kernel, dilation), op.stride, op.padding)]


def _is_taken(padding: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether ONNX Runtime takes the padding: less than the kernel's size, dilated or not."""
    return all(max(padding[2 * at : 2 * at + 2]) < size for at, size in enumerate(kernel))


def _with_ends(padding: Sequence[int], over: Sequence[int]) -> tuple[int, ...]:
    pairs = zip(padding[::2], padding[1::2], over, strict=True)
    return tuple(number for before, after, end in pairs for number in (before, after + end))


def _with_dim_ends(padding: Sequence[int], over: Sequence[Dim]) -> list[Dim]:
    pairs = zip(padding[::2], padding[1::2], over, strict=True)
    return [number for before, after, end in pairs for number in (Dim.of(before), end + after)]


TABLE: dict[type[Op], Lower] = {MaxPool: _max_pool, AvgPool: _avg_pool, AdaptiveAvgPool: _adaptive_avg_pool}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
