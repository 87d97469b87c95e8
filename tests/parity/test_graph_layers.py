"""Layers of `std.graph` and `std.hypergraph` against PyTorch Geometric's and against formulas: results and gradients."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric import nn as pyg

import netdsl
from tests.catalogue.citations import cora, hypergraph

WIDTH, OUT = 6, 5
#: Both sides compute in float64.
CLOSE = {"rtol": 1e-7, "atol": 1e-9}


@dataclass(frozen=True)
class Case:
    """A layer beside its peer.

    Args:
        text: the layer with its brackets; `g` and `x` are given.
        peer: made for so many features.
    """

    text: str
    peer: Callable[[int], Any]
    out: int = OUT
    imports: str = "std.graph"


#: Of the training data, as the scalers of PNA need it.
HISTOGRAM = torch.tensor([1, 3, 4, 2])
_DEGREES = torch.arange(HISTOGRAM.numel(), dtype=torch.float32).repeat_interleave(HISTOGRAM)
LOG = float((_DEGREES + 1).log().mean())


def _mlp(features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 4), nn.ReLU(), nn.Linear(4, OUT))


CASES = {
    "gcn": Case("GCNConv[5]", lambda f: pyg.GCNConv(f, OUT)),
    "gcn without bias": Case("GCNConv[5, bias=false]", lambda f: pyg.GCNConv(f, OUT, bias=False)),
    "sage": Case("SAGEConv[5]", lambda f: pyg.SAGEConv(f, OUT)),
    "sage by max": Case("SAGEConv[5, aggr=max]", lambda f: pyg.SAGEConv(f, OUT, aggr="max")),
    "sage by sum": Case("SAGEConv[5, aggr=sum]", lambda f: pyg.SAGEConv(f, OUT, aggr="sum")),
    "sage without root": Case("SAGEConv[5, root_weight=false]", lambda f: pyg.SAGEConv(f, OUT, root_weight=False)),
    "gin": Case("GINConv[Mlp[[4], 5]]", lambda f: pyg.GINConv(_mlp(f))),
    "gin, eps trained": Case(
        "GINConv[Mlp[[4], 5], start=0.5, train_eps=true]", lambda f: pyg.GINConv(_mlp(f), eps=0.5, train_eps=True)
    ),
    "gat": Case("GATConv[5]", lambda f: pyg.GATConv(f, OUT)),
    "gat, heads side by side": Case("GATConv[5, heads=3]", lambda f: pyg.GATConv(f, OUT, heads=3), 15),
    "gat, mean of heads": Case(
        "GATConv[5, heads=3, concat=false]", lambda f: pyg.GATConv(f, OUT, heads=3, concat=False)
    ),
    "gatv2": Case("GATv2Conv[5, heads=2]", lambda f: pyg.GATv2Conv(f, OUT, heads=2), 10),
    "gatv2, mean of heads": Case(
        "GATv2Conv[5, heads=2, concat=false]", lambda f: pyg.GATv2Conv(f, OUT, heads=2, concat=False)
    ),
    "pna": Case(
        f"PNAConv[5, [mean, min, max, std], [unscaled, amplification[{LOG}], attenuation[{LOG}]]]",
        lambda f: pyg.PNAConv(
            f, OUT, ["mean", "min", "max", "std"], ["identity", "amplification", "attenuation"], HISTOGRAM
        ),
    ),
    "appnp": Case("APPNP[3, 0.125]", lambda f: pyg.APPNP(3, 0.125), WIDTH),
    "sgc": Case("SGConv[5, K=2]", lambda f: pyg.SGConv(f, OUT, K=2)),
}


def empty() -> torch.Tensor:
    return torch.zeros(0, dtype=torch.int64)


def random_pairs(left: int, right: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return tuple(torch.randint(0, size, (count,), generator=generator) for size in (left, right))  # type: ignore[return-value]


#: Some nodes get nothing; some edges are there twice; some lead back.
GRAPHS = {
    "random": (20, random_pairs(20, 15, 60)),
    "dense": (4, random_pairs(4, 4, 60)),
    "no edges": (3, (empty(), empty())),
    "one node": (1, (empty(), empty())),
    "one node with loops": (1, (torch.zeros(3, dtype=torch.int64),) * 2),
}


Pairs = list[tuple[torch.Tensor, torch.Tensor]]


def network(case: Case, width: int, struct: str = "g: graph[N, E]") -> netdsl.Network:
    """The layer alone."""
    name = struct[0]
    text = (
        f"import {case.imports}\nimport std.aggregators: unscaled, amplification, attenuation\n"
        f"network Layer(x: f32[N, {width}], {struct}) -> f32[N, {case.out}] {{\n"
        f"    x |> {case.imports.removeprefix('std.')}.{case.text}({name})\n}}\n"
    )
    return netdsl.load(text)["Layer"]


def plain(path: str) -> str:
    """A path without the numbers of equal layers."""
    return re.sub(r"\.\d+", "", path)


def with_weights_of(net: netdsl.Network, peer: nn.Module) -> tuple[nn.Module, Pairs]:
    """Our module in float64 with the peer's parameters, and which of ours is which of theirs."""
    module = net.torch().double()
    ours = {plain(path.partition(".")[2]): p for path, p in module.named_parameters()}
    theirs = {plain(path): p for path, p in peer.named_parameters()}
    if any(path.startswith("nn.") for path in theirs):  # the layers of a user's own network, in order
        pairs = list(zip(module.parameters(), peer.parameters(), strict=True))
    else:
        assert ours.keys() == theirs.keys()
        pairs = [(ours[path], theirs[path]) for path in theirs]
    for own, value in pairs:
        assert own.numel() == value.numel()
        own.data = value.detach().reshape(own.shape).clone()
    return module, pairs


