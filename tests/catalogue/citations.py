"""The Cora papers: a graph of citations and two hypergraphs, with words as features and topics as classes."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

import netdsl

DATA = Path(__file__).parents[1] / "data"
CLASSES, WORDS = 7, 1433


@dataclass(frozen=True)
class Papers:
    """Features with rows that add up to 1, classes, and which papers are for training, validation and tests.

    Shapes: x (N, words), y (N,).
    """

    x: torch.Tensor
    y: torch.Tensor
    train: torch.Tensor
    valid: torch.Tensor
    test: torch.Tensor


@cache
def cora() -> tuple[netdsl.Graph, Papers]:
    """The citation graph, each edge in both directions, and the public split."""
    with np.load(DATA / "cora.npz", allow_pickle=False) as z:
        edges = torch.from_numpy(z["edges"].astype(np.int64))
        src, dst = torch.cat((edges, edges.flip(0)), 1)
        parts = (torch.from_numpy(z[name].astype(np.int64)) for name in ("train_idx", "val_idx", "test_idx"))
        return netdsl.Graph(src, dst), Papers(_words(z), torch.from_numpy(z["y"].astype(np.int64)), *parts)


@cache
def hypergraph(name: str, split: int = 0) -> tuple[netdsl.Hypergraph, Papers]:
    """`cocitation` or `coauthorship`; a paper that is in no edge has one of its own. There is no validation part."""
    with np.load(DATA / f"hyper_{name}_cora.npz", allow_pickle=False) as z:
        node = z["he_indices"].astype(np.int64)
        edge = np.repeat(np.arange(len(z["he_indptr"]) - 1), np.diff(z["he_indptr"]))
        alone = np.setdiff1d(np.arange(len(z["y"])), node)
        own = edge.max() + 1 + np.arange(len(alone))
        pairs = (np.concatenate((node, alone)), np.concatenate((edge, own)))
        train, test = (torch.from_numpy(z[part][split].astype(np.int64)) for part in ("split_train", "split_test"))
        y = torch.from_numpy(z["y"].astype(np.int64))
        return netdsl.Hypergraph(*map(torch.from_numpy, pairs)), Papers(_words(z), y, train, train[:0], test)


def _words(z: "np.lib.npyio.NpzFile") -> torch.Tensor:
    rows = np.repeat(np.arange(len(z["x_indptr"]) - 1), np.diff(z["x_indptr"]))
    x = np.zeros((len(z["x_indptr"]) - 1, WORDS), np.float32)
    x[rows, z["x_indices"]] = 1
    return torch.from_numpy(x / np.maximum(x.sum(1, keepdims=True), 1))
