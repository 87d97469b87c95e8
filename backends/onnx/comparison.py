"""Comparisons, logic and tests of elements."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.element_types import accepts
from netdsl.backends.onnx.elementwise import plain
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.comparison import Eq, Ge, Gt, IsInf, IsNan, Le, LogicalAnd, LogicalNot, LogicalOr, LogicalXor, Lt, Ne
from netdsl.tensor_type import F32


def _ne(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    return e.node("Not", e.node("Equal", *operands)[0])


def _float_test(op_type: str) -> Lower:
    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        (x,) = operands
        if not accepts(op_type, e.opset, node.operand_types[0].dtype):
            (x,) = e.node("Cast", x, to=e.tensor_dtype(F32))
        return e.node(op_type, x)

    return lower


TABLE: dict[type[Op], Lower] = {
    Eq: plain("Equal"),
    Ne: _ne,
    Lt: plain("Less"),
    Le: plain("LessOrEqual"),
    Gt: plain("Greater"),
    Ge: plain("GreaterOrEqual"),
    LogicalAnd: plain("And"),
    LogicalOr: plain("Or"),
    LogicalXor: plain("Xor"),
    LogicalNot: plain("Not"),
    IsNan: _float_test("IsNaN"),
    IsInf: _float_test("IsInf"),
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
