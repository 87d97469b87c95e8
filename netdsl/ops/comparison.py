"""Comparisons, logic and tests of elements."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
