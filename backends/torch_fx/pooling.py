"""Pooling: what a window holds becomes its maximum or its mean."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.backends.torch_fx.convolution import torch_pads
from netdsl.dims import dmax
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.windows import extents, overhang


def avg_pool3d(x: torch.Tensor, *args: Any) -> torch.Tensor:
    """`torch.nn.functional.avg_pool3d`, whose CPU kernel lacks float16."""
    if x.dtype == torch.float16 and x.device.type == "cpu":
        return F.avg_pool3d(x.float(), *args).to(x.dtype)
    return F.avg_pool3d(x, *args)


_MAX = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)
_AVG = (F.avg_pool1d, F.avg_pool2d, avg_pool3d)
_ADAPTIVE = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)


def _max_pool(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, MaxPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    function = _MAX[len(op.kernel) - 1]
    before, after = op.padding[::2], op.padding[1::2]
    if before == after:
        return (e.call(function, x, op.kernel, op.stride, before, op.dilation, op.ceil),)
    x = e.call(F.pad, x, _whole_padding(e, node, op, op.dilation), value=float("-inf"))
    return (e.call(function, x, op.kernel, op.stride, 0, op.dilation),)


def _avg_pool(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, AvgPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    function = _AVG[len(op.kernel) - 1]
    before, after = op.padding[::2], op.padding[1::2]
    if before == after:
        return (e.call(function, x, op.kernel, op.stride, before, op.ceil, op.count_include_pad),)
    ones = (1,) * len(op.kernel)
    y = e.call(function, e.call(F.pad, x, _whole_padding(e, node, op, ones)), op.kernel, op.stride)
    if op.count_include_pad and not op.ceil:
        return (y,)
    sizes = node.operand_types[0].sizes[2:]
    counts = e.shape(node.result.type.sizes[2:])
    for index, kernel in enumerate(op.kernel):
        first, end = (-before[index], sizes[index] + after[index]) if op.count_include_pad else (0, sizes[index])
        window = (kernel, op.stride[index], before[index])
        y = e.call(_weighted_by_count, y, 2 + index, counts[index], window, first, e.dim(end))
    return (y,)


def _adaptive_avg_pool(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, AdaptiveAvgPool)
    return (e.call(_ADAPTIVE[len(op.output) - 1], operands[0], op.output),)


def _whole_padding(e: Emitter, node: Node, op: MaxPool | AvgPool, dilation: tuple[int, ...]) -> "list[int | Proxy]":
    """The padding, and what the last windows span past it, as `torch.nn.functional.pad` takes them."""
    if not op.ceil:
        return list(torch_pads(op.padding))
    sizes, counts = node.operand_types[0].sizes[2:], node.result.type.sizes[2:]
    over = overhang(sizes, counts, extents(op.kernel, dilation), op.stride, op.padding)
    result: list[int | Proxy] = []
    for index in reversed(range(len(sizes))):
        before, after = op.padding[2 * index : 2 * index + 2]
        result += [before, e.dim(dmax(over[index], 0) + after)]
    return result


def _weighted_by_count(
    y: torch.Tensor, axis: int, count: int, window: tuple[int, int, int], first: int, end: int
) -> torch.Tensor:
    """Means over whole windows (kernel, stride, before) as means over the part of each from `first` to `end`."""
    kernel, stride, before = window
    starts = torch.arange(count, device=y.device) * stride - before
    inside = (starts + kernel).clamp(max=end) - starts.clamp(min=first)
    return y * (kernel / inside).to(y.dtype).reshape(-1, *(1,) * (y.dim() - 1 - axis))


TABLE: dict[type[Op], Lower] = {MaxPool: _max_pool, AvgPool: _avg_pool, AdaptiveAvgPool: _adaptive_avg_pool}

UNSUPPORTED: dict[type[Op], str] = {}
