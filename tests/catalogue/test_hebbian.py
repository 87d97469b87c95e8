"""Rows 6 and 47, Hebbian memories: overlaps that theory predicts, and an energy that never rises."""

from math import erf, sqrt

import numpy as np
import pytest

import netdsl
from tests.specs.catalogue import SPECS

FILE = SPECS / "time" / "hebbian.net"


def ternary(rng: np.random.Generator, count: int, size: int, blank: float) -> np.ndarray:
    return np.where(rng.random((count, size)) < blank, 0, rng.choice([-1.0, 1.0], (count, size)))


def tower(rng: np.random.Generator, patterns: np.ndarray) -> np.ndarray:
    """The first pattern that is not blank at each site."""
    spins = rng.choice([-1.0, 1.0], patterns.shape[1])
    for row in patterns[::-1]:
        spins = np.where(row == 0, spins, row)
    return spins


@pytest.mark.parametrize(
    ("blank", "expected", "is_stable"),
    [(0.3, (1, 0.3, 0.09), True), (0.5, (1, 0.5, 0.25), True), (0.7, (0.955, 0.75, 0.53), False)],
)
def test_a_tower_of_patterns_is_retrieved_at_once(blank: float, expected: tuple[float, ...], is_stable: bool) -> None:
    rng = np.random.default_rng(0)
    patterns = ternary(rng, 3, 200_000, blank)
    start = tower(rng, patterns)
    result = netdsl.load(FILE)["Parallel"].set(blank=blank).reference({"spins": start[None], "patterns": patterns})
    np.testing.assert_allclose(result["overlap"][0], expected, atol=0.01)
    # Sites that are blank in every pattern have no field.
    flips = (result["settled"][0] != start).sum()
    assert is_stable == (flips == 0)


def test_the_energy_never_rises_and_random_spins_find_the_tower() -> None:
    network = netdsl.load(FILE)["Sequential"].set(blank=0.4)
    hits = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        patterns = ternary(rng, 3, 600, 0.4)
        sites = np.concatenate([rng.permutation(600) for _ in range(6)])
        result = network.reference({"spins": rng.choice([-1.0, 1.0], 600), "patterns": patterns, "sites": sites})
        assert (np.diff(result["energy"]) <= 1e-9).all()
        np.testing.assert_allclose(
            result["overlap"], patterns @ result["settled"] / (600 * 0.6), atol=1e-9, err_msg="kept up to date"
        )
        hits += np.allclose(sorted(np.abs(result["overlap"])), (0.16, 0.4, 1), atol=0.15)
    assert hits >= 2


def dense(
    size: int, count: int, examples: int, quality: float, p: int, seed: int = 0
) -> tuple[float, np.ndarray, np.ndarray]:
    """The overlap after one step from the patterns, the patterns and the examples."""
    rng = np.random.default_rng(seed)
    patterns = rng.choice([-1.0, 1.0], (count, size))
    flips = np.where(rng.random((count, examples, size)) < (1 + quality) / 2, 1.0, -1.0)
    given = flips * patterns[:, None]
    network = netdsl.load(FILE)["Dense"].set(p=p, quality=quality, steps=1)
    settled = network.reference({"spins": patterns[:1], "examples": given})["settled"]
    return float(settled[0] @ patterns[0] / size), patterns, given


@pytest.mark.parametrize(
    ("size", "count", "examples", "quality", "p"),
    [(4000, 1, 101, 0.15, 4), (4000, 1, 51, 0.2, 2), (2000, 200, 60, 0.3, 2), (300, 1500, 40, 0.4, 4)],
)
def test_one_step_has_the_overlap_of_the_formula(size: int, count: int, examples: int, quality: float, p: int) -> None:
    noise = (1 - quality**2) / (examples * quality**2)
    double = {2: 1, 4: 15}[p]
    predicted = erf(1 / sqrt(2 * (noise + count * double * size ** (1 - p) * (1 + noise) ** p)))
    assert abs(dense(size, count, examples, quality, p)[0] - predicted) <= 0.02


def test_dense_interactions_hold_more_patterns_than_pairs() -> None:
    rng = np.random.default_rng(0)
    patterns = rng.choice([-1.0, 1.0], (1000, 200))
    start = patterns[:1] * np.where(rng.random(200) < 0.05, -1, 1)
    for p, holds in ((4, True), (2, False)):
        network = netdsl.load(FILE)["Dense"].set(p=p, quality=1.0, steps=10)
        settled = network.reference({"spins": start, "examples": patterns[:, None]})["settled"]
        overlap = settled[0] @ patterns[0] / 200
        assert overlap > 0.95 if holds else overlap < 0.6


def test_a_teacher_helps() -> None:
    """Class means beat the same examples as patterns of their own."""
    better = []
    for seed in range(2):
        overlap, patterns, examples = dense(200, 20, 40, 0.25, 4, seed)
        single = examples.reshape(-1, 1, 200)
        network = netdsl.load(FILE)["Dense"].set(p=4, quality=1.0, steps=1)
        settled = network.reference({"spins": patterns[:1], "examples": single})["settled"]
        better.append(overlap - settled[0] @ patterns[0] / 200)
    assert np.mean(better) > 0
