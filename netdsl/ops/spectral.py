"""Fourier transforms."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
