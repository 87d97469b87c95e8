"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
