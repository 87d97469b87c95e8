"""Windows that slide over the spatial axes of (N, C, *spatial), with operators that have kernels for every type."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from netdsl.backends.onnx.context import Emitter
from netdsl.dims import Dim
from netdsl.tensor_type import I64, DType

T = TypeVar("T")


def onnx_pads(padding: Sequence[T]) -> list[T]:
    """(before, after) of each axis in turn, as ONNX takes them: all befores, then all afters."""
    return [*padding[::2], *padding[1::2]]


def padded(
    e: Emitter, x: str, padding: Sequence[Dim | int], dtype: DType, *, mode: str = "constant", value: float = 0.0
) -> str:
    """`x` with (before, after) of each spatial axis added; negative numbers cut off.

    Pads of every axis are given: ONNX Runtime moves a transpose through `Pad` as if the input `axes` were not there.
    """
    dims = [Dim.of(p) for p in (0, 0, 0, 0, *padding)]
    if all(p == 0 for p in dims):
        return x
    fill = (e.constant(value, dtype, ()),) if value else ()
    return e.node("Pad", x, e.shape(onnx_pads(dims)), *fill, mode=mode)[0]


def wrapped(e: Emitter, x: str, padding: Sequence[int]) -> str:
    """`x` with each spatial axis continued circularly."""
    for index in range(len(padding) // 2):
        before, after = padding[2 * index : 2 * index + 2]
        axis = e.constant([2 + index], I64)
        parts = [x]
        if before:
            end = e.constant([2**31 - 1], I64)
            parts.insert(0, e.node("Slice", x, e.constant([-before], I64), end, axis)[0])
        if after:
            parts.append(e.node("Slice", x, e.constant([0], I64), e.constant([after], I64), axis)[0])
        if len(parts) > 1:
            (x,) = e.node("Concat", *parts, axis=2 + index)
    return x


def places(e: Emitter, count: Dim, step: int, kernel: Dim, dilation: int, *, flip: bool = False) -> str:
    """(count, kernel) i64: where in its axis each place of each window stands."""
    if count.is_const and kernel.is_const:
        offsets = np.arange(kernel.value)[:: -1 if flip else 1] * dilation
        return e.constant(np.arange(count.value)[:, None] * step + offsets, I64)
    starts = _scaled(e, arange(e, count), step)
    (column,) = e.node("Unsqueeze", starts, e.constant([1], I64))
    taps = arange(e, kernel)
    if flip:
        (taps,) = e.node("Sub", e.dim(kernel - 1), taps)
    return e.node("Add", column, _scaled(e, taps, dilation))[0]


def windows(
    e: Emitter,
    x: str,
    counts: Sequence[Dim],
    stride: Sequence[int],
    kernel: Sequence[Dim],
    dilation: Sequence[int],
    *,
    flip: bool = False,
) -> str:
    """(N, C, count, kernel, count, kernel, ..) of the padded `x`."""
    for index, (count, step, size, gap) in enumerate(zip(counts, stride, kernel, dilation, strict=True)):
        (x,) = e.node("Gather", x, places(e, count, step, size, gap, flip=flip), axis=2 + 2 * index)
    return x


def arange(e: Emitter, count: Dim) -> str:
    """0 to `count` - 1."""
    if count.is_const:
        return e.constant(np.arange(count.value), I64)
    return e.node("Range", e.constant(0, I64, ()), e.dim(count), e.constant(1, I64, ()))[0]


def _scaled(e: Emitter, x: str, factor: int) -> str:
    return x if factor == 1 else e.node("Mul", x, e.constant(factor, I64, ()))[0]
