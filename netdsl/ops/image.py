"""Resizing and grid sampling."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
