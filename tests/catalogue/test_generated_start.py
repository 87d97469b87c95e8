"""How generated weights start: with the spread that a layer of the target would have, whichever way they are made."""

import numpy as np
import pytest

import netdsl
from netdsl.diagnostics import NetError
from netdsl.initialisers import initial_values

DRAWS = 50
LAYERS, WIDTH = 10, 64
SIZES = [WIDTH * WIDTH, WIDTH] * LAYERS
TEXT = """
import std.hyper: AtOnce, Chunks, Components, Heads, Trunk

block Deep(x: float[.., 64]) -> float[.., 64] {
    repeat 10 as layers {
        x = x |> Linear[64] |> relu
    }
    x
}

block Kaiming(h: float[.., D]) -> float[.., numel[Deep]] {
    param weight: float[numel[Deep], D] ~ kaiming_normal
    h @ weight.T
}

network N(z: f32[S, 32]) -> theta: f32[S, numel[Deep]] { z |> %s }
"""
#: Ways to make weights whose scale is right.
WAYS = {
    "heads": "Trunk[[32]] |> LayerNorm[affine=false] |> Heads[Deep]",
    "heads on what a trunk gives": "Trunk[[32, 32]] |> Heads[Deep]",
    "at once": "Trunk[[32]] |> AtOnce[Deep]",
    "components": "Components[Deep, width=32, hidden=[32]]",
    "chunks": "Chunks[Deep, size=1000, width=32, hidden=[32]]",
}
#: What a person would write without a thought: PyTorch's layers, and Kaiming's start for the generator's own fans.
NAIVE = {
    "linear": "Linear[32] |> relu |> Linear[numel[Deep]]",
    "kaiming": "Trunk[[32]] |> Kaiming",
}


def drawn(way: str) -> list[np.ndarray]:
    """The weights of each layer in every draw: fifty sets of parameters, and one condition for each."""
    net = netdsl.load(TEXT % way)["N"]
    found = []
    for seed in range(DRAWS):
        z = np.random.default_rng(seed).standard_normal((1, 32))
        found.append(net.reference({"z": z}, weights=initial_values(net.graph.params, seed))["theta"][0])
    return np.split(np.stack(found), np.cumsum(SIZES)[:-1], 1)


def variance_ratio(parts: list[np.ndarray]) -> float:
    """Mean square of the last layer's values over that of the first's, over draws and normal inputs."""
    x = np.random.default_rng(0).standard_normal((DRAWS, 64, WIDTH))
    squares = []
    for w, b in zip(parts[::2], parts[1::2], strict=True):
        x = np.maximum(np.einsum("dbi,doi->dbo", x, w.reshape(DRAWS, WIDTH, WIDTH)) + b[:, None], 0)
        squares.append(np.square(x).mean())
    return float(squares[-1] / squares[0])


@pytest.mark.parametrize("way", WAYS)
def test_generated_weights_start_as_a_relu_layer_does(way: str) -> None:
    parts = drawn(WAYS[way])
    for weight, bias in zip(parts[::2], parts[1::2], strict=True):
        assert np.sqrt(2 / WIDTH) == pytest.approx(weight.std(), rel=0.1)
        assert not bias.any()
    if way == "heads":
        assert 0.5 <= variance_ratio(parts) <= 2


@pytest.mark.parametrize("way", NAIVE)
def test_a_generator_with_the_start_of_a_plain_network_does_not(way: str) -> None:
    parts = drawn(NAIVE[way])
    assert abs(parts[0].std() / np.sqrt(2 / WIDTH) - 1) > 0.3
    assert not 0.5 <= variance_ratio(parts) <= 2


TARGET = """
import std.hyper: Heads
block Target(x: float[.., 3, 9, 9]) -> float[.., 2] {
    y = x |> Conv2d[400, kernel=3] |> GroupNorm[2] |> relu |> global_avg_pool
    y |> Linear[2]
}
network N(z: f32[S, 64], image: f32[B, 3, 9, 9]) -> (theta: f32[S, numel[Target]], y: f32[B, 2]) {
    theta = z |> Heads[Target, %s]
    y = Target(image) as plain
}
"""


def spread(start: str) -> dict[str, tuple[float, float]]:
    """Mean and spread of each generated parameter at the start, by path."""
    net = netdsl.load(TARGET % start)["N"]
    z = np.random.default_rng(0).standard_normal((200, 64))
    theta = net.reference({"z": z, "image": np.zeros((1, 3, 9, 9))}, seed=1)["theta"]
    plain = [p for p in net.graph.params if p.path.startswith("plain.")]
    cuts = np.cumsum([p.value.type.numel().value for p in plain])[:-1]
    parts = np.split(theta, cuts, 1)
    return {p.path.removeprefix("plain."): (float(a.mean()), float(a.std())) for p, a in zip(plain, parts, strict=True)}


def test_the_start_may_be_the_targets_own() -> None:
    found = spread('"own"')
    fan = 3 * 9
    assert 1 / np.sqrt(3 * fan) == pytest.approx(found["conv2d.weight"][1], rel=0.05)
    assert 1 / np.sqrt(3 * fan) == pytest.approx(found["conv2d.bias"][1], rel=0.1)
    assert (1, 0) == found["group_norm.weight"]


def test_the_start_may_keep_the_scale_of_gradients() -> None:
    found = spread('"fan_out", gain=1.0')
    assert np.sqrt(1 / (400 * 9)) == pytest.approx(found["conv2d.weight"][1], rel=0.05)
    assert np.sqrt(1 / 2) == pytest.approx(found["linear.weight"][1], rel=0.05)
    assert (1, 0) == found["group_norm.weight"]
    assert (0, 0) == found["conv2d.bias"]


def test_the_energy_of_what_a_head_reads_is_counted() -> None:
    found = spread('"fan_in", energy=0.25')
    assert 2 * np.sqrt(2 / 27) == pytest.approx(found["conv2d.weight"][1], rel=0.05)


def test_a_start_that_is_not_known_is_refused() -> None:
    with pytest.raises(NetError) as error:
        spread('"fan-in"')
    assert ["E0210"] == [d.code for d in error.value.diagnostics]
