"""Inputs that a network may be given: one sampler that obeys types and facts, for validation, tests and benchmarks."""

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Value
from netdsl.ops.indexing import OneHot, Take
from netdsl.ops.loop import Loop
from netdsl.ops.masks import LengthMask
from netdsl.ops.pieces import Pick, Slice
from netdsl.ops.shape import Broadcast, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.record import dataclass

Array = NDArray[np.generic]

#: Ops whose result holds elements of their first operand and nothing else.
_MOVES = (Reshape, Transpose, Broadcast, Slice, Pick, Squeeze, Unsqueeze)


#: How far above a wanted size a legal one is looked for.
_NEAR = 33

#: How far random integers go where nothing says it.
_INTEGERS = 16


@dataclass(frozen=True, slots=True)
class Bound:
    """An integer input lies in `0..limit`; `limit` itself is allowed for lengths only."""

    limit: Dim
    is_length: bool


def sample_sizes(graph: Graph, want: int, seed: int = 0, *, dims: Sequence[str] | None = None) -> dict[str, int]:
    """Legal sizes: each of `dims` (all, unless given) at `want` or the next legal size above it, the others smallest.

    A dimension that has no such size is at its smallest. Where that is each of them, because they change together only,
    all sizes are drawn.

    Raises: ValueError: no sizes satisfy the facts.
    """
    facts, smallest = graph.facts, smallest_sizes(graph)
    names = list(graph.free_dims if dims is None else dims)
    sizes = smallest | dict.fromkeys(names, want)
    if facts.satisfies(sizes):
        return sizes
    sizes = dict(smallest)
    for name in names * len(names):  # what one dimension allows may depend on what another has become
        if sizes[name] < want:
            sizes[name] = _near(facts, sizes, name, want) or sizes[name]
    return (_drawn(graph, want, seed) or sizes) if sizes == smallest else sizes


def _near(facts: Facts, sizes: Mapping[str, int], name: str, want: int) -> int | None:
    """The first legal size of one dimension from `want` upwards, beside those of the others."""
    legal = (size for size in range(want, want + _NEAR) if facts.satisfies({**sizes, name: size}))
    return next(legal, None)


def _drawn(graph: Graph, want: int, seed: int) -> dict[str, int] | None:
    return graph.facts.sample(graph.free_dims, random.Random(seed), want, want + 16)


def smallest_sizes(graph: Graph) -> dict[str, int]:
    """The smallest legal size of each free dimension, 1 where nothing says otherwise.

    Raises: ValueError: no sizes satisfy the facts.
    """
    sizes = {}
    for name in graph.free_dims:
        low, _ = graph.facts.bounds(Dim.of(name))
        sizes[name] = max(low or 0, 1)
    if graph.facts.satisfies(sizes):
        return sizes
    for want in (1, 2, 4, 8, 16, 32, 64):
        found = _drawn(graph, want, 0)
        if found is not None:
            for name in (*found, *found):  # each as small as the others let it be
                found[name] = min(_near(graph.facts, found, name, sizes[name]) or found[name], found[name])
            return found
    raise ValueError(f"no sizes satisfy the facts of `{graph.name}`")


