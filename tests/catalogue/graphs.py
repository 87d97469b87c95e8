"""Random graphs of the tests of graph networks, and their matrices."""

import numpy as np
import torch
from numpy.typing import NDArray

import netdsl

Array = NDArray[np.float64]


def both_ways(pairs: NDArray[np.int64]) -> netdsl.Graph:
    """A graph with each pair, of shape (E, 2), in both directions."""
    src, dst = torch.from_numpy(np.concatenate((pairs, pairs[:, ::-1])).T.copy())
    return netdsl.Graph(src, dst)


def random_pairs(chance: Array, seed: int) -> NDArray[np.int64]:
    """Pairs i < j, each there with its own chance."""
    drawn = np.random.default_rng(seed).random(chance.shape) < chance
    return np.argwhere(np.triu(drawn, 1))


def blocks(nodes: int, classes: int, inside: float, between: float) -> tuple[NDArray[np.int64], Array]:
    """The class of each node, and the chance of each link."""
    y = np.arange(nodes) % classes
    return y, np.where(y[:, None] == y[None], inside, between)


def adjacency(g: netdsl.Graph, nodes: int) -> Array:
    a = np.zeros((nodes, nodes))
    np.add.at(a, (g.dst.numpy(), g.src.numpy()), 1)
    return a


def normalised(a: Array) -> Array:
    """D^-1/2 (A + I) D^-1/2 of an adjacency matrix without loops."""
    a = a + np.eye(len(a))
    scale = a.sum(1) ** -0.5
    return scale[:, None] * a * scale


def auc(positive: torch.Tensor, negative: torch.Tensor) -> float:
    """How often a positive score is above a negative one."""
    above = (positive[:, None] > negative[None]).double() + 0.5 * (positive[:, None] == negative[None]).double()
    return float(above.mean())
