"""Graph networks beside PyTorch Geometric's: accuracy on Cora, and the speed of two SAGE layers in ONNX Runtime.

    python benchmarks/graphs.py accuracy [--seeds 10] [--epochs 200] [--only Gcn]
    python benchmarks/graphs.py [speed] [--blocks 4] [--runs 10]

Accuracy: the public split, the best epoch on the validation part; both sides begin with the same weights of each seed.
The hypergraph sets have ten splits and no validation part: the last epoch counts. Speed: the peer is made by
torch.onnx.export(dynamo=True); each file runs alone in a process of its own, and the two take turns.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from paired import Ratio, ratio_of, report
from torch import nn
from torch.nn import functional as F
from torch_geometric import nn as pyg

import netdsl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.catalogue.citations import CLASSES, WORDS, Papers, cora, hypergraph  # noqa: E402

WORKER = """
import sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[4])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
given = np.load(sys.argv[2])
inputs = {i.name: given[i.name] for i in session.get_inputs()}
for _ in range(3):
    session.run(None, inputs)
for _ in range(int(sys.argv[3])):
    started = time.perf_counter()
    session.run(None, inputs)
    print(time.perf_counter() - started)
"""
#: The goals of a dynamic and of a bound graph, times faster.
GOALS = {"sum": (15, 30), "mean": (15, 30), "max": (8, 15), "std": (8, 15), "softmax": (8, 15)}


# --- peers ------------------------------------------------------------------------------------------------


class Layers(nn.Module):
    """Two layers of PyTorch Geometric, with dropout before each and an activation between them."""

    def __init__(self, first: nn.Module, second: nn.Module, drop: float, act: Callable[[Any], Any] = F.relu) -> None:
        super().__init__()
        self.conv1, self.conv2, self.drop, self.act = first, second, drop, act

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        x = self.act(self.conv1(F.dropout(x, self.drop, self.training), edges))
        return self.conv2(F.dropout(x, self.drop, self.training), edges)


class Dagnn(nn.Module):
    """Deeper graph networks, of PyTorch Geometric's propagation."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.lin2, self.prop = nn.Linear(WORDS, 64), nn.Linear(64, CLASSES), nn.Module()
        self.prop.proj = nn.Linear(CLASSES, 1)
        self.step = pyg.SGConv(CLASSES, CLASSES, K=1)
        self.step.lin = nn.Identity()

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.lin1(F.dropout(x, 0.8, self.training)))
        hops = [self.lin2(F.dropout(x, 0.8, self.training))]
        for _ in range(10):
            hops.append(self.step(hops[-1], edges))
        stacked = torch.stack(hops, 1)
        return (torch.sigmoid(self.prop.proj(stacked)) * stacked).sum(1)


class Hgnn(nn.Module):
    """Two hypergraph layers of PyTorch Geometric, dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = pyg.HypergraphConv(WORDS, 32), pyg.HypergraphConv(32, CLASSES)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.conv2(F.dropout(F.relu(self.conv1(x, edges)), 0.5, self.training), edges)


#: Peer, file of the spec, weight decay, rate of each network.
MODELS: dict[str, tuple[Callable[[], nn.Module], str, float, float]] = {
    "Gcn": (lambda: Layers(pyg.GCNConv(WORDS, 16), pyg.GCNConv(16, CLASSES), 0.5), "gcn", 5e-4, 0.01),
    "Gat": (
        lambda: Layers(pyg.GATConv(WORDS, 8, heads=8, dropout=0.6), pyg.GATConv(64, CLASSES, dropout=0.6), 0.6, F.elu),
        "gat",
        5e-4,
        0.005,
    ),
    "Sage": (lambda: Layers(pyg.SAGEConv(WORDS, 64), pyg.SAGEConv(64, CLASSES), 0.5), "sage", 5e-4, 0.01),
    "Dagnn": (Dagnn, "dagnn", 5e-3, 0.01),
}


# --- accuracy -----------------------------------------------------------------------------------------------


def accuracy(
    module: nn.Module, given: tuple[Any, ...], papers: Papers, *, epochs: int, rate: float, decay: float
) -> float:
    """Per cent of the test papers, at the epoch that is best on the validation papers, else at the last."""
    optimiser = torch.optim.Adam(module.parameters(), rate, weight_decay=decay)
    best, found = -1.0, 0.0
    for _ in range(epochs):
        optimiser.zero_grad()
        F.cross_entropy(module.train()(*given)[papers.train], papers.y[papers.train]).backward()
        optimiser.step()
        with torch.no_grad():
            right = (module.eval()(*given).argmax(1) == papers.y).double()
        valid = float(right[papers.valid].mean()) if len(papers.valid) else best + 1
        if valid > best:
            best, found = valid, 100 * float(right[papers.test].mean())
    return found


def both(name: str, seed: int, epochs: int) -> tuple[float, float]:
    """Ours and the peer's, from the same initial weights."""
    make, file, decay, rate = MODELS[name]
    g, papers = cora()
    ours = netdsl.load(ROOT / f"specs/graphs/{file}.net")[name].torch(seed=seed)
    peer = make()
    copy_weights(ours, peer)
    settings = {"epochs": epochs, "rate": rate, "decay": decay}
    torch.manual_seed(seed)
    mine = accuracy(ours, (g, papers.x), papers, **settings)
    torch.manual_seed(seed)
    return mine, accuracy(peer, (papers.x, torch.stack((g.src, g.dst))), papers, **settings)


