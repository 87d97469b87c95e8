"""Knots of splines that follow the data."""

from typing import TYPE_CHECKING, Any

import numpy as np

from netdsl.backends.reference.spline import splines
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.kan.layers import Floats

if TYPE_CHECKING:
    from torch.fx import GraphModule

#: Names of the parameters of `std.edges: AdaptiveBSpline`.
KNOTS, COEF = "knots", "coef"


def update_grid(model: "GraphModule", x: Any, *, mix: float = 0.02) -> tuple[str, ...]:
    """Move the knots of every layer of `AdaptiveBSpline` to where its inputs are; its functions stay as they were.

    The new knots of an input are the quantiles of the data, mixed with evenly spaced ones from its smallest to its
    largest value, and go on evenly for `order` intervals on both sides. Coefficients are refitted by least squares on
    the data; where the data leaves them open they follow the old functions between its smallest and its largest value.
    An input that is constant in the data keeps its knots. All layers see the data as it reaches them before the update.

    Args:
        model: a module of `net.torch()`; it is changed in place, optimisers keep its parameters.
        x:     what it is called with: one tensor or array, or a tuple of them.
        mix:   the share of evenly spaced knots, 0 to 1.
    Returns: the paths of the knots that were moved.
    Raises: NetError: E0605: no layer has such knots. ValueError: `mix`.
    Source: Liu et al. 2024, section 2.5 (grid extension); pykan 0.2.8, `update_grid_from_samples`, `grid_eps`.
    """
    from netdsl.backends.torch_fx.spline_inputs import spline_inputs, write

    if not 0 <= mix <= 1:
        raise ValueError(f"`mix` is a share of 0 to 1, found {mix}")
    state = {path: tensor.detach().cpu().double().numpy() for path, tensor in model.state_dict().items()}
    found = {}
    for layer in spline_inputs(model, x if isinstance(x, tuple) else (x,)):
        stem = layer.path.removesuffix(KNOTS)
        coef = stem + COEF
        if stem == layer.path or coef not in state:
            continue
        points = np.asarray(layer.points, np.float64)
        found[layer.path], found[coef] = moved(state[layer.path], state[coef], points, layer.order, mix)
    if not found:
        raise NetError(Diagnostic("E0605", "no layer of the module has splines on knots of its own"))
    write(model, found)
    return tuple(path for path in found if path.endswith(KNOTS))


def moved(knots: Floats, coef: Floats, points: Floats, order: int, mix: float) -> tuple[Floats, Floats]:
    """New knots for the data, and coefficients with which the functions stay the same.

    Shapes: knots (in, grid + 2 * order + 1), coef (out, in, grid + order), points (n, in).
    """
    knots, coef = knots.copy(), coef.copy()
    intervals = knots.shape[1] - 1 - 2 * order
    for at, column in enumerate(points.T):
        column = np.sort(column[np.isfinite(column)])
        if not column.size or column[0] == column[-1]:
            continue
        new = extended(data_knots(column, intervals, mix), order)
        between = np.linspace(column[0], column[-1], 4 * (intervals + order) + 1)
        old, own = knots[at], coef[:, at].T
        start = _solve(splines(between, new, order), splines(between, old, order) @ own)
        basis = splines(column, new, order)
        start += _solve(basis, splines(column, old, order) @ own - basis @ start)
        knots[at], coef[:, at] = new, start.T
    return knots, coef


def data_knots(column: Floats, intervals: int, mix: float) -> Floats:
    """Knots for sorted data: every (n / intervals)-th value and the last one, mixed with evenly spaced ones."""
    places = [len(column) * at // intervals for at in range(intervals)]
    quantiles = column[[*places, -1]]
    even = np.linspace(column[0], column[-1], intervals + 1)
    return np.asarray(mix * even + (1 - mix) * quantiles, np.float64)


def extended(knots: Floats, order: int) -> Floats:
    """The knots with `order` more on both sides, one mean interval apart."""
    step = (knots[-1] - knots[0]) / (len(knots) - 1)
    more = step * np.arange(1, order + 1)
    return np.concatenate([knots[0] - more[::-1], knots, knots[-1] + more])


def _solve(basis: Floats, values: Floats) -> Floats:
    """The smallest least-squares solution."""
    return np.asarray(np.linalg.lstsq(basis, values, rcond=None)[0], np.float64)


def interior(knots: Floats, order: int) -> Floats:
    """The knots between which the splines add up to 1. Shapes: (.., n) -> (.., n - 2 * order)."""
    return knots[..., order : knots.shape[-1] - order]


def resampled(knots: Floats, intervals: int, order: int) -> Floats:
    """Knots for another number of intervals, spread as the old ones are; where it is a multiple the old ones stay.

    Shapes: (in, old + 2 * order + 1) -> (in, intervals + 2 * order + 1).
    """
    old = interior(knots, order)
    places = np.linspace(0, old.shape[1] - 1, intervals + 1)
    return np.stack([extended(np.interp(places, np.arange(len(row)), row), order) for row in old])
