"""Convolution and its transpose over 1 to 3 spatial axes."""

from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.backends.reference.windows import padded, windows
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach, Each, full_sizes


def _conv(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    """One product of matrices a group: (outputs, inputs of a window) by (inputs of a window, windows)."""
    op = node.op
    assert isinstance(op, Conv)
    x, weight, *bias = operands
    op = op.normalised(node.operand_types)
    count = weight.ndim - 2
    view = windows(padded(x, op.padding, mode=op.mode), weight.shape[2:], op.stride, op.dilation)
    batch, _, *spatial = view.shape[: 2 + count]
    order = (0, 1, *range(2 + count, 2 + 2 * count), *range(2, 2 + count))
    inner = int(np.prod(weight.shape[1:]))
    columns = view.transpose(order).reshape(batch, op.groups, inner, int(np.prod(spatial)))
    rows = weight.reshape(op.groups, weight.shape[0] // op.groups, inner)
    y = np.matmul(rows, columns).reshape(batch, weight.shape[0], *spatial)
    return (np.asarray(y + _channelwise(bias[0], count) if bias else y),)


def _conv_transpose(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    """Each place of the kernel adds its multiple of `x` to a strided part of the result."""
    op = node.op
    assert isinstance(op, ConvTranspose)
    x, weight, *bias = operands
    op = op.normalised(node.operand_types)
    count = weight.ndim - 2
    batch, channels, *spatial = x.shape
    outputs = weight.shape[1]
    whole = env.shape(full_sizes(node.operand_types[0].sizes[2:], node.operand_types[1].sizes[2:], op))
    y = np.zeros((batch, op.groups, outputs, *whole))
    grouped: Any = x.reshape(batch, op.groups, channels // op.groups, *spatial)
    kernel = weight.reshape(op.groups, channels // op.groups, *weight.shape[1:])
    for place in np.ndindex(*weight.shape[2:]):
        taps: Any = kernel[(..., *place)]
        part: tuple[Any, ...] = tuple(
            slice(at * dilation, at * dilation + (size - 1) * stride + 1, stride)
            for at, dilation, size, stride in zip(place, op.dilation, spatial, op.stride, strict=True)
        )
        y[(..., *part)] += np.einsum("ngi...,gio->ngo...", grouped, taps, optimize=True)
    y = y.reshape(batch, op.groups * outputs, *whole)
    kept = tuple(
        slice(before, size - after)
        for before, after, size in zip(op.padding[::2], op.padding[1::2], whole, strict=True)
    )
    y = y[(slice(None), slice(None), *kept)]
    return (np.asarray(y + _channelwise(bias[0], count) if bias else y),)


def _each(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    """Slice by slice."""
    op = node.op
    assert isinstance(op, Each)
    x, *own = operands
    types = op.slice_types((node.result.type, *node.operand_types))
    result, *values = map(Value, types)
    single = Node(op.slice, tuple(values), (result,))
    y = np.zeros(env.shape(node.result.type.sizes))
    for at in range(len(y)):
        (y[at],) = TABLE[type(single.op)](single, (x[at if len(x) > 1 else 0], *(a[at] for a in own)), env)
    return (y,)


def _channelwise(vector: Array, spatial: int) -> Array:
    return vector.reshape(-1, *(1,) * spatial)


TABLE: dict[type[Op], Compute] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    ConvEach: _each,
    ConvTransposeEach: _each,
}
