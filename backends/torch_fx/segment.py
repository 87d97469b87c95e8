"""Reductions of groups of rows."""

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.segment import SegmentReduce

_TORCH_NAME = {"prod": "prod", "max": "amax", "min": "amin"}
#: Types too narrow to combine many rows in.
_NARROW = (torch.float16, torch.bfloat16)


def segment_reduce(x: torch.Tensor, by: torch.Tensor, groups: int, reduction: str) -> torch.Tensor:
    """The rows of each group reduced to one; 1 for `prod` and else 0 where a group has none."""
    if x.dtype in _NARROW:
        return segment_reduce(x.float(), by, groups, reduction).to(x.dtype)
    start = x.new_full((groups, *x.shape[1:]), reduction == "prod")
    if reduction not in _TORCH_NAME:
        total = start.index_add(0, by, x)
        if reduction == "sum":
            return total
        counts = x.new_zeros(groups).index_add(0, by, x.new_ones(by.shape[0]))
        return total / counts.clamp_min(1).reshape([-1] + [1] * (x.dim() - 1))
    index = by.long().reshape([-1] + [1] * (x.dim() - 1)).expand(x.shape)
    return start.scatter_reduce(0, index, x, _TORCH_NAME[reduction], include_self=False)


def _segment_reduce(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, SegmentReduce)
    return (e.call(segment_reduce, *operands, e.dim(op.count), op.reduction),)


TABLE: dict[type[Op], Lower] = {SegmentReduce: _segment_reduce}

UNSUPPORTED: dict[type[Op], str] = {}
