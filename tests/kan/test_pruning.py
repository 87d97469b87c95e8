"""Scores of functions and nodes, and networks without the weakest."""

import numpy as np
import pytest
import torch

import netdsl
from netdsl.diagnostics import NetError
from netdsl.kan import importance, prune, prune_edges

TEXT = """import std.edges: BSpline, AdaptiveBSpline, MexicanHat
edge Both(x: float) -> float { AdaptiveBSpline(x) + MexicanHat(x) }
network N[a: int = 6, b: int = 6](x: f32[B, T, 6]) -> f32[B, T, 2] {
    x |> edges[a, BSpline[grid=3]] as one |> edges[b, Both] as two |> edges[2, BSpline] as three
}
network First(x: f32[B, T, 6]) -> f32[B, T, 6] { x |> edges[6, BSpline[grid=3]] as one }
network Normed[a: int = 6](x: f32[B, 6]) -> f32[B, 2] {
    x |> edges[a, BSpline] as one |> LayerNorm |> edges[2, BSpline] as two
}
network Tied[a: int = 6](x: f32[B, 6]) -> f32[B, 2] {
    x |> edges[a, BSpline] as one |> edges[a, BSpline] as two |> edges[2, BSpline] as three
}
network Plain[a: int = 6](x: f32[B, a]) -> f32[B, 2] { x |> edges[a, BSpline] as one |> edges[2, BSpline] as two }
"""
X = np.random.default_rng(0).uniform(-1, 1, (40, 3, 6)).astype(np.float32)


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def test_importance_is_the_mean_size_of_each_function() -> None:
    net = netdsl.load(
        "edge E(x: float) -> float { param w: float ~ normal\n w * silu(x) }\nnetwork N(x: f32[B, 3]) -> f32[B, 2] { x |> edges[2, E] as one }"
    )["N"]
    weights = net.weights(seed=4)
    x = X[:, 0, :3]
    expected = np.abs(weights["one.w"]) * np.abs(silu(x.astype(float))).mean(0)
    for given in (weights, net.torch(weights=weights)):
        score = importance(net, given, x)["one"]
        np.testing.assert_allclose(score.edges, expected, rtol=1e-6)
    np.testing.assert_allclose(score.inputs, expected.max(0), rtol=1e-6)
    np.testing.assert_allclose(score.outputs, expected.max(1), rtol=1e-6)


def test_every_layer_is_scored_by_what_reaches_it() -> None:
    net = netdsl.load(TEXT)["N"]
    weights = net.weights(seed=4)
    weights["two.mexican_hat.weight"][:] = 0
    weights["two.adaptive_b_spline.coef"][:] = 0
    ones = {path: value for path, value in weights.items() if path.startswith("one.")}
    hidden = netdsl.load(TEXT)["First"].reference({"x": X}, weights=ones)["output"]
    expected = np.abs(weights["two.adaptive_b_spline.base"]) * np.abs(silu(hidden)).reshape(-1, 6).mean(0)
    scores = importance(net, weights, {"x": X})
    assert ["one", "two", "three"] == list(scores)
    np.testing.assert_allclose(scores["two"].edges, expected, rtol=1e-6)


def test_a_pruned_network_is_the_masked_one() -> None:
    net = netdsl.load(TEXT)["N"]
    weights = net.weights(seed=4)
    masked = {path: value.copy() for path, value in weights.items()}
    for path, value in masked.items():
        if path.startswith("one.") and "knots" not in path:
            value[[1, 4]] = 0
        if path.startswith("two.") and path.endswith(("base", "coef", "weight")):
            value[:, [1, 4]] = 0
            value[[0, 2, 3]] = 0
        if path.startswith("three."):
            value[:, [0, 2, 3]] = 0
    expected = net.reference({"x": X}, weights=masked)["output"]
    small, pruned = prune(net, masked, X, {"one": "a", "two": "b"}, threshold=1e-6)
    assert {"a": 4, "b": 3} == small.statics
    assert ((4, 6, 6), (3, 4, 8), (4, 12), (3, 4)) == (
        pruned["one.coef"].shape,
        pruned["two.adaptive_b_spline.coef"].shape,
        pruned["two.adaptive_b_spline.knots"].shape,
        pruned["two.mexican_hat.scale"].shape,
    )
    np.testing.assert_allclose(small.reference({"x": X}, weights=pruned)["output"], expected, atol=1e-6)
    module = small.torch(weights=pruned)
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach(), expected, atol=1e-5)


