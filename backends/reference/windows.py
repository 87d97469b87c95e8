"""Windows that slide over the spatial axes of (N, C, *spatial): views of numpy arrays."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from netdsl.backends.reference.context import Array

_MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def padded(x: Array, padding: Sequence[int], *, mode: str = "zeros", value: float = 0.0) -> Array:
    """`x` with (before, after) of each spatial axis added."""
    pairs = [(0, 0), (0, 0), *zip(padding[::2], padding[1::2], strict=True)]
    if mode == "zeros":
        return np.pad(x, pairs, constant_values=value)
    return np.pad(x, pairs, mode=_MODES[mode])


def windows(x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Array:
    """(N, C, *windows, *kernel), a view of `x`."""
    count = len(kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = sliding_window_view(x, reach, axis=tuple(range(2, 2 + count)))
    steps = [slice(None, None, s) for s in stride]
    taps = [slice(None, None, d) for d in dilation]
    return np.asarray(view[(slice(None), slice(None), *steps, *taps)])
