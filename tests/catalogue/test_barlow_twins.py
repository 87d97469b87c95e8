"""Barlow Twins: the loss against a plain one, its invariances, and one encoder for both views."""

import numpy as np
import pytest
import torch

import netdsl
from tests.specs.catalogue import SPECS

NETS = netdsl.load(SPECS / "vision" / "barlow_twins.net")
OFF = 0.0051


def plain_loss(a: np.ndarray, b: np.ndarray, off: float = OFF) -> float:
    """Element by element, in float64."""
    rows, columns = a.shape
    total = 0.0
    for i in range(columns):
        for j in range(columns):
            p, q = a[:, i], b[:, j]
            p = (p - p.mean()) / np.sqrt(((p - p.mean()) ** 2).mean() + 1e-5)
            q = (q - q.mean()) / np.sqrt(((q - q.mean()) ** 2).mean() + 1e-5)
            c = (p * q).sum() / rows
            total += (1 - c) ** 2 if i == j else off * c**2
    return total


def loss(a: np.ndarray, b: np.ndarray) -> float:
    return float(NETS["BarlowLoss"].reference({"a": a, "b": b})["loss"])


def features(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def decorrelated(rows: int, columns: int) -> np.ndarray:
    """Columns of mean 0 and variance 1 without correlation."""
    x = features(rows, columns)
    q, _ = np.linalg.qr(x - x.mean(0))
    return q * np.sqrt(rows)


def test_the_loss_is_that_of_a_loop() -> None:
    a, b = features(13, 6), features(13, 6, 1)
    expected = plain_loss(a, b)
    assert expected == pytest.approx(loss(a, b), abs=1e-6)
    module = NETS["BarlowLoss"].torch()
    assert expected == pytest.approx(float(module(*(torch.from_numpy(x).float() for x in (a, b)))), abs=1e-5)


def test_known_values() -> None:
    z = decorrelated(40, 5)
    assert 0 == pytest.approx(loss(z, z), abs=1e-6)
    assert 5 == pytest.approx(loss(np.ones((40, 5)), np.ones((40, 5))), abs=1e-6)
    twice = z.copy()
    twice[:, 1] = twice[:, 0]
    assert 2 * OFF == pytest.approx(loss(twice, twice), abs=1e-6)


def test_scale_and_shift_of_a_feature_do_not_count_and_its_sign_does() -> None:
    z = decorrelated(40, 5)
    other = features(40, 5, 2)
    scale, shift = np.array([0.5, 2, 3, 1, 7]), np.array([1, -2, 0, 5, 0.3])
    assert loss(z, other) == pytest.approx(loss(z * scale + shift, other), abs=1e-4)
    turned = z * np.array([1, 1, -1, 1, 1])
    assert 4 == pytest.approx(loss(z, turned), abs=1e-4)


def test_gradients_agree_with_differences() -> None:
    """In float64, at the smallest batch that has a variance."""
    net = netdsl.load((SPECS / "vision" / "barlow_twins.net").read_text("utf-8").replace("f32", "f64"))["BarlowLoss"]
    module = net.torch()
    a, b = (torch.from_numpy(features(7, 3, seed)).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(module, (a, b))


def test_halves_of_a_batch_do_not_add_up_to_the_batch() -> None:
    a, b = features(16, 4), features(16, 4, 1)
    halves = (loss(a[:8], b[:8]) + loss(a[8:], b[8:])) / 2
    assert abs(halves - loss(a, b)) > 0.05

    def summed(shards: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """What devices compute that share their statistics, and add their correlations before squaring."""
        c = 0
        for p, q in shards:
            p, q = ((x - x_all.mean(0)) / np.sqrt(x_all.var(0) + 1e-5) for x, x_all in ((p, a), (q, b)))
            c = c + p.T @ q / 16
        same = np.eye(4)
        return float(((1 - c) ** 2 * same).sum() + OFF * (c**2 * (1 - same)).sum())

    assert loss(a, b) == pytest.approx(summed([(a[:8], b[:8]), (a[8:], b[8:])]), abs=1e-6)


def test_both_views_have_one_encoder_and_its_statistics_see_both() -> None:
    twins = NETS["BarlowTwins"]
    module = twins.torch(seed=0).train()
    paths = [p.path for p in twins.graph.params if p.path.startswith("encoder")]
    assert sorted(p.path for p in NETS["Features"].graph.params) == sorted(paths)
    first, second = (torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    value = module(first, second)
    value.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())
    kept = {path: array for path, array in module.state_dict().items() if path in paths}
    encoder = NETS["Features"].torch(weights={path: array.numpy() for path, array in kept.items()}).eval()
    assert (8, 64) == tuple(encoder(first).shape)


def test_equal_views_that_a_permutation_of_the_batch_leaves_together_have_one_loss() -> None:
    a, b = features(20, 4), features(20, 4, 1)
    order = np.random.default_rng(3).permutation(20)
    assert loss(a, b) == pytest.approx(loss(a[order], b[order]), abs=1e-9)
