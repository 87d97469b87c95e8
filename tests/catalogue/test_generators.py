"""Hypernetworks along the five axes of the review: what is made, from what, how, how it starts, and what is left of it."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import netdsl
from netdsl.api import Network
from netdsl.diagnostics import NetError
from tests.catalogue.training import train
from tests.specs.catalogue import SPECS

FILE = SPECS / "hyper" / "generators.net"
NETS = netdsl.load(FILE)
#: Elements of a `Regressor`.
TARGET = 24 + 24 + 24 * 24 + 24 + 24 + 1
STATIC = netdsl.load(FILE.read_text("utf-8") + "network Static(x: f32[B, 1]) -> y: f32[B, 1] { Regressor(x) }\n")[
    "Static"
]


# --- what is left when the condition is fixed --------------------------------------------------------


def test_a_fixed_task_leaves_the_network_that_a_person_would_write(tmp_path: Path) -> None:
    net = NETS["OneTask"]
    net.onnx(tmp_path / "bound.onnx", bind={"task": np.array(3)})
    STATIC.onnx(tmp_path / "static.onnx")
    bound, static = (onnx.load(tmp_path / name).graph for name in ("bound.onnx", "static.onnx"))
    assert [node.op_type for node in static.node] == [node.op_type for node in bound.node]
    assert TARGET == sum(math.prod(i.dims) for i in bound.initializer)
    assert ["x"] == [i.name for i in bound.input]
    x = np.random.default_rng(0).standard_normal((50, 1)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(tmp_path / "bound.onnx").run(None, {"x": x})
    expected = net.reference({"x": x, "task": np.array(3)})["y"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_only_what_hangs_on_fixed_inputs_alone_is_gone(tmp_path: Path) -> None:
    net = NETS["Nested"]
    net.onnx(tmp_path / "bound.onnx", bind={"task": np.array(1)})
    graph = onnx.load(tmp_path / "bound.onnx").graph
    assert {"x", "z"} == {i.name for i in graph.input}
    assert (8 + 1) * 16 + (16 + 1) * TARGET == sum(math.prod(i.dims) for i in graph.initializer if i.data_type == 1)
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((7, 1)).astype(np.float32), rng.standard_normal((3, 8)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(tmp_path / "bound.onnx").run(None, {"x": x, "z": z})
    expected = net.reference({"x": x, "z": z, "task": np.array(1)})["y"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_generator_that_reads_the_data_stays(tmp_path: Path) -> None:
    with pytest.raises(NetError) as error:
        NETS["FromData"].onnx(tmp_path / "no.onnx", bind={"image": np.zeros((2, 1, 8, 8), np.float32)})
    assert ["E0603"] == [d.code for d in error.value.diagnostics]


# --- one set of weights a row -----------------------------------------------------------------------


def test_weights_made_of_each_image_equal_a_loop_over_images(tmp_path: Path) -> None:
    net = NETS["FromData"]
    module = net.torch(seed=1)
    images = torch.randn(6, 1, 7, 9, generator=torch.Generator().manual_seed(0))
    parameters = list(module.parameters())
    together = module(images)
    alone = torch.cat([module(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    found = torch.autograd.grad(together.square().sum(), parameters)
    for gradient, wanted in zip(found, torch.autograd.grad(alone.square().sum(), parameters), strict=True):
        torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=1e-4)
    net.onnx(tmp_path / "data.onnx", seed=1)
    (ran,) = onnxruntime.InferenceSession(tmp_path / "data.onnx").run(None, {"image": images.numpy()})
    np.testing.assert_allclose(ran, together.detach(), atol=1e-5)


def test_the_module_of_many_tasks_holds_the_parameters_of_one() -> None:
    weights = NETS["ManyTasks"].weights(seed=2)
    x = np.random.default_rng(0).standard_normal((5, 4, 1)).astype(np.float32)
    together = NETS["ManyTasks"].reference({"x": x, "task": np.arange(5)}, weights=weights)["y"]
    for task in range(5):
        alone = NETS["OneTask"].reference({"x": x[task], "task": np.array(task)}, weights=weights)["y"]
        np.testing.assert_allclose(together[task], alone, atol=1e-12)


# --- how many parameters each way takes -------------------------------------------------------------


@pytest.mark.parametrize("features", [1, 7, 16])
def test_parameters_of_each_way_follow_its_closed_form(features: int) -> None:
    counts = {
        name: NETS[name].set(features=features).param_count for name in ("ManyTasks", "ByOneLayer", "ByComponents")
    }
    embedding = 5 * features
    joint = (features + 8 + 1) * 16
    assert embedding + (features + 1) * TARGET == counts["ManyTasks"]
    assert embedding + (features + 1) * TARGET + 6 == counts["ByOneLayer"]
    assert embedding + 6 * 8 + joint + (16 + 1) * 576 + 6 == counts["ByComponents"]


@pytest.mark.parametrize("size", [1, 10, 64, TARGET - 1, TARGET, TARGET + 1])
def test_chunks_are_as_many_as_needed_and_the_tail_is_cut_off(size: int) -> None:
    net = NETS["ByChunks"].set(size=size)
    count = -(-TARGET // size)
    assert 5 * 16 + count * 8 + (16 + 8 + 1) * 16 + (16 + 1) * size + 6 == net.param_count
    w = {path: np.asarray(array, np.float64) for path, array in net.weights(seed=3).items()}
    (pieces,) = {path.rpartition(".")[0] for path in w if path.endswith("from_condition")}
    z = w["embedding.weight"][[4, 1]]
    joint = z @ w[f"{pieces}.from_condition"].T
    joint = joint[:, None] + w[f"{pieces}.embedding"] @ w[f"{pieces}.from_embedding"].T + w[f"{pieces}.bias"]
    values = np.maximum(joint, 0) @ w[f"{pieces}.out.weight"].T + w[f"{pieces}.out.bias"]
    assert (2, count, size) == values.shape
    theta = values.reshape(2, -1)[:, :TARGET]
    sizes = [24, 24, 24 * 24, 24, 24, 1]
    factors = [array for path, array in w.items() if path.endswith("factor")]
    w1, b1, w2, b2, w3, b3 = np.split(theta * np.repeat(factors, sizes), np.cumsum(sizes)[:-1], 1)
    x = np.random.default_rng(0).standard_normal((2, 9, 1))
    h = np.maximum(np.einsum("kbi,koi->kbo", x, w1.reshape(2, 24, 1)) + b1[:, None], 0)
    h = np.maximum(np.einsum("kbi,koi->kbo", h, w2.reshape(2, 24, 24)) + b2[:, None], 0)
    expected = np.einsum("kbi,koi->kbo", h, w3.reshape(2, 1, 24)) + b3[:, None]
    weights = net.weights(seed=3)
    found = net.reference({"x": x, "task": np.array([4, 1])}, weights=weights)["y"]
    np.testing.assert_allclose(found, expected, atol=1e-9)


# --- sharing --------------------------------------------------------------------------------------


def test_a_task_that_takes_all_of_one_generator_has_the_weights_of_that_one() -> None:
    weights = dict(NETS["SoftlyShared"].weights(seed=4))
    x = np.random.default_rng(0).standard_normal((5, 6, 1)).astype(np.float32)
    weights["share"] = np.full(5, 60.0, np.float32)
    first = NETS["SoftlyShared"].reference({"x": x}, weights=weights)["y"]
    changed = {path: array + path.startswith("second") for path, array in weights.items()}
    np.testing.assert_array_equal(first, NETS["SoftlyShared"].reference({"x": x}, weights=changed)["y"])
    weights["share"] = np.array([60, 60, 60, 60, 0], np.float32)
    mixed = NETS["SoftlyShared"].reference({"x": x}, weights=weights)["y"]
    np.testing.assert_array_equal(first[:4], mixed[:4])
    halves = {
        path: (weights[path.replace("second", "first")] + weights[path.replace("first", "second")]) / 2
        if path.startswith(("first", "second"))
        else array
        for path, array in weights.items()
    }
    np.testing.assert_allclose(mixed[4], NETS["SoftlyShared"].reference({"x": x}, weights=halves)["y"][4], atol=1e-6)


# --- learning -------------------------------------------------------------------------------------

AMPLITUDES = torch.tensor([1.5, 0.9, 0.6, 1.9, 1.2])[:, None, None]
PHASES = torch.tensor([0.0, 0.6, 1.3, 2.0, 2.7])[:, None, None]


def sinusoid_error(net: Network, steps: int, seed: int) -> float:
    """MSE over five sinusoids on a grid, after training on uniform points."""
    module = net.torch(seed=seed)
    task = (torch.arange(5),) if len(net.graph.inputs) == 2 else ()

    def error(x: torch.Tensor) -> torch.Tensor:
        return (module(x, *task) - AMPLITUDES * torch.sin(2 * x + PHASES)).square().mean()  # type: ignore[no-any-return]

    train(
        module.parameters(),
        lambda g: error(torch.rand(5, 64, 1, generator=g) * 6 - 3),
        steps=steps,
        rate=5e-3,
        seed=seed,
    )
    with torch.no_grad():
        return float(error(torch.linspace(-3, 3, 400).reshape(1, -1, 1).expand(5, -1, 1)))


def test_a_network_that_knows_the_task_beats_one_of_its_size_that_does_not() -> None:
    known, unknown = (sinusoid_error(NETS[name], 500, seed=0) for name in ("ManyTasks", "Unconditioned"))
    assert NETS["Unconditioned"].param_count >= NETS["ManyTasks"].param_count
    assert 5 * known <= unknown


@pytest.mark.long
@pytest.mark.parametrize("name", ["ManyTasks", "ByOneLayer", "ByComponents", "ByChunks", "SoftlyShared"])
def test_every_way_learns_the_tasks(name: str) -> None:
    x = torch.linspace(-3, 3, 400).reshape(1, -1, 1)
    best_without = (AMPLITUDES * torch.sin(2 * x + PHASES)).var(0, unbiased=False).mean()
    assert 5 * sinusoid_error(NETS[name], 1000, seed=1) <= best_without


def test_networks_made_of_noise_differ_more_off_the_data_than_on_it() -> None:
    """Each network is held to the one that its noise made at the start, so that where no data speak they stay apart."""
    net = NETS["FromNoise"].tap("heads")
    module, start = net.torch(seed=0), net.torch(seed=0)

    def loss(g: torch.Generator) -> torch.Tensor:
        x, z = torch.rand(64, 1, generator=g) * 2 - 1, torch.randn(8, 8, generator=g)
        y, theta = module(x, z)
        with torch.no_grad():
            _, before = start(x, z)
        return (y - torch.sin(3 * x)).square().mean() + 1e-4 * (theta - before).square().sum(-1).mean()  # type: ignore[no-any-return]

    train(module.parameters(), loss, steps=800, rate=5e-3, seed=0, decay=True)
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    seen, unseen = torch.linspace(-1, 1, 50)[:, None], torch.linspace(2, 4, 50)[:, None]
    with torch.no_grad():
        on, off = (module(x, z)[0] for x in (seen, unseen))
    assert (on - torch.sin(3 * seen)).square().mean() <= 0.1
    assert off.std(0).mean() >= 2 * on.std(0).mean()
