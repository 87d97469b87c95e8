"""Convolution and its transpose over 1 to 3 spatial axes."""

import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvTranspose, full_sizes

_CONV = (torch.conv1d, torch.conv2d, torch.conv3d)
_CONV_TRANSPOSE = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)


def torch_pads(padding: tuple[int, ...]) -> list[int]:
    """(before, after) of each axis in turn, as `torch.nn.functional.pad` takes them: the last axis first."""
    pairs = list(zip(padding[::2], padding[1::2], strict=True))
    return [number for pair in reversed(pairs) for number in pair]


def _conv(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Conv)
    op = op.normalised(node.operand_types)
    x, weight, *bias = operands
    before, after = op.padding[::2], op.padding[1::2]
    is_native = before == after and (op.mode == "zeros" or not any(before))
    if not is_native:
        x = e.call(F.pad, x, torch_pads(op.padding), mode="constant" if op.mode == "zeros" else op.mode)
    padding = before if is_native else (0,) * len(before)
    function = _CONV[len(op.stride) - 1]
    return (e.call(function, x, weight, bias[0] if bias else None, op.stride, padding, op.dilation, op.groups),)


def _conv_transpose(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, ConvTranspose)
    op = op.normalised(node.operand_types)
    x, weight, *bias = operands
    before, after = op.padding[::2], op.padding[1::2]
    shared = tuple(map(min, before, after))
    y = e.call(
        _CONV_TRANSPOSE[len(op.stride) - 1],
        x,
        weight,
        bias[0] if bias else None,
        op.stride,
        shared,
        op.output_padding,
        op.groups,
        op.dilation,
    )
    kernel = node.operand_types[1].sizes[2:]
    sizes = full_sizes(node.operand_types[0].sizes[2:], kernel, op)
    for index, size in enumerate(sizes):
        cut = op.padding[2 * index] + op.padding[2 * index + 1]
        if cut != 2 * shared[index]:
            y = e.call(torch.narrow, y, 2 + index, before[index] - shared[index], e.dim(size - cut))
    return (y,)


TABLE: dict[type[Op], Lower] = {Conv: _conv, ConvTranspose: _conv_transpose}

UNSUPPORTED: dict[type[Op], str] = {}
