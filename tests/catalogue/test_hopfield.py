"""Row 34, modern Hopfield networks: attention where no step is taken, a memory where steps are."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

import netdsl
from tests.catalogue.training import train
from tests.specs.catalogue import SPECS

FILE = SPECS / "time" / "hopfield.net"


def retrieval(beta: float, steps: int = 1) -> netdsl.Network:
    return netdsl.load(FILE)["Retrieval"].set(beta=beta, steps=steps)


def patterns(count: int, size: int, radius: float, seed: int = 0) -> np.ndarray:
    """Points on a sphere."""
    x = np.random.default_rng(seed).normal(size=(count, size))
    return np.asarray(radius * x / np.linalg.norm(x, axis=1, keepdims=True))


def test_no_step_is_one_attention() -> None:
    network = netdsl.load(FILE)["HopfieldAttention"].set(D=16, heads=2, beta=8**-0.5)
    module = network.torch(seed=3).double()
    r, y = torch.randn(2, 3, 16).double(), torch.randn(2, 5, 16).double()
    w = {k.removeprefix("hopfield."): v.double() for k, v in module.state_dict().items()}
    q, k = (x @ w[f"{n}.weight"].T + w[f"{n}.bias"] for x, n in ((r, "query"), (y, "key")))
    q, k = (x.unflatten(2, (2, 8)).transpose(1, 2) for x in (q, k))
    v = torch.einsum("bhnd,hed->bhne", k, w["value.weight"]) + w["value.bias"][:, None]
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module(r, y), mixed @ w["out.weight"].T + w["out.bias"], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_one_step_finds_a_pattern(count: int) -> None:
    stored = patterns(count, 64, 63**0.5)
    noise = 0.3 * np.random.default_rng(1).normal(size=(20, 64))
    found = retrieval(1.0).reference({"states": stored[:20] + noise, "stored": stored})["found"]
    assert np.abs(found - stored[:20]).max() <= 1e-6


def test_a_memory_that_is_not_sharp_mixes_patterns() -> None:
    stored = patterns(1_000, 64, 1.0)
    inputs = {"states": stored[:20] + 0.03 * np.random.default_rng(1).normal(size=(20, 64)), "stored": stored}
    sharp, soft = (retrieval(beta).reference(inputs)["found"] for beta in (25.0, 8.0))
    assert np.abs(sharp - stored[:20]).max() <= 1e-4
    assert np.linalg.norm(soft - stored[:20], axis=1).min() > 0.1
    np.testing.assert_array_equal((soft @ stored.T).argmax(1), np.arange(20))


def test_the_energy_never_rises_and_a_flat_memory_gives_the_mean() -> None:
    stored = patterns(50, 16, 2.0)
    state = np.random.default_rng(2).normal(size=(30, 16)) * 3
    for _ in range(10):
        result = retrieval(1.0).reference({"states": state, "stored": stored})
        assert (result["after"] <= result["before"] + 1e-12).all()
        state = result["found"]
    flat = retrieval(1e-9).reference({"states": state, "stored": stored})["found"]
    np.testing.assert_allclose(flat, np.tile(stored.mean(0), (30, 1)), atol=1e-6)


def test_rows_settle_alike_in_torch_and_in_a_file_whatever_the_others_do(tmp_path: Path) -> None:
    text = """
network Steps(q: f32[S, D], k: f32[N, D]) -> (xi: f32[S, D], taken: f32[S]) {
    xi, p, taken = fixed_point 60 from (xi=q, p=zeros[S, N], taken=zeros[S]) until norm(p - before.p) < 1e-3 {
        p = softmax(0.8 * (xi @ k.T))
        xi = p @ k
        taken = taken + 1
    }
}
"""
    network = netdsl.load(text)["Steps"]
    network.onnx(tmp_path / "steps.onnx")
    session = ort.InferenceSession(tmp_path / "steps.onnx", providers=["CPUExecutionProvider"])
    inputs = {
        "q": np.random.default_rng(0).normal(size=(25, 6)).astype(np.float32),
        "k": patterns(7, 6, 2.0, seed=5).astype(np.float32),
    }
    expected = network.reference(inputs)
    xi, taken = session.run(None, inputs)
    in_torch = network.torch()(*map(torch.from_numpy, inputs.values()))
    np.testing.assert_array_equal(taken, in_torch[1].numpy())
    np.testing.assert_array_equal(taken, expected["taken"])
    np.testing.assert_allclose(xi, expected["xi"], atol=1e-5)
    assert len(set(taken)) > 3
    for row in range(5):
        alone = session.run(None, {"q": inputs["q"][row : row + 1], "k": inputs["k"]})
        assert taken[row] == alone[1][0]


@pytest.mark.long
def test_pooling_finds_the_bags_with_a_key_pattern() -> None:
    module = netdsl.load(FILE)["Bags"].torch(seed=0)
    key = torch.randint(0, 2, (16,), generator=torch.Generator().manual_seed(9)).float() * 2 - 1

    def bags(generator: torch.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randint(0, 2, (count, 20, 16), generator=generator).float() * 2 - 1
        label = torch.randint(0, 2, (count,), generator=generator).float()
        x[:, 0] = torch.where(label[:, None] > 0, key, x[:, 0])
        return x, label

    def loss(generator: torch.Generator) -> torch.Tensor:
        x, label = bags(generator, 128)
        return torch.nn.functional.binary_cross_entropy_with_logits(module(x), label)

    train(module.parameters(), loss, steps=1500, rate=3e-3, seed=0, decay=True)
    x, label = bags(torch.Generator().manual_seed(1), 1000)
    assert ((module(x) > 0) == (label > 0)).float().mean() >= 0.95
