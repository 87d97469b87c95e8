"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

import numpy as np

from netdsl.backends.reference.context import Compute
from netdsl.backends.reference.elementwise import elementwise
from netdsl.backends.reference.error_function import erf
from netdsl.ops.base import Op
from netdsl.ops.unary import (
    Acos,
    Asin,
    Atan,
    Ceil,
    Cos,
    Cosh,
    Erf,
    Exp,
    Expm1,
    Floor,
    Log,
    Log1p,
    Reciprocal,
    Round,
    Rsqrt,
    Sin,
    Sinh,
    Sqrt,
    Tan,
    Tanh,
    Trunc,
)

TABLE: dict[type[Op], Compute] = {
    Sqrt: elementwise(np.sqrt),
    Rsqrt: elementwise(lambda x: 1.0 / np.sqrt(x)),
    Reciprocal: elementwise(lambda x: 1.0 / x),
    Exp: elementwise(np.exp),
    Expm1: elementwise(np.expm1),
    Log: elementwise(np.log),
    Log1p: elementwise(np.log1p),
    Sin: elementwise(np.sin),
    Cos: elementwise(np.cos),
    Tan: elementwise(np.tan),
    Asin: elementwise(np.arcsin),
    Acos: elementwise(np.arccos),
    Atan: elementwise(np.arctan),
    Sinh: elementwise(np.sinh),
    Cosh: elementwise(np.cosh),
    Tanh: elementwise(np.tanh),
    Erf: elementwise(erf),
    Floor: elementwise(np.floor),
    Ceil: elementwise(np.ceil),
    Round: elementwise(np.rint),
    Trunc: elementwise(np.trunc),
}
