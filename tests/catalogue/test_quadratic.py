"""Quadratic neurons: they start as linear ones, cost three times as much, and draw curves."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import netdsl
from tests.catalogue.digits import digits
from tests.catalogue.training import one_thread, train
from tests.specs.catalogue import SPECS, published

NETS = netdsl.load(SPECS / "tabular" / "quadratic.net")


@pytest.mark.parametrize("compact", [False, True])
def test_a_lifted_network_starts_as_the_linear_one(compact: bool, tmp_path: Path) -> None:
    net = NETS["QuadraticMlp"].set(compact=compact)
    weights = net.weights(seed=1)
    x = np.random.default_rng(0).standard_normal((20, 64)).astype(np.float32)
    expected = NETS["LinearMlp"].reference({"x": x}, weights=linear_weights(weights))["y"]
    np.testing.assert_array_equal(net.reference({"x": x}, weights=weights)["y"], expected)
    np.testing.assert_allclose(net.torch(weights=weights)(torch.from_numpy(x)).detach(), expected, atol=1e-6)
    net.onnx(tmp_path / "q.onnx", weights=weights)
    (found,) = onnxruntime.InferenceSession(tmp_path / "q.onnx").run(None, {"x": x})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def linear_weights(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights and biases of the linear part, under the paths of `LinearMlp`."""
    paths = [p.path for p in NETS["LinearMlp"].graph.params]
    kept = [array for path, array in weights.items() if path.rpartition(".")[2] in ("weight", "bias")]
    return dict(zip(paths, kept, strict=True))


def test_parameters_are_three_or_two_times_as_many() -> None:
    linear = NETS["LinearMlp"].param_count
    assert 3 * linear == NETS["QuadraticMlp"].param_count
    assert 2 * linear == NETS["QuadraticMlp"].set(compact=True).param_count
    real = published("ResNet20")
    convs = sum(p.value.type.numel().value for p in real.graph.params if p.value.type.rank == 4) - 432
    biases = 6 * (16 + 32 + 64)
    assert real.param_count + 2 * convs + 3 * biases == published("QuadraticResNet20").param_count


def rings(count: int = 250) -> tuple[torch.Tensor, torch.Tensor]:
    """Points near two circles about the origin, and which one they are of."""
    g = torch.Generator().manual_seed(0)
    angle = torch.rand(2 * count, generator=g) * 2 * torch.pi
    inner = torch.arange(2 * count) < count
    radius = torch.where(inner, 1.0, 2.0) + 0.1 * torch.randn(2 * count, generator=g)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), inner


@pytest.mark.parametrize(("name", "least", "most"), [("OneNeuron", 1.0, 1.0), ("OneLinearNeuron", 0.0, 0.65)])
def test_one_quadratic_neuron_tells_circles_apart(name: str, least: float, most: float) -> None:
    x, inner = rings()
    module = NETS[name].torch(seed=0)

    def loss(_: torch.Generator) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(module(x), inner.float())

    train(module.parameters(), loss, steps=600, rate=5e-2, seed=0)
    right = float(((module(x) > 0) == inner).float().mean())
    assert least <= right <= most


def diverges(relinear: bool, seed: int) -> bool:
    """Whether the loss of gradient descent on digits stops being a number within 30 steps."""
    (images, classes), _ = digits()
    module = NETS["QuadraticMlp"].set(hidden=[32] * 11, relinear=relinear).torch(seed=seed)
    if relinear:  # the quadratic part learns slowly
        quadratic = [p for path, p in module.named_parameters() if path.rpartition(".")[2] not in ("weight", "bias")]
        linear = [p for path, p in module.named_parameters() if path.rpartition(".")[2] in ("weight", "bias")]
        groups = [{"params": linear}, {"params": quadratic, "lr": 1e-5}]
    else:
        groups = [{"params": list(module.parameters())}]
    optimiser = torch.optim.SGD(groups, lr=0.1)
    g = torch.Generator().manual_seed(seed)
    with one_thread():
        for _ in range(30):
            rows = torch.randint(len(images), (64,), generator=g)
            loss = torch.nn.functional.cross_entropy(module(images[rows]), classes[rows])
            if not bool(loss.isfinite()):
                return True
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return False


def test_deep_quadratic_networks_need_the_linear_start() -> None:
    assert sum(diverges(False, seed) for seed in range(10)) >= 5
    assert not any(diverges(True, seed) for seed in range(10))
