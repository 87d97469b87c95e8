"""What flows backwards: stopped and replaced gradients."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
