"""Row 14, pointer networks: any number of points, three backends place by place, and what training reaches."""

import math
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

import netdsl
from netdsl.api import Network
from tests.catalogue.training import train
from tests.specs.catalogue import SPECS

FILE = SPECS / "time" / "pointers.net"
HIDDEN = 24
TASKS = ("ConvexHull", "Delaunay", "Tsp")
#: Places whose log-probabilities are this near may be ordered either way in float32.
TIE = 1e-4


def net(name: str) -> Network:
    return netdsl.load(FILE)[name].set(hidden=HIDDEN)


def points(rows: int, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.random((rows, count, 2)).astype(np.float32), "length": rng.integers(3, count + 1, rows)}


def spread(network: Network) -> dict[str, np.ndarray]:
    """Weights that tell places apart: those of an untrained pointer hardly do."""
    rng = np.random.default_rng(0)
    weights = network.weights(seed=1)
    return {k: rng.normal(size=v.shape, scale=1.5).astype(v.dtype) for k, v in weights.items()}


def score_gaps(
    network: Network, weights: dict[str, np.ndarray], inputs: dict[str, np.ndarray], one: np.ndarray, two: np.ndarray
) -> np.ndarray:
    """Of each row in which two decodings part: how far apart the reference scores both places where they first do."""
    parted = (one != two).any(1)
    step = (one != two).argmax(1)[parted, None]
    scores = []
    for order in (one, two):
        given = {"x": inputs["x"][parted], "length": inputs["length"][parted], "target": order[parted]}
        score = net(f"{network.name}Taught").reference(given, weights=weights)["score"]
        scores.append(np.take_along_axis(score, step, 1)[:, 0])
    return np.abs(scores[0] - scores[1])


@pytest.mark.parametrize("task", TASKS)
def test_one_file_decodes_any_number_of_points_as_torch_does(task: str, tmp_path: Path) -> None:
    network = net(task)
    weights = spread(network)
    network.onnx(tmp_path / "pointer.onnx", weights=weights)
    session = ort.InferenceSession(tmp_path / "pointer.onnx", providers=["CPUExecutionProvider"])
    module = network.torch(weights=weights).eval()
    for count in (5, 10, 20) if task == "Delaunay" else (5, 10, 37, 50):
        inputs = points(40 if count < 20 else 10, count)
        (found,) = session.run(None, inputs)
        with torch.no_grad():
            by_torch = module(*(torch.from_numpy(v) for v in inputs.values())).numpy()
        expected = network.reference(inputs, weights=weights)["order"]
        for other in (by_torch, expected):
            gaps = score_gaps(network, weights, inputs, found, other)
            assert (gaps < TIE).all()
            assert len(gaps) <= 0.1 * len(found), f"{len(gaps)} rows of {len(found)} tie"
        assert (expected > 0).any() and expected.max() <= count


def test_log_probabilities_are_the_same_everywhere(tmp_path: Path) -> None:
    network = net("ConvexHullTaught")
    inputs = points(50, 7) | {"target": np.random.default_rng(1).integers(1, 4, (50, 5))}
    network.onnx(tmp_path / "taught.onnx")
    session = ort.InferenceSession(tmp_path / "taught.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        by_torch = network.torch()(*(torch.from_numpy(v) for v in inputs.values())).numpy()
    expected = network.reference(inputs)["score"]
    np.testing.assert_allclose(by_torch, expected, atol=1e-5)
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, atol=1e-5)


def test_probabilities_of_all_places_add_up_to_one() -> None:
    network = net("ConvexHullTaught")
    for count in (5, 10):
        one = points(1, count)
        every = np.arange(count + 1)[:, None]
        inputs = {k: np.repeat(v, count + 1, 0) for k, v in one.items()} | {"target": every}
        chances = np.exp(network.reference(inputs)["score"][:, 0])
        length = int(one["length"][0])
        assert math.isclose(1, chances.sum(), rel_tol=1e-6)
        np.testing.assert_array_equal(chances[length + 1 :], 0)


