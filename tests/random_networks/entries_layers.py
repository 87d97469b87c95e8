"""Entries of products, convolutions, pools, norms, sampling and transforms."""

from typing import Any

import numpy as np

from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach
from netdsl.ops.image import GridSample, Resize
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.product import Einsum, Matmul
from netdsl.ops.shape import Broadcast, Unsqueeze
from netdsl.ops.spectral import Irfft, Rfft
from netdsl.ops.unary import Tanh
from netdsl.tensor_type import Axis, DType, TensorType
from tests.random_networks.draft import Draft, Held
from tests.random_networks.entries import HIGHEST, Entry, axes_of, axis_of, entry, like

_F1, _FI = ("f", 1, HIGHEST), ("fi", 0, HIGHEST)
_IMAGE = ("f", 3, 5)


def normal(rng: np.random.Generator, shape: tuple[int, ...], sizes: Any) -> Any:
    return rng.standard_normal(shape)


def _axes(*sizes: Dim | int) -> tuple[Axis, ...]:
    return tuple(Axis(None, Dim.of(size)) for size in sizes)


def weight(d: Draft, dtype: DType, *sizes: Dim | int, consumer: str, positive: bool = False) -> Held | None:
    """A value of these sizes: one that was computed, else a parameter, else an input."""
    wanted = _axes(*sizes)
    known = tuple(a.size for a in wanted)

    def fits(t: TensorType) -> bool:
        return t.dtype == dtype and t.sizes == known

    if d.rng.random() < 0.5 or (d.forced is not None and fits(d.forced.type)):
        found = d.take(fits, consumer, numbers=False)
        if found is not None and not (positive and any(v is not None and (v[0] <= 0.1).any() for v in found.views)):
            return found
    t = TensorType(dtype, wanted)
    made = d.new_param(t, positive=positive) if dtype.is_float and t.is_static else None
    if made is None and not positive:
        made = d.new_input(t, normal if dtype.is_float else lambda rng, shape, sizes: rng.integers(-3, 4, shape))
    return made or d.take(fits, consumer, numbers=False)


# --- products ----------------------------------------------------------------------------------------------------------


def _matmul(d: Draft, op: type[Op]) -> object:
    a = d.take(like("fi", 1), op.name, numbers=False)
    if a is None:
        return None
    inner = a.type.sizes[-1]

    def fits(t: TensorType) -> bool:
        if t.dtype.storage != a.type.dtype.storage or t.rank == 0 or t.sizes[max(t.rank - 2, 0)] != inner:
            return False
        leading = zip(reversed(t.sizes[:-2]), reversed(a.type.sizes[:-2]), strict=False)
        return all(x == y or x == 1 or y == 1 for x, y in leading)

    b = d.take(fits, op.name, numbers=False) if d.rng.random() < 0.6 else None
    b = b or weight(d, a.type.dtype.storage, inner, d.rng.choice((1, 2, 3)), consumer=op.name)
    return d.emit(Matmul(), a, b)


#: (pattern with letters for axes, ranks of its operands); the sizes are read off the operands.
_PATTERNS = (
    ("a b -> b a", (2,)),
    ("a b -> a", (2,)),
    ("a b c -> c a b", (3,)),
    ("a b, b c -> a c", (2, 2)),
    ("a b, a b -> a", (2, 2)),
    ("a b, c b -> a c b", (2, 2)),
    ("a b c, c d -> a d b", (3, 2)),
    ("a b c, a d c -> a b d", (3, 3)),
    ("a b c d, a b e d -> a b c e", (4, 4)),
    ("a, b -> a b", (1, 1)),
    ("a, a ->", (1, 1)),
    ("... a, a b -> ... b", (3, 2)),
    ("a b, b, c b -> a c", (2, 1, 2)),
    ("ab,bc->ca", (2, 2)),
    ("a b c -> (a b) c", (3,)),
    ("a (b c) -> b a c", (2,)),
    ("a b, a c -> (b c) a", (2, 2)),
    ("a a -> a", (2,)),
)


def _einsum(d: Draft, op: type[Op]) -> object:
    forced = d.forced
    ranks = {forced.type.rank} if forced is not None else {1, 2, 3, 4}
    fitting = [p for p in _PATTERNS if p[1][0] in ranks] or list(_PATTERNS)
    pattern, shape = d.rng.choice(fitting)
    left = pattern.split("->")[0].split(",")
    first = d.take(like("fi", shape[0], shape[0]), op.name, numbers=False)
    if first is None:
        return None
    sizes: dict[str, Dim] = {}
    given: tuple[tuple[str, Dim], ...] = ()
    if "(b c) ->" in pattern:
        if d.facts.prove_eq(first.type.sizes[1] % 2, 0) is not True:
            return None
        given = (("c", Dim.of(2)),)
    else:
        letters = left[0].split() if " " in left[0].strip() or len(left[0].strip()) == 1 else list(left[0].strip())
        if letters[0] == "...":
            sizes[letters[-1]] = first.type.sizes[-1]
        else:
            sizes.update(zip(letters, first.type.sizes, strict=True))
    operands: list[Held | None] = [first]
    for term in left[1:]:
        letters = term.split() if " " in term.strip() or len(term.strip()) == 1 else list(term.strip())
        for at in letters:
            sizes.setdefault(at, d.any_size() if d.rng.random() < 0.3 else Dim.of(d.rng.choice((1, 2, 3))))
        operands.append(weight(d, first.type.dtype.storage, *(sizes[at] for at in letters), consumer=op.name))
    return d.emit(Einsum(pattern, given), *operands)


