"""Neural common neighbours: the sum over what is in between, links that are not shown, and what they tell."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

import netdsl
from netdsl.api import Network
from tests.catalogue.graphs import adjacency, auc, blocks, both_ways, random_pairs
from tests.catalogue.training import train
from tests.std.three_way import stored_weights

SPEC = Path(__file__).parents[2] / "specs/graphs/ncn.net"
COMMON = """
network Common(g: graph[N, E], x: f32[N, D], i: idx[N][P], j: idx[N][P]) -> f32[P, D] {
    near = adjacency(g, ones[E])
    (near[i] * near[j]) @ x
}

network Kept(g: graph[N, E], x: f32[N], i: idx[N][P], j: idx[N][P]) -> f32[E] {
    without_links(g, i, j)
}
"""


def load(name: str, **statics: Any) -> Network:
    return netdsl.load(SPEC, **statics)[name]


def with_text(name: str) -> Network:
    return netdsl.load(SPEC.read_text("utf-8") + COMMON)[name]


def some_graph(nodes: int, seed: int = 0) -> netdsl.Graph:
    return both_ways(random_pairs(np.full((nodes, nodes), 5 / nodes), seed))


def test_the_sum_over_common_neighbours_equals_the_product_of_rows() -> None:
    nodes = 60
    g, rng = some_graph(nodes), np.random.default_rng(0)
    x, i, j = rng.standard_normal((nodes, 7)), rng.integers(0, nodes, 200), rng.integers(0, nodes, 200)
    a = adjacency(g, nodes)
    shared = a[i] * a[j]
    assert (shared.sum(1) == 0).any() and (shared.sum(1) > 0).any()
    found = with_text("Common").reference({"g": g, "x": x, "i": i, "j": j})["output"]
    np.testing.assert_allclose(shared @ x, found, atol=1e-12)


def test_links_that_are_asked_for_are_hidden_in_both_directions() -> None:
    g = netdsl.Graph(np.array([0, 1, 1, 2, 3]), np.array([1, 0, 2, 1, 3]))
    kept = with_text("Kept").reference({"g": g, "x": np.zeros(4), "i": np.array([1, 0]), "j": np.array([0, 3])})
    np.testing.assert_array_equal([0, 0, 1, 1, 1], kept["output"])


def test_the_score_is_symmetric() -> None:
    net = load("NcnNet", F=5, hidden=8)
    rng, g = np.random.default_rng(0), some_graph(30)
    x, i, j = rng.standard_normal((30, 5)), rng.integers(0, 30, 50), rng.integers(0, 30, 50)
    one, other = (
        net.reference({"g": g, "x": x, "i": a, "j": b}, weights=stored_weights(net.graph))["output"]
        for a, b in ((i, j), (j, i))
    )
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_it_tells_pairs_apart_whose_ends_look_alike() -> None:
    """On a cycle all nodes have the same features; only some pairs have a neighbour in common."""
    ring = np.stack((np.arange(6), (np.arange(6) + 1) % 6), 1)
    inputs = {"g": both_ways(ring), "x": np.ones((6, 4)), "i": np.array([0, 0]), "j": np.array([2, 3])}
    for name, is_told in (("GaeNet", False), ("NcnNet", True)):
        net = load(name, F=4, hidden=8)
        near, far = net.reference(inputs, weights=stored_weights(net.graph))["output"]
        assert is_told == (abs(near - far) > 1e-6), name


def test_links_are_hidden_in_training_only() -> None:
    net = load("GaeNet", F=3, hidden=4)
    assert not any(node.op.name == "scatter" for node in net.graph.walk())
    assert any(node.op.name == "scatter" for node in net.checked.train_graph.walk())


def clustered(nodes: int, seed: int) -> tuple[netdsl.Graph, torch.Tensor, torch.Tensor]:
    """Communities in which friends of friends became friends; links that are kept for tests; and pairs without one."""
    rng = np.random.default_rng(seed)
    _, chance = blocks(nodes, 10, 0.06, 0.002)
    a = np.zeros((nodes, nodes), bool)
    a[tuple(random_pairs(chance, seed).T)] = True
    a |= a.T
    shared = (a.astype(float) @ a) * ~a
    closed = np.triu(rng.random(a.shape) < 1 - 0.55**shared, 1)
    a |= closed | closed.T
    np.fill_diagonal(a, False)
    pairs = rng.permutation(np.argwhere(np.triu(a, 1)))
    none = rng.permutation(np.argwhere(np.triu(~a, 1)))[: len(pairs) // 5]
    cut = len(pairs) // 5
    return both_ways(pairs[cut:]), torch.from_numpy(pairs[:cut].T.copy()), torch.from_numpy(none.T.copy())


def trained_auc(name: str, *, remove: bool) -> float:
    """Of the test links, after some steps of binary cross-entropy."""
    nodes = 500
    g, positive, negative = clustered(nodes, 0)
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((nodes, 128))).float()
    torch.manual_seed(0)
    module = load(name, remove=remove, F=128).torch(seed=0)
    links = torch.stack((g.src, g.dst))[:, : len(g.src) // 2]

    def loss(generator: torch.Generator) -> torch.Tensor:
        chosen = links[:, torch.randperm(links.shape[1], generator=generator)[:256]]
        other = torch.randint(0, nodes, chosen.shape, generator=generator)
        scores = module.train()(g, x, *torch.cat((chosen, other), 1))
        return -logsigmoid(scores[:256]).mean() - logsigmoid(-scores[256:]).mean()

    train(module.parameters(), loss, steps=100, rate=0.01, seed=0)
    module.eval()
    with torch.no_grad():
        return auc(module(g, x, *positive), module(g, x, *negative))


@pytest.mark.timeout(120)
def test_it_is_better_than_products_of_ends_and_than_training_on_links_that_it_sees() -> None:
    ncn, gae, shown = (trained_auc(n, remove=r) for n, r in (("NcnNet", True), ("GaeNet", True), ("NcnNet", False)))
    assert ncn >= gae + 0.03
    assert ncn > shown
