"""Numbers for a network under construction: exact, and as a backend might round them.

Each value is held several times in every case: computed exactly, and in noisy worlds where each rounding operation is
off by a few units in the last place. A node is declined where a number is not finite or large, where rounding grows
past a quarter of what the tolerance table allows, and where a jump (of `floor`, `<`, `argmax`, ..) is too near.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.context import Env, numpy_dtype
from netdsl.backends.reference.tables import TABLE
from netdsl.ir import Node, Region, Value
from netdsl.ops.comparison import Eq, Ge, Gt, Le, Lt, Ne
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, Each
from netdsl.ops.cumulative import CumProd
from netdsl.ops.elementwise import Cast, Div, FloorDiv, Mod, Pow, Sign
from netdsl.ops.image import GridSample, Resize
from netdsl.ops.loop import Loop
from netdsl.ops.normalisation import GroupNorm, LayerNorm
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.reduction import ReduceProd
from netdsl.ops.softmax import LogSoftmax
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK
from netdsl.ops.unary import Ceil, Floor, Round, Tan, Trunc
from netdsl.tensor_type import DType, TensorType
from tests.random_networks.rounding import EXACT, EXACT_IF_HELD, LOST_IN_SATURATION, SATURATES

Array = NDArray[Any]
#: One value in one case: the exact array, then one a noisy world (the same object where nothing was rounded).
Views = tuple[Array, ...]

NOISY = 2
#: Relative error of one operation, by float type: a few units in the last place.
UNIT = {"f64": 2.0**-50, "f32": 2.0**-22, "f16": 2.0**-10, "bf16": 2.0**-7}
#: Largest (relative, absolute) error of any value, a quarter of the table's tolerance but for f16.
NOISE = {"f64": (2.5e-10, 2.5e-10), "f32": (2.5e-5, 2.5e-6), "f16": (1.5e-2, 1.5e-3), "bf16": (5e-2, 5e-2)}
LARGEST = {"f64": 1e4, "f32": 1e4, "f16": 512.0, "bf16": 1e3}
#: Below this a number may become 0.
TINY = {"f64": 2.0**-1022, "f32": 2.0**-126, "f16": 2.0**-14, "bf16": 2.0**-126}
LARGEST_INT = 1_000_000
#: A jump stays this many times the error of what may cross it away.
MARGIN = 25.0


class Declined(Exception):
    """The node has no well-conditioned value in some case."""


@dataclass(frozen=True, slots=True)
class Case:
    """Sizes of the free dimensions, and the stream of this case's numbers."""

    sizes: Mapping[str, int]
    env: Env
    rng: np.random.Generator


def holds(dtype: DType, array: Array) -> bool:
    """Whether every element is exactly a value of the float type."""
    kept = {"f64": np.float64, "f32": np.float32, "f16": np.float16}.get(dtype.name, np.float16)
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array.astype(kept).astype(np.float64), array))


