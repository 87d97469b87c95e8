"""A basis of one number as a basis of a row of numbers, the row standing last: rows of functions beside each other."""

from collections.abc import Sequence

from netdsl.check.edge_terms import Emitter
from netdsl.expansions import POINTWISE
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.pieces import Stack
from netdsl.ops.polynomial import Polynomials
from netdsl.ops.shape import Unsqueeze
from netdsl.ops.spline import BSpline

#: Ops whose axes count from the front, so that an axis more at the end changes nothing.
_FROM_FRONT: frozenset[type[Op]] = frozenset((BSpline, Polynomials, Stack))


def beside(nodes: Sequence[Node], x: Value, row: Value, result: Value, emit: Emitter) -> Value | None:
    """`result` for every number of `row` at once, in place of `x`: its own axes, then that of the row.

    Elementwise work on such a basis reads and writes whole rows, which is several times as fast as on a basis whose
    functions stand last. None where an op between `x` and `result` has axes of its own.

    Args: nodes: those that `result` needs, in order; none of them reads a parameter.
    """
    known: dict[Value, Value] = {x: row}
    for node in nodes:
        kind = type(node.op)
        if not any(value in known for value in node.operands):
            emit.nodes.append(node)
            continue
        if kind not in POINTWISE and kind not in _FROM_FRONT:
            return None
        if kind in _FROM_FRONT and not all(value in known for value in node.operands):
            return None
        operands = [known.get(value) or _column(value, emit) for value in node.operands]
        known[node.results[0]] = emit(node.op, *operands)
    return known.get(result)


def _column(value: Value, emit: Emitter) -> Value:
    return emit(Unsqueeze(value.type.rank), value) if value.type.rank else value
