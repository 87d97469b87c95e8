"""Bases of splines, by the recursion of Cox and de Boor."""

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.spline import BSpline, BSplineOn

Floats = NDArray[np.float64]


def _bspline(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, BSpline)
    values = splines(np.asarray(operands[0], np.float64), np.asarray(op.knots), op.order)
    return (np.moveaxis(values, -1, op.axis),)


def _bspline_on(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, BSplineOn)
    x, knots = (np.asarray(a, np.float64) for a in operands)
    return (np.moveaxis(splines(x, knots, op.order), -1, op.axis),)


def splines(x: Floats, knots: Floats, order: int) -> Floats:
    """The splines on `knots` at x, on a new last axis. A weight outside of its spline's support does not count."""
    x = x[..., None]
    basis = ((x >= knots[..., :-1]) & (x < knots[..., 1:])).astype(np.float64)
    basis = np.where(np.isnan(x), np.nan, basis)
    for degree in range(1, order + 1):
        width = knots[..., degree:] - knots[..., :-degree]
        weight = np.clip((x - knots[..., :-degree]) / np.where(width == 0, 1.0, width), 0.0, 1.0)
        part = weight * basis
        basis = part[..., :-1] + (basis - part)[..., 1:]
    return basis


TABLE: dict[type[Op], Compute] = {BSpline: _bspline, BSplineOn: _bspline_on}
