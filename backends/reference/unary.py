"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

from netdsl.backends.reference.context import Compute
from netdsl.ops.base import Op

TABLE: dict[type[Op], Compute] = {}
