"""Sampling on grids: resizing, and reading an image at given places."""

from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.image import GridSample, Resize, ratio_of

Floats: TypeAlias = NDArray[np.float64]


def _resize(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Resize)
    (x,) = operands
    op = op.normalised(node.operand_types)
    counts = env.shape(op.result_sizes(node.operand_types))
    for axis, count in enumerate(counts, 2):
        size = x.shape[axis]
        step = Fraction(size, count) if op.scale is None else 1 / ratio_of(op.scale[axis - 2])
        if op.mode == "nearest":
            places = np.arange(count) * step.numerator // step.denominator
            x = x.take(np.minimum(places, size - 1), axis)
            continue
        between: Any = (np.arange(count) + 0.5) * float(step) - 0.5
        if op.align_corners:
            between = np.arange(count) * ((size - 1) / max(count - 1, 1))
        x = _between(x, axis, np.maximum(between, 0.0) if op.mode == "linear" else between, op.mode)
    return (x,)


def _between(x: Array, axis: int, places: Floats, mode: str) -> Array:
    """`x` read along `axis` between its places; places outside repeat the ends."""
    first = np.floor(places)
    total = np.zeros((*x.shape[:axis], len(places), *x.shape[axis + 1 :]))
    for offset, weight in _weights(np.asarray(places - first), mode):
        index = np.clip(first.astype(np.int64) + offset, 0, x.shape[axis] - 1)
        taken: Any = x.take(index, axis)
        total += taken * weight.reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return total


def _weights(part: Floats, mode: str) -> list[tuple[int, Floats]]:
    """(offset from the place below, weight) of each neighbour, `part` being the way to the next place."""
    if mode == "linear":
        return [(0, 1 - part), (1, part)]
    return [(offset, _cubic(np.abs(part - offset))) for offset in (-1, 0, 1, 2)]


def _cubic(distance: Floats) -> Floats:
    """The kernel of cubic convolution (Keys 1981, eq. 4) with a = -0.75."""
    a, d = -0.75, distance
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _grid_sample(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, GridSample)
    x, grid = operands
    sizes = x.shape[2:]
    places = []
    for at, size in enumerate(sizes):
        number: Any = grid[..., len(sizes) - 1 - at]
        place = (number + 1) / 2 * (size - 1) if op.align_corners else ((number + 1) * size - 1) / 2
        places.append(place if op.mode == "cubic" else _inside(place, size, op))
    if op.mode == "nearest":
        return (_read(x, [np.rint(place) for place in places], op),)
    firsts = [np.floor(place) for place in places]
    total = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    options = [_weights(np.asarray(place - first), op.mode) for place, first in zip(places, firsts, strict=True)]
    for choice in product(*options):
        weight = np.prod([w for _, w in choice], axis=0)
        taps = [first + offset for first, (offset, _) in zip(firsts, choice, strict=True)]
        total += _read(x, taps, op) * weight[:, None]
    return (total,)


def _read(x: Array, places: list[Floats], op: GridSample) -> Floats:
    """`x` at whole places (N, ..) of each spatial axis: (N, C, ..); 0 outside with zero padding."""
    outside = np.zeros(places[0].shape, bool)
    indices: list[NDArray[np.int64]] = []
    for place, size in zip(places, x.shape[2:], strict=True):
        whole = _inside(place, size, op) if op.mode == "cubic" else place
        outside |= (whole < 0) | (whole > size - 1)
        indices.append(np.clip(whole, 0, size - 1).astype(np.int64))
    batch = np.arange(x.shape[0]).reshape(-1, *(1,) * (places[0].ndim - 1))
    values = np.moveaxis(x, 1, -1)[(batch, *indices)]
    return np.asarray(np.moveaxis(np.where(outside[..., None], 0.0, values), -1, 1))


def _inside(place: Floats, size: int, op: GridSample) -> Floats:
    """`place` moved inside an axis of `size` as the padding says."""
    if op.padding == "zeros":
        return place
    if op.padding == "reflection":
        low, span = (0.0, size - 1.0) if op.align_corners else (-0.5, float(size))
        if span == 0:
            return np.zeros_like(place)
        way = np.abs(place - low)
        rest, turns = np.fmod(way, span), np.floor(way / span)
        place = np.where(turns % 2 == 0, rest, span - rest) + low
    return np.clip(place, 0, size - 1)


TABLE: dict[type[Op], Compute] = {Resize: _resize, GridSample: _grid_sample}
