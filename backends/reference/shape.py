"""Shapes: reshape, transpose, join, cut and pad."""

from netdsl.backends.reference.context import Compute
from netdsl.ops.base import Op

TABLE: dict[type[Op], Compute] = {}
