"""Bases of splines, in the form that is cheapest within the tolerance.

Work is done on tensors whose last axis is one of x's: ONNX Runtime broadcasts along short rows ten times slower.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import cast
from netdsl.backends.onnx.shape import reshape
from netdsl.dims import Dim, product
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.spline import BSpline, BSplineOn
from netdsl.ops.spline_forms import STEEP, choose_form, differences, lanes, leading, terms
from netdsl.tensor_type import F32, F64, I64, DType

Matrix = NDArray[np.float64]

#: The end of a slice that goes to the end of the axis.
_END = 2**62


@dataclass(frozen=True, slots=True)
class _Work:
    """An emitter, the element type of the computation, the place of the splines, and the sizes around it."""

    e: Emitter
    dtype: DType
    place: int
    before: tuple[Dim, ...]
    behind: tuple[Dim, ...]

    def do(self, op_type: str, *operands: str | float, **attributes: int | float) -> str:
        """One node; numbers become constants."""
        names = (o if isinstance(o, str) else self.e.constant(o, self.dtype, ()) for o in operands)
        return self.e.node(op_type, *names, outputs=1, **attributes)[0]

    def column(self, values: Sequence[float], *, extra: int = 0) -> str:
        """A constant along the place of the splines."""
        shape = (*(1,) * self.place, len(values), *(1,) * (len(self.behind) + extra))
        return self.e.constant(values, self.dtype, shape)

    def unsqueezed(self, x: str) -> str:
        return self.e.node("Unsqueeze", x, self.e.constant([self.place], I64))[0]

    def rows(self, x: str, start: int, end: int) -> str:
        """Rows `start` to `end` along the place of the splines."""
        bounds = (self.e.constant([number], I64) for number in (start, end, self.place))
        return self.e.node("Slice", x, *bounds)[0]

    def power(self, x: str, exponent: int) -> str:
        value = x
        for bit in format(exponent, "b")[1:]:
            value = self.do("Mul", value, value)
            if bit == "1":
                value = self.do("Mul", value, x)
        return value

    def closed(self, distance: str, step: float, order: int) -> str:
        """The spline at `distance` from its centre."""
        value = self.bare(distance, step, order)
        return self.do("Mul", value, leading(order)) if leading(order) != 1 else value

    def bare(self, distance: str, step: float, order: int) -> str:
        """The spline without its leading factor, so that each part is at most 1."""
        total = ""
        for term in terms(order):
            slope, top = -term.scale / step, term.scale * term.radius
            if self.dtype == F64:  # ONNX Runtime has no HardSigmoid of f64
                part = self.do("Max", self.do("Add", self.do("Mul", distance, slope), top), 0.0)
            else:
                part = self.do("HardSigmoid", distance, alpha=slope, beta=top)
            part = self.power(part, order)
            total = self.do("Add" if term.is_added else "Sub", total, part) if total else part
        return total


def _bspline(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    assert isinstance(node.op, BSpline)
    return in_form(choose_form(node.op, node.result.type.dtype).name)(e, node, operands)


def split(e: Emitter, op: BSpline, x: str, form: str) -> tuple[list[str], Matrix]:
    """Values of the shape of x, and the matrix (splines, values) that makes the splines of them.

    Args: form: one of `netdsl.ops.spline_forms.split_forms`; x: of f32.
    """
    work = _Work(e, F32, 0, (), ())
    if form == "folded":
        return _folded_parts(work, op, x)
    distances = [work.do("Abs", work.do("Sub", x, centre)) for centre in op.centres]
    return [work.bare(d, op.step, op.order) for d in distances], np.eye(op.count) * leading(op.order)


def _folded_parts(work: _Work, op: BSpline, x: str) -> tuple[list[str], Matrix]:
    """For each lane its spline, and that spline right of each border."""
    parts: list[str] = []
    matrix = np.zeros((op.count, op.count))
    for lane in lanes(op):
        within = x if lane.end is None else work.do("Clip", x, "", lane.end)
        for fold in lane.folds:
            within = work.do("Abs", work.do("Sub", within, fold))
        value = work.bare(within, op.step, op.order)
        for at, spline in enumerate(lane.splines):
            if at:
                slope = 1 / (STEEP * op.step)
                is_right = work.do("HardSigmoid", x, alpha=slope, beta=0.5 - lane.borders[at - 1] * slope)
                matrix[lane.splines[at - 1], len(parts)] = -leading(op.order)
            matrix[spline, len(parts)] = leading(op.order)
            parts.append(work.do("Mul", value, is_right) if at else value)
    return parts, matrix


def in_form(form: str) -> Lower:
    """The lowering of `bspline` in one form."""

    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        return _lowered(e, node, operands[0], form)

    return lower


def _lowered(e: Emitter, node: Node, x: str, form: str) -> tuple[str, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, BSpline)
    (x_type,), dtype = node.operand_types, node.result.type.dtype
    place = min(op.axis, max(x_type.rank - 1, 0))
    work = _Work(e, F64 if dtype == F64 else F32, place, x_type.sizes[:place], x_type.sizes[place:])
    values = _BY_FORM[form](work, op, work.unsqueezed(cast(e, x, dtype, work.dtype)))
    return (cast(e, _moved(e, values, place, op.axis, x_type.rank + 1), work.dtype, dtype),)


def _closed(work: _Work, op: BSpline, x: str) -> str:
    distance = work.do("Abs", work.do("Sub", x, work.column(op.centres)))
    return work.closed(distance, op.step, op.order)


def _local(work: _Work, op: BSpline, x: str) -> str:
    """Splines order + 1 apart never overlap: each lane of them is one function of the place within its block."""
    lanes = op.order + 1
    blocks = -(-op.count // lanes)
    start = work.do("Mul", work.do("Sub", x, op.knots[0]), 1 / op.step)
    start = work.do("Clip", start, 0.0, float(op.grid + 2 * op.order))
    place = work.do("Sub", start, work.column(range(lanes)))
    block = work.do("Floor", work.do("Mul", place, 1 / lanes))
    within = work.do("Sub", place, work.do("Mul", block, float(lanes)))
    values = work.closed(work.do("Abs", work.do("Sub", within, lanes / 2)), 1.0, op.order)
    is_there = work.do("Equal", work.unsqueezed(block), work.column(range(blocks), extra=1))
    spread = work.do("Mul", _as_number(work, is_there), work.unsqueezed(values))
    cut = (*work.before, Dim.of(blocks), Dim.of(lanes), *work.behind)
    joined = reshape(work.e, spread, cut, (*work.before, Dim.of(blocks * lanes), *work.behind))
    return joined if op.count == blocks * lanes else work.rows(joined, 0, op.count)


def _truncated(work: _Work, op: BSpline, x: str) -> str:
    """The last knot's power is 0 up to the last knot, and x goes no further."""
    scale, powers = 1 / op.step, op.grid + 2 * op.order
    start = work.do("Mul", work.do("Clip", x, op.knots[0], op.knots[-1]), scale)
    above = work.do("Sub", start, work.column([knot * scale for knot in op.knots[:powers]]))
    above = work.do("Max", above, 0.0) if work.dtype == F64 else work.do("Relu", above)
    rows = work.power(above, op.order)
    matrix = np.zeros((op.count, powers + op.order + 2))
    for row in range(op.count):
        matrix[row, row : row + op.order + 2] = differences(op.order)
    return _mixed(work, rows, matrix[:, :powers])


