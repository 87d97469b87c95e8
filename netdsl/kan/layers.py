"""Layers of edges of a network, the data that reaches them, and the value of each of their functions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.api import Network, static_value
from netdsl.backends.reference.execute import run
from netdsl.check.edges import PAIRS
from netdsl.check.network import Session
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.did_you_mean import suggest
from netdsl.ir import Graph, Node, Value
from netdsl.record import dataclass

Array = NDArray[np.generic]
Floats = NDArray[np.float64]
Weights = Mapping[str, Array]
#: One array for a network with one input, else an array for each.
Inputs = Array | Mapping[str, Array]

#: Elements of the functions' values that are held at a time.
_ELEMENTS = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class EdgeLayer:
    """One layer `edges[out, E](x)`.

    Args:
        path:  of its parameters.
        edge:  as printed, with its statics.
        graph: from its inputs (.., in) to the values of its functions (.., out, in).
    """

    path: str
    edge: str
    graph: Graph

    @property
    def inputs(self) -> int:
        """How many inputs it has."""
        return self._axes[1]

    @property
    def outputs(self) -> int:
        """How many outputs it has."""
        return self._axes[0]

    @property
    def _axes(self) -> tuple[int, int]:
        out, in_ = self.graph.outputs[0][1].type.sizes[-2:]
        return out.value, in_.value

    def functions(self, weights: Weights, points: Floats) -> Floats:
        """The value of every function, in float64.

        Shapes: points (n, in) -> (n, out, in).
        """
        (_, x), own = self.graph.inputs[0], {p.path: weights[p.path] for p in self.graph.params}
        lead = x.type.sizes[:-1]
        env = dict.fromkeys((s for size in lead for s in size.symbols), 1)
        free = next((str(size) for size in lead if str(size) in size.symbols), None)
        if free is not None:
            env[free] = max(1, -(-len(points) // prod(size.evaluate(env) for size in lead)))
        shape = [size.evaluate(env) for size in lead]
        rows = prod(shape)
        found = np.empty((len(points), self.outputs, self.inputs))
        for start in range(0, len(points), rows):
            part = points[start : start + rows]
            given = np.resize(part, (rows, self.inputs)).reshape(*shape, self.inputs)
            values = run(self.graph, {"x": given}, own).outputs[PAIRS]
            found[start : start + rows] = values.reshape(rows, *found.shape[1:])[: len(part)]
        return found

    def chunk(self) -> int:
        """How many points `functions` is best given at once."""
        return max(1, _ELEMENTS // max(1, self.inputs * self.outputs))


def edge_layers(net: Network) -> tuple[EdgeLayer, ...]:
    """Every layer of edges outside of loops, in order."""
    known = net.session
    session = Session(known.source, known.path, known.root, known.default_float, known.limits, with_pairs=True)
    statics = {name: static_value(value) for name, value in net.statics.items()}
    graph = session.network(net.name, statics, net.decisions).eval_graph
    pairs = {tap.path: tap.value for tap in graph.taps}
    found = []
    for row in graph.instances:
        value = pairs.get(f"{row.path}.{PAIRS}")
        if row.block == "edges" and value is not None:
            found.append(EdgeLayer(row.path, dict(row.statics)["edge"], _between(graph, row.inputs[0], value)))
    return tuple(found)


def layer_at(layers: Sequence[EdgeLayer], path: str) -> EdgeLayer:
    """The layer with a path.

    Raises: NetError: E0605.
    """
    for layer in layers:
        if layer.path == path:
            return layer
    near = suggest(path, [layer.path for layer in layers])
    listed = ", ".join(f"`{layer.path}`" for layer in layers) or "none"
    help = f"did you mean `{near}`?" if near else f"layers are {listed}"
    raise NetError(Diagnostic("E0605", f"there is no layer of edges `{path}`", help=help))


def layer_inputs(net: Network, weights: Weights, x: Inputs) -> dict[str, Floats]:
    """What reaches each layer of edges when the network is given `x`, in float64.

    Shapes: of each layer (n, in), where n counts all its leading axes.
    """
    (name, _), *more = net.graph.inputs
    given: Any = x if isinstance(x, Mapping) else {name: x}
    if more and not isinstance(x, Mapping):
        raise TypeError(f"`{net.name}` has {len(more) + 1} inputs: give a mapping of them by name")
    values = {row.path: row.inputs[0] for row in net.graph.instances if row.block == "edges"}
    wanted = tuple((path, value) for path, value in values.items() if value in _known(net.graph))
    nodes = _needed(net.graph.nodes, [value for _, value in wanted])
    found = run(replace(net.graph, outputs=wanted, nodes=nodes), given, weights).outputs
    return {path: np.asarray(a, np.float64).reshape(-1, a.shape[-1]) for path, a in found.items()}


def _known(graph: Graph) -> set[Value]:
    """Values outside of loop bodies."""
    return {v for _, v in graph.inputs} | {p.value for p in graph.params} | {v for n in graph.nodes for v in n.results}


def _between(graph: Graph, x: Value, result: Value) -> Graph:
    nodes = _needed(graph.nodes, [result], x)
    read = {v for node in nodes for v in node.operands} | {result}
    params = tuple(p for p in graph.params if p.value in read)
    return Graph(graph.name, (("x", x),), ((PAIRS, result),), params, nodes)


def _needed(nodes: Sequence[Node], results: Sequence[Value], stop: Value | None = None) -> tuple[Node, ...]:
    """The nodes that some values depend on, in order; what `stop` depends on is left out."""
    wanted = set(results) - {stop}
    kept = []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.results):
            kept.append(node)
            wanted.update(v for v in node.operands if v is not stop)
    return tuple(reversed(kept))
