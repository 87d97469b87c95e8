"""Translation validation: right passes go through, wrong rewrites are caught, and the first drifting line is named."""

from collections.abc import Callable

import pytest

import netdsl
from netdsl.diagnostics import NetError
from netdsl.ir import Graph
from netdsl.passes.pipeline import run_pipeline
from netdsl.passes.remove_dead_nodes import RemoveDeadNodes
from netdsl.passes.share_common_nodes import ShareCommonNodes
from netdsl.verify import verify
from tests.passes import wrong_rewrites as wrong

CNN = """
network Cnn(image: f32[B, 3, 8, 8]) -> f32[B, 5] {
    x = image |> Conv2d[4, kernel=3, padding=1] |> BatchNorm2d |> relu
    x = x + (x |> Conv2d[4, kernel=3, padding=1] as again)
    x |> flatten[start=1] |> Linear[5]
}
"""
TRANSFORMER = """
import std.attention: SelfAttention
network Former[D: int = 8](x: f32[B, N, D]) -> f32[B, N, D] {
    x = x + (x |> LayerNorm as norm1 |> SelfAttention[2] as attention)
    x + (x |> LayerNorm as norm2 |> FeedForward[16] as mlp)
}
"""
WRONG: dict[str, tuple[str, Callable[[Graph], Graph | None]]] = {
    "swapped scale and shift": (CNN, wrong.swapped_scale_and_shift),
    "a mean that is dropped": (CNN, wrong.dropped_running_mean),
    "a residual that is dropped": (CNN, wrong.dropped_residual),
    "padding on another side": (CNN, wrong.stride_in_the_padding),
    "parts in another order": (TRANSFORMER, wrong.reordered_parts),
    "softmax over another axis": (TRANSFORMER, wrong.softmax_over_the_other_axis),
    "a bias that is subtracted": (TRANSFORMER, wrong.subtraction_for_addition),
    "a product of another value": (TRANSFORMER, wrong.product_of_another_value),
}


def graph_of(text: str) -> Graph:
    return next(iter(netdsl.load(text).values())).graph


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rewrite_is_caught(name: str) -> None:
    text, rewrite = WRONG[name]
    with pytest.raises(NetError) as error:
        run_pipeline(graph_of(text), {}, passes=(wrong.Wrong(rewrite),), budget_s=2.0)
    (diagnostic,) = error.value.diagnostics
    assert "E0601" == diagnostic.code
    assert diagnostic.primary is not None, "the first node that drifted is named"


@pytest.mark.parametrize("name", WRONG)
def test_without_validation_it_would_pass(name: str) -> None:
    """The rewrites are well typed: only running both sides tells."""
    text, rewrite = WRONG[name]
    verify(run_pipeline(graph_of(text), {}, passes=(wrong.Wrong(rewrite),), validate=False).graph)


REPEATED = """
network Twice(x: f32[B, 4]) -> f32[B, 4] {
    a = tanh(x)
    b = tanh(x)
    unused = exp(a)
    a + b
}
"""


def test_common_nodes_are_shared_and_dead_ones_go() -> None:
    result = run_pipeline(graph_of(REPEATED), {})
    assert ["tanh", "add"] == [n.op.name for n in result.graph.nodes]
    assert {"share-common-nodes": 1, "remove-dead-nodes": 1} == {
        row.name: row.fired for row in result.rows if row.fired
    }
    assert all(row.largest_error == 0.0 for row in result.rows)
    assert {"B": 1} == result.validated_sizes[0] and {"B": 3} == result.validated_sizes[1]


def test_near_misses_are_left_alone() -> None:
    """Another attribute, another operand order, another instance."""
    text = """
    block Soft(x: float[B, D]) -> float[B, D] { softmax(x) }
    network Near(x: f32[B, B]) -> f32[B, B] { softmax[axis=0](x) + softmax[axis=1](x) + (x - 1) / (1 - x) + Soft(x) + Soft(x) }
    """
    graph = graph_of(text)
    result = ShareCommonNodes().run(graph)
    assert 0 == result.fired
    assert result.graph is graph
    assert ["another instance"] == sorted({s.reason.rsplit("to ", 1)[1] for s in result.skips})


@pytest.mark.parametrize("step", [ShareCommonNodes(), RemoveDeadNodes()])
def test_a_second_run_changes_nothing(step: ShareCommonNodes | RemoveDeadNodes) -> None:
    once = step.run(graph_of(REPEATED)).graph
    again = step.run(once)
    assert 0 == again.fired
    assert again.graph is once
