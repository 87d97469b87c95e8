"""Shapes: reshape, transpose, join, cut and pad."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
