"""Softmax and its relatives."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
