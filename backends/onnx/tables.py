"""Every ONNX lowering, by op, and the ops that have none or meet a gap in ONNX Runtime, with the reason."""

from netdsl.backends.onnx import (
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
from netdsl.backends.onnx.context import Lower
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

#: `Loop` has no row: the model builder lowers it.
TABLE: dict[type[Op], Lower] = {op: lower for family in _FAMILIES for op, lower in family.TABLE.items()}

#: Ops without a lowering. The reason is the text of the diagnostic.
UNSUPPORTED: dict[type[Op], str] = {
    op: reason for family in _FAMILIES for op, reason in getattr(family, "UNSUPPORTED", {}).items()
}

#: Ops whose model ONNX Runtime refuses to run where an axis has size 0.
EMPTY_REFUSED: dict[type[Op], str] = {
    op: reason for family in _FAMILIES for op, reason in getattr(family, "EMPTY_REFUSED", {}).items()
}

#: Ops that ONNX Runtime has no kernel for in some element types: op -> name of the stored type -> reason.
DTYPE_REFUSED: dict[type[Op], dict[str, str]] = {
    op: reasons for family in _FAMILIES for op, reasons in getattr(family, "DTYPE_REFUSED", {}).items()
}
