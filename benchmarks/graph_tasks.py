"""Graph networks on real tasks beside the same networks of PyTorch Geometric's parts: MUTAG, and links of USAir and NS.

    NETDSL_DATA=FOLDER python benchmarks/graph_tasks.py [--json] [--only mutag] [--seeds 10]

`mutag`: GIN with PNA aggregators, classes of 188 molecules; seed k tests on fold k of ten, accuracy in per cent after
the last epoch. `USAir`, `NS`: NCN, and the product of both ends (GAE); area under the curve in per cent of the test
links among as many other pairs, after the last step. Both sides begin with the same weights and see the same batches.
"""

import argparse
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from paired import report
from torch import nn
from torch.nn import functional as F
from torch_geometric import nn as pyg

import netdsl

SPECS = Path(__file__).parents[1] / "specs" / "graphs"
HIDDEN, DROP = 32, 0.1
Batch = tuple[netdsl.Graph, torch.Tensor, torch.Tensor]


# --- peers ------------------------------------------------------------------------------------------------


class Mlp(nn.Module):
    def __init__(self, inputs: int, hidden: int, out: int, drop: float = 0.0) -> None:
        super().__init__()
        self.layers, self.drop = nn.ModuleList([nn.Module()]), drop
        self.layers[0].linear = nn.Linear(inputs, hidden)
        self.out_layer = nn.Linear(hidden, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out_layer(F.dropout(F.relu(self.layers[0].linear(x)), self.drop, self.training))


class GinPna(nn.Module):
    def __init__(self, degrees: torch.Tensor) -> None:
        super().__init__()
        scalers = ["identity", "amplification", "attenuation"]
        self.aggr = pyg.aggr.DegreeScalerAggregation(["mean", "max", "min", "std"], scalers, degrees)
        self.mix, self.nn = nn.Linear(12 * HIDDEN, HIDDEN), Mlp(HIDDEN, HIDDEN, HIDDEN)
        self.norm, self.eps = nn.BatchNorm1d(HIDDEN), nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, g: netdsl.Graph) -> torch.Tensor:
        found = self.mix(self.aggr(x[g.src], g.dst, dim_size=len(x)))
        return F.relu(self.norm(self.nn((1 + self.eps) * x + found)))


class GinPnaNet(nn.Module):
    def __init__(self, degrees: torch.Tensor) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(7, HIDDEN), Mlp(3 * HIDDEN, HIDDEN, 2, 0.5)
        self.layers = nn.ModuleList(nn.Module() for _ in range(3))
        for layer in self.layers:
            layer.gin_pna = GinPna(degrees)

    def forward(self, g: netdsl.Graph, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        for layer in self.layers:
            h = layer.gin_pna(h, g)
        pools = (pyg.global_add_pool, pyg.global_mean_pool, pyg.global_max_pool)
        return self.head(torch.cat([pool(h, g.batch, len(g.ptr) - 1) for pool in pools], 1))


class Head(nn.Module):
    def __init__(self, out: int) -> None:
        super().__init__()
        self.lin1, self.lin2, self.lin3 = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, out)
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(F.dropout(self.lin1(x), DROP, self.training))
        return self.lin3(F.relu(F.dropout(self.norm(self.lin2(h)), DROP, self.training)))


