"""`aggregate`: which aggregators there are, where their parameters live, what does not fit (rule R15)."""

import numpy as np
import pytest

from tests.language.nets import network, output_type, paths, refused, run

GRAPH = "x: f32[N, F], src: idx[N][E], dst: idx[N][E]"
X = np.array([[1.0, -2.0], [3.0, 0.5], [-4.0, 2.0]], np.float32)
#: Node 1 has no edge into it, node 2 has one from itself and one edge twice.
SRC, DST = np.array([1, 2, 0, 0, 1]), np.array([0, 2, 2, 2, 0])


def aggregated(aggregator: str, result: str = "F") -> np.ndarray:
    net = network(f"({GRAPH}) -> f32[N, {result}]", f"x[src] |> aggregate[{aggregator}](by=dst)")
    found: np.ndarray = run(net, x=X, src=SRC, dst=DST)
    return found


def test_the_plain_aggregators_know_empty_groups() -> None:
    np.testing.assert_allclose(aggregated("sum"), [[6, 1], [0, 0], [-2, -2]])
    np.testing.assert_allclose(aggregated("mean"), [[3, 0.5], [0, 0], [-2 / 3, -2 / 3]], rtol=1e-6)
    np.testing.assert_allclose(aggregated("max"), [[3, 0.5], [0, 0], [1, 2]])
    np.testing.assert_allclose(aggregated("min"), [[3, 0.5], [0, 0], [-4, -2]])
    np.testing.assert_allclose(aggregated("prod"), [[9, 0.25], [1, 1], [-4, 8]])


def test_a_list_of_aggregators_gives_their_results_side_by_side() -> None:
    several = aggregated("[mean, max, sum]", "3 * F")
    np.testing.assert_allclose(several, np.concatenate([aggregated(a) for a in ("mean", "max", "sum")], axis=1))


def test_rows_may_have_any_axes() -> None:
    net = network(
        "(v: f32[E], m: f32[E, 2, 3], by: idx[N][E], t: f32[N]) -> (a: f32[N], b: f32[N, 2, 3])",
        """
        a = t + aggregate[sum](v, by=by)
        b = m |> aggregate[max](by)
    """,
    )
    found = run(net, v=np.ones(4), m=np.arange(24.0).reshape(4, 2, 3), by=np.array([1, 1, 0, 1]), t=np.zeros(3))
    assert [1, 3, 0] == found["a"].tolist()
    assert [[12, 13, 14], [15, 16, 17]] == found["b"][0].tolist()


def test_the_result_has_the_axis_that_the_indices_point_into() -> None:
    net = network("(x: f32[E, 4], by: idx[N][E], y: f32[N, 4]) -> f32[N, 4]", "y + aggregate[sum](x, by=by)")
    assert "f32[N, 4]" == output_type(net)


def test_any_block_with_an_input_by_is_an_aggregator() -> None:
    block = """
    block Weighed[out: int](x: float[E, D], by: idx[N][E]) -> float[N, out] {
        x |> Linear[out] as map |> aggregate[sum](by=by)
    }
    """
    net = network(
        "(x: f32[E, 4], by: idx[N][E], n: f32[N]) -> f32[N, 5]",
        "x |> aggregate[[Weighed[3], Weighed[2]]](by=by) as agg",
        before=block,
    )
    assert [f"agg.{w}.map.{p}" for w in ("weighed", "weighed_2") for p in ("weight", "bias")] == paths(net)
    one = network(
        "(x: f32[E, 4], by: idx[N][E], n: f32[N]) -> f32[N, 3]",
        "x |> aggregate[Weighed[3]](by=by) as agg",
        before=block,
    )
    assert ["agg.map.weight", "agg.map.bias"] == paths(one)
    shared = network(
        "(x: f32[E, 4], by: idx[N][E], n: f32[N]) -> f32[N, 3]",
        """
        let w = Weighed[3]
        aggregate[w](x, by=by) + aggregate[w](x, by=by)
    """,
        before=block,
    )
    assert ["w.map.weight", "w.map.bias"] == paths(shared)


def test_an_aggregator_can_be_a_static_and_a_choice() -> None:
    block = """
    block Layer[agg: block](x: float[N, D], src: idx[N][E], dst: idx[N][E]) -> float[N, D] {
        x[src] |> aggregate[agg](by=dst)
    }
    """
    net = network(f"({GRAPH}) -> f32[N, F]", "Layer[max](x, src, dst)", before=block)
    np.testing.assert_allclose(run(net, x=X, src=SRC, dst=DST), aggregated("max"))
    open_net = network(f"({GRAPH}) -> f32[N, F]", "x[src] |> aggregate[choose[sum, max]](by=dst)")
    assert [("choose", ("sum", "max"))] == [(c.path, c.options) for c in open_net.graph.choices]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("aggregate(x, by=i)", "E0334"),
        ("aggregate[[]](x, by=i)", "E0323"),
        ("aggregate[relu](x, by=i)", "E0324"),
        ("aggregate[Linear[3]](x, by=i)", "E0324"),
        ("aggregate[3](x, by=i)", "E0324"),
        ("aggregate[summ](x, by=i)", "E0300"),
        ("aggregate[sum[2]](x, by=i)", "E0323"),
        ("aggregate[sum](x)", "E0323"),
        ("aggregate[sum](x, by=x)", "E0205"),
    ],
)
def test_what_is_no_aggregation_is_named(text: str, code: str) -> None:
    refused("(x: f32[E, 4], i: idx[N][E], n: f32[N]) -> f32[N, 4]", text, code)
