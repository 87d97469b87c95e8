"""Orthogonal polynomials, by their recurrence."""

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.polynomial import Polynomials


def _polynomials(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, Polynomials)
    x = np.asarray(operands[0], np.float64)
    found = [np.ones_like(x)]
    for n, (a, b, c) in enumerate(op.recurrence, 1):
        value = (a * x + b) * found[-1]
        found.append(value + c * found[n - 2] if c else value)
    return (np.stack(found, op.axis),)


TABLE: dict[type[Op], Compute] = {Polynomials: _polynomials}
