"""Arithmetic on elements, select, clamp and cast."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
