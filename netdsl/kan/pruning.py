"""Networks of edges without the functions and the nodes that matter least."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.api import Network
from netdsl.check.values import ListValue
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir import Graph, Instance
from netdsl.kan.layers import Array, EdgeLayer, Floats, Inputs, Weights, edge_layers, layer_at, layer_inputs
from netdsl.kan.scores import importance

#: (path of a parameter, axis) pairs that have one entry for each node.
Axes = frozenset[tuple[str, int]]
#: A static, or an item of one that is a list.
Static = str | tuple[str, int]


def prune(
    net: Network, weights: Weights, x: Inputs, hidden: Mapping[str, Static], *, threshold: float = 1e-2
) -> tuple[Network, dict[str, Array]]:
    """The network with narrower hidden layers, and its weights.

    A node stays where both its largest incoming and its largest outgoing score (see `Importance`) reach `threshold`;
    of each layer the node with the largest score stays in any case. The result computes what `net` does when all
    functions into and out of the nodes that go are 0.

    Args:   hidden: for the path of each layer whose outputs are pruned, the static of `net` that is its width, as
            `"h"` or as `("hidden", 0)`.
    Raises: NetError: E0605: there is no such layer; E0607: the nodes cannot be taken out.
    Source: Liu et al. 2024, section 2.2.1.
    """
    values = net.weights(weights)
    layers = edge_layers(net)
    scores = importance(net, values, x)
    kept: dict[str, NDArray[np.intp]] = {}
    axes: dict[str, Axes] = {}
    for path, static in hidden.items():
        width = layer_at(layers, path).outputs
        readers = _readers(net.graph, path)
        axes[path] = _axes(net, path, static, width, readers)
        outgoing = np.max([scores[row.path].inputs for row in readers], axis=0)
        node_scores = np.minimum(scores[path].outputs, outgoing)
        stays = node_scores >= threshold
        stays[np.argmax(node_scores)] = True
        kept[path] = np.flatnonzero(stays)
    pruned = _resized(net, {static: len(kept[path]) for path, static in hidden.items()})
    for path, places in axes.items():
        for name, axis in places:
            values[name] = np.take(values[name], kept[path], axis=axis)
    return pruned, pruned.weights(values)


def prune_edges(net: Network, weights: Weights, x: Inputs, *, threshold: float = 1e-2) -> dict[str, Array]:
    """Weights with which every function whose score (see `Importance`) is below `threshold` is 0 everywhere.

    Layers keep their sizes; `prune` then takes out the nodes that are left without functions. Only parameters that each
    function has of its own become 0, and of those not the ones that it divides by.

    Raises: NetError: E0607: the functions of a layer are not 0 where their parameters are.
    Source: Liu et al. 2024, section 2.2.1.
    """
    values = net.weights(weights)
    reaching = layer_inputs(net, values, x)
    scores = importance(net, values, x)
    for layer in edge_layers(net):
        gone = scores[layer.path].edges < threshold
        if gone.any():
            values.update(_without(layer, values, reaching[layer.path][: layer.chunk()], gone))
    return net.weights(values)


def _without(layer: EdgeLayer, values: Weights, points: Floats, gone: NDArray[np.bool_]) -> dict[str, Array]:
    """The layer's own parameters, 0 for functions that go."""

    def zeroed(names: Sequence[str]) -> dict[str, Array]:
        found = {name: values[name].copy() for name in names}
        for array in found.values():
            array[gone] = 0
        return found

    own = [p.path for p in layer.graph.params if p.kind == "param" and values[p.path].shape[:2] == gone.shape]
    with np.errstate(all="ignore"):
        own = [name for name in own if np.isfinite(layer.functions({**values, **zeroed([name])}, points)).all()]
        found = zeroed(own)
        before, after = (layer.functions(given, points) for given in (values, {**values, **found}))
    if after[:, gone].any() or not np.array_equal(before[:, ~gone], after[:, ~gone]):
        title = f"functions of `{layer.path}` cannot be taken out: `{layer.edge}` is not 0 where its parameters are"
        raise NetError(Diagnostic("E0607", title))
    return found


def _readers(graph: Graph, path: str) -> list[Instance]:
    """The layers of edges that read a layer's outputs.

    Raises: NetError: E0607: something else does.
    """
    (row,) = (row for row in graph.instances if row.block == "edges" and row.path == path)
    outputs = set(row.outputs)
    readers = {
        index: other
        for index, other in enumerate(graph.instances)
        if other.block == "edges" and not outputs.isdisjoint(other.inputs)
    }
    others = [node for node in graph.walk() if not outputs.isdisjoint(node.operands) and node.instance not in readers]
    if others or not readers or any(value in outputs for _, value in graph.outputs):
        what = f"`{others[0].op.name}` at {others[0].spans[0]}" if others else "the result of the network"
        raise NetError(Diagnostic("E0607", f"nodes of `{path}` cannot be taken out: {what} needs all of them"))
    return list(readers.values())


def _axes(net: Network, path: str, static: Static, width: int, readers: list[Instance]) -> Axes:
    """The axes of parameters that grow with the width of a layer.

    Raises: NetError: E0607: `static` is not its width, or of something else too.
    """
    same, wider = _resized(net, {static: width}), _resized(net, {static: width + 1})
    before, after = _sizes(net.graph), _sizes(wider.graph)
    if _sizes(same.graph) != before or _widths(wider.graph) != _widths(net.graph) | {path: width + 1}:
        raise NetError(Diagnostic("E0607", f"`{_text(static)}` is not the width of `{path}`, which is {width}, alone"))
    found = {
        (name, axis)
        for name, sizes in before.items()
        for axis, (old, new) in enumerate(zip(sizes, after.get(name, sizes), strict=True))
        if old != new
    }
    own = tuple(f"{row.path}." for row in readers)
    for name, axis in sorted(found):
        is_own = name.startswith(f"{path}.")
        if not (axis == 0 if is_own else name.startswith(own)):
            title = f"`{_text(static)}` is not the width of `{path}` alone: `{name}` has it too"
            raise NetError(Diagnostic("E0607", title))
    return frozenset(found)


def _resized(net: Network, widths: Mapping[Static, int]) -> Network:
    """The network with other widths."""
    bound = dict(net.checked.statics)
    found: dict[str, Any] = {}
    for static, width in widths.items():
        if isinstance(static, str):
            found[static] = width
            continue
        name, at = static
        current = bound.get(name)
        if not (isinstance(current, ListValue) and at in range(len(current.items))):
            raise NetError(Diagnostic("E0607", f"`{net.name}` has no static `{_text(static)}`"))
        found.setdefault(name, list(current.items))[at] = width
    return net.set(**found)


def _text(static: Static) -> str:
    return static if isinstance(static, str) else f"{static[0]}[{static[1]}]"


def _sizes(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {p.path: tuple(size.value for size in p.value.type.sizes) for p in graph.params}


def _widths(graph: Graph) -> dict[str, int]:
    return {row.path: row.outputs[0].type.sizes[-1].value for row in graph.instances if row.block == "edges"}
