"""Graph networks on the Cora papers: they learn as PyTorch Geometric's do, and all backends agree on the real graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric import nn as pyg

import netdsl
from tests.catalogue.citations import CLASSES, WORDS, cora
from tests.catalogue.training import one_thread
from tests.std.three_way import stored_weights

SPECS = Path(__file__).parents[2] / "specs/graphs"
#: Of two layers: the file, the network, the peers, the activation between them.
PEERS: dict[str, tuple[str, nn.Module, nn.Module, Callable[[Any], Any]]] = {
    "Gcn": ("gcn", pyg.GCNConv(WORDS, 16), pyg.GCNConv(16, CLASSES), F.relu),
    "Gat": ("gat", pyg.GATConv(WORDS, 8, heads=8), pyg.GATConv(64, CLASSES), F.elu),
    "Sage": ("sage", pyg.SAGEConv(WORDS, 64), pyg.SAGEConv(64, CLASSES), F.relu),
}


class Peer(nn.Module):
    """Two layers without dropout."""

    def __init__(self, first: nn.Module, second: nn.Module, act: Callable[[Any], Any]) -> None:
        super().__init__()
        self.conv1, self.conv2, self.act = first, second, act

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.act(self.conv1(x, edges)), edges)


def losses(module: nn.Module, given: tuple[Any, ...]) -> list[float]:
    _, papers = cora()
    optimiser = torch.optim.Adam(module.parameters(), 0.01, weight_decay=5e-4)
    found = []
    for _ in range(4):
        optimiser.zero_grad()
        loss = F.cross_entropy(module.eval()(*given)[papers.train], papers.y[papers.train])
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", PEERS)
def test_losses_fall_as_the_peers_do(name: str) -> None:
    file, first, second, act = PEERS[name]
    g, papers = cora()
    ours, peer = netdsl.load(SPECS / f"{file}.net")[name].torch(), Peer(first, second, act)
    peer.load_state_dict(
        {path: value.reshape(dict(peer.named_parameters())[path].shape) for path, value in ours.state_dict().items()}
    )
    with one_thread():
        mine, theirs = losses(ours, (g, papers.x)), losses(peer, (papers.x, torch.stack((g.src, g.dst))))
    assert mine[-1] < mine[0] - 0.01
    np.testing.assert_allclose(theirs, mine, atol=1e-4)


@pytest.mark.parametrize("name", ["Gcn", "Gat", "Sage", "Dagnn"])
def test_all_backends_agree_on_the_real_graph(name: str, tmp_path: Path) -> None:
    net = netdsl.load(SPECS / f"{name.lower()}.net")[name]
    weights = stored_weights(net.graph)
    g, papers = cora()
    given = {"g": g, "x": papers.x.numpy()}
    expected = net.reference(given, weights=weights)["output"]
    with torch.no_grad():
        found = net.torch(weights=weights).eval()(g, papers.x).numpy()
    np.testing.assert_allclose(expected, found, atol=1e-5 * np.abs(expected).max())
    net.onnx(tmp_path / "net.onnx", weights=weights, validate=False)
    found = netdsl.runtime.Session.load(tmp_path / "net.onnx", "cpu").run(given)["output"]
    np.testing.assert_allclose(expected, found, atol=1e-5 * np.abs(expected).max())


def test_a_bound_graph_gives_the_same(tmp_path: Path) -> None:
    net = netdsl.load(SPECS / "gcn.net")["Gcn"]
    weights = stored_weights(net.graph)
    g, papers = cora()
    expected = net.reference({"g": g, "x": papers.x.numpy()}, weights=weights)["output"]
    net.onnx(tmp_path / "net.onnx", weights=weights, bind={"g": g}, sizes={"N": len(papers.x)}, validate=False)
    session = netdsl.runtime.Session.load(tmp_path / "net.onnx", "cpu")
    assert ["x"] == [port.name for port in session.inputs]
    found = session.run({"x": papers.x.numpy()})["output"]
    np.testing.assert_allclose(expected, found, atol=1e-5 * np.abs(expected).max())
