"""Tensors made from nothing: constants, ranges, run-time sizes; and dropout."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