def _folded(work: _Work, op: BSpline, x: str) -> str:
    parts, matrix = _folded_parts(work, op, x)
    return _mixed(work, work.e.node("Concat", *parts, axis=work.place)[0], matrix)


def _mixed(work: _Work, rows: str, matrix: Matrix) -> str:
    """The splines, as sums of rows that stand at their place."""
    count, terms = matrix.shape
    left = work.e.constant(matrix, work.dtype)
    if len(work.behind) < 2:
        return work.do("MatMul", left, rows)
    flat = product(work.behind)
    whole = (*work.before, Dim.of(terms), *work.behind)
    rows = reshape(work.e, rows, whole, (*work.before, Dim.of(terms), flat))
    values = work.do("MatMul", left, rows)
    made = (*work.before, Dim.of(count))
    return reshape(work.e, values, (*made, flat), (*made, *work.behind))


def _on_equal_knots(work: _Work, op: BSpline, x: str) -> str:
    return _recursion(work, x, work.column(op.knots), op.order)


def _steps(work: _Work, op: BSpline, x: str) -> str:
    """Knots are rounded up: an x is right of such a knot where it is right of the exact one."""
    knots = np.asarray(op.knots)
    if work.dtype == F32:
        near = knots.astype(np.float32)
        knots = np.where(near < knots, np.nextafter(near, np.float32(np.inf)), near)
    return _recursion(work, x, work.column([float(knot) for knot in knots]), 0)


