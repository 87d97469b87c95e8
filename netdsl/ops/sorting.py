"""Sorting and the largest elements."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
