"""Which channels of which parameters move together: groups that can be permuted or pruned without changing a network.

A group is free where every order of its channels, taken in all its places at once, gives the same function.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from math import prod

import numpy as np
from numpy.typing import NDArray

from netdsl.ir import Graph, Node, walk
from netdsl.passes.coupled_axes import Axes, Joined, Pin, Run, Term, resolved, runs
from netdsl.passes.coupling_rules import visit

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the channels of a group lie on an axis of a parameter.

    Args:
        start:  where the first channel begins.
        extent: places that a channel has in a row; the next channel begins after them.
        blocks: (count, stride) of what is outside of the channels: they are there as often, so far apart.
    """

    path: str
    axis: int
    start: int = 0
    extent: int = 1
    blocks: tuple[tuple[int, int], ...] = ()

    def indices(self, size: int) -> NDArray[np.intp]:
        """Along the axis, those of each of `size` channels.

        Shapes: -> (size, places of a channel).
        """
        steps = ((size, self.extent), *self.blocks, (self.extent, 1))
        grid = reduce(np.add.outer, (stride * np.arange(count) for count, stride in steps), np.array(self.start))
        return np.asarray(grid, np.intp).reshape(size, -1)

    def channels(self, array: Array, size: int) -> Array:
        """What belongs to each of `size` channels.

        Shapes: array as the parameter -> (size, rest).
        """
        found = np.moveaxis(array.take(self.indices(size), self.axis), self.axis, 0)
        return found.reshape(size, -1)


@dataclass(frozen=True, slots=True)
class Group:
    """Channels that move together in all of their places.

    Args: pin: why they keep their order; None where every order gives the same function.
    """

    size: int
    places: tuple[Place, ...]
    pin: Pin | None = None

    def permuted(self, weights: Mapping[str, Array], order: NDArray[np.intp]) -> dict[str, Array]:
        """The parameters of the group whose channel `i` is what was channel `order[i]`."""
        found: dict[str, Array] = {}
        for place in self.places:
            array = found.get(place.path, weights[place.path])
            indices = place.indices(self.size)
            moved = np.arange(array.shape[place.axis])
            moved[indices] = indices[order]
            found[place.path] = array.take(moved, place.axis)
        return found


def couple(*graphs: Graph) -> tuple[Group, ...]:
    """The groups of all axes of all parameters; of several graphs (modes of one network), those that hold in each.

    Inputs and outputs keep their channels, and what has no rule keeps those that it touches. Every place of an axis
    belongs to one group, or to several where channels lie within others; axes of one place are left out.
    """
    axes = Axes(graphs[0].facts)
    homes: dict[str, tuple[Term, ...]] = {}
    read: set[str] = set()
    for graph in graphs:
        for param in graph.params:
            axes.tie_all(homes.setdefault(param.path, axes[param.value]), axes[param.value])
        read |= _visit(axes, graph)
    axes.fix([term for path, terms in homes.items() if path not in read for term in terms], "nothing reads them")
    found: dict[Run, list[Place]] = {}
    for path, terms in homes.items():
        for at, term in enumerate(terms):
            for run, place in _places(axes, resolved(term), Place(path, at)):
                found.setdefault(run, []).append(place)
    return tuple(Group(run.size.value, tuple(places), run.pin) for run, places in found.items() if run.size.value > 1)


def _visit(axes: Axes, graph: Graph) -> set[str]:
    """Tie what the graph's outputs and updates need. Returns the paths of the parameters that they need."""
    needed = {value for _, value in graph.outputs} | {update.value for update in graph.updates}
    alive: list[Node] = []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.results):
            alive.append(node)
            needed.update(node.operands)
    for node in walk(alive[::-1]):
        visit(axes, node)
    axes.visiting(None)
    states = {param.path: param.value for param in graph.params}
    for update in graph.updates:
        axes.tie_all(axes[states[update.path]], axes[update.value])
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for name, value in values:
            axes.fix(axes[value], f"they are those of the {kind} `{name}`")
    return {param.path for param in graph.params if param.value in needed}


def _places(axes: Axes, term: Term, axis: Place) -> Iterator[tuple[Run, Place]]:
    """Each run of a resolved term, and where it lies on the axis."""
    for run in runs(term):
        run.size = axes.facts.simplify(run.size)
    if all(run.size.is_const for run in runs(term)):
        yield from _laid_out(term, axis)
    else:
        axes.fix([term], "their number is told by sizes at run time")


def _laid_out(term: Term, at: Place) -> Iterator[tuple[Run, Place]]:
    if isinstance(term, Run):
        yield term, at
    elif isinstance(term, Joined):
        start = at.start
        for part in term.parts:
            yield from _laid_out(part, replace(at, start=start))
            start += _count(part) * at.extent
    else:
        counts = [_count(part) for part in term.parts]
        for index, part in enumerate(term.parts):
            extent = at.extent * prod(counts[index + 1 :])
            outside = ((prod(counts[:index]), counts[index] * extent),) if index else ()
            yield from _laid_out(part, replace(at, extent=extent, blocks=at.blocks + outside))


def _count(term: Term) -> int:
    """The size of a term whose runs have constant sizes."""
    if isinstance(term, Run):
        return term.size.value
    counts = [_count(part) for part in term.parts]
    return sum(counts) if isinstance(term, Joined) else prod(counts)
