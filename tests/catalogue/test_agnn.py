"""The layers that AutoGNN chooses among: every kind of attention equals its formula, and every choice runs."""

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric import nn as pyg

import netdsl
from netdsl.api import Network
from tests.catalogue.graphs import Array
from tests.std.three_way import assert_three_way, stored_weights

SPEC = Path(__file__).parents[2] / "specs/graphs/agnn.net"
CHOICES: tuple[tuple[Any, ...], ...] = (
    (4, 8, 16, 32, 64, 128, 256),
    ("const", "gcn", "gat", "sym_gat", "cos", "linear", "gene_linear"),
    (1, 2, 4, 6, 8, 16),
    ("sum", "mean", "max"),
    (False, True),
    ("sigmoid", "tanh", "relu", "linear", "softplus", "leaky_relu", "relu6", "elu"),
)
HEADS, WIDTH = 2, 3


def layer(attention: str, heads: int = HEADS, aggr: str = "sum") -> Network:
    text = SPEC.read_text("utf-8").split("## A layer is")[0]
    text += (
        f"network Layer(g: graph[N, E], x: f32[N, 4]) -> f32[N, {heads * WIDTH}] {{\n"
        f'    x |> AgnnConv[{WIDTH}, "{attention}", {heads}, "{aggr}", false, "linear"](g)\n}}\n'
    )
    return netdsl.load(text)["Layer"]


def some_graph(nodes: int) -> netdsl.Graph:
    """With loops; no edge is there twice."""
    drawn = np.random.default_rng(0).random((nodes, nodes)) < 0.3
    return netdsl.Graph(*np.argwhere(drawn).T.copy())


def by_hand(attention: str, g: netdsl.Graph, x: Array, weights: dict[str, Array]) -> Array:
    """Sums over neighbours, node by node and head by head."""
    named = {path.rpartition(".")[2] if "lin" not in path else "w": value for path, value in weights.items()}
    h = (x @ named["w"].T).reshape(len(x), HEADS, WIDTH)
    a, b, gene = (np.asarray(named.get(n, np.zeros((1, 1, 1))))[0] for n in ("left", "right", "gene"))
    near = [sorted({s for s, d in zip(g.src, g.dst, strict=True) if d == i} | {i}) for i in range(len(x))]

    def gat(i: int, j: int) -> Array:
        raw = (a * h[i]).sum(1) + (b * h[j]).sum(1)
        return np.where(raw > 0, raw, 0.2 * raw)

    scores = {
        "gat": gat,
        "sym_gat": lambda i, j: gat(i, j) + gat(j, i),
        "cos": lambda i, j: (a * h[i] * b * h[j]).sum(1),
        "linear": lambda i, j: np.tanh((a * h[j]).sum(1) + (b * h[j]).sum(1)),
        "gene_linear": lambda i, j: (gene * np.tanh(a * h[i] + b * h[j])).sum(1),
    }
    out = np.zeros((len(x), HEADS, WIDTH))
    for i, js in enumerate(near):
        if attention in scores:
            raw = np.exp([scores[attention](i, j) for j in js])
            taken = raw / raw.sum(0)
        else:
            scale = [1.0 if attention == "const" else (len(js) * len(near[j])) ** -0.5 for j in js]
            taken = np.tile(np.array(scale)[:, None], (1, HEADS))
        out[i] = sum(t[:, None] * h[j] for t, j in zip(taken, js, strict=True))
    return out.reshape(len(x), -1) + named["bias"]


@pytest.mark.parametrize("attention", CHOICES[1])
def test_an_attention_equals_its_formula(attention: str) -> None:
    net, g = layer(attention), some_graph(9)
    weights = {path: array.astype(np.float64) for path, array in stored_weights(net.graph).items()}
    x = np.random.default_rng(1).standard_normal((9, 4))
    expected = by_hand(attention, g, x, weights)
    np.testing.assert_allclose(expected, net.reference({"g": g, "x": x}, weights=weights)["output"], atol=1e-9)
    assert_three_way(net, ({"N": 1, "E": 0}, {"N": 1, "E": 2}, {"N": 5, "E": 9}))


def test_gat_and_gcn_equal_their_peers() -> None:
    g = netdsl.Graph(*map(torch.from_numpy, (some_graph(9).src, some_graph(9).dst)))
    x, edges = torch.randn(9, 4), torch.stack((g.src, g.dst))
    gat, gcn = pyg.GATConv(4, WIDTH, heads=HEADS), pyg.GCNConv(4, WIDTH)
    ours = layer("gat").torch()
    state = dict(gat.named_parameters())
    names = {"left": "att_dst", "right": "att_src", "weight": "lin.weight", "bias": "bias"}
    ours.load_state_dict({path: state[names[path.rpartition(".")[2]]] for path in ours.state_dict()})
    torch.testing.assert_close(gat(x, edges), ours(g, x), rtol=1e-5, atol=1e-5)
    ours = layer("gcn", heads=1).torch()
    state = {"weight": gcn.lin.weight, "bias": gcn.bias}
    ours.load_state_dict({path: state[path.rpartition(".")[2]] for path in ours.state_dict()})
    with torch.no_grad():  # the peer counts the edges into a node, as the spec does
        torch.testing.assert_close(gcn(x, edges), ours(g, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_loops_that_a_graph_had_are_left_out_of_means_and_maxima(aggr: str) -> None:
    net = layer("const", aggr=aggr)
    weights, x = stored_weights(net.graph), np.random.default_rng(0).standard_normal((3, 4))
    plain, looped = (
        netdsl.Graph(np.array(src), np.array(dst))
        for src, dst in (([0, 1], [1, 2]), ([0, 1, 1, 1, 2], [1, 2, 1, 1, 2]))
    )
    first, second = (net.reference({"g": g, "x": x}, weights=weights)["output"] for g in (plain, looped))
    np.testing.assert_allclose(first, second, atol=1e-12)


def check_samples(count: int, widest: int) -> None:
    every = list(itertools.product(*CHOICES))
    assert 14_112 == len(every)
    small = [choice for choice in every if choice[0] * choice[2] <= widest]
    drawn = random.Random(0)
    g, x = some_graph(20), np.random.default_rng(0).standard_normal((20, 6))
    for _ in range(count):
        layers = [drawn.choice(small) for _ in range(2)]
        found = netdsl.load(SPEC, F=6, layers=layers)["Agnn"].reference({"g": g, "x": x})["output"]
        assert (20, 7) == found.shape and np.isfinite(found).all(), layers


def test_samples_of_the_space_run() -> None:
    check_samples(8, 64)


@pytest.mark.long
def test_many_samples_of_the_space_run() -> None:
    check_samples(500, 256 * 16)
