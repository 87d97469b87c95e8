"""The runner: verifies the graph around each pass, validates the translation, times it, keeps the ledger."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from netdsl.collector import paused_collection
from netdsl.ir import Graph
from netdsl.passes.base import Pass, Skip, Weights
from netdsl.passes.remove_dead_nodes import RemoveDeadNodes
from netdsl.passes.share_common_nodes import ShareCommonNodes
from netdsl.passes.validation import Validator
from netdsl.verify import verify
from netdsl.weights import random_weights

#: What every export runs.
DEFAULT: tuple[Pass, ...] = (ShareCommonNodes(), RemoveDeadNodes())


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
    """The final graph, its weights, the ledger, and the sizes at which it was validated."""

    graph: Graph
    weights: Weights
    rows: tuple[Row, ...]
    validated_sizes: tuple[dict[str, int], ...]


@paused_collection()
def run_pipeline(
    graph: Graph, weights: Weights, *, passes: Sequence[Pass] = DEFAULT, validate: bool = True, budget_s: float = 10.0
) -> PipelineResult:
    """Run `passes` in order.

    Args:   budget_s: seconds that validation may take before the first pass.
    Raises: NetError: E0601: a pass broke its promise. InvalidGraph: a pass made an invalid graph, a bug of it.
    """
    validator: Validator | None = None
    rows: list[Row] = []
    for step in passes:
        started = time.perf_counter()
        result = step.run(graph)
        seconds = time.perf_counter() - started
        error: float | None = None
        if result.graph is graph:
            error = 0.0 if validate else None
        else:
            verify(result.graph, instances=validate)
            if validate:
                if validator is None:
                    validator = Validator(graph, random_weights(graph.params, 0), budget_s=budget_s)
                error = validator.check(step.name, result.graph, step.guarantee)
        rows.append(
            Row(
                step.name,
                step.guarantee.kind,
                result.fired,
                _count(graph),
                _count(result.graph),
                seconds,
                error,
                result.skips,
            )
        )
        graph = result.graph
    sizes = tuple(dict(s) for s in validator.sizes) if validator is not None else ()
    return PipelineResult(graph, weights, tuple(rows), sizes)


def _count(graph: Graph) -> int:
    return sum(1 for _ in graph.walk())