def both_hyper(name: str, seed: int, epochs: int) -> tuple[float, float]:
    """HGNN+ and the peer's, which have one formula, on one of the ten splits."""
    h, papers = hypergraph(name, seed % 10)
    ours = netdsl.load(ROOT / "specs/graphs/hgnn.net")["HgnnPlus"].torch(seed=seed)
    peer = Hgnn()
    copy_weights(ours, peer)
    settings = {"epochs": epochs, "rate": 0.01, "decay": 5e-4}
    torch.manual_seed(seed)
    mine = accuracy(ours, (h, papers.x, torch.ones(int(h.edge.max()) + 1)), papers, **settings)
    torch.manual_seed(seed)
    return mine, accuracy(peer, (papers.x, torch.stack((h.node, h.edge))), papers, **settings)


def copy_weights(ours: nn.Module, peer: nn.Module) -> None:
    """Our initial values to the peer; `theta` of hypergraph layers is its `lin`, whose bias stands beside it."""
    paths = {path.replace("theta.bias", "bias").replace("theta", "lin"): p for path, p in ours.named_parameters()}
    theirs = dict(peer.named_parameters())
    assert paths.keys() == theirs.keys()
    for path, value in theirs.items():
        value.data = paths[path].detach().clone().reshape(value.shape)


def measure_accuracy(only: list[str], seeds: int, epochs: int) -> list[tuple[str, str]]:
    rows = []
    for name in only or [*MODELS, "cocitation", "coauthorship"]:
        run = both if name in MODELS else both_hyper
        mine, theirs = np.array([run(name, seed, epochs) for seed in range(seeds)]).T
        error = np.sqrt((mine.var(ddof=1) + theirs.var(ddof=1)) / seeds) if seeds > 1 else float("nan")
        verdict = "no worse" if mine.mean() >= theirs.mean() - 2 * error else "WORSE"
        shown = f"{mine.mean():.2f} ± {mine.std():.2f} against {theirs.mean():.2f} ± {theirs.std():.2f}: {verdict}"
        rows.append((name, shown))
        print(name, shown, flush=True)
    return rows


# --- speed ----------------------------------------------------------------------------------------------------


def files(folder: Path, aggr: str) -> dict[str, Path]:
    """The network with a dynamic and with a bound graph, and the peer's file."""
    g, papers = cora()
    src, dst, x = g.src.numpy(), g.dst.numpy(), papers.x.numpy()
    edges = torch.stack((g.src, g.dst))
    np.savez(folder / "inputs.npz", **{"g.src": src, "g.dst": dst, "x": x, "edges": edges.numpy()})
    text = (ROOT / "specs/graphs/sage.net").read_text("utf-8").replace("aggr: any = mean", f"aggr: any = {aggr}")
    net = netdsl.load(text.split("claim")[0])["Sage"]
    made = {name: folder / f"{aggr}_{name}.onnx" for name in ("dynamic", "bound", "peer")}
    net.onnx(made["dynamic"])
    net.onnx(made["bound"], bind={"g": g}, sizes={"N": len(x)}, validate=False)
    peer = Layers(pyg.SAGEConv(WORDS, 64, aggr=aggr), pyg.SAGEConv(64, CLASSES, aggr=aggr), 0.5).eval()
    copy_weights(net.torch(), peer)
    shapes = {"x": {0: torch.export.Dim("n")}, "edges": {1: torch.export.Dim("m")}}
    program = torch.onnx.export(peer, (papers.x, edges), dynamo=True, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    program.save(str(made["peer"]))
    return made


def paired(ours: Path, theirs: Path, blocks: int, runs: int, threads: int) -> Ratio:
    """The peer's latency over ours."""
    times: dict[Path, list[float]] = {ours: [], theirs: []}
    for turn in range(blocks):
        for path in (ours, theirs) if turn % 2 else (theirs, ours):
            command = [
                sys.executable,
                "-c",
                WORKER,
                str(path),
                str(ours.parent / "inputs.npz"),
                str(runs),
                str(threads),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            times[path] += [float(line) for line in done.stdout.split()]
    return ratio_of(times[theirs], times[ours])


def measure_speed(only: list[str], blocks: int, runs: int, threads: int) -> list[tuple[str, str]]:
    rows = []
    for aggr in only or GOALS:
        with tempfile.TemporaryDirectory() as folder:
            made = files(Path(folder), aggr)
            for kind, goal in zip(("dynamic", "bound"), GOALS[aggr], strict=True):
                r = paired(made[kind], made["peer"], blocks, runs, threads)
                shown = f"{r.ratio:.1f} times faster ({r.low:.1f} to {r.high:.1f}), goal {goal}"
                shown += f": {r.b_ms:.1f} against {r.a_ms:.1f} ms"
                rows.append((f"{aggr}, {kind}", shown))
                print(rows[-1], flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["accuracy", "speed"], default="speed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.what == "accuracy":
        rows = measure_accuracy(options.only, options.seeds, options.epochs)
    else:
        rows = measure_speed(options.only, options.blocks, options.runs, options.threads)
    report(f"graphs: {options.what}", rows, {"rows": rows}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
