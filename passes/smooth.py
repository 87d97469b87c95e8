"""Channels in the order in which neighbours are most alike: the network computes the same, its weights vary less."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netdsl.ir import Graph, Node, Value, walk
from netdsl.passes.base import EXACT, Guarantee, PassResult, Skip
from netdsl.passes.channel_order import shortest_order
from netdsl.passes.coupling import Array, Group, couple


@dataclass(frozen=True)
class Smooth:
    """Order the channels of each free group along a short path through them, by the sum of absolute differences.

    A channel is all that its group's parameters hold for it; up to 10 channels the path is the shortest. Parameters
    must hold data. A group that is pinned stays, with the reason.

    Args: modes: other graphs of the same network whose function is kept too, such as the one in training.
    Source: Yang and Wang 2024 (Neural Metamorphosis).
    """

    modes: tuple[Graph, ...] = ()

    name: ClassVar[str] = "smooth"
    guarantee: ClassVar[Guarantee] = EXACT

    def run(self, graph: Graph) -> PassResult:
        weights = {param.path: np.asarray(param.data) for param in graph.params if param.data is not None}
        readers = _readers(graph)
        skips: list[Skip] = []
        fired = 0
        for group in couple(graph, *self.modes):
            missing = [place.path for place in group.places if place.path not in weights]
            if group.pin is not None or missing:
                reason = str(group.pin) if group.pin is not None else f"`{missing[0]}` has no data"
                first = group.places[0]
                where = (
                    group.pin.node if group.pin is not None and group.pin.node is not None else readers.get(first.path)
                )
                if where is not None:
                    skips.append(Skip(where, f"channels of `{first.path}` on axis {first.axis} stay: {reason}"))
                continue
            order = shortest_order(_distances(_channels(group, weights)))
            if (order != np.arange(group.size)).any():
                weights |= group.permuted(weights, order)
                fired += 1
        if not fired:
            return PassResult(graph, 0, tuple(skips))
        params = tuple(replace(p, data=weights[p.path]) if p.path in weights else p for p in graph.params)
        return PassResult(replace(graph, params=params), fired, tuple(skips))


def total_variation(groups: Iterable[Group], weights: Mapping[str, Array]) -> float:
    """The sum of absolute differences between neighbouring channels of the free groups, in all of their places."""
    rows = (_channels(group, weights) for group in groups if group.pin is None)
    return float(sum(np.abs(np.diff(channels, axis=0)).sum() for channels in rows))


def _channels(group: Group, weights: Mapping[str, Array]) -> NDArray[np.float64]:
    """All numbers of each channel; indices and truth values are no part of a distance.

    Shapes: -> (channels, rest).
    """
    held = ((place, weights[place.path]) for place in group.places)
    parts = [place.channels(array, group.size) for place, array in held if array.dtype.kind == "f"]
    return np.concatenate([np.zeros((group.size, 0)), *parts], axis=1)


def _distances(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of absolute differences.

    Shapes: rows (n, d) -> (n, n).
    """
    found = np.zeros((len(rows),) * 2)
    for at, row in enumerate(rows):
        found[at, at + 1 :] = found[at + 1 :, at] = np.abs(rows[at + 1 :] - row).sum(1)
    return found


def _readers(graph: Graph) -> dict[str, Node]:
    """The first node that reads each parameter."""
    paths: dict[Value, str] = {param.value: param.path for param in graph.params}
    found: dict[str, Node] = {}
    for node in walk(graph.nodes):
        for value in node.operands:
            if value in paths:
                found.setdefault(paths[value], node)
    return found
