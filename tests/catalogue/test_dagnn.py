"""DAGNN: equal to its formula in matrices, its limit, and depth that does no harm."""

from pathlib import Path

import numpy as np
import pytest
import torch

import netdsl
from netdsl.api import Network
from tests.catalogue.graphs import Array, adjacency, blocks, both_ways, normalised, random_pairs
from tests.catalogue.training import train
from tests.std.three_way import stored_weights

SPEC = Path(__file__).parents[2] / "specs/graphs/dagnn.net"
GCNS = """
import std.graph: GCNConv
network Deep[F: int, depth: int, hidden: int = 32, classes: int = 4](g: graph[N, E], x: f32[N, F]) -> f32[N, classes] {
    repeat depth - 1 as layers {
        x = x |> GCNConv[hidden](g) |> relu
    }
    x |> GCNConv[classes](g) as last
}
"""


def dagnn(**statics: float) -> Network:
    return netdsl.load(SPEC, **statics)["Dagnn"]


def some_graph(nodes: int = 30, seed: int = 0) -> netdsl.Graph:
    return both_ways(random_pairs(np.full((nodes, nodes), 4 / nodes), seed))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("steps", [0, 1, 10])
def test_it_equals_its_formula_in_matrices(steps: int) -> None:
    net = dagnn(F=8, hidden=6, classes=3, K=steps)
    weights = {name: array.astype(np.float64) for name, array in stored_weights(net.graph).items()}
    g, x = some_graph(), np.random.default_rng(1).standard_normal((30, 8))
    hidden = np.maximum(x @ weights["lin1.weight"].T + weights["lin1.bias"], 0)
    z = hidden @ weights["lin2.weight"].T + weights["lin2.bias"]
    a = normalised(adjacency(g, 30))
    hops = [np.linalg.matrix_power(a, k) @ z for k in range(steps + 1)]
    gates = [sigmoid(h @ weights["prop.proj.weight"].T + weights["prop.proj.bias"]) for h in hops]
    expected = sum(gate * h for gate, h in zip(gates, hops, strict=True))
    np.testing.assert_allclose(expected, net.reference({"g": g, "x": x}, weights=weights)["output"], atol=1e-9)
    module = net.torch(weights=weights).eval()
    np.testing.assert_allclose(expected, module(g, torch.from_numpy(x).float()).detach(), atol=1e-5)


def test_with_open_gates_all_steps_add_up() -> None:
    net = dagnn(F=8, hidden=6, classes=3, K=4)
    weights = stored_weights(net.graph)
    weights["prop.proj.weight"][:] = 0
    weights["prop.proj.bias"][:] = 60
    g, x = some_graph(), np.random.default_rng(1).standard_normal((30, 8))
    hidden = np.maximum(x @ weights["lin1.weight"].T + weights["lin1.bias"], 0)
    z = hidden @ weights["lin2.weight"].T + weights["lin2.bias"]
    a = normalised(adjacency(g, 30))
    expected = sum(np.linalg.matrix_power(a, k) @ z for k in range(5))
    np.testing.assert_allclose(expected, net.reference({"g": g, "x": x}, weights=weights)["output"], atol=1e-9)


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_single_node_and_a_single_class_keep_their_axes(nodes: int) -> None:
    net = dagnn(F=3, hidden=4, classes=1, K=2)
    g = netdsl.Graph(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    assert (nodes, 1) == tuple(net.torch().eval()(g, torch.randn(nodes, 3)).shape)


def test_propagation_tends_to_its_limit_as_fast_as_the_second_eigenvalue_says() -> None:
    nodes = 40
    pairs = np.concatenate((random_pairs(np.full((nodes, nodes), 0.1), 3), [[i, i + 1] for i in range(nodes - 1)]))
    g = both_ways(np.unique(pairs, axis=0))
    a = normalised(adjacency(g, nodes))
    degrees = adjacency(g, nodes).sum(1) + 1
    limit = np.sqrt(np.outer(degrees, degrees)) / degrees.sum()
    second = np.sort(np.abs(np.linalg.eigvalsh(a)))[-2]
    text = """
import std.graph: gcn_propagate
network Power[K: int](g: graph[N, E], x: f32[N, N]) -> f32[N, N] {
    repeat K {
        x = gcn_propagate(x, g)
    }
    x
}
"""
    gaps = []
    for steps in (5, 10, 20, 40):
        net = netdsl.load(text, K=steps)["Power"]
        found = net.reference({"g": g, "x": np.eye(nodes)})["output"]
        np.testing.assert_allclose(np.linalg.matrix_power(a, steps), found, atol=1e-12)
        gaps.append(np.abs(found - limit).max())
        assert 1e-3 * second**steps <= gaps[-1] <= second**steps
    assert gaps == sorted(gaps, reverse=True)


def test_depth_does_no_harm_where_plain_layers_forget_the_classes() -> None:
    """A contextual block model: 400 nodes of 4 classes, whose features say little."""
    y, chance = blocks(400, 4, 0.06, 0.004)
    g = both_ways(random_pairs(chance, 0))
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((400, 16)) + 0.3 * rng.standard_normal((4, 16))[y]).float()
    labels = torch.from_numpy(y)
    order = torch.from_numpy(rng.permutation(400))
    known, asked = order[:80], order[80:]

    def accuracy(net: Network) -> float:
        torch.manual_seed(0)
        module = net.torch(seed=0)
        train(
            module.parameters(),
            lambda generator: torch.nn.functional.cross_entropy(module.train()(g, x)[known], labels[known]),
            steps=80,
            rate=0.01,
            seed=0,
        )
        return 100 * float((module.eval()(g, x)[asked].argmax(1) == labels[asked]).double().mean())

    deep, shallow = (accuracy(dagnn(F=16, hidden=32, classes=4, K=k, drop=0.2)) for k in (20, 2))
    plain, forgetful = (accuracy(netdsl.load(GCNS, F=16, depth=depth)["Deep"]) for depth in (2, 20))
    assert deep >= shallow - 1
    assert forgetful <= plain - 20
