"""Runs a graph in numpy, node by node: what every other backend must agree with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Env, numpy_dtype
from netdsl.backends.reference.sizes import bind_sizes, check_shape
from netdsl.backends.reference.tables import TABLE
from netdsl.ir import Graph, Node, Region, Value
from netdsl.ops.loop import Loop
from netdsl.tensor_type import TensorType


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one call of a network gives.

    Args:
        outputs: by output name.
        updates: the new value of each updated state, by path; empty outside training.
        values:  every value outside loop bodies, if they were asked for.
    """

    outputs: dict[str, Array]
    updates: dict[str, Array]
    values: dict[Value, Array] = field(default_factory=dict)


def run(
    graph: Graph,
    inputs: Mapping[str, Array],
    params: Mapping[str, Array],
    *,
    sizes: Mapping[str, int] | None = None,
    seed: int | None = None,
    keep: bool = False,
) -> RunResult:
    """The outputs and state updates of `graph`; every float type is computed in float64.

    Args:
        params: by path; a parameter that has data need not be given.
        sizes:  of free dimensions that no input axis determines.
        seed:   of random ops in a training graph; without one they do nothing.
        keep:   return every value, not the outputs alone.
    Raises: ValueError: an input or parameter is missing, unknown or of the wrong shape or kind.
    """
    known = bind_sizes(graph, inputs, sizes)
    values = {value: _held(name, inputs[name], value.type) for name, value in graph.inputs}
    values |= _bind_params(graph, params, known)
    env = Env(known, None if seed is None else np.random.default_rng(seed))
    results = [v for _, v in graph.outputs] + [u.value for u in graph.updates]
    with np.errstate(all="ignore"):
        _Runner(env, keep).nodes(graph.nodes, results, values)
    return RunResult(
        {name: values[value] for name, value in graph.outputs},
        {update.path: values[update.value] for update in graph.updates},
        values if keep else {},
    )


def _bind_params(graph: Graph, params: Mapping[str, Array], known: Mapping[str, int]) -> dict[Value, Array]:
    unbound = [p.path for p in graph.params if p.path not in params and p.data is None]
    if unbound:
        raise ValueError(f"parameters without a value: {', '.join(unbound)}")
    bound = {}
    for param in graph.params:
        array = np.asarray(params.get(param.path, param.data))
        check_shape(param.path, param.value, array, known)
        bound[param.value] = _held(param.path, array, param.value.type)
    return bound


def _held(name: str, array: Array, t: TensorType) -> Array:
    """`array` in the numpy type that holds `t`.

    Raises: ValueError: floats for an int, or numbers for a bool.
    """
    given = np.asarray(array)
    kept = given.astype(numpy_dtype(t.dtype), copy=False)
    rank = {"b": 0, "i": 1, "u": 1}
    if rank.get(given.dtype.kind, 2) > rank.get(kept.dtype.kind, 2):
        raise ValueError(f"`{name}` is {t}; found {given.dtype}")
    return kept


class _Runner:
    """Evaluates nodes in order and drops each value after its last use."""

    def __init__(self, env: Env, keep: bool) -> None:
        self._env = env
        self._keep = keep
        self._dead: dict[Region, list[list[Value]]] = {}

    def nodes(self, nodes: Sequence[Node], results: Sequence[Value], values: dict[Value, Array]) -> None:
        self._run(nodes, [[]] * len(nodes) if self._keep else _last_uses(nodes, results), values)

    def _run(self, nodes: Sequence[Node], dead: Sequence[Sequence[Value]], values: dict[Value, Array]) -> None:
        for node, unneeded in zip(nodes, dead, strict=True):
            operands = tuple(values[v] for v in node.operands)
            op = node.op
            computed = (
                self._loop(op, node, operands) if isinstance(op, Loop) else TABLE[type(op)](node, operands, self._env)
            )
            del operands
            for value, array in zip(node.results, computed, strict=True):
                values[value] = np.asarray(array)
            for value in unneeded:
                del values[value]

    def _region(self, region: Region, arguments: Sequence[Array]) -> list[Array]:
        if region not in self._dead:
            self._dead[region] = _last_uses(region.nodes, region.results)
        values = dict(zip(region.arguments, arguments, strict=True))
        self._run(region.nodes, self._dead[region], values)
        return [values[v] for v in region.results]

    def _loop(self, op: Loop, node: Node, operands: tuple[Array, ...]) -> tuple[Array, ...]:
        (region,) = node.regions
        count = self._env.dim(op.count)
        sequences = [np.moveaxis(a, op.axis, 0) for a in operands[: op.sequences]]
        lengths: Any = operands[op.sequences] if op.has_length else None
        first = op.sequences + op.has_length
        carries = list(operands[first : first + op.carries])
        captured = operands[first + op.carries :]
        yields, steps = self._yields(op, region)
        stopped: Any = np.zeros(self._stop_shape(op, region), bool)
        for step in reversed(range(count)) if op.reverse else range(count):
            active = ~stopped if lengths is None else ~stopped & (step < lengths)
            if not active.any() and not op.states:
                continue
            results = self._region(region, [*(s[step] for s in sequences), *carries, *captured])
            is_masked = op.has_length or op.has_until
            new, out = results[: op.carries], results[op.carries : op.carries + op.yields]
            if is_masked:
                rows = op.carries - op.states
                new = [*(_where(active, n, c) for n, c in zip(new[:rows], carries, strict=False)), *new[rows:]]
            carries = new
            for place, value in zip(steps, out, strict=True):
                place[step] = _where(active, value, np.zeros_like(value)) if is_masked else value
            if op.has_until:
                stopped = stopped | (active & results[-1].astype(bool))
        return (*yields, *carries)

    def _yields(self, op: Loop, region: Region) -> tuple[list[Array], list[Array]]:
        """Zeros for the stacked yields, and the same arrays seen with the steps in front."""
        types = [v.type for v in region.results[op.carries : op.carries + op.yields]]
        whole: list[Array] = [np.zeros(self._env.shape(op.stacked(t).sizes), numpy_dtype(t.dtype)) for t in types]
        return whole, [np.moveaxis(a, min(op.axis, t.rank), 0) for a, t in zip(whole, types, strict=True)]

    def _stop_shape(self, op: Loop, region: Region) -> tuple[int, ...]:
        return self._env.shape(region.results[-1].type.sizes) if op.has_until else ()


def _where(active: Array, new: Array, old: Array) -> Array:
    """`new` in the active rows: `active` covers the leading axes."""
    return np.where(active.reshape(active.shape + (1,) * (new.ndim - active.ndim)), new, old)


def _last_uses(nodes: Sequence[Node], results: Sequence[Value]) -> list[list[Value]]:
    """For each node, the values that nothing after it reads."""
    used = set(results)
    dead: list[list[Value]] = []
    for node in reversed(nodes):
        unneeded = []
        for value in (*node.results, *node.operands):
            if value not in used:
                used.add(value)
                unneeded.append(value)
        dead.append(unneeded)
    dead.reverse()
    return dead
