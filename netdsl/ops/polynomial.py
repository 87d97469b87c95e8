"""Orthogonal polynomials, as bases of learned functions of one number."""

from dataclasses import replace
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.proofs import new_axis
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, require_kind

KINDS = ("power", "chebyshev", "chebyshev_second", "legendre", "jacobi", "hermite")
HIGHEST_DEGREE = 100


@dataclass(frozen=True, slots=True)
class Polynomials(Op):
    """The polynomials of degree 0 to `degree` at x, by their recurrence, so that slopes are finite everywhere.

    The first is 1 also where x is NaN. A new axis at place `axis` of the result holds them.

    Shapes: x (..) -> (.., degree + 1, ..).
    Args:
        kind:   power (xⁿ), chebyshev (of the first kind: cos n t at cos t), chebyshev_second (sin (n + 1) t / sin t),
                legendre, jacobi, or hermite (of the physicists).
        degree: 0 to 100.
        alpha, beta: above -1; of `jacobi` alone.
    Raises: ShapeError: E0217: not float; E0219: an attribute; E0206.
    Source: Abramowitz and Stegun, table 22.7; scipy.special.eval_jacobi; numpy.polynomial.
    """

    kind: str = "chebyshev"
    degree: int = 3
    alpha: float = 0.0
    beta: float = 0.0
    axis: int = -1

    name: ClassVar[str] = "polynomials"

    @property
    def recurrence(self) -> tuple[tuple[float, float, float], ...]:
        """(a, b, c) for each degree from 1: p[n] = (a x + b) p[n - 1] + c p[n - 2]."""
        return tuple(self._step(n) for n in range(1, self.degree + 1))

    def _step(self, n: int) -> tuple[float, float, float]:
        match self.kind:
            case "power":
                return 1.0, 0.0, 0.0
            case "chebyshev":
                return (1.0, 0.0, 0.0) if n == 1 else (2.0, 0.0, -1.0)
            case "chebyshev_second":
                return 2.0, 0.0, 0.0 if n == 1 else -1.0
            case "legendre":
                return (2 * n - 1) / n, 0.0, -(n - 1) / n
            case "hermite":
                return 2.0, 0.0, -2.0 * (n - 1)
        p, q = self.alpha, self.beta
        if n == 1:
            return (p + q + 2) / 2, (p - q) / 2, 0.0
        s = 2 * n + p + q
        scale = 2 * n * (n + p + q) * (s - 2)
        return (
            (s - 1) * s * (s - 2) / scale,
            (s - 1) * (p * p - q * q) / scale,
            -2 * (n + p - 1) * (n + q - 1) * s / scale,
        )

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        return replace(self, axis=new_axis(self.axis, types[0].rank, what="`polynomials`"))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what="`polynomials`")
        if self.kind not in KINDS:
            raise ShapeError("E0219", f"`polynomials` has the kinds {', '.join(KINDS)}, found `{self.kind}`")
        if not 0 <= self.degree <= HIGHEST_DEGREE:
            raise ShapeError("E0219", f"`polynomials` takes a degree of 0 to {HIGHEST_DEGREE}, found {self.degree}")
        if (self.alpha or self.beta) and self.kind != "jacobi":
            raise ShapeError("E0219", f"`alpha` and `beta` are of `jacobi`, found the kind `{self.kind}`")
        if not (self.alpha > -1 and self.beta > -1):
            raise ShapeError("E0219", f"`jacobi` needs numbers above -1, found {self.alpha} and {self.beta}")
        axis = new_axis(self.axis, x.rank, what="`polynomials`")
        return (x.with_axes((*x.axes[:axis], Axis(None, Dim.of(self.degree + 1)), *x.axes[axis:])),)


OPS: tuple[type[Op], ...] = (Polynomials,)
