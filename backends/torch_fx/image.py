"""Sampling on grids: resizing, and reading an image at given places."""

from collections.abc import Sequence
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.torch_fx.channels import per_channel
from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.image import GridSample, Resize, ratio_of

_LINEAR = (
    torch.ops.aten.upsample_linear1d.default,
    torch.ops.aten.upsample_bilinear2d.default,
    torch.ops.aten.upsample_trilinear3d.default,
)
_NEAREST = (
    torch.ops.aten.upsample_nearest1d.default,
    torch.ops.aten.upsample_nearest2d.default,
    torch.ops.aten.upsample_nearest3d.default,
)
_GRID_MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}


def _resize(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Resize)
    op = op.normalised(node.operand_types)
    sizes, counts = node.operand_types[0].sizes[2:], op.result_sizes(node.operand_types)
    (x,) = operands
    if op.mode == "nearest" and _is_doubled(op, sizes, counts):
        return (per_channel(e, node, x, _NEAREST[len(sizes) - 1], list(e.shape(counts))),)
    if op.mode == "nearest":
        for index, (size, count) in enumerate(zip(sizes, counts, strict=True)):
            if op.scale is None:
                step = e.dim(size), e.dim(count)
            else:
                ratio = ratio_of(op.scale[index])
                step = ratio.denominator, ratio.numerator
            x = e.call(nearest_places, x, 2 + index, e.dim(count), *step)
        return (x,)
    scales = [None] * len(sizes) if op.scale is None else [float(ratio_of(scale)) for scale in op.scale]
    function = _LINEAR[len(sizes) - 1] if op.mode == "linear" else torch.ops.aten.upsample_bicubic2d.default
    return (per_channel(e, node, x, function, list(e.shape(counts)), op.align_corners, *scales),)


def _grid_sample(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, GridSample)
    return (e.call(grid_sample, *operands, _GRID_MODES[op.mode], op.padding, op.align_corners),)


def _is_doubled(op: Resize, sizes: Sequence[Dim], counts: Sequence[Dim]) -> bool:
    """Whether each axis grows by a power of two, for which torch's float32 arithmetic is exact."""
    ratios = [ratio_of(scale) for scale in op.scale or ()]
    if op.scale is None:
        if not all(size.is_const for size in (*sizes, *counts)):
            return False
        ratios = [Fraction(count.value, size.value) for size, count in zip(sizes, counts, strict=True)]
    return all(ratio.denominator == 1 and ratio.numerator & (ratio.numerator - 1) == 0 for ratio in ratios)


def nearest_places(x: torch.Tensor, axis: int, count: int, size: int, divisor: int) -> torch.Tensor:
    """`x` at floor(i * size / divisor) along `axis`, in integers: torch's own `nearest` rounds float32 products."""
    places = torch.arange(count, device=x.device) * size // divisor
    return x.index_select(axis, places.clamp(max=x.shape[axis] - 1))


def grid_sample(x: torch.Tensor, grid: torch.Tensor, mode: str, padding: str, align_corners: bool) -> torch.Tensor:
    """`torch.nn.functional.grid_sample`, with places in float32 at least."""
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return F.grid_sample(x.to(wide), grid.to(wide), mode, padding, align_corners).to(x.dtype)


TABLE: dict[type[Op], Lower] = {Resize: _resize, GridSample: _grid_sample}

UNSUPPORTED: dict[type[Op], str] = {}
