"""Gather, scatter and embedding."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
