"""Every primitive by its name. A family is one file with its ops in `OPS`; a new family is a line here."""

from netdsl.ops import (
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
from netdsl.ops.base import Op
from netdsl.ops.loop import Loop

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

OPS: dict[str, type[Op]] = {op.name: op for family in _FAMILIES for op in family.OPS} | {Loop.name: Loop}
