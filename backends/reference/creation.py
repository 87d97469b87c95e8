"""Tensors made from nothing: constants, ranges, run-time sizes; and dropout."""

from netdsl.backends.reference.context import Compute
from netdsl.ops.base import Op

TABLE: dict[type[Op], Compute] = {}
