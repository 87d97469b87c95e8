"""Translation validation: before and after a pass are run side by side on sampled inputs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.execute import RunResult, run
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.ir import Graph, Node, Value
from netdsl.passes.base import Guarantee, Weights
from netdsl.sampling import sample_inputs, sample_sizes, smallest_sizes
from netdsl.tolerance import largest_difference

Array = NDArray[np.generic]
#: Sizes tried for every free dimension, after the smallest and 3, while the budget lasts.
LARGER = (7, 16, 33, 64)


@dataclass(frozen=True, slots=True)
class Case:
    """One sampled input and what the graph before gave for it."""

    sizes: Mapping[str, int]
    inputs: Mapping[str, Array]
    before: RunResult


class Validator:
    """Keeps the runs of the last graph, so that the 'after' of one pass is the 'before' of the next.

    Args:
        weights:  values under which both sides run: random and non-degenerate, never the initialiser's.
        budget_s: seconds for all runs of the first graph; the largest sizes that fit are used.
    """

    def __init__(self, graph: Graph, weights: Weights, *, budget_s: float = 10.0, seed: int = 0) -> None:
        self._weights = weights
        self.cases: list[Case] = []
        for sizes in _sizes(graph, budget_s, self._weights, seed):
            inputs = sample_inputs(graph, sizes, seed + len(self.cases))
            self.cases.append(Case(sizes, inputs, run(graph, inputs, weights, keep=True)))

    @property
    def sizes(self) -> tuple[Mapping[str, int], ...]:
        """The sizes in use, for the report."""
        return tuple(c.sizes for c in self.cases)

    def check(self, name: str, after: Graph, guarantee: Guarantee) -> float:
        """The largest relative error of any output over all cases.

        Raises: NetError: E0601: the promise is broken; names the first node that drifted, with its line.
        """
        worst = 0.0
        kept: list[Case] = []
        for case in self.cases:
            result = run(after, case.inputs, self._weights, keep=True)
            for output, expected in case.before.outputs.items():
                error = relative_error(expected, result.outputs[output])
                if not error <= guarantee.rtol:
                    raise NetError(_broken(name, output, error, guarantee, case, after, result))
                worst = max(worst, error)
            for path, expected in case.before.updates.items():
                error = relative_error(expected, result.updates[path])
                if not error <= guarantee.rtol:
                    raise NetError(_broken(name, path, error, guarantee, case, after, result))
            kept.append(Case(case.sizes, case.inputs, result))
        self.cases = kept
        return worst


def relative_error(expected: Array, actual: Array) -> float:
    """Largest difference over max(1, the largest magnitude); discrete results differ by infinity or not at all."""
    difference = largest_difference(expected, actual)
    if expected.dtype.kind != "f":
        return 0.0 if difference == 0 else float("inf")
    finite = np.abs(expected[np.isfinite(expected)])
    return difference / max(1.0, float(finite.max()) if finite.size else 1.0)


def _sizes(graph: Graph, budget_s: float, weights: Weights, seed: int) -> list[dict[str, int]]:
    chosen = [smallest_sizes(graph)]
    if not graph.free_dims:
        return chosen
    started = time.perf_counter()
    run(graph, sample_inputs(graph, chosen[0], seed), weights)
    spent = time.perf_counter() - started
    left = budget_s - 3 * spent
    before = 1
    for want in (3, *LARGER):
        sizes = sample_sizes(graph, want, seed)
        if sizes in chosen:
            continue
        expected = spent * (want / before) ** 2
        if want > 3 and 3 * expected > left:
            break
        chosen.append(sizes)
        if want == 3 or 3 * expected <= left:
            started = time.perf_counter()
            run(graph, sample_inputs(graph, sizes, seed), weights)
            spent, before = time.perf_counter() - started, want
            left -= 3 * spent
    return chosen


def _broken(
    name: str, output: str, error: float, guarantee: Guarantee, case: Case, after: Graph, result: RunResult
) -> Diagnostic:
    """The finding, at the first node whose value drifted."""
    sizes = ", ".join(f"{k} = {v}" for k, v in case.sizes.items()) or "its only sizes"
    title = f"the pass `{name}` changes `{output}` by {error:.3g} (relative), and promises at most {guarantee.rtol:.3g}"
    node = _first_drift(after, case, result, guarantee)
    label = Label(node.spans[0], f"`{node.op.name}` is the first value that differs") if node is not None else None
    return Diagnostic("E0601", title, label, notes=(f"found at {sizes}", "nothing was written"))


def _first_drift(after: Graph, case: Case, result: RunResult, guarantee: Guarantee) -> Node | None:
    """The first node that both graphs hold, or that reads only such nodes, and whose value differs."""
    known: dict[Value, bool] = {}
    for node in after.nodes:
        for value in node.results:
            before = case.before.values.get(value)
            if before is None:
                continue
            known[value] = relative_error(before, result.values[value]) > guarantee.rtol
            if known[value]:
                return node
    return after.nodes[-1] if after.nodes else None
