"""Products of matrices and tensors."""

from netdsl.ops.base import Op

OPS: tuple[type[Op], ...] = ()
