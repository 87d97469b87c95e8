"""Channels in a smooth order: the same function in three backends, a hidden order found again."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

import netdsl
from netdsl.api import Network
from netdsl.backends.reference.execute import run
from netdsl.diagnostics import NetError
from netdsl.ir import Graph
from netdsl.passes.channel_order import exact_order, improved, path_length, shortest_order
from netdsl.passes.coupling import Group, couple
from netdsl.passes.fold_constants import FoldConstants
from netdsl.passes.pipeline import DEFAULT, run_pipeline, with_weights
from netdsl.passes.smooth import Smooth, total_variation
from netdsl.passes.validation import relative_error
from netdsl.sampling import sample_inputs, sample_sizes
from netdsl.verify import verify
from netdsl.weights import random_weights
from tests.catalogue.digits import accuracy, digits
from tests.catalogue.training import one_thread, train
from tests.passes.opened_networks import nudged, opened
from tests.passes.wrong_rewrites import Wrong
from tests.random_networks.coverage import Coverage
from tests.random_networks.generate import generate

Array = NDArray[Any]
MLP = """network Net(x: f32[B, 64]) -> y: f32[B, 10] {
    y = x |> Linear[32] as a |> relu |> Linear[24] as b |> relu |> Linear[10] as c
}"""
CNN = """network Net(x: f32[B, 64]) -> y: f32[B, 10] {
    h = x |> reshape[B, 1, 8, 8] |> Conv2d[16, kernel=3, padding=1] as a |> BatchNorm2d as n |> relu |> MaxPool2d[2]
    y = h |> Conv2d[24, kernel=3, padding=1] as b |> relu |> MaxPool2d[2] |> flatten[start=1] |> Linear[10] as c
}"""
NETS = {
    "mlp": MLP,
    "cnn": CNN,
    "residual": """network Net(x: f32[B, 3, 8, 8]) -> y: f32[B, 2] {
        h = x |> Conv2d[12, kernel=3, padding=1] as a
        for l in 0..2 as layers {
            h = h + (h |> BatchNorm2d as n |> relu |> Conv2d[12, kernel=3, padding=1] as b)
        }
        y = h |> mean[axes=(2, 3)] |> Linear[2] as c
    }""",
    "concatenation": """network Net(x: f32[B, 3]) -> y: f32[B, 2] {
        a = x |> Linear[11] as a
        b = x |> Linear[5] as b
        y = concat[axis=-1](a, tanh(b), sin(a)) |> Linear[2] as c
    }""",
    "groups": """network Net(x: f32[B, 3, 6, 6]) -> y: f32[B, 2] {
        h = x |> Conv2d[8, kernel=1] as a |> relu |> Conv2d[12, kernel=3, groups=4] as b |> relu
        y = h |> Conv2d[12, kernel=3, groups=12] as c |> mean[axes=(2, 3)] |> Linear[2] as d
    }""",
    "transformer": """import std.attention: SelfAttention
    network Net(x: f32[B, T, 3]) -> y: f32[B, T, 2] {
        h = x |> Linear[8] as a
        h = h + (h |> LayerNorm as n |> SelfAttention[heads=2] as t)
        h = h + (h |> LayerNorm as k |> FeedForward[16] as m)
        y = h |> Linear[2] as b
    }""",
    "tied": """network Net(x: idx[9][B, T]) -> y: f32[B, T, 9] {
        param e: f32[9, 5] ~ normal
        h = e[x] |> Linear[7] as a |> tanh |> Linear[5] as b
        y = h @ e.T
    }""",
}


def net_of(text: str) -> Network:
    return netdsl.load(text)["Net"]


def bound(text: str, seed: int = 5) -> Graph:
    """The graph with random weights."""
    graph = net_of(text).graph
    return with_weights(graph, random_weights(graph.params, seed))


def data(graph: Graph) -> dict[str, Array]:
    return {param.path: np.asarray(param.data) for param in graph.params}


def shuffled(groups: Sequence[Group], weights: Mapping[str, Array]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    made = dict(weights)
    for group in groups:
        if group.pin is None:
            made |= group.permuted(made, rng.permutation(group.size))
    return made


@pytest.mark.parametrize("name", NETS)
def test_three_backends_compute_the_same(name: str, tmp_path: Path) -> None:
    net = net_of(NETS[name])
    weights = random_weights(net.graph.params, 5)
    smooth = net.smooth(weights)
    groups = couple(net.graph)
    assert total_variation(groups, smooth) < total_variation(groups, weights)
    inputs = sample_inputs(net.graph, sample_sizes(net.graph, 3), 0)
    expected = net.reference(inputs, weights=weights)["y"]
    np.testing.assert_allclose(net.reference(inputs, weights=smooth)["y"], expected, atol=1e-5)
    training = (run(net.checked.train_graph, inputs, w).outputs["y"] for w in (weights, smooth))
    np.testing.assert_allclose(*training, atol=1e-5)
    with torch.no_grad():
        found = net.torch(weights=smooth).eval()(torch.from_numpy(inputs["x"]))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    net.onnx(tmp_path / "net.onnx", weights=smooth)
    (found,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, inputs)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("text", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_hidden_order_of_a_trained_network_is_found(text: str) -> None:
    """Trained for an order in which neighbours are alike, which then is hidden."""
    net = net_of(text)
    groups = [group for group in couple(net.graph) if group.pin is None]
    module, reached = trained(net, groups)
    weights = net.weights(module)
    assert reached > 0.8
    hidden = shuffled(groups, weights)
    found = net.smooth(hidden)
    (x, _), _ = digits()
    expected, *others = (net.reference({"x": x[:100].numpy()}, weights=w)["y"] for w in (weights, hidden, found))
    for other in others:
        np.testing.assert_allclose(other, expected, atol=1e-5)
    for measure in (total_variation, all_differences):
        smooth, rough, left = (measure(groups, w) for w in (weights, hidden, found))
        assert left <= 0.85 * rough
        assert rough - left >= 0.95 * (rough - smooth)


def all_differences(groups: Sequence[Group], weights: Mapping[str, Array]) -> float:
    """Of neighbours along the first two axes of all weights, whatever is free."""
    return float(sum(np.abs(np.diff(w, axis=at)).sum() for w in weights.values() for at in range(min(2, w.ndim))))


def trained(net: Network, groups: Sequence[Group]) -> tuple[torch.nn.Module, float]:
    """On digits, with the differences of neighbouring channels in the loss; and its accuracy on others."""
    (x, classes), test = digits()
    module = net.torch(seed=0)
    held = dict(module.named_parameters())
    places = [(at, torch.from_numpy(at.indices(group.size))) for group in groups for at in group.places]
    kept = [(held[at.path], at.axis, indices) for at, indices in places if at.path in held]

    def loss(g: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(x), (64,), generator=g)
        wrong = torch.nn.functional.cross_entropy(module(x[rows]), classes[rows])
        return wrong + 2e-3 * sum(w.movedim(axis, 0)[indices].diff(dim=0).abs().sum() for w, axis, indices in kept)

    with one_thread():
        train(module.parameters(), loss, steps=250, rate=1e-2, seed=0)
        return module, accuracy(module.eval(), test)


def test_a_smooth_network_is_left_as_it_is() -> None:
    graph = bound(CNN)
    first = Smooth().run(graph)
    assert first.fired == 2
    again = Smooth().run(first.graph)
    assert 0 == again.fired and again.graph is first.graph


def test_what_stays_says_why() -> None:
    graph = bound(MLP)
    reasons = {skip.reason for skip in Smooth().run(graph).skips}
    assert reasons == {
        "channels of `a.weight` on axis 1 stay: they are those of the input `x`",
        "channels of `c.weight` on axis 0 stay: they are those of the output `y`",
    }
    held = replace(graph, params=tuple(replace(p, data=None) if p.path == "b.bias" else p for p in graph.params))
    result = Smooth().run(held)
    assert 1 == result.fired
    assert "channels of `b.weight` on axis 0 stay: `b.bias` has no data" in {skip.reason for skip in result.skips}


def test_without_free_channels_nothing_changes() -> None:
    graph = bound("network Net(x: f32[B, 4]) -> f32[B, 3] { x |> Linear[3] }")
    result = Smooth().run(graph)
    assert 0 == result.fired and result.graph is graph


def test_folded_weights_are_ordered_after_the_batch_norms_are_gone(tmp_path: Path) -> None:
    """What the file holds is what the last pass left."""
    net = net_of(CNN)
    weights = random_weights(net.graph.params, 5)
    plain = run_pipeline(net.graph, weights, validate=False)
    result = run_pipeline(net.graph, weights, passes=DEFAULT, bound=(FoldConstants(), Smooth()), budget_s=1.0)
    verify(result.graph)
    row = result.rows[-1]
    assert ("smooth", "exact", 2) == (row.name, row.guarantee, row.fired)
    assert row.largest_error is not None and row.largest_error <= 1e-9
    groups = couple(result.graph)
    assert "a.weight.folded" in {at.path for group in groups for at in group.places}
    assert data(result.graph).keys() == result.weights.keys()
    assert total_variation(groups, result.weights) < total_variation(groups, plain.weights)


def test_the_runner_finds_a_parameter_that_was_forgotten() -> None:
    """The bias of a layer stays where it was: parameters that hold data are part of what is compared."""

    def forgets(graph: Graph) -> Graph:
        ordered = Smooth().run(graph).graph
        kept = data(graph)["a.bias"]
        return replace(
            ordered, params=tuple(replace(p, data=kept) if p.path == "a.bias" else p for p in ordered.params)
        )

    graph = net_of(MLP).graph
    with pytest.raises(NetError, match="E0601"):
        run_pipeline(graph, random_weights(graph.params, 5), passes=(), bound=(Wrong(forgets),), budget_s=1.0)


def test_random_networks_compute_the_same() -> None:
    """Inputs and outputs are opened, so that more is free; element types and loops are of all kinds."""
    coverage, fired = Coverage(), 0
    for seed in range(70):
        network = generate(seed, coverage)
        graph, further = opened(network.graph, np.random.default_rng(seed))
        graph = with_weights(graph, {**network.weights, **further})
        result = Smooth().run(graph)
        verify(result.graph)
        fired += result.fired > 0
        weights = (data(graph), data(result.graph), nudged(data(graph), seed))
        for sample in network.samples if result.fired else ():
            expected, found, near = (run(graph, sample.inputs, w).outputs for w in weights)
            for name, array in expected.items():
                assert relative_error(array, found[name]) <= 1e-7 + 100 * relative_error(array, near[name]), seed
    assert fired >= 30, fired


# --- orders ---


def points(seed: int, count: int, width: int) -> Array:
    """Their distances."""
    rows = np.random.default_rng(seed).standard_normal((count, width))
    return np.abs(rows[:, None] - rows[None]).sum(-1)


@pytest.mark.parametrize("count", range(1, 8))
def test_the_exact_path_is_the_shortest_of_all(count: int) -> None:
    for seed in range(5):
        distances = points(seed, count, 2)
        shortest = min(path_length(np.array(order), distances) for order in itertools.permutations(range(count)))
        assert shortest == pytest.approx(path_length(exact_order(distances), distances))


@pytest.mark.parametrize("count", range(2, 11))
def test_up_to_ten_channels_the_solver_gives_the_shortest_path(count: int) -> None:
    for seed in range(10):
        distances = points(seed, count, 3)
        shortest = path_length(exact_order(distances), distances)
        assert shortest == pytest.approx(path_length(shortest_order(distances), distances))
        assert path_length(improved(np.arange(count), distances), distances) <= 1.25 * shortest


@pytest.mark.parametrize("count", [11, 40, 150])
def test_more_channels_come_in_a_short_path_without_a_shorter_one_near(count: int) -> None:
    distances = points(0, count, 4)
    order = shortest_order(distances)
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(order, shortest_order(distances))
    length = path_length(order, distances)
    assert length < 0.7 * path_length(np.arange(count), distances)
    assert length == pytest.approx(path_length(improved(order, distances), distances))


def test_points_on_a_line_come_in_its_order() -> None:
    places = np.random.default_rng(0).permutation(200)
    order = shortest_order(np.abs(places[:, None] - places[None]).astype(float))
    assert 199 == np.abs(np.diff(places[order])).sum()


def test_equal_channels_stay() -> None:
    np.testing.assert_array_equal(np.arange(30), shortest_order(np.zeros((30, 30))))
