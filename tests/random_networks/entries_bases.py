"""Entries of the bases of learned functions.

Splines are of order 1 or more, on knots a whole step apart: what rounds differently before them stays close after.
"""

from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.ops.creation import Iota
from netdsl.ops.polynomial import KINDS, Polynomials
from netdsl.ops.spline import BSpline, BSplineOn
from tests.random_networks.draft import Draft
from tests.random_networks.entries import HIGHEST, Entry, entry, like

_NARROW, _WIDE = ("f", 0, HIGHEST - 1), ("f", 1, HIGHEST)


def _place(d: Draft, rank: int) -> int:
    return d.rng.randint(-rank - 1, rank)


def _bspline(d: Draft, op: type[Op]) -> object:
    x = d.take(like("f", 0, HIGHEST - 1), op.name, numbers=False)
    grid, order = d.rng.choice(((1, 1), (2, 3), (4, 2), (5, 3), (20, 3)))
    return x and d.emit(BSpline(grid, order, -2.0, 3.0, _place(d, x.type.rank)), x)


def _bspline_on(d: Draft, op: type[Op]) -> object:
    x = d.take(like("f", 0, HIGHEST - 1), op.name, numbers=False)
    knots = x and d.emit(Iota(Dim.of(d.rng.choice((5, 6))), x.type.dtype))
    return x and knots and d.emit(BSplineOn(d.rng.randint(1, 3), _place(d, x.type.rank)), x, knots[0])


def _polynomials(d: Draft, op: type[Op]) -> object:
    x = d.take(like("f", 0, HIGHEST - 1), op.name, numbers=False)
    kind = d.rng.choice(KINDS)
    numbers = (0.5, -0.25) if kind == "jacobi" else (0.0, 0.0)
    return x and d.emit(Polynomials(kind, d.rng.randint(0, 3), *numbers, _place(d, x.type.rank)), x)


BASES: tuple[Entry, ...] = (
    entry(BSpline, _bspline, [_NARROW], [_WIDE]),
    entry(BSplineOn, _bspline_on, [_NARROW], [_WIDE]),
    entry(Polynomials, _polynomials, [_NARROW], [_WIDE]),
)