def sample_inputs(graph: Graph, sizes: Mapping[str, int], seed: int = 0) -> dict[str, Array]:
    """Inputs of the given sizes: floats from N(0, 1), bools fair, integers within the tables they point into; what has
    a range, evenly within it.

    Shapes: each input's, at `sizes`.
    """
    rng = np.random.default_rng(seed)
    bounds = integer_bounds(graph)
    ranges = {r.name: (r.low, r.high) for r in graph.ranges}
    inputs: dict[str, Array] = {}
    for name, value in graph.inputs:
        shape = tuple(size.evaluate(sizes) for size in value.type.sizes)
        dtype = value.type.dtype
        if name in ranges:
            inputs[name] = within(rng, *ranges[name], shape, storage_dtype(dtype.storage.name))
        elif dtype.kind == "bool":
            mask = rng.random(shape) < 0.7
            if mask.ndim and mask.shape[-1]:
                mask[..., 0] = True
            inputs[name] = mask
        elif dtype.is_float:
            inputs[name] = rng.standard_normal(shape).astype(storage_dtype(dtype.name))
        else:
            limit, is_length = _INTEGERS, False
            found = list(bounds.get(value, ()))
            if dtype.table is not None:
                found.append(Bound(dtype.table.size, False))
            if found:
                limit = min(b.limit.evaluate(sizes) for b in found)
                is_length = all(b.is_length for b in found)
            top = limit + 1 if is_length else max(limit, 1)
            inputs[name] = rng.integers(0, top, shape).astype(storage_dtype(dtype.storage.name))
    return inputs


def within(
    rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> Array:
    """Values spread evenly over a range; over a half-open one as the distance of a normal from its end."""
    if dtype.kind != "f":
        least = math.ceil(low) if math.isfinite(low) else math.floor(min(high, 0)) - _INTEGERS
        most = math.floor(high) if math.isfinite(high) else math.ceil(max(low, 0)) + _INTEGERS
        return rng.integers(least, most, shape, endpoint=True).astype(dtype)
    if math.isinf(low) and math.isinf(high):
        drawn = rng.standard_normal(shape)
    elif math.isinf(low) or math.isinf(high):
        drawn = np.abs(rng.standard_normal(shape))
        drawn = low + drawn if math.isinf(high) else high - drawn
    else:
        drawn = rng.uniform(low, high, shape)
    return np.asarray(drawn.astype(dtype))


def storage_dtype(name: str) -> np.dtype[np.generic]:
    """The numpy type of stored elements; bf16 is held as f32."""
    table = {
        "f64": "float64",
        "f32": "float32",
        "f16": "float16",
        "bf16": "float32",
        "i64": "int64",
        "i32": "int32",
        "i16": "int16",
        "i8": "int8",
        "u8": "uint8",
        "bool": "bool",
        "idx": "int64",
    }
    return np.dtype(table[name])


def integer_bounds(graph: Graph) -> dict[Value, tuple[Bound, ...]]:
    """What integer inputs point into: found by following them through moves to `take`, `one_hot` and lengths."""
    origin: dict[Value, Value] = {v: v for _, v in graph.inputs if v.type.dtype.kind == "int"}
    found: dict[Value, list[Bound]] = {}
    _follow(graph.nodes, origin, found)
    return {v: tuple(b) for v, b in found.items()}


def _follow(nodes: Sequence[Node], origin: dict[Value, Value], found: dict[Value, list[Bound]]) -> None:
    for node in nodes:
        op = node.op
        if isinstance(op, _MOVES) and node.operands and node.operands[0] in origin:
            origin[node.results[0]] = origin[node.operands[0]]
        elif isinstance(op, Take) and node.operands[1] in origin:
            found.setdefault(origin[node.operands[1]], []).append(
                Bound(node.operands[0].type.axes[op.axis].size, False)
            )
        elif isinstance(op, OneHot) and node.operands[0] in origin:
            found.setdefault(origin[node.operands[0]], []).append(Bound(op.size, False))
        elif isinstance(op, LengthMask) and node.operands[0] in origin:
            found.setdefault(origin[node.operands[0]], []).append(Bound(op.size, True))
        elif isinstance(op, Loop):
            if op.has_length and node.operands[op.sequences] in origin:
                found.setdefault(origin[node.operands[op.sequences]], []).append(Bound(op.count, True))
            outer = [v for i, v in enumerate(node.operands) if not (op.has_length and i == op.sequences)]
            region = node.regions[0]
            for argument, value in zip(region.arguments, outer, strict=True):
                if value in origin:
                    origin[argument] = origin[value]
            _follow(region.nodes, origin, found)
