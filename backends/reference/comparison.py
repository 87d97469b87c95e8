"""Comparisons, logic and tests of elements."""

import numpy as np

from netdsl.backends.reference.context import Compute
from netdsl.backends.reference.elementwise import elementwise
from netdsl.ops.base import Op
from netdsl.ops.comparison import Eq, Ge, Gt, IsInf, IsNan, Le, LogicalAnd, LogicalNot, LogicalOr, LogicalXor, Lt, Ne

TABLE: dict[type[Op], Compute] = {
    Eq: elementwise(np.equal),
    Ne: elementwise(np.not_equal),
    Lt: elementwise(np.less),
    Le: elementwise(np.less_equal),
    Gt: elementwise(np.greater),
    Ge: elementwise(np.greater_equal),
    LogicalAnd: elementwise(np.logical_and),
    LogicalOr: elementwise(np.logical_or),
    LogicalXor: elementwise(np.logical_xor),
    LogicalNot: elementwise(np.logical_not),
    IsNan: elementwise(np.isnan),
    IsInf: elementwise(np.isinf),
}
