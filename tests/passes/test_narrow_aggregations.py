"""Products move to the side of a sum over gathered rows on which the rows are narrower, and nowhere else."""

import pytest

import netdsl
from netdsl.ir import Graph
from netdsl.ops.product import Matmul
from netdsl.ops.segment import SegmentReduce
from netdsl.passes.narrow_aggregations import NarrowAggregations
from netdsl.passes.pipeline import PipelineResult, run_pipeline
from netdsl.verify import verify
from netdsl.weights import random_weights


def narrowed(body: str, result: str, more: str = "") -> PipelineResult:
    """After all passes of an export, with random weights; each pass is validated."""
    text = f"""
    network Net[F: int = 6](x: f32[N, F], w: f32[E], src: idx[N][E], dst: idx[N][E]{more}) -> f32[N, {result}] {{
        {body}
    }}
    """
    graph = netdsl.load(text)["Net"].graph
    return run_pipeline(graph, random_weights(graph.params, 5), budget_s=1.0)


def order(graph: Graph) -> list[str]:
    """Products, gathers and sums in their order, with the width of the rows that they make."""
    names = {"matmul": "product", "take": "gather", "segment_reduce": "sum", "mul": "scale"}
    found = [node for node in graph.nodes if node.op.name in names]
    return [f"{names[node.op.name]} {node.result.type.sizes[-1]}" for node in found]


@pytest.mark.parametrize(
    ("body", "result", "expected"),
    [
        ("x[src] |> aggregate[sum](by=dst) |> Linear[2, bias=false]", "2", ["product 2", "gather 2", "sum 2"]),
        ("x[src] |> aggregate[mean](by=dst) |> Linear[2]", "2", ["product 2", "gather 2", "sum 2"]),
        (
            "(w[:, none] * x[src]) |> aggregate[sum](by=dst) |> Linear[2]",
            "2",
            ["product 2", "gather 2", "scale 2", "sum 2"],
        ),
        ("(x |> Linear[9, bias=false])[src] |> aggregate[sum](by=dst)", "9", ["gather 6", "sum 6", "product 9"]),
        (
            "((x |> Linear[9, bias=false])[src] * w[:, none]) |> aggregate[mean](by=dst)",
            "9",
            ["gather 6", "scale 6", "sum 6", "product 9"],
        ),
    ],
)
def test_the_narrower_side_is_aggregated(body: str, result: str, expected: list[str]) -> None:
    made = narrowed(body, result)
    assert expected == order(made.graph)
    verify(made.graph)
    again = NarrowAggregations().run(made.graph)
    assert 0 == again.fired and again.graph is made.graph


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("x[src] |> aggregate[sum](by=dst) |> Linear[9]", "9"),
        ("x[src] |> aggregate[sum](by=dst) |> Linear[6]", "6"),
        ("x[src] |> aggregate[max](by=dst) |> Linear[2]", "2"),
        ("relu(x[src]) |> aggregate[sum](by=dst) |> Linear[2]", "2"),
        ("(x[src] * x[dst]) |> aggregate[sum](by=dst) |> Linear[2]", "2"),
        ("s = x[src] |> aggregate[sum](by=dst)\n        concat[axis=-1](s, s |> Linear[2])", "8"),
        ("(x |> Linear[9])[src] |> aggregate[sum](by=dst)", "9"),
        ("(x |> Linear[2, bias=false])[src] |> aggregate[sum](by=dst)", "2"),
        ("h = x |> Linear[9, bias=false]\n        h + (h[src] |> aggregate[sum](by=dst))", "9"),
    ],
)
def test_what_does_not_commute_or_gains_nothing_stays(body: str, result: str) -> None:
    """Near misses: the rows are narrow, the map is not linear, the aggregator is not, something else reads."""
    made = narrowed(body, result)
    row = next(r for r in made.rows if r.name == NarrowAggregations.name)
    assert 0 == row.fired


def test_the_reason_is_said() -> None:
    made = narrowed("x[src] |> aggregate[sum](by=dst) |> Linear[9]", "9")
    row = next(r for r in made.rows if r.name == NarrowAggregations.name)
    assert ["rows of 6 are aggregated already"] == [skip.reason for skip in row.skips]


def test_two_layers_become_narrow_one_after_the_other() -> None:
    body = """
        h = x[src] |> aggregate[mean](by=dst) |> Linear[4] as first |> relu
        h[src] |> aggregate[mean](by=dst) |> Linear[2] as second"""
    expected = ["product 4", "gather 4", "sum 4", "product 2", "gather 2", "sum 2"]
    made = narrowed(body, "2").graph
    assert expected == order(made)
    assert (
        2
        == sum(isinstance(n.op, Matmul) for n in made.nodes)
        == sum(isinstance(n.op, SegmentReduce) for n in made.nodes)
    )
