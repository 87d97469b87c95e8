"""Every reference computation, by op. `Loop` has none: the executor runs it."""

from netdsl.backends.reference import (
    activation,
    comparison,
    convolution,
    creation,
    cumulative,
    elementwise,
    external,
    gradient,
    image,
    indexing,
    masks,
    normalisation,
    polynomial,
    pooling,
    product,
    reduction,
    segment,
    shape,
    softmax,
    sorting,
    spectral,
    spline,
    unary,
)
from netdsl.backends.reference.context import Compute
from netdsl.ops.base import Op

_FAMILIES = (
    elementwise,
    comparison,
    unary,
    activation,
    creation,
    gradient,
    product,
    convolution,
    pooling,
    normalisation,
    image,
    spectral,
    spline,
    polynomial,
    reduction,
    softmax,
    cumulative,
    shape,
    indexing,
    segment,
    sorting,
    masks,
    external,
)

TABLE: dict[type[Op], Compute] = {op: compute for family in _FAMILIES for op, compute in family.TABLE.items()}
