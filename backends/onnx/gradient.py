"""What flows backwards: stopped and replaced gradients. A model has no gradients: both are their first operand."""

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.gradient import StopGradient, WithGradient


def _first(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    return operands[:1]


TABLE: dict[type[Op], Lower] = {StopGradient: _first, WithGradient: _first}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
