"""What bound parameters and constants alone determine is computed once; what would only take more room is not."""

import numpy as np
import pytest

import netdsl
from netdsl.diagnostics import NetError
from netdsl.ir import Graph
from netdsl.passes.base import PassResult
from netdsl.passes.fold_constants import FoldConstants
from netdsl.passes.pipeline import PipelineResult, run_pipeline, with_weights
from netdsl.weights import random_weights
from tests.passes.wrong_rewrites import Wrong


def bound(body: str) -> Graph:
    text = f"network Net(x: f32[B, 4]) -> y: f32[B, 4] {{\n    param w: f32[4, 4] ~ normal\n    {body}\n}}"
    graph = netdsl.load(text)["Net"].graph
    return with_weights(graph, random_weights(graph.params, 5))


def folded(graph: Graph) -> PipelineResult:
    return run_pipeline(graph, {}, passes=(FoldConstants(),), budget_s=1.0)


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize(
    ("body", "left", "constants"),
    [
        ("y = x @ (w * 2 + eye[4])", ["matmul"], ["w.folded"]),
        ("y = x @ softmax(w) @ tanh(w)", ["matmul", "matmul"], ["w.folded", "w.folded_2"]),
        ("y = x + exp(iota[4, f32])", ["add"], ["folded"]),
        ("y = x @ exp(w).T", ["transpose", "matmul"], ["w.folded"]),
        ("a = scan 3[axis=1] from (h=w) { h = tanh(h) }\n    y = x @ a", ["matmul"], ["w.folded"]),
        ("y = x @ w.T + 1", ["transpose", "matmul", "constant", "add"], []),
        ("y = x @ w + sum(w) / sum(x)", ["matmul", "reduce_sum", "div", "add"], ["w.folded"]),
        ("y = x + zeros[B, 4] * 2", ["full", "constant", "mul", "add"], []),
    ],
)
def test_constants_are_computed(body: str, left: list[str], constants: list[str]) -> None:
    graph = bound(body)
    result = folded(graph)
    assert left == ops(result.graph)
    assert constants == [p.path for p in result.graph.params if p.kind == "const"]
    again = FoldConstants().run(result.graph)
    assert 0 == again.fired and again.graph is result.graph


def test_nothing_is_constant_before_weights_are_bound() -> None:
    graph = netdsl.load("network Net(x: f32[B, 4]) -> f32[B, 4] { param w: f32[4] ~ normal\n x * tanh(w) }")[
        "Net"
    ].graph
    result = FoldConstants().run(graph)
    assert 0 == result.fired and result.graph is graph


def test_what_would_take_more_room_stays() -> None:
    """An outer product of two vectors, a table that something else reads too, and one that is read turned alone."""
    text = """
    network Net(x: f32[B, 100], ids: idx[100][B]) -> f32[B, 100] {
        param u: f32[100] ~ normal
        param v: f32[100] ~ normal
        param table: f32[100, 100] ~ normal
        param alone: f32[100, 100] ~ normal
        x @ (u[:, none] * v) + x @ (table * 2) + table[ids] + x @ (alone * 2)
    }
    """
    graph = netdsl.load(text)["Net"].graph
    result = run_pipeline(graph, random_weights(graph.params, 5), budget_s=1.0)
    assert ["alone.folded"] == [p.path for p in result.graph.params if p.kind == "const" and "alone" in p.path]
    assert {"u.folded", "v", "table", "alone.folded"} == {p.path for p in result.graph.params}
    assert 2 == sum("takes more than" in skip.reason for skip in result.rows[-1].skips)


def test_a_wrong_constant_is_caught() -> None:
    def last_digit_lost(graph: Graph) -> Graph:
        made: PassResult = FoldConstants().run(graph)
        (const,) = (p for p in made.graph.params if p.kind == "const")
        return with_weights(made.graph, {const.path: np.asarray(const.data).astype(np.float32)})

    with pytest.raises(NetError) as error:
        run_pipeline(bound("y = x @ exp(w)"), {}, passes=(Wrong(last_digit_lost),), budget_s=1.0)
    assert ["E0601"] == [d.code for d in error.value.diagnostics]