def assert_same(
    ours: Callable[[torch.Tensor], Any], peer: Callable[[torch.Tensor], Any], x: torch.Tensor, pairs: Pairs
) -> None:
    """Outputs and gradients by the input and every parameter, in float64."""
    left, right = (x.double().clone().requires_grad_() for _ in range(2))
    found, expected = ours(left), peer(right)
    torch.testing.assert_close(expected, found, **CLOSE)
    weight = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(right.grad, left.grad, **CLOSE)
    for own, value in pairs:
        torch.testing.assert_close(value.grad.reshape(own.shape), own.grad, **CLOSE)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", CASES)
def test_a_layer_equals_its_peer(name: str, graph: str) -> None:
    torch.manual_seed(0)
    nodes, (src, dst) = GRAPHS[graph]
    peer = CASES[name].peer(WIDTH).double()
    module, pairs = with_weights_of(network(CASES[name], WIDTH), peer)
    edges = torch.stack((src, dst))
    x = torch.randn(nodes, WIDTH)
    assert_same(lambda x: module(x, netdsl.Graph(src, dst)), lambda x: peer(x, edges), x, pairs)


@pytest.mark.parametrize("name", ["gcn", "sage", "sage by max", "gat", "gatv2", "gin", "pna", "sgc", "appnp"])
def test_a_layer_equals_its_peer_on_cora(name: str) -> None:
    torch.manual_seed(0)
    g, papers = cora()
    peer = CASES[name].peer(WIDTH).double()
    module, pairs = with_weights_of(network(CASES[name], WIDTH), peer)
    x = papers.x.double() @ torch.randn(papers.x.shape[1], WIDTH, dtype=torch.float64)
    assert_same(lambda x: module(x, g), lambda x: peer(x, torch.stack((g.src, g.dst))), x, pairs)


