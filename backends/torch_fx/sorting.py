"""Sorting and the largest elements."""

from netdsl.backends.torch_fx.context import Lower
from netdsl.ops.base import Op

TABLE: dict[type[Op], Lower] = {}

UNSUPPORTED: dict[type[Op], str] = {}