def evaluate(node: Node, operands: Sequence[Views], case: Case) -> tuple[Views, ...]:
    """Every view of each result.

    Raises: Declined.
    """
    if isinstance(node.op, Loop):
        return _loop(node, node.op, operands, case)
    _require_defined(node, [views[0] for views in operands])
    _require_legal(node, [views[0] for views in operands], case)
    _require_products(node, [views[0] for views in operands])
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing is NaN, which is declined below
            exact = [np.asarray(a) for a in TABLE[type(node.op)](node, tuple(v[0] for v in operands), case.env)]
            results = _views(node, operands, exact, case)
    except (ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise Declined(str(error)) from None
    for value, views in zip(node.results, results, strict=True):
        _require_shape(value, views[0], case)
        _require_tame(value.type.dtype, views)
    _require_margin(node, operands)
    return results


def error_of(views: Views) -> float:
    """The largest distance of a noisy view from the exact one."""
    return max((float(np.max(np.abs(v - views[0]), initial=0.0)) for v in views[1:] if v is not views[0]), default=0.0)


def _views(node: Node, operands: Sequence[Views], exact: list[Array], case: Case) -> tuple[Views, ...]:
    noisy_in = any(view is not views[0] for views in operands for view in views[1:])
    floats = [v.type.dtype for v in node.results if v.type.dtype.is_float]
    rounds = bool(floats) and type(node.op) not in EXACT
    if rounds and type(node.op) in EXACT_IF_HELD and not noisy_in:
        rounds = not all(
            holds(v.type.dtype, a) for v, a in zip(node.results, exact, strict=True) if v.type.dtype.is_float
        )
    if not noisy_in and not rounds:
        return tuple((a,) * (1 + NOISY) for a in exact)
    lost = _lost(node, [views[0] for views in operands])
    worlds = []
    for world in range(1, 1 + NOISY):
        held = tuple(views[world] for views in operands)
        if rounds:
            held = tuple(_jittered(a, v.type, case.rng) for a, v in zip(held, node.operands, strict=True))
        made = [np.asarray(a) for a in TABLE[type(node.op)](node, held, case.env)] if noisy_in or rounds else exact
        if rounds:
            made = [_rounded(a, v.type, case.rng, lost) for a, v in zip(made, node.results, strict=True)]
        worlds.append(made)
    return tuple(zip(exact, *worlds, strict=True))


def _jittered(array: Array, t: TensorType, rng: np.random.Generator) -> Array:
    """Operands off by a quarter of a unit each: what sums and differences inside an op make of it."""
    if not t.dtype.is_float:
        return array
    return array * (1.0 + 0.25 * UNIT[t.dtype.name] * rng.uniform(-1.0, 1.0, array.shape))


def _rounded(array: Array, t: TensorType, rng: np.random.Generator, lost: Array | float) -> Array:
    if not t.dtype.is_float or not array.size:
        return array
    unit = UNIT[t.dtype.name]
    scale = float(np.max(np.abs(array), initial=0.0))
    relative = 1.0 + unit * rng.uniform(-1.0, 1.0, array.shape)
    absolute = unit * (0.25 * scale + lost) + TINY[t.dtype.name]
    return np.asarray(array * relative + absolute * rng.uniform(-1.0, 1.0, array.shape))


def _lost(node: Node, exact: Sequence[Array]) -> Array | float:
    """Magnitudes that cancel inside an op, as they show in its result: x - mean is rounded as x is."""
    op, x = node.op, exact[0] if exact else None
    if x is None or not x.size:
        return 0.0
    largest = float(np.max(np.abs(x)))
    if type(op) in SATURATES:
        return LOST_IN_SATURATION
    if isinstance(op, LogSoftmax):
        return largest
    if isinstance(op, LayerNorm):
        variance = x.var(tuple(range(x.ndim - op.axes_count, x.ndim)), keepdims=True)
        return np.asarray(largest / np.sqrt(variance + op.eps))
    if isinstance(op, GroupNorm):
        groups = x.reshape(x.shape[0], op.groups, -1)
        wide = np.broadcast_to(groups.var(2, keepdims=True), groups.shape).reshape(x.shape)
        return np.asarray(largest / np.sqrt(wide + op.eps))
    return 0.0


# --- what is declined --------------------------------------------------------------------------------------------------


def _require_shape(value: Value, array: Array, case: Case) -> None:
    """A size that is negative, or that the reference does not make, is not legal at these sizes."""
    if array.shape != case.env.shape(value.type.sizes):
        raise Declined(f"{value.type} has the shape {array.shape} at {case.sizes}")


def _require_defined(node: Node, exact: Sequence[Array]) -> None:
    """Whole numbers have no quotient by 0 and no negative power of 0."""
    if isinstance(node.op, (FloorDiv, Mod)) and exact[1].dtype.kind == "i" and not np.all(exact[1]):
        raise Declined("a division by 0")
    if isinstance(node.op, Pow) and exact[1].dtype.kind == "i":
        if bool(np.any(exact[1] < 0)):
            raise Declined("a negative power of a whole number")
        with np.errstate(all="ignore"):
            if bool(np.any(np.abs(np.power(exact[0].astype(np.float64), exact[1])) > LARGEST_INT)):
                raise Declined("a large power")


def _require_products(node: Node, exact: Sequence[Array]) -> None:
    """Products of parts, in any order, neither overflow nor vanish before they grow."""
    op = node.op
    if not isinstance(op, (ReduceProd, CumProd)):
        return
    (x,), dtype = exact, node.result.type.dtype
    axes = (op.axis,) if isinstance(op, CumProd) else op.axes_of(node.operands[0].type)
    sizes = np.where(x == 0, 1.0, np.abs(x.astype(np.float64)))
    with np.errstate(over="ignore", under="ignore"):
        grown = float(np.max(np.prod(np.maximum(sizes, 1.0), axes), initial=1.0))
        shrunk = float(np.min(np.prod(np.minimum(sizes, 1.0), axes), initial=1.0))
    if grown > LARGEST.get(dtype.name, LARGEST_INT) or (grown > 1.0 and shrunk < TINY.get(dtype.name, 0.0)):
        raise Declined("parts of a product that overflow or vanish")


def _require_legal(node: Node, exact: Sequence[Array], case: Case) -> None:
    """What the documentation of an op demands of sizes, which the types need not prove."""
    op = node.op
    if not isinstance(op, (Conv, ConvTranspose, Each, MaxPool, AvgPool, AdaptiveAvgPool, Resize, GridSample)):
        return
    first = 3 if isinstance(op, Each) else 2
    spatial = exact[0].shape[first:]
    if 0 in spatial or any(size < 1 for size in case.env.shape(node.result.type.sizes[first:])):
        raise Declined("an empty spatial axis")
    if isinstance(op, (Conv, ConvEach)) and op.mode in ("reflect", "circular"):
        most = [max(op.padding[2 * at : 2 * at + 2]) for at in range(len(spatial))]
        if any(m >= size + (op.mode == "circular") for m, size in zip(most, spatial, strict=True) if m):
            raise Declined("more padding than the axis can give")


def _require_tame(dtype: DType, views: Views) -> None:
    exact = views[0]
    if exact.dtype.kind == "b":
        if any(not np.array_equal(v, exact) for v in views[1:]):
            raise Declined("a bool that depends on rounding")
        return
    largest = float(np.max(np.abs(exact.astype(np.float64)), initial=0.0))
    if exact.dtype.kind != "f":
        if largest > LARGEST_INT or any(not np.array_equal(v, exact) for v in views[1:]):
            raise Declined("a large whole number, or one that depends on rounding")
        return
    if not largest <= LARGEST[dtype.name]:
        raise Declined("a number that is large or not finite")
    relative, absolute = NOISE[dtype.name]
    if not error_of(views) <= absolute + relative * largest:
        raise Declined("rounding errors grow")


def _require_margin(node: Node, operands: Sequence[Views]) -> None:
    gap = _GAPS.get(type(node.op))
    if gap is None or not any(error_of(v) for v in operands if v[0].dtype.kind == "f"):
        return
    smallest, error = gap(node, operands)
    if smallest <= MARGIN * error:
        raise Declined("a jump within the rounding errors")


def _to_whole(shift: float) -> Callable[[Node, Sequence[Views]], tuple[float, float]]:
    """Distance from the places k + shift."""

    def gap(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
        moved = operands[0][0] - shift
        return _least(np.abs(moved - np.round(moved))), error_of(operands[0])

    return gap


def _apart(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
    return _least(np.abs(operands[0][0] - operands[1][0])), error_of(operands[0]) + error_of(operands[1])


def _quotient(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
    views = tuple(np.divide(a, b) for a, b in zip(*operands, strict=True))
    return _least(np.abs(views[0] - np.round(views[0]))), error_of(views)


def _order(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
    axis = node.op.axis  # type: ignore[attr-defined]
    return _least(np.diff(np.sort(operands[0][0], axis=axis), axis=axis)), error_of(operands[0])


def _cast(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
    op = node.op
    assert isinstance(op, Cast)
    x = operands[0][0]
    if x.dtype.kind != "f" or op.dtype.is_float:
        return np.inf, 0.0
    return _least(np.abs(x) if op.dtype.kind == "bool" else np.abs(x - np.round(x))), error_of(operands[0])


def _places(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
    """Distance of the places read by `nearest` from halves; other modes have no jumps."""
    op = node.op
    assert isinstance(op, GridSample)
    if op.mode != "nearest":
        return np.inf, 0.0
    sizes = np.array(operands[0][0].shape[:1:-1], np.float64)
    views = tuple(
        g * (sizes - 1) / 2 + (sizes - 1) / 2 if op.align_corners else (g + 1) * sizes / 2 - 0.5 for g in operands[1]
    )
    return _least(np.abs(views[0] - np.floor(views[0]) - 0.5)), error_of(views) + 1e-4


def _pole(node: Node, operands: Sequence[Views]) -> tuple[float, float]:
    """What is left of the distance to a pole decides the result, and two noisy worlds may both be lucky."""
    x = operands[0][0]
    unit = UNIT[node.operands[0].type.dtype.name]
    return _least(np.abs(np.cos(x))), max(error_of(operands[0]), unit * float(np.max(np.abs(x), initial=0.0)))


def _least(distances: Array) -> float:
    return float(np.min(distances, initial=np.inf))


_GAPS: dict[type, Callable[[Node, Sequence[Views]], tuple[float, float]]] = {
    **dict.fromkeys((Floor, Ceil, Trunc), _to_whole(0.0)),
    Round: _to_whole(0.5),
    Sign: lambda node, operands: (_least(np.abs(operands[0][0])), error_of(operands[0])),
    # 0 / 0 where a divisor cannot be told from 0.
    Div: lambda node, operands: (_least(np.abs(operands[1][0])), error_of(operands[1])),
    Tan: _pole,
    **dict.fromkeys((Eq, Ne, Lt, Le, Gt, Ge), _apart),
    **dict.fromkeys((FloorDiv, Mod), _quotient),
    **dict.fromkeys((ArgMax, ArgMin, Sort, TopK), _order),
    Cast: _cast,
    GridSample: _places,
}


# --- loops -------------------------------------------------------------------------------------------------------------


def step_views(op: Loop, operands: Sequence[Views], case: Case) -> list[Views] | None:
    """Views of the arguments of a loop's body at its first step; None where it takes no step."""
    count = case.env.dim(op.count)
    if count == 0:
        return None
    first = count - 1 if op.reverse else 0
    steps = [tuple(np.take(a, first, op.axis) for a in views) for views in operands[: op.sequences]]
    return [*steps, *operands[op.sequences + op.has_length :]]


def run_region(region: Region, arguments: Sequence[Views], case: Case) -> list[Views]:
    known = dict(zip(region.arguments, arguments, strict=True))
    for node in region.nodes:
        results = evaluate(node, [known[v] for v in node.operands], case)
        known.update(zip(node.results, results, strict=True))
    return [known[v] for v in region.results]


def _loop(node: Node, op: Loop, operands: Sequence[Views], case: Case) -> tuple[Views, ...]:
    region = node.regions[0]
    count = case.env.dim(op.count)
    first = op.sequences + op.has_length
    carries = list(operands[first : first + op.carries])
    captured = operands[first + op.carries :]
    lengths = operands[op.sequences][0] if op.has_length else None
    types = [v.type for v in region.results[op.carries : op.carries + op.yields]]
    kinds = [numpy_dtype(t.dtype) for t in types]
    yields = [
        tuple(np.zeros(case.env.shape(op.stacked(t).sizes), k) for _ in range(1 + NOISY))
        for t, k in zip(types, kinds, strict=True)
    ]
    stopped = np.zeros(case.env.shape(region.results[-1].type.sizes), bool) if op.has_until else None
    for step in reversed(range(count)) if op.reverse else range(count):
        active = None if lengths is None else np.asarray(step < lengths)
        if stopped is not None:
            active = ~stopped if active is None else ~stopped & active
        if active is not None and not active.any():
            continue
        steps = [tuple(np.take(a, step, op.axis) for a in views) for views in operands[: op.sequences]]
        results = run_region(region, [*steps, *carries, *captured], case)
        new = results[: op.carries]
        carries = [
            tuple(_where(active, n, o) for n, o in zip(a, b, strict=True)) for a, b in zip(new, carries, strict=True)
        ]
        if stopped is not None:
            stopped = stopped | (active & results[-1][0])
        for stacked, views, t in zip(yields, results[op.carries :], types, strict=False):
            for whole, view in zip(stacked, views, strict=True):
                np.moveaxis(whole, min(op.axis, t.rank), 0)[step] = _where(active, view, np.zeros_like(view))
    results = (*yields, *carries)
    for value, views in zip(node.results, results, strict=True):
        _require_tame(value.type.dtype, views)
    return results


def _where(active: Array | None, new: Array, old: Array) -> Array:
    if active is None:
        return new
    return np.where(active.reshape(active.shape + (1,) * (new.ndim - active.ndim)), new, old)
