"""Convolution and its transpose over 1 to 3 spatial axes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach, full_sizes
from netdsl.tensor_type import TensorType

_CONV = (torch.conv1d, torch.conv2d, torch.conv3d)
_CONV_TRANSPOSE = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)


def torch_pads(padding: tuple[int, ...]) -> list[int]:
    """(before, after) of each axis in turn, as `torch.nn.functional.pad` takes them: the last axis first."""
    pairs = list(zip(padding[::2], padding[1::2], strict=True))
    return [number for pair in reversed(pairs) for number in pair]


def conv_each(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    sizes: Sequence[int],
    pads: Sequence[int],
    mode: str,
    **options: Any,
) -> torch.Tensor:
    """A convolution with a group a slice, in `mode` of `pads` that torch does not pad by itself.

    Args: sizes: of the result, for no slices.
    """
    if weight.shape[0] == 0:
        return x.new_zeros(sizes)
    merged = _slices_as_channels(x, weight)
    if pads:
        merged = F.pad(merged, list(pads), mode="constant" if mode == "zeros" else mode)
    return _in_groups(_CONV[x.dim() - 4], merged, weight, bias, **options)


def conv_transpose_each(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, sizes: Sequence[int], **options: Any
) -> torch.Tensor:
    """A transposed convolution with a group a slice. Args: sizes: of the result, for no slices."""
    if weight.shape[0] == 0:
        return x.new_zeros(sizes)
    return _in_groups(_CONV_TRANSPOSE[x.dim() - 4], _slices_as_channels(x, weight), weight, bias, **options)


def _slices_as_channels(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(S or 1, N, C, *spatial) -> (N, S * C, *spatial)."""
    return x.expand(weight.shape[0], *x.shape[1:]).transpose(0, 1).flatten(1, 2)


def _in_groups(
    function: Callable[..., torch.Tensor],
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    groups: int,
    **options: Any,
) -> torch.Tensor:
    slices = weight.shape[0]
    flat = None if bias is None else bias.flatten()
    y = function(x, weight.flatten(0, 1), flat, groups=slices * groups, **options)
    return y.reshape(y.shape[0], slices, y.shape[1] // slices, *y.shape[2:]).transpose(0, 1)


def _conv_each(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, ConvEach)
    single = op.slice.normalised(op.slice_types(node.operand_types))
    x, weight, *bias = operands
    before, after = single.padding[::2], single.padding[1::2]
    is_native = before == after and (single.mode == "zeros" or not any(before))
    y = e.call(
        conv_each,
        x,
        weight,
        bias[0] if bias else None,
        e.shape(node.result.type.sizes),
        () if is_native else torch_pads(single.padding),
        single.mode,
        groups=single.groups,
        stride=single.stride,
        padding=before if is_native else (0,) * len(before),
        dilation=single.dilation,
    )
    return (y,)


def _conv_transpose_each(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, ConvTransposeEach)
    types = op.slice_types(node.operand_types)
    single = op.slice.normalised(types)
    x, weight, *bias = operands
    padding = _shared_padding(single)
    full = full_sizes(types[0].sizes[2:], types[1].sizes[2:], single)
    sizes = (*node.result.type.sizes[:3], *(size - 2 * cut for size, cut in zip(full, padding, strict=True)))
    y = e.call(
        conv_transpose_each,
        x,
        weight,
        bias[0] if bias else None,
        e.shape(sizes),
        groups=single.groups,
        stride=single.stride,
        padding=padding,
        output_padding=single.output_padding,
        dilation=single.dilation,
    )
    return (_without_padding(e, y, single, types, first=3),)


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
    y = e.call(
        _CONV_TRANSPOSE[len(op.stride) - 1],
        x,
        weight,
        bias[0] if bias else None,
        op.stride,
        _shared_padding(op),
        op.output_padding,
        op.groups,
        op.dilation,
    )
    return (_without_padding(e, y, op, node.operand_types, first=2),)


def _shared_padding(op: ConvTranspose) -> tuple[int, ...]:
    """What torch cuts off from both ends of each axis."""
    return tuple(map(min, op.padding[::2], op.padding[1::2]))


def _without_padding(e: Emitter, y: Proxy, op: ConvTranspose, types: tuple[TensorType, ...], *, first: int) -> Proxy:
    """`y` without the padding that only one end has; `first` is its first spatial axis."""
    sizes = full_sizes(types[0].sizes[2:], types[1].sizes[2:], op)
    for index, (size, shared) in enumerate(zip(sizes, _shared_padding(op), strict=True)):
        before, after = op.padding[2 * index : 2 * index + 2]
        if before + after != 2 * shared:
            y = e.call(torch.narrow, y, first + index, before - shared, e.dim(size - before - after))
    return y


TABLE: dict[type[Op], Lower] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    ConvEach: _conv_each,
    ConvTransposeEach: _conv_transpose_each,
}

UNSUPPORTED: dict[type[Op], str] = {}
