"""The runner: verifies the graph around each pass, validates the translation, times it, keeps the ledger."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netdsl.collector import paused_collection
from netdsl.ir import Graph
from netdsl.passes.base import Pass, Skip, Weights
from netdsl.passes.fold_batch_norm import FoldBatchNorm
from netdsl.passes.fold_constants import FoldConstants
from netdsl.passes.hoist_from_loops import HoistFromLoops
from netdsl.passes.narrow_aggregations import NarrowAggregations
from netdsl.passes.remove_dead_nodes import RemoveDeadNodes
from netdsl.passes.share_common_nodes import ShareCommonNodes
from netdsl.passes.validation import Validator
from netdsl.sampling import storage_dtype
from netdsl.tensor_type import DType
from netdsl.verify import verify
from netdsl.weights import random_weights

#: What every export runs: first what holds for all weights, then what needs them.
DEFAULT: tuple[Pass, ...] = (
    HoistFromLoops(),
    ShareCommonNodes(),
    FoldBatchNorm(),
    NarrowAggregations(),
    RemoveDeadNodes(),
)
BOUND: tuple[Pass, ...] = (FoldConstants(),)


@dataclass(frozen=True, slots=True)
class Row:
    """One pass in the ledger.

    Args: largest_error: relative, over all validated cases; None where validation was off.
    """

    name: str
    guarantee: str
    fired: int
    nodes_before: int
    nodes_after: int
    seconds: float
    largest_error: float | None
    skips: tuple[Skip, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """The final graph, the weights that it holds, the ledger, and the sizes at which it was validated."""

    graph: Graph
    weights: Weights
    rows: tuple[Row, ...]
    validated_sizes: tuple[dict[str, int], ...]


@paused_collection()
def run_pipeline(
    graph: Graph,
    weights: Weights,
    *,
    passes: Sequence[Pass] = DEFAULT,
    bound: Sequence[Pass] = BOUND,
    validate: bool = True,
    budget_s: float = 10.0,
) -> PipelineResult:
    """Run `passes` in order, validated under random weights, and then `bound` on the graph that holds `weights`.

    Args:   budget_s: seconds that validation may take before the first pass, and again before the first of `bound`.
    Raises: NetError: E0601: a pass broke its promise. InvalidGraph: a pass made an invalid graph, a bug of it.
    """
    runner = _Runner(validate, budget_s)
    graph = runner.run(graph, passes)
    if weights:
        graph = runner.run(with_weights(graph, weights), bound)
        weights = {p.path: np.asarray(p.data) for p in graph.params if p.data is not None}
    return PipelineResult(graph, weights, tuple(runner.rows), runner.sizes)


def with_weights(graph: Graph, weights: Weights) -> Graph:
    """The graph with data in its parameters, rounded to what their types hold."""
    params = (
        replace(p, data=_rounded(weights[p.path], p.value.type.dtype)) if p.path in weights else p for p in graph.params
    )
    return replace(graph, params=tuple(params))


def _rounded(array: NDArray[np.generic], dtype: DType) -> NDArray[np.generic]:
    """To the nearest value of the type, ties to even."""
    held = np.asarray(array).astype(storage_dtype(dtype.storage.name), copy=False)
    if dtype.name != "bf16":
        return held
    bits = held.view(np.uint32)
    nearest = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    return np.where(np.isnan(held), held, nearest)


class _Runner:
    """Runs, checks and times passes."""

    def __init__(self, validate: bool, budget_s: float) -> None:
        self._validate = validate
        self._budget_s = budget_s
        self.rows: list[Row] = []
        self.sizes: tuple[dict[str, int], ...] = ()

    def run(self, graph: Graph, passes: Sequence[Pass]) -> Graph:
        validator: Validator | None = None
        for step in passes:
            started = time.perf_counter()
            result = step.run(graph)
            seconds = time.perf_counter() - started
            error = 0.0 if self._validate else None
            if result.graph is not graph:
                verify(result.graph, instances=self._validate)
            if result.graph is not graph and self._validate:
                if validator is None:
                    unbound = (param for param in graph.params if param.data is None)
                    validator = Validator(graph, random_weights(unbound, 0), budget_s=self._budget_s)
                    self.sizes = self.sizes or tuple(dict(s) for s in validator.sizes)
                error = validator.check(step.name, result.graph, step.guarantee)
            counts = _count(graph), _count(result.graph)
            row = Row(step.name, step.guarantee.kind, result.fired, *counts, seconds, error, result.skips)
            self.rows.append(row)
            graph = result.graph
        return graph


def _count(graph: Graph) -> int:
    return sum(1 for _ in graph.walk())