def test_single_functions_are_taken_out_and_then_the_nodes_without_any() -> None:
    net = netdsl.load(TEXT)["N"]
    weights = net.weights(seed=4)
    for path in ("two.adaptive_b_spline.coef", "two.adaptive_b_spline.base", "two.mexican_hat.weight"):
        weights[path][1] *= 1e-4
        weights[path][4, 2] *= 1e-4
    scores = importance(net, weights, X)
    left = prune_edges(net, weights, X, threshold=1e-3)
    gone = scores["two"].edges < 1e-3
    assert gone[1].all() and gone[4, 2] and 7 == gone.sum()
    after = importance(net, left, X)
    np.testing.assert_array_equal(gone, after["two"].edges == 0)
    np.testing.assert_array_equal(scores["two"].edges[~gone], after["two"].edges[~gone])
    assert left["two.mexican_hat.scale"].all()
    expected = net.reference({"x": X}, weights=weights)["output"]
    np.testing.assert_allclose(net.reference({"x": X}, weights=left)["output"], expected, atol=1e-2)
    small, _ = prune(net, left, X, {"two": "b"}, threshold=1e-9)
    assert 5 == small.statics["b"]


def test_functions_that_are_never_zero_stay() -> None:
    net = netdsl.load(
        "edge E(x: float) -> float { param w: float ~ zero\n cos(w * x) }\n"
        "network N(x: f32[B, 6]) -> f32[B, 2] { x |> edges[2, E] as one }"
    )["N"]
    with pytest.raises(NetError) as error:
        prune_edges(net, net.weights(), X[:, 0], threshold=9)
    assert "E0607" == error.value.diagnostics[0].code
    kept = prune_edges(net, net.weights(), X[:, 0], threshold=0)
    np.testing.assert_array_equal(net.weights()["one.w"], kept["one.w"])


def test_one_node_always_stays_and_nothing_goes_without_need() -> None:
    net = netdsl.load(TEXT)["N"]
    weights = net.weights(seed=4)
    assert {"a": 1} == prune(net, weights, X, {"one": "a"}, threshold=1e9)[0].statics
    same, kept = prune(net, weights, X, {"one": "a"}, threshold=0.0)
    assert {"a": 6} == same.statics
    assert all(np.array_equal(kept[path], value) for path, value in weights.items())


def test_widths_may_be_items_of_a_list() -> None:
    text = (
        "import std.edges: BSpline\n"
        "network N[hidden: list = [6, 5]](x: f32[B, 6]) -> f32[B, 2] {\n"
        "    for width in hidden as layers { x = x |> edges[width, BSpline] as edges }\n"
        "    x |> edges[2, BSpline] as out\n}\n"
    )
    net = netdsl.load(text)["N"]
    weights = net.weights(seed=1)
    for path in ("layers.1.edges.base", "layers.1.edges.coef"):
        weights[path][3] = 0
    small, pruned = prune(net, weights, X[:, 0], {"layers.0.edges": ("hidden", 0), "layers.1.edges": ("hidden", 1)})
    assert {"hidden": [6, 4]} == small.statics
    masked = dict(weights)
    for path in ("out.base", "out.coef"):
        masked[path] = weights[path].copy()
        masked[path][:, 3] = 0
    expected = net.reference({"x": X[:, 0]}, weights=masked)["output"]
    np.testing.assert_allclose(small.reference({"x": X[:, 0]}, weights=pruned)["output"], expected, atol=1e-6)
    with pytest.raises(NetError, match="E0607"):
        prune(net, weights, X[:, 0], {"layers.0.edges": ("hidden", 2)})


@pytest.mark.parametrize(
    ("network", "hidden", "code"),
    [
        ("N", {"won": "a"}, "E0605"),
        ("N", {"three": "a"}, "E0607"),
        ("N", {"one": "b"}, "E0607"),
        ("N", {"one": "c"}, "E0330"),
        ("Normed", {"one": "a"}, "E0607"),
        ("Tied", {"one": "a"}, "E0607"),
        ("Plain", {"one": "a"}, "E0607"),
    ],
)
def test_what_cannot_be_taken_out_is_refused(network: str, hidden: dict[str, str], code: str) -> None:
    net = netdsl.load(TEXT)[network]
    x = X if network == "N" else X[:, 0]
    with pytest.raises(NetError) as error:
        prune(net, net.weights(), x, hidden)
    assert [code] == [d.code for d in error.value.diagnostics]
