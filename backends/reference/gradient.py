"""What flows backwards: stopped and replaced gradients."""

from netdsl.backends.reference.context import Compute
from netdsl.ops.base import Op

TABLE: dict[type[Op], Compute] = {}