@pytest.mark.parametrize("name", [name for name in CASES if "gin" not in name and name != "appnp"])
def test_initial_values_are_drawn_as_the_peer_draws_them(name: str) -> None:
    torch.manual_seed(0)
    net = network(CASES[name], WIDTH)
    peers = [dict(CASES[name].peer(WIDTH).named_parameters()) for _ in range(40)]
    drawn = [net.weights(seed=seed) for seed in range(40)]
    for path in drawn[0]:
        (key,) = [k for k in peers[0] if plain(k) == plain(path.partition(".")[2])]
        mine = torch.cat([torch.from_numpy(weights[path]).flatten() for weights in drawn]).abs()
        other = torch.cat([p[key].detach().flatten() for p in peers]).abs()
        assert float(other.max()) == pytest.approx(float(mine.max()), rel=0.1), path
        assert float(other.mean()) == pytest.approx(float(mine.mean()), rel=0.15), path


# --- hypergraphs ----------------------------------------------------------------------------------------

HYPERGRAPH = "h: hypergraph[N, M, I]"


def incidence(nodes: int, edges: int, node: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
    """How often each node is in each edge."""
    h = torch.zeros(nodes, edges, dtype=torch.float64)
    return h.index_put((node, edge), torch.ones(len(node), dtype=torch.float64), accumulate=True)


def power(x: torch.Tensor, exponent: float) -> torch.Tensor:
    return torch.where(x > 0, x.clamp(min=1e-12) ** exponent, 0.0)


def hgnn(h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """D^-1/2 H W B^-1 H^T D^-1/2."""
    scale = power(h @ w, -0.5).diag()
    return scale @ h @ w.diag() @ power(h.sum(0), -1).diag() @ h.T @ scale


def hgnn_plus(h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """D^-1 H W B^-1 H^T."""
    return power(h @ w, -1).diag() @ h @ w.diag() @ power(h.sum(0), -1).diag() @ h.T


HYPERGRAPHS = {
    "random": (20, 8, random_pairs(16, 7, 50)),
    "no pairs": (3, 2, (empty(), empty())),
    "one node in no edge": (1, 0, (empty(), empty())),
}


@pytest.mark.parametrize("graph", HYPERGRAPHS)
@pytest.mark.parametrize("name", ["HGNNConv", "HGNNPConv"])
def test_a_hypergraph_layer_equals_the_formula_of_incidence_matrices(name: str, graph: str) -> None:
    torch.manual_seed(0)
    nodes, edges, (node, edge) = HYPERGRAPHS[graph]
    text = (
        f"import std.hypergraph\nnetwork L(x: f32[N, 6], {HYPERGRAPH}, w: f32[M]) -> (plain: f32[N, 5], weighed: f32[N, 5])"
        f" {{\n    let f = hypergraph.{name}[5]\n    plain = f(x, h)\n    weighed = f(x, h, w)\n}}\n"
    )
    module = netdsl.load(text)["L"].torch().double()
    x, w = torch.randn(nodes, 6, dtype=torch.float64), torch.rand(edges, dtype=torch.float64)
    plain, weighed = module(x, netdsl.Hypergraph(node, edge), w)
    matrix = {"HGNNConv": hgnn, "HGNNPConv": hgnn_plus}[name]
    h = incidence(nodes, edges, node, edge)
    weight, bias = module.parameters()
    y = x @ weight.T + bias
    torch.testing.assert_close(matrix(h, torch.ones_like(w)) @ y, plain, **CLOSE)
    torch.testing.assert_close(matrix(h, w) @ y, weighed, **CLOSE)


@pytest.mark.parametrize("graph", [*HYPERGRAPHS, "cocitation", "coauthorship"])
def test_hypergraph_conv_equals_its_peer(graph: str) -> None:
    torch.manual_seed(0)
    if graph in HYPERGRAPHS:
        nodes, edges, pairs = HYPERGRAPHS[graph]
    else:
        h, papers = hypergraph(graph)
        nodes, edges, pairs = len(papers.x), int(h.edge.max()) + 1, (h.node, h.edge)
    peer = pyg.HypergraphConv(WIDTH, OUT).double()
    case = Case("HypergraphConv[5]", lambda f: peer, imports="std.hypergraph")
    text = network(case, WIDTH, HYPERGRAPH + ", m: f32[M]")
    module, both = with_weights_of(text, peer)
    own = torch.zeros(edges, dtype=torch.float64)
    assert_same(
        lambda x: module(x, netdsl.Hypergraph(*pairs), own),
        lambda x: peer(x, torch.stack(pairs), num_edges=edges),
        torch.randn(nodes, WIDTH),
        both,
    )


UNIGNN = {
    "UniGCNConv[5]": lambda h, x: _scaled(h) @ x,
    "UniGINConv[5, start=0.5]": lambda h, x: 1.5 * x + h @ power(h.sum(0), -1).diag() @ h.T @ x,
    "UniSAGEConv[5]": lambda h, x: x + h @ power(h.sum(0), -1).diag() @ h.T @ x,
}


def _scaled(h: torch.Tensor) -> torch.Tensor:
    count, size = h.sum(1), power(h.sum(0), -1).diag()
    of_edge = size @ h.T @ count
    return power(count, -0.5).diag() @ h @ power(of_edge, -0.5).diag() @ size @ h.T


@pytest.mark.parametrize("name", UNIGNN)
def test_unignn_layers_equal_their_formulas(name: str) -> None:
    nodes, edges, (node, edge) = HYPERGRAPHS["random"]
    case = Case(name, lambda f: None, imports="std.hypergraph")
    module = network(case, WIDTH, HYPERGRAPH + ", m: f32[M]").torch().double()
    x = torch.randn(nodes, WIDTH, dtype=torch.float64)
    found = module(x, netdsl.Hypergraph(node, edge), torch.zeros(edges, dtype=torch.float64))
    weight, bias = module.parameters()
    y = x @ weight.T + bias
    torch.testing.assert_close(UNIGNN[name](incidence(nodes, edges, node, edge), y), found, **CLOSE)


# --- other layers and pools -------------------------------------------------------------------------------


def test_pools_equal_their_peers() -> None:
    torch.manual_seed(0)
    g = "g: graph[N, E, G]"
    body = "\n    ".join(f"{p} = graph.global_{p}_pool(x, g)" for p in ("add", "mean", "max"))
    text = f"import std.graph\nnetwork P({g}, x: f32[N, 3]) -> (add: f32[G, 3], mean: f32[G, 3], max: f32[G, 3]) {{\n    {body}\n}}\n"
    batch, x = torch.tensor([0, 0, 2, 2, 2]), torch.randn(5, 3)
    struct = netdsl.Graph(empty(), empty(), batch, torch.tensor([0, 2, 2, 5, 5]))
    found = netdsl.load(text)["P"].torch()(struct, x)
    peers = (pyg.global_add_pool, pyg.global_mean_pool, pyg.global_max_pool)
    for peer, own in zip(peers, found, strict=True):
        torch.testing.assert_close(peer(x, batch, 4), own)


def test_egnn_follows_turns_and_ignores_where_it_is() -> None:
    torch.manual_seed(0)
    text = (
        "import std.graph: EGNNConv\nnetwork E(g: graph[N, E], x: f32[N, 4], p: f32[N, 3])"
        " -> (h: f32[N, 4], q: f32[N, 3]) {\n    moved = EGNNConv[4, 8](x, p, g)\n    h = moved.x\n    q = moved.pos\n}\n"
    )
    module = netdsl.load(text)["E"].torch().double()
    g = netdsl.Graph(*random_pairs(7, 7, 20))
    x, p = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    features, moved = module(g, x, p)
    features_2, moved_2 = module(g, x, p @ turn + 3)
    torch.testing.assert_close(features, features_2, **CLOSE)
    torch.testing.assert_close(moved @ turn + 3, moved_2, **CLOSE)