class Ncn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))
        self.xlin1, self.xlin2 = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.common_head, self.pair_head, self.score = Head(HIDDEN), Head(HIDDEN), Head(1)

    def forward(self, h: torch.Tensor, near: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        x = h + self.xlin2(F.relu(F.dropout(self.xlin1(h), DROP, self.training)))
        common = self.common_head((near[i] * near[j]) @ x)
        return self.score(self.beta * common + self.pair_head(h[i] * h[j]))[:, 0]


class LinkNet(nn.Module):
    """A layer of GCNConv's propagation, then NCN or the product of both ends."""

    def __init__(self, inputs: int, has_ncn: bool) -> None:
        super().__init__()
        self.embed, self.step = nn.Linear(inputs, HIDDEN), pyg.SGConv(HIDDEN, HIDDEN, K=1)
        self.step.lin = nn.Identity()
        if has_ncn:
            self.ncn = Ncn()

    def forward(self, g: netdsl.Graph, x: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        edges = torch.stack((g.src, g.dst))
        if self.training:
            asked = torch.cat((i, j)) * len(x) + torch.cat((j, i))
            edges = edges[:, ~torch.isin(edges[0] * len(x) + edges[1], asked)]
        h = self.step(F.dropout(self.embed(x), DROP, self.training), edges)
        if not hasattr(self, "ncn"):
            return (h[i] * h[j]).sum(1)
        near = torch.zeros(len(x), len(x)).index_put((edges[0], edges[1]), torch.ones(()))
        return self.ncn(h, near, i, j)


def with_weights(peer: nn.Module, ours: nn.Module) -> nn.Module:
    """The peer with our initial values."""
    missing, unexpected = peer.load_state_dict(ours.state_dict(), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") or "aggr" in name for name in missing)
    return peer


# --- molecules ----------------------------------------------------------------------------------------------


def molecules(folder: Path) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """(kinds of atoms, pairs) of each molecule, classes, and folds."""
    with np.load(folder / "mutag" / "mutag.npz", allow_pickle=False) as z:
        nodes, edges = pairwise(z["node_ptr"].tolist()), pairwise(z["edge_ptr"].tolist())
        parts = [(z["node_tag"][a:b], z["edges"][:, c:d] - a) for (a, b), (c, d) in zip(nodes, edges, strict=True)]
        return parts, z["y"].astype(np.int64), z["fold"]


def batch(parts: list[tuple[np.ndarray, np.ndarray]], y: np.ndarray, chosen: np.ndarray) -> Batch:
    """One graph of several, the atoms as one-hot rows, and the classes."""
    sizes = [len(parts[k][0]) for k in chosen]
    starts = np.cumsum([0, *sizes[:-1]])
    pairs = np.concatenate([parts[k][1] + at for k, at in zip(chosen, starts, strict=True)], 1).astype(np.int64)
    of = torch.from_numpy(np.repeat(np.arange(len(chosen)), sizes))
    g = netdsl.Graph(*torch.from_numpy(pairs), batch=of, ptr=torch.from_numpy(np.cumsum([0, *sizes])))
    kinds = torch.from_numpy(np.concatenate([parts[k][0] for k in chosen]).astype(np.int64))
    return g, F.one_hot(kinds, 7).float(), torch.from_numpy(y[chosen])


def molecule_accuracy(module: nn.Module, train: list[Batch], test: Batch, epochs: int) -> float:
    optimiser = torch.optim.Adam(module.parameters(), 0.005, weight_decay=5e-4)
    for epoch in range(epochs):
        for g, x, y in train[epoch % len(train) :] + train[: epoch % len(train)]:
            optimiser.zero_grad()
            F.cross_entropy(module.train()(g, x), y).backward()
            optimiser.step()
    g, x, y = test
    with torch.no_grad():
        return 100 * float((module.eval()(g, x).argmax(1) == y).double().mean())


def mutag(folder: Path, seed: int) -> tuple[float, float]:
    parts, y, folds = molecules(folder)
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(folds != seed % 10))
    train = [batch(parts, y, piece) for piece in np.array_split(chosen, 6)]
    test = batch(parts, y, np.flatnonzero(folds == seed % 10))
    counts = torch.cat([torch.bincount(g.dst, minlength=len(x)) for g, x, _ in train])
    mean_log = float(torch.log(counts + 1.0).mean())
    ours = netdsl.load(SPECS / "gin_pna.net", mean_log=mean_log)["GinPnaNet"].torch(seed=seed)
    peer = with_weights(GinPnaNet(torch.bincount(counts)), ours)
    found = []
    for module in (ours, peer):
        torch.manual_seed(seed)
        found.append(molecule_accuracy(module, train, test, 100))
    return found[0], found[1]


# --- links --------------------------------------------------------------------------------------------------


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Per cent of the pairs of scores in which the positive one is larger; equal ones count half."""
    order = np.sort(negative)
    below, upto = np.searchsorted(order, positive, "left"), np.searchsorted(order, positive, "right")
    return 100 * float((below + upto).mean() / 2 / len(order))


def links(name: str, network: str) -> Callable[[Path, int], tuple[float, float]]:
    """A task: links of the set, by `NcnNet` or `GaeNet`."""

    def run(folder: Path, seed: int) -> tuple[float, float]:
        with np.load(folder / "linkpred" / f"{name}.npz", allow_pickle=False) as z:
            pairs = {k: torch.from_numpy(_columns(z[k])) for k in ("train_pos", "test_pos", "train_neg", "test_neg")}
            nodes = 1 + max(int(v.max()) for v in pairs.values())
        known = pairs["train_pos"]
        g, x = netdsl.Graph(*torch.cat((known, known.flip(0)), 1)), torch.eye(nodes)
        ours = netdsl.load(SPECS / "ncn.net", F=nodes)[network].torch(seed=seed)
        peer = with_weights(LinkNet(nodes, network == "NcnNet"), ours)
        found = []
        for module in (ours, peer):
            torch.manual_seed(seed)
            train_links(module, g, x, pairs, seed)
            with torch.no_grad():
                scores = [module.eval()(g, x, *pairs[k]).numpy() for k in ("test_pos", "test_neg")]
            found.append(auc(*scores))
        return found[0], found[1]

    return run


def train_links(module: nn.Module, g: netdsl.Graph, x: torch.Tensor, pairs: dict[str, torch.Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(100):
        yes, no = (_some(pairs[k], generator) for k in ("train_pos", "train_neg"))
        optimiser.zero_grad()
        scores = module.train()(g, x, *torch.cat((yes, no), 1))
        loss = -F.logsigmoid(scores[: yes.shape[1]]).mean() - F.logsigmoid(-scores[yes.shape[1] :]).mean()
        loss.backward()
        optimiser.step()


def _some(pairs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return pairs[:, torch.randperm(pairs.shape[1], generator=generator)[:512]]


def _columns(pairs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pairs if len(pairs) == 2 else pairs.T).astype(np.int64)


TASKS: dict[str, Callable[[Path, int], tuple[float, float]]] = {
    "mutag": mutag,
    **{f"{name} {net}": links(name, net) for name in ("USAir", "NS") for net in ("NcnNet", "GaeNet")},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=TASKS, action="append")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    folder = os.environ.get("NETDSL_DATA")
    if folder is None:
        print("skipped: NETDSL_DATA names no folder with the data sets", file=sys.stderr)
        return 0
    rows: list[tuple[str, str]] = []
    data: dict[str, object] = {}
    is_worse = False
    for name in options.only or TASKS:
        mine, theirs = np.array([TASKS[name](Path(folder), seed) for seed in range(options.seeds)]).T
        error = np.sqrt((mine.var(ddof=1) + theirs.var(ddof=1)) / len(mine)) if len(mine) > 1 else float("nan")
        is_worse |= bool(mine.mean() < theirs.mean() - 2 * error)
        data[name] = {"ours": mine.tolist(), "peer": theirs.tolist()}
        shown = f"{mine.mean():.2f} ± {mine.std():.2f} against {theirs.mean():.2f} ± {theirs.std():.2f}"
        rows.append((name, f"{shown} (error of the difference {error:.2f})"))
        print(*rows[-1], file=sys.stderr, flush=True)
    report("Mean and deviation over the seeds, ours against the peer's", rows, data, options.json)
    return int(is_worse)


if __name__ == "__main__":
    sys.exit(main())