@pytest.mark.parametrize("task", TASKS)
def test_padding_changes_nothing(task: str) -> None:
    network = net(task)
    weights = spread(network)
    inputs = points(8, 7)
    noise = np.random.default_rng(5).normal(size=inputs["x"].shape).astype(np.float32) * 50
    padded = np.arange(7) >= inputs["length"][:, None]
    other = inputs | {"x": np.where(padded[..., None], noise, inputs["x"])}
    module = network.torch(weights=weights)
    results = [module(*(torch.from_numpy(v) for v in given.values())) for given in (inputs, other)]
    assert torch.equal(*results)
    shorter = {"x": inputs["x"][:, :5], "length": np.minimum(inputs["length"], 5)}
    longer = {"x": inputs["x"], "length": shorter["length"]}
    a, b = (module(*(torch.from_numpy(v) for v in given.values())) for given in (shorter, longer))
    assert torch.equal(a, b[:, : a.shape[1]])


def test_padding_changes_no_gradient() -> None:
    module = net("TspTaught").torch()
    inputs = points(6, 5)
    target = torch.stack([torch.randperm(5) for _ in range(6)])
    target = torch.where(target < torch.from_numpy(inputs["length"])[:, None], target, 0)
    gradients = []
    for scale in (0.0, 30.0):
        padded = np.arange(5) >= inputs["length"][:, None]
        x = np.where(padded[..., None], scale, inputs["x"]).astype(np.float32)
        module.zero_grad()
        module(torch.from_numpy(x), torch.from_numpy(inputs["length"]), target).clamp(min=-100).sum().backward()
        gradients.append([p.grad.clone() for p in module.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        assert torch.isfinite(a).all()
        torch.testing.assert_close(a, b)


def test_a_tour_visits_every_point_once() -> None:
    network = net("Tsp")
    inputs = points(30, 12)
    order = network.reference(inputs, weights=spread(network))["order"]
    for row, length in zip(order, inputs["length"], strict=True):
        assert sorted(row[:length]) == list(range(length)) and not row[length:].any()


def test_pointers_follow_their_keys() -> None:
    """A permutation of the keys permutes the scores; no place has a weight of its own."""
    text = """
import std.pointer: {kind}
network N(q: f32[B, 4], k: f32[B, N, 3], mask: bool[B, N]) -> f32[B, N] {{ {kind}[8, glimpses=1](q, k, mask) }}
"""
    rng = np.random.default_rng(0)
    given = {"q": rng.normal(size=(2, 4)), "k": rng.normal(size=(2, 6, 3)), "mask": rng.random((2, 6)) > 0.3}
    order = rng.permutation(6)
    for kind in ("Pointer", "DotPointer"):
        network = netdsl.load(text.format(kind=kind))["N"]
        plain = network.reference(given)["output"]
        moved = network.reference(given | {"k": given["k"][:, order], "mask": given["mask"][:, order]})["output"]
        np.testing.assert_allclose(moved, plain[:, order], atol=1e-9)
        np.testing.assert_array_equal(plain[~given["mask"]], -30000)
        assert np.isfinite(plain).all()


@pytest.mark.long
def test_sorting_is_learnt_and_carries_over_to_longer_rows() -> None:
    text = (FILE.read_text("utf-8").replace("x: float[B, N, 2]", "x: float[B, N, 1]")).replace(
        "f32[B, N, 2]", "f32[B, N, 1]"
    )
    text = text.replace("float[2]", "float[1]").replace("broadcast[B, 2]", "broadcast[B, 1]")
    nets = netdsl.load(text.replace("broadcast[B, 1, 2]", "broadcast[B, 1, 1]").split("claim ")[0])
    module = nets["TspTaught"].set(hidden=64).torch(seed=0)

    def loss(generator: torch.Generator) -> torch.Tensor:
        x = torch.rand((128, 6, 1), generator=generator)
        return -module(x, torch.full((128,), 6), x[..., 0].argsort(1)).sum(1).mean()

    train(module.parameters(), loss, steps=2500, rate=3e-3, seed=0, decay=True)
    free = nets["Tsp"].set(hidden=64).torch(weights=module)
    for count, wanted in ((6, 0.9), (8, 0.5)):
        x = torch.rand((1000, count, 1), generator=torch.Generator().manual_seed(1))
        right = (free(x, torch.full((1000,), count)) == x[..., 0].argsort(1)).all(1)
        assert right.float().mean() >= wanted