# --- windows -----------------------------------------------------------------------------------------------------------


def image(d: Draft, consumer: str, low: int = 3, high: int = 5, *, channels: bool = False) -> Held | None:
    """Floats with 1 to 3 spatial axes; an input where nothing fits."""

    def fits(t: TensorType) -> bool:
        return (
            t.dtype.is_float
            and low <= t.rank <= high
            and (not channels or (t.sizes[1].is_const and t.sizes[1].value > 0))
        )

    found = d.take(fits, consumer, numbers=False)
    if found is not None:
        return found
    rank = d.rng.randint(low, min(high, 4))
    sizes = [d.any_size(), Dim.of(d.rng.choice((1, 2, 4))), *(Dim.of(d.rng.randint(3, 5)) for _ in range(rank - 2))]
    return d.new_input(TensorType(d.any_float(), _axes(*sizes)), normal)


def _numbers(d: Draft, count: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(d.rng.randint(low, high) for _ in range(d.rng.choice((1, count))))


def _conv(d: Draft, op: type[Op]) -> object:
    x = image(d, op.name, channels=True)
    return None if x is None else _convolution(d, op, x)


def _conv_each(d: Draft, op: type[Op]) -> object:
    """An image that all slices share, or one for each of them."""
    x = image(d, op.name, high=4, channels=True)
    shared = None if x is None else d.emit(Unsqueeze(0), x)
    if shared is None:
        return None
    slices = d.any_size()
    if d.rng.random() < 0.5:
        return _convolution(d, op, shared[0], slices)
    each = d.emit(Broadcast((slices, *shared[0].type.sizes[1:])), shared[0])
    return None if each is None else _convolution(d, op, each[0], slices)


def _convolution(d: Draft, op: type[Op], x: Held, *slices: Dim) -> object:
    """`op` on an image, or with leading `slices` on one a slice, with a weight for each."""
    count = x.type.rank - 2 - len(slices)
    channels = x.type.sizes[1 + len(slices)].value
    groups = d.rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0])
    out = groups * d.rng.choice((1, 2))
    kernel = [d.rng.randint(1, 3) for _ in range(count)]
    bias = weight(d, x.type.dtype, *slices, out, consumer=op.name) if d.rng.random() < 0.5 else None
    stride, dilation = _numbers(d, count, 1, 2), _numbers(d, count, 1, 2)
    padding = _numbers(d, 2 * count, 0, 2)
    made: Op
    if op in (Conv, ConvEach):
        w = weight(d, x.type.dtype, *slices, out, channels // groups, *kernel, consumer=op.name)
        mode = d.rng.choice(("zeros", "zeros", "reflect", "replicate", "circular"))
        made = (ConvEach if slices else Conv)(stride, padding, dilation, groups, mode)
    else:
        w = weight(d, x.type.dtype, *slices, channels, out // groups, *kernel, consumer=op.name)
        extra = tuple(d.rng.randint(0, s - 1) for s in stride)
        made = (ConvTransposeEach if slices else ConvTranspose)(stride, padding, extra, dilation, groups)
    return d.emit(made, x, w, *([bias] if bias is not None else []))


def _pool(d: Draft, op: type[Op]) -> object:
    x = image(d, op.name)
    if x is None:
        return None
    count = x.type.rank - 2
    kernel = tuple(d.rng.randint(1, 3) for _ in range(count))
    if op is AdaptiveAvgPool:
        return d.emit(AdaptiveAvgPool(kernel), x)
    padding = tuple(d.rng.randint(0, k // 2) for k in kernel for _ in (0, 1))
    stride = () if d.rng.random() < 0.4 else _numbers(d, count, 1, 2)
    ceil = d.rng.random() < 0.3
    if op is AvgPool:
        return d.emit(AvgPool(kernel, stride, padding, d.rng.random() < 0.5, ceil), x)
    return d.emit(MaxPool(kernel, stride, padding, _numbers(d, count, 1, 2), ceil), x)


def _resize(d: Draft, op: type[Op]) -> object:
    x = image(d, op.name)
    if x is None:
        return None
    count = x.type.rank - 2
    mode = d.rng.choice(("nearest", "linear", "cubic") if count == 2 else ("nearest", "linear"))
    corners = mode != "nearest" and d.rng.random() < 0.4
    if d.rng.random() < 0.5:
        scale = tuple(d.rng.choice((0.5, 1.5, 2.0, 3.0, 0.75)) for _ in range(d.rng.choice((1, count))))
        return d.emit(Resize(None, scale, mode, corners), x)
    size = tuple(d.any_size() if d.rng.random() < 0.3 else Dim.of(d.rng.randint(1, 5)) for _ in range(count))
    return d.emit(Resize(size, None, mode, corners), x)


def _grid_sample(d: Draft, op: type[Op]) -> object:
    x = image(d, op.name, 4, 5)
    if x is None:
        return None
    count = x.type.rank - 2
    places = [Dim.of(d.rng.randint(1, 3)) for _ in range(count)]
    grid = weight(d, x.type.dtype, x.type.sizes[0], *places, count, consumer=op.name)
    mode = d.rng.choice(("nearest", "linear", "cubic") if count == 2 else ("nearest", "linear"))
    padding = d.rng.choice(("zeros", "border", "reflection"))
    if grid is not None and d.rng.random() < 0.5:
        squashed = d.emit(Tanh(), grid)
        grid = squashed[0] if squashed is not None else grid
    return d.emit(GridSample(mode, padding, d.rng.random() < 0.5), x, grid)


# --- norms and transforms ----------------------------------------------------------------------------------------------


def _norm(d: Draft, op: type[Op]) -> object:
    channelled = op in (GroupNorm, BatchNorm)
    x = d.take(like("f", 2 if channelled else 1), op.name, numbers=False)
    if x is None:
        return None
    dtype, eps = x.type.dtype, d.rng.choice((1e-5, 1e-3, 1e-2))
    count = d.rng.choice((0, 1, 2))
    if op is Moments:
        return d.emit(Moments(axes_of(d, x.type)), x)
    if op is BatchNorm:
        c = x.type.sizes[1]
        mean, bias, scale = (weight(d, dtype, c, consumer=op.name) for _ in range(3))
        var = weight(d, dtype, c, consumer=op.name, positive=True)
        return d.emit(BatchNorm(eps), x, mean, var, scale, bias)
    if op is GroupNorm:
        c = x.type.sizes[1]
        groups = d.rng.choice([g for g in (1, 2, 4) if d.facts.prove_eq(c % g, 0) is True] or [1])
        return d.emit(GroupNorm(groups, eps), x, *(weight(d, dtype, c, consumer=op.name) for _ in range(count)))
    if op is RmsNorm:
        ws = (weight(d, dtype, x.type.sizes[-1], consumer=op.name) for _ in range(min(count, 1)))
        return d.emit(RmsNorm(eps), x, *ws)
    axes_count = d.rng.randint(1, min(x.type.rank, 2))
    shape = x.type.sizes[x.type.rank - axes_count :]
    return d.emit(LayerNorm(axes_count, eps), x, *(weight(d, dtype, *shape, consumer=op.name) for _ in range(count)))


def _rfft(d: Draft, op: type[Op]) -> object:
    x = d.take(like("f", 1, HIGHEST - 1), op.name, numbers=False)
    return x and d.emit(Rfft(axis_of(d, x.type)), x)


def _irfft(d: Draft, op: type[Op]) -> object:
    x = d.take(lambda t: t.dtype.is_float and t.rank >= 2 and t.sizes[-1] == 2, op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank - 1)
    n = d.facts.simplify(x.type.sizes[axis] * 2 - d.rng.choice((1, 2)))
    return d.emit(Irfft(n, axis), x)


LAYERS: tuple[Entry, ...] = (
    entry(Matmul, _matmul, [("fi", 1, HIGHEST)], [_FI]),
    entry(Einsum, _einsum, [("fi", 1, 4)], [("fi", 0, 4)]),
    *(entry(op, _conv, [_IMAGE, ("f", 1, 1)], [_IMAGE]) for op in (Conv, ConvTranspose)),
    *(entry(op, _conv_each, [("f", 3, 4), ("f", 2, 2)], [("f", 4, 5)]) for op in (ConvEach, ConvTransposeEach)),
    *(entry(op, _pool, [_IMAGE], [_IMAGE]) for op in (MaxPool, AvgPool, AdaptiveAvgPool)),
    entry(Resize, _resize, [_IMAGE], [_IMAGE]),
    entry(GridSample, _grid_sample, [("f", 4, 5)], [("f", 4, 5)]),
    *(entry(op, _norm, [_F1], [_F1]) for op in (LayerNorm, RmsNorm)),
    entry(GroupNorm, _norm, [_F1], [("f", 2, HIGHEST)]),
    entry(BatchNorm, _norm, [_F1], [("f", 2, HIGHEST)]),
    entry(Moments, _norm, [_F1], [("f", 0, HIGHEST - 1)]),
    entry(Rfft, _rfft, [("f", 1, HIGHEST - 1)], [("f", 2, HIGHEST)]),
    entry(Irfft, _irfft, [("f", 2, HIGHEST)], [("f", 1, HIGHEST - 1)]),
)
