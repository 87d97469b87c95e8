"""Orthogonal polynomials: a slice for each degree by the recurrence, then one Concat."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.kernels import FLOATS, cast, kernel_type
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.polynomial import Polynomials
from netdsl.tensor_type import F16, F32, I64, DType


def _polynomials(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op.normalised(node.operand_types)
    assert isinstance(op, Polynomials)
    (x_type,), dtype = node.operand_types, node.result.type.dtype
    via = F32 if dtype == F16 else kernel_type(dtype, FLOATS)
    x = e.node("Unsqueeze", cast(e, operands[0], dtype, via), e.constant([op.axis], I64))[0]
    sizes = (*x_type.sizes[: op.axis], Dim.of(1), *x_type.sizes[op.axis :])
    found = _recurrence(e, op, via, x, sizes)
    joined = e.node("Concat", *found, axis=op.axis)[0] if len(found) > 1 else found[0]
    return (cast(e, joined, via, dtype),)


def by_degree(e: Emitter, node: Node, x: str) -> list[str]:
    """Each polynomial at x, of the shape of x, of f32."""
    assert isinstance(node.op, Polynomials)
    return _recurrence(e, node.op, F32, x, node.operands[0].type.sizes)


def _recurrence(e: Emitter, op: Polynomials, via: DType, x: str, sizes: tuple[Dim, ...]) -> list[str]:
    found = [e.node("Expand", e.constant(1, via, ()), e.shape(sizes))[0]]
    for n, (a, b, c) in enumerate(op.recurrence, 1):
        line = e.node("Mul", x, e.constant(a, via, ()))[0] if a != 1 else x
        line = e.node("Add", line, e.constant(b, via, ()))[0] if b else line
        value = e.node("Mul", line, found[-1])[0] if n > 1 else line
        if c and n == 2:
            value = e.node("Add", value, e.constant(c, via, ()))[0]
        elif c:
            before = found[n - 2] if c in (1, -1) else e.node("Mul", found[n - 2], e.constant(abs(c), via, ()))[0]
            (value,) = e.node("Add" if c > 0 else "Sub", value, before)
        found.append(value)
    return found


TABLE: dict[type[Op], Lower] = {Polynomials: _polynomials}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
