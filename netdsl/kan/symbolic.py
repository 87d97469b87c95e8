"""Formulas for learned functions."""

from collections.abc import Callable

import numpy as np

from netdsl.api import Network
from netdsl.kan.layers import EdgeLayer, Floats, Inputs, Weights, edge_layers, layer_at, layer_inputs
from netdsl.record import dataclass

#: A formula below this R² does not fit.
LEAST_R2 = 0.95
#: Values of the data that formulas are fitted to; of more, so many are taken evenly from the smallest to the largest.
MOST_POINTS = 1_000
FEWEST_POINTS = 8

#: Of a and b, for data of mean 0 and deviation 1; each round searches more closely around the best of the one before.
_REACH, _STEPS, _ROUNDS, _ZOOM = 10.0, 41, 10, 4.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A function f in c * f(a * x + b) + d.

    Args:
        text:  of f(t), with `{}` for t.
        has_a: whether a is more than a sign (that c does not make up for); has_b: whether b is more than a factor.
    """

    name: str
    text: str
    compute: Callable[[Floats], Floats]
    has_a: bool
    has_b: bool


def _reciprocal(t: Floats) -> Floats:
    """1 / t where all t of a row are on one side of the pole, else NaN."""
    one_side = (t > 0).all(-1, keepdims=True) | (t < 0).all(-1, keepdims=True)
    return np.where(one_side, 1 / np.where(t == 0, 1.0, t), np.nan)


#: From the simplest on: where two fit alike, the simpler one comes first.
SHAPES = (
    Shape("x", "({})", lambda t: t, False, False),
    Shape("x^2", "({})^2", np.square, False, True),
    Shape("x^3", "({})^3", lambda t: t**3, False, True),
    Shape("abs", "abs({})", np.abs, False, True),
    Shape("1/x", "1/({})", _reciprocal, False, True),
    Shape("sqrt", "sqrt({})", np.sqrt, True, True),
    Shape("exp", "exp({})", np.exp, True, False),
    Shape("log", "log({})", np.log, True, True),
    Shape("sin", "sin({})", np.sin, True, True),
    Shape("cos", "cos({})", np.cos, True, True),
    Shape("tanh", "tanh({})", np.tanh, True, True),
    Shape("gaussian", "exp(-({})^2)", lambda t: np.exp(-t * t), True, True),
)


@dataclass(frozen=True, slots=True)
class Formula:
    """c * f(a * x + b) + d for a learned function, with its R² on the data."""

    name: str
    a: float
    b: float
    c: float
    d: float
    r2: float

    def __call__(self, x: Floats) -> Floats:
        """The formula's values."""
        (shape,) = (shape for shape in SHAPES if shape.name == self.name)
        found: Floats = self.c * shape.compute(self.a * np.asarray(x, np.float64) + self.b) + self.d
        return found

    def __str__(self) -> str:
        (shape,) = (shape for shape in SHAPES if shape.name == self.name)
        inner = f"{self.a:.4g} x" + (f" {self.b:+.4g}" if self.b else "")
        return f"{self.c:.4g} {shape.text.format(inner)} {self.d:+.4g}"


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Formulas for the function from input `edge[1]` to output `edge[0]` of a layer, the best first.

    Args:
        formulas: those with an R² of 0.95 or more; empty where nothing fits.
        closest:  the best of all, whether it fits or not.
    """

    layer: str
    edge: tuple[int, int]
    formulas: tuple[Formula, ...]
    closest: Formula

    def __str__(self) -> str:
        where = f"{self.layer}[{self.edge[0]}, {self.edge[1]}]"
        if not self.formulas:
            return f"{where}: nothing fits; the closest, {self.closest.name}, has R² = {self.closest.r2:.4f}"
        return "\n".join(f"{where}: {formula}  (R² = {formula.r2:.6f})" for formula in self.formulas)


def suggest(net: Network, weights: Weights, layer: str, edge: tuple[int, int], x: Inputs) -> Suggestions:
    """Formulas for one function of a layer, fitted to its values where the data `x` reaches it.

    Each of the shapes x, x², x³, |x|, 1/x, sqrt, exp, log, sin, cos, tanh and exp(-x²) is fitted as
    c * f(a x + b) + d: a and b by a search that closes in on the best, c and d by least squares. A shape that is not
    finite on all of the data, such as 1/x across its pole, is no candidate. At most 1,000 values are used, so memory
    and time do not grow with the data.

    Args:   edge: (output, input).
    Raises: NetError: E0605: there is no such layer. ValueError: it has no such edge, or too few values reach it.
    """
    values = net.weights(weights)
    found = layer_at(edge_layers(net), layer)
    out, at = edge
    if not (0 <= out < found.outputs and 0 <= at < found.inputs):
        raise ValueError(f"`{layer}` has {found.outputs} outputs and {found.inputs} inputs, so no edge {edge}")
    reaching = layer_inputs(net, values, x)[layer]
    column = np.sort(reaching[np.isfinite(reaching[:, at]), at])
    if len(column) < FEWEST_POINTS or column[0] == column[-1]:
        raise ValueError(f"formulas need {FEWEST_POINTS} values or more that differ, found {len(column)}")
    column = column[np.linspace(0, len(column) - 1, min(len(column), MOST_POINTS)).round().astype(int)]
    return _ranked(layer, edge, column, _values(found, values, column, out, at))


def _values(layer: EdgeLayer, weights: Weights, column: Floats, out: int, at: int) -> Floats:
    parts = []
    for start in range(0, len(column), layer.chunk()):
        points = np.repeat(column[start : start + layer.chunk(), None], layer.inputs, axis=1)
        parts.append(layer.functions(weights, points)[:, out, at])
    return np.concatenate(parts)


def _ranked(layer: str, edge: tuple[int, int], x: Floats, y: Floats) -> Suggestions:
    if np.ptp(y) <= 1e-12 * (1 + np.abs(y).max()):
        flat = Formula("x", 1.0, 0.0, 0.0, float(y.mean()), 1.0)
        return Suggestions(layer, edge, (flat,), flat)
    with np.errstate(all="ignore"):
        fitted = [formula for shape in SHAPES if (formula := _fitted(shape, x, y)) is not None]
    fitted.sort(key=lambda formula: -round(formula.r2, 6))
    return Suggestions(layer, edge, tuple(f for f in fitted if f.r2 >= LEAST_R2), fitted[0])


def _fitted(shape: Shape, x: Floats, y: Floats) -> Formula | None:
    """The best formula of a shape; None if it is nowhere finite on all of the data."""
    mean, spread = float(x.mean()), float(x.std())
    u = (x - mean) / spread
    centre, best, reach = (1.0, 0.0), -np.inf, _REACH
    for turn in range(_ROUNDS if shape.has_a or shape.has_b else 1):
        around = np.linspace(-reach, reach, _STEPS)
        scales = (around + centre[0] if turn else around) if shape.has_a else np.array([1.0])
        shifts = (around + centre[1] if turn else around) if shape.has_b else np.array([0.0])
        for scale in scales[scales != 0]:
            scores = _r2(shape.compute(scale * u + shifts[:, None]), y)
            if scores.max() > best:
                best, centre = float(scores.max()), (float(scale), float(shifts[scores.argmax()]))
        reach /= _ZOOM
    if not np.isfinite(best):
        return None
    a, b = centre[0] / spread, centre[1] - centre[0] * mean / spread
    if not shape.has_b:
        b, a = 0.0, a if shape.has_a else 1.0
    basis = shape.compute(a * x + b)
    moved = basis - basis.mean()
    c = float(moved @ (y - y.mean()) / (moved @ moved))
    d = float(y.mean() - c * basis.mean())
    r2 = 1 - float(np.square(y - c * basis - d).sum() / np.square(y - y.mean()).sum())
    return Formula(shape.name, a, b, c, d, r2) if np.isfinite(r2) else None


def _r2(values: Floats, y: Floats) -> Floats:
    """R² of the best c * row + d for each row; -inf where a row is not finite or constant. Shapes: (k, n) -> (k)."""
    moved = values - values.mean(axis=1, keepdims=True)
    own, target = np.square(moved).sum(axis=1), y - y.mean()
    score = np.square(moved @ target) / (own * (target @ target))
    is_sound = np.isfinite(values).all(axis=1) & (own > 1e-18 * (1 + np.square(values).sum(axis=1)))
    return np.where(is_sound & np.isfinite(score), score, -np.inf)
