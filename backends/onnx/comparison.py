"""Comparisons, logic and tests of elements."""

from netdsl.backends.onnx.context import Lower
from netdsl.ops.base import Op

TABLE: dict[type[Op], Lower] = {}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
