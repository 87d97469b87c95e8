"""The same functions in another basis: finer grids, more terms."""

import numpy as np

from netdsl.api import Network
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir import Graph
from netdsl.kan.grids import interior, resampled
from netdsl.kan.layers import Array, EdgeLayer, Floats, Inputs, Weights, edge_layers, layer_inputs
from netdsl.ops.spline import BSpline, BSplineOn

#: Of each interval between knots, or of the whole range for each function of a basis without knots.
_POINTS = 8


def refine(net: Network, finer: Network, weights: Weights, x: Inputs | None = None) -> dict[str, Array]:
    """Weights with which `finer` computes what `net` does.

    `finer` is the same network with other statics, as `net.set(grid=10)`. Parameters of edges that have another size
    are fitted by least squares, for each function, so that it keeps its values; all others are copied. Splines keep
    them from their first to their last knot (`low` to `high`): to rounding where every old knot is a new one, that is
    where the number of intervals becomes a multiple. Other bases are fitted over the range of the data `x`.

    Args:   x: needed for edges without splines only.
    Raises: NetError: E0606: the networks have other layers, or an edge is not linear in what has another size.
    """
    old = net.weights(weights)
    before, after = edge_layers(net), {layer.path: layer for layer in edge_layers(finer)}
    shapes = {p.path: tuple(size.value for size in p.value.type.sizes) for p in finer.graph.params}
    changed = {path for path, shape in shapes.items() if path not in old or old[path].shape != shape}
    inside = {path for layer in after.values() for path in changed if path.startswith(layer.path + ".")}
    unlike = _widths(before) ^ _widths(tuple(after.values()))
    others = {path for path, *_ in unlike} | (changed - inside) | (old.keys() - shapes.keys())
    if others:
        raise NetError(
            Diagnostic(
                "E0606",
                f"`{finer.name}` differs in more than the functions of its edges",
                notes=tuple(f"`{path}`" for path in sorted(others)),
            )
        )
    kinds = {p.path: p.kind for p in finer.graph.params}
    new = {path: np.zeros(shape) if path in changed else old[path] for path, shape in shapes.items()}
    reaching = layer_inputs(net, old, x) if x is not None else {}
    for layer in before:
        own = sorted(path for path in changed if path.startswith(layer.path + "."))
        if own:
            _set_knots(layer.graph, after[layer.path].graph, own, old, new)
            learned = [path for path in own if kinds[path] == "param"]
            points = _points(after[layer.path], new, reaching.get(layer.path))
            _fit(layer, after[layer.path], learned, old, new, points)
    return {path: value.astype(old[path].dtype) for path, value in new.items()}


def _widths(layers: tuple[EdgeLayer, ...]) -> set[tuple[str, int, int]]:
    return {(layer.path, layer.outputs, layer.inputs) for layer in layers}


def _set_knots(before: Graph, after: Graph, paths: list[str], old: Weights, new: dict[str, Array]) -> None:
    """Give the knots among parameters their values."""
    for path, op in _knots(after).items():
        if path in paths:
            intervals = new[path].shape[-1] - 1 - 2 * op.order
            new[path] = resampled(np.asarray(old[path], np.float64), intervals, op.order)


def _knots(graph: Graph) -> dict[str, BSplineOn]:
    """The bases on knots that are parameters, by the path of the knots."""
    paths = {p.value: p.path for p in graph.params}
    ops = [(node.operands[1], node.op) for node in graph.nodes if isinstance(node.op, BSplineOn)]
    return {paths[value]: op for value, op in ops if value in paths}


def _points(layer: EdgeLayer, new: Weights, reaching: Floats | None) -> Floats:
    """Where functions are compared: within every interval of the knots, else all over the data.

    Shapes: -> (n, in).
    """
    found = breaks(layer, new)
    if not found and reaching is not None and len(reaching):
        count = sum(np.asarray(new[p.path]).size for p in layer.graph.params) // (layer.inputs * layer.outputs) + 1
        found = [np.linspace(reaching.min(axis=0), reaching.max(axis=0), count + 1, axis=1)]
    if not found:
        raise NetError(
            Diagnostic(
                "E0606",
                f"`{layer.path}` has functions without knots, so nothing says where they are to be kept",
                help="give the network's data: `refine(net, finer, weights, x)`",
            )
        )
    places = (np.arange(_POINTS) + 0.5) / _POINTS
    parts = [b[:, :-1, None] + np.diff(b, axis=1)[:, :, None] * places for b in found]
    return np.concatenate([part.reshape(layer.inputs, -1) for part in parts], axis=1).T


def breaks(layer: EdgeLayer, weights: Weights) -> list[Floats]:
    """The knots of each basis of splines, without those outside of its range.

    Shapes: of each (in, intervals + 1).
    """
    ends = [np.asarray(op.knots)[op.order : op.order + op.grid + 1] for op in _uniform(layer.graph)]
    found: list[Floats] = [np.broadcast_to(row, (layer.inputs, len(row))) for row in ends]
    own = _knots(layer.graph).items()
    return found + [interior(np.asarray(weights[path], np.float64), op.order) for path, op in own]


def _uniform(graph: Graph) -> list[BSpline]:
    return [node.op for node in graph.nodes if isinstance(node.op, BSpline)]


def _fit(
    before: EdgeLayer, after: EdgeLayer, learned: list[str], old: Weights, new: dict[str, Array], points: Floats
) -> None:
    """Fit parameters (out, in, s) of one layer so that its functions have their old values at the points.

    Raises: NetError: E0606: the functions are not linear in them.
    """
    pair = (after.outputs, after.inputs)
    for path in learned:
        if new[path].shape[:2] != pair:
            raise NetError(Diagnostic("E0606", f"`{path}` is not a parameter of each function of its own"))
    widths = [int(np.prod(new[path].shape[2:])) for path in learned]
    base = after.functions(new, points)
    columns = [_response(after, learned, widths, new, points, at) - base for at in range(sum(widths))]
    design = np.stack(columns, axis=-1) if columns else np.zeros((*base.shape, 0))
    wanted = before.functions(old, points) - base
    solution = np.empty((*pair, sum(widths)))
    for at in range(after.inputs):
        basis = design[:, :, at]
        if (basis == basis[:, :1]).all():
            solution[:, at] = np.linalg.lstsq(basis[:, 0], wanted[:, :, at], rcond=None)[0].T
        else:
            for out in range(after.outputs):
                solution[out, at] = np.linalg.lstsq(basis[:, out], wanted[:, out, at], rcond=None)[0]
    _store(learned, widths, new, solution)
    found = after.functions(new, points)
    expected = base + np.einsum("njik,jik->nji", design, solution)
    if not np.allclose(found, expected, rtol=1e-6, atol=1e-9 * (1 + np.abs(expected).max(initial=0.0))):
        raise NetError(Diagnostic("E0606", f"the functions of `{after.path}` are not linear in {', '.join(learned)}"))


def _response(
    layer: EdgeLayer, learned: list[str], widths: list[int], new: dict[str, Array], points: Floats, at: int
) -> Floats:
    """The functions where one of the fitted numbers is 1 and all others are 0."""
    unit = np.zeros((layer.outputs, layer.inputs, sum(widths)))
    unit[..., at] = 1
    held = dict(new)
    _store(learned, widths, held, unit)
    return layer.functions(held, points)


def _store(learned: list[str], widths: list[int], values: dict[str, Array], solution: Floats) -> None:
    start = 0
    for path, width in zip(learned, widths, strict=True):
        values[path] = solution[..., start : start + width].reshape(values[path].shape)
        start += width
