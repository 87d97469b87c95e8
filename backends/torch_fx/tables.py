"""Every lowering of the torch backend, merged from its families."""

from netdsl.backends.torch_fx import (
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
from netdsl.backends.torch_fx.context import Lower
from netdsl.backends.torch_fx.emitter import Lowerings
from netdsl.backends.torch_fx.fused import FUSED
from netdsl.backends.torch_fx.loops import lower_loop
from netdsl.ops.base import Op
from netdsl.ops.loop import Loop

TABLE: dict[type[Op], Lower] = {
    Loop: lower_loop,
    **activation.TABLE,
    **comparison.TABLE,
    **convolution.TABLE,
    **creation.TABLE,
    **cumulative.TABLE,
    **elementwise.TABLE,
    **external.TABLE,
    **gradient.TABLE,
    **image.TABLE,
    **indexing.TABLE,
    **masks.TABLE,
    **normalisation.TABLE,
    **polynomial.TABLE,
    **pooling.TABLE,
    **product.TABLE,
    **reduction.TABLE,
    **segment.TABLE,
    **shape.TABLE,
    **softmax.TABLE,
    **sorting.TABLE,
    **spectral.TABLE,
    **spline.TABLE,
    **unary.TABLE,
}

UNSUPPORTED: dict[type[Op], str] = {
    **activation.UNSUPPORTED,
    **comparison.UNSUPPORTED,
    **convolution.UNSUPPORTED,
    **creation.UNSUPPORTED,
    **cumulative.UNSUPPORTED,
    **elementwise.UNSUPPORTED,
    **gradient.UNSUPPORTED,
    **image.UNSUPPORTED,
    **indexing.UNSUPPORTED,
    **masks.UNSUPPORTED,
    **normalisation.UNSUPPORTED,
    **polynomial.UNSUPPORTED,
    **pooling.UNSUPPORTED,
    **product.UNSUPPORTED,
    **reduction.UNSUPPORTED,
    **segment.UNSUPPORTED,
    **shape.UNSUPPORTED,
    **softmax.UNSUPPORTED,
    **sorting.UNSUPPORTED,
    **spectral.UNSUPPORTED,
    **spline.UNSUPPORTED,
    **unary.UNSUPPORTED,
}

LOWERINGS = Lowerings(TABLE, UNSUPPORTED, FUSED)
