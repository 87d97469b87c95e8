"""Pooling: what a window holds becomes its maximum or its mean."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.torch_fx.channels import per_channel
from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.backends.torch_fx.convolution import torch_pads
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.windows import extents


def avg_pool3d(x: torch.Tensor, *args: Any) -> torch.Tensor:
    """`torch.nn.functional.avg_pool3d`, whose CPU kernel lacks half types."""
    if x.dtype in (torch.float16, torch.bfloat16) and x.device.type == "cpu":
        return F.avg_pool3d(x.float(), *args).to(x.dtype)
    return F.avg_pool3d(x, *args)


def max_pool1d(
    x: torch.Tensor,
    kernel: tuple[int],
    stride: tuple[int],
    padding: tuple[int],
    dilation: tuple[int],
    ceil: bool = False,
) -> torch.Tensor:
    """`torch.max_pool1d`, which makes a free size a constant when it is exported."""
    plane = torch.max_pool2d(x.unsqueeze(-2), (1, *kernel), (1, *stride), (0, *padding), (1, *dilation), ceil)
    return plane.squeeze(-2)


_MAX = (max_pool1d, torch.max_pool2d, torch.max_pool3d)
_AVG = (F.avg_pool1d, F.avg_pool2d, avg_pool3d)
_ADAPTIVE = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)


def _max_pool(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, MaxPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    function = _MAX[len(op.kernel) - 1]
    if _is_native(node, op):
        return (per_channel(e, node, x, function, op.kernel, op.stride, op.padding[::2], op.dilation, op.ceil),)
    x = e.call(F.pad, x, torch_pads(_whole_padding(op)), value=float("-inf"))
    y = per_channel(e, node, x, function, op.kernel, op.stride, (0,) * len(op.kernel), op.dilation)
    return (_started_inside(e, node, y, op, op.dilation),)


def _avg_pool(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, AvgPool)
    op = op.normalised(node.operand_types)
    (x,) = operands
    function = _AVG[len(op.kernel) - 1]
    if _is_native(node, op):
        return (
            per_channel(e, node, x, function, op.kernel, op.stride, op.padding[::2], op.ceil, op.count_include_pad),
        )
    y = per_channel(e, node, e.call(F.pad, x, torch_pads(_whole_padding(op))), function, op.kernel, op.stride)
    y = _started_inside(e, node, y, op, (1,) * len(op.kernel))
    if op.count_include_pad and not op.ceil:
        return (y,)
    for index, size in enumerate(node.operand_types[0].sizes[2:]):
        before, after = op.padding[2 * index : 2 * index + 2]
        counted = (-before, e.dim(size + after)) if op.count_include_pad else (0, e.dim(size))
        y = e.call(means_of_part, y, 2 + index, (op.kernel[index], op.stride[index], before), *counted)
    return (y,)


def _adaptive_avg_pool(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, AdaptiveAvgPool)
    return (per_channel(e, node, operands[0], _ADAPTIVE[len(op.output) - 1], op.output),)


def _is_native(node: Node, op: MaxPool | AvgPool) -> bool:
    """Whether torch's own attributes say it all.

    Its `ceil_mode` makes a free size a constant when it is exported, and `avg_pool3d` refuses an axis that is smaller
    than its kernel before padding.
    """
    sizes = node.operand_types[0].sizes[2:]
    is_free = not all(size.is_const for size in sizes)
    if isinstance(op, AvgPool) and len(sizes) == 3 and any(op.padding):
        is_small = any(not size.is_const or size.value < kernel for size, kernel in zip(sizes, op.kernel, strict=True))
    else:
        is_small = False
    return op.padding[::2] == op.padding[1::2] and not (op.ceil and is_free) and not is_small


def _whole_padding(op: MaxPool | AvgPool) -> tuple[int, ...]:
    """The padding; with `ceil` as much more as turns rounding down into rounding up."""
    added = [stride - 1 if op.ceil else 0 for stride in op.stride]
    sides = zip(op.padding[::2], op.padding[1::2], added, strict=True)
    return tuple(number for before, after, more in sides for number in (before, after + more))


def _started_inside(e: Emitter, node: Node, y: Proxy, op: MaxPool | AvgPool, dilation: tuple[int, ...]) -> Proxy:
    """`y` without windows that begin past the axis."""
    for index, extent in enumerate(extents(op.kernel, dilation)):
        if op.ceil and op.stride[index] > extent.value - op.padding[2 * index + 1]:
            y = e.call(torch.narrow, y, 2 + index, 0, e.dim(node.result.type.sizes[2 + index]))
    return y


def means_of_part(y: torch.Tensor, axis: int, window: tuple[int, int, int], first: int, end: int) -> torch.Tensor:
    """Means over whole windows (kernel, stride, before) as means over the part of each from `first` to `end`."""
    kernel, stride, before = window
    starts = torch.arange(y.shape[axis], device=y.device) * stride - before
    inside = (starts + kernel).clamp(max=end) - starts.clamp(min=first)
    return y * (kernel / inside.to(y.dtype)).reshape(-1, *(1,) * (y.dim() - 1 - axis))


TABLE: dict[type[Op], Lower] = {MaxPool: _max_pool, AvgPool: _avg_pool, AdaptiveAvgPool: _adaptive_avg_pool}

UNSUPPORTED: dict[type[Op], str] = {}