def _recursion(work: _Work, x: str, knots: str, order: int) -> str:
    """Cox and de Boor; a weight outside of its spline's support does not count, and stays within 0 and 1."""
    starts, ends = work.rows(knots, 0, -1), work.rows(knots, 1, _END)
    is_within = work.e.node("And", work.do("GreaterOrEqual", x, starts), work.do("Less", x, ends))[0]
    basis = _as_number(work, is_within)
    if order == 0:
        return work.do("Add", basis, work.do("Clip", x, 0.0, 0.0))  # NaN is not within
    for degree in range(1, order + 1):
        starts = work.rows(knots, 0, -degree)
        width = work.do("Sub", work.rows(knots, degree, _END), starts)
        width = work.do("Where", work.do("Equal", width, 0.0), 1.0, width)
        weight = work.do("Clip", work.do("Div", work.do("Sub", x, starts), width), 0.0, 1.0)
        part = work.do("Mul", weight, basis)
        rest = work.do("Sub", basis, part)
        basis = work.do("Add", work.rows(part, 0, -1), work.rows(rest, 1, _END))
    return basis


def _bspline_on(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, BSplineOn)
    (x_type, knots_type), dtype = node.operand_types, node.result.type.dtype
    rank = op.axis_rank(node.operand_types)
    place = min(op.axis, max(rank - 1, 0))
    work = _Work(e, F64 if dtype == F64 else F32, place, (), ())
    x, knots = (cast(e, name, dtype, work.dtype) for name in operands)
    others = [axis for axis in range(rank + 1) if axis != place]
    x = e.node("Unsqueeze", x, e.constant([*others[: rank - x_type.rank], place], I64))[0]
    if knots_type.rank <= rank:
        knots = e.node("Unsqueeze", knots, e.constant(list(range(rank + 1 - knots_type.rank)), I64))[0]
    values = _recursion(work, x, _moved(e, knots, rank, place, rank + 1), op.order)
    return (cast(e, _moved(e, values, place, op.axis, rank + 1), work.dtype, dtype),)


def _as_number(work: _Work, condition: str) -> str:
    return work.e.node("Cast", condition, to=work.e.tensor_dtype(work.dtype))[0]


def _moved(e: Emitter, x: str, source: int, target: int, rank: int) -> str:
    """`x` with one axis at another place."""
    if source == target:
        return x
    order = [axis for axis in range(rank) if axis != source]
    order.insert(target, source)
    return e.node("Transpose", x, perm=order)[0]


_BY_FORM: dict[str, Callable[[_Work, BSpline, str], str]] = {
    "steps": _steps,
    "closed": _closed,
    "local": _local,
    "folded": _folded,
    "truncated": _truncated,
    "recursion": _on_equal_knots,
}

TABLE: dict[type[Op], Lower] = {BSpline: _bspline, BSplineOn: _bspline_on}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
