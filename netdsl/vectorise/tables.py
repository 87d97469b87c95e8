"""Every rule, merged from its families."""

from netdsl.ops.base import Op
from netdsl.ops.external import ExternCall
from netdsl.vectorise import (
    rules_axis,
    rules_indexing,
    rules_loop,
    rules_normalisation,
    rules_pointwise,
    rules_product,
    rules_segment,
    rules_spatial,
)
from netdsl.vectorise.slices import Rule

RULES: dict[type[Op], Rule] = {
    **rules_axis.RULES,
    **rules_indexing.RULES,
    **rules_loop.RULES,
    **rules_normalisation.RULES,
    **rules_pointwise.RULES,
    **rules_product.RULES,
    **rules_segment.RULES,
    **rules_spatial.RULES,
}

#: The end of a sentence that begins with the op.
REFUSED: dict[type[Op], str] = {
    ExternCall: "is a plug-in's function, which takes one sample at a time",
}
