"""Which ops round: none at all, only results that their type does not hold, or always."""

from netdsl.ops.activation import (
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LogSigmoid,
    Mish,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
)
from netdsl.ops.base import Op
from netdsl.ops.comparison import OPS as COMPARISONS
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full, Iota
from netdsl.ops.cumulative import CumProd, CumSum
from netdsl.ops.elementwise import Abs, Add, Cast, Clamp, FloorDiv, Maximum, Minimum, Mod, Mul, Neg, Select, Sign, Sub
from netdsl.ops.gradient import OPS as GRADIENTS
from netdsl.ops.indexing import OneHot, Scatter, ScatterAlong, Take, TakeAlong
from netdsl.ops.masks import OPS as MASKS
from netdsl.ops.pooling import MaxPool
from netdsl.ops.product import Einsum, Matmul
from netdsl.ops.reduction import ReduceAll, ReduceAny, ReduceMax, ReduceMin, ReduceProd, ReduceSum
from netdsl.ops.shape import OPS as SHAPES
from netdsl.ops.sorting import OPS as ORDER
from netdsl.ops.unary import Ceil, Erf, Floor, Round, Trunc

#: Their results are elements of the operands, or small whole numbers.
EXACT: frozenset[type[Op]] = frozenset(
    (
        *COMPARISONS,
        *GRADIENTS,
        *SHAPES,
        *ORDER,
        *MASKS,
        *(Iota, Eye, DimValue, Dropout, OneHot, Take, TakeAlong, MaxPool),
        *(Maximum, Minimum, Neg, Abs, Sign, Select, Relu, HardTanh, Relu6, Floor, Ceil, Round, Trunc),
        *(ReduceMax, ReduceMin, ReduceAny, ReduceAll),
    )
)

#: Sums and products of a few bits: exact where the element type holds the result.
EXACT_IF_HELD: frozenset[type[Op]] = frozenset(
    (
        Add,
        Sub,
        Mul,
        FloorDiv,
        Mod,
        Clamp,
        Cast,
        Constant,
        Full,
        ReduceSum,
        ReduceProd,
        CumSum,
        CumProd,
        Matmul,
        Einsum,
        Scatter,
        ScatterAlong,
    )
)

#: Their kernels are off by so many units of 1, however small the result: what cancels inside is about 1.
SATURATES: frozenset[type[Op]] = frozenset(
    (Celu, Elu, Erf, Gelu, HardSigmoid, HardSwish, LogSigmoid, Mish, Selu, Sigmoid, Silu, Softplus)
)
LOST_IN_SATURATION = 0.5
