"""How much each function of a layer of edges matters on data."""

import numpy as np

from netdsl.api import Network
from netdsl.kan.layers import EdgeLayer, Floats, Inputs, Weights, edge_layers, layer_inputs
from netdsl.record import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """The L1 norms of the functions f of one layer over the data that reaches it.

    An output without the function of a pair differs from what it was by that pair's score, on average over the data.

    Args:
        edges:   the mean over the data of |f(x)|, for each pair; (out, in).
        inputs:  the largest score of each input; (in).
        outputs: the largest score of each output; (out).
    Source: Liu et al. 2024, sections 2.5.1 (the norm) and 2.2.1 (scores of nodes).
    """

    edges: Floats

    @property
    def inputs(self) -> Floats:
        found: Floats = self.edges.max(axis=0, initial=0.0)
        return found

    @property
    def outputs(self) -> Floats:
        found: Floats = self.edges.max(axis=1, initial=0.0)
        return found


def importance(net: Network, weights: Weights, x: Inputs) -> dict[str, Importance]:
    """The importance of each layer of edges, by its path, when the network is given `x`.

    Args:   weights: by path, or a module: anything that `net.weights` takes.
    """
    values = net.weights(weights)
    reaching = layer_inputs(net, values, x)
    return {layer.path: _norms(layer, values, reaching[layer.path]) for layer in edge_layers(net)}


def _norms(layer: EdgeLayer, weights: Weights, points: Floats) -> Importance:
    total = np.zeros((layer.outputs, layer.inputs))
    for start in range(0, len(points), layer.chunk()):
        total += np.abs(layer.functions(weights, points[start : start + layer.chunk()])).sum(axis=0)
    return Importance(total / max(1, len(points)))
