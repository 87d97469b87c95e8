"""What rounding may decide is declined."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ir import Node, Value
from netdsl.ops.activation import Sigmoid
from netdsl.ops.base import Op
from netdsl.ops.comparison import Le
from netdsl.ops.cumulative import CumProd
from netdsl.ops.elementwise import Div
from netdsl.ops.reduction import ReduceMax, ReduceProd
from netdsl.tensor_type import F16, F32, I64, DType, tensor
from tests.random_networks.draft import case_of
from tests.random_networks.worlds import NOISY, Declined, Views, evaluate, holds


def made(op: Op, *operands: Views, dtype: DType = F32) -> Views:
    types = [tensor(dtype, *views[0].shape) for views in operands]
    (result,) = op.infer(tuple(types), Facts.EMPTY)
    node = Node(op, tuple(Value(t, "x") for t in types), (Value(result, "y"),))
    return evaluate(node, operands, case_of({}, (1,)))[0]


def held(*values: float) -> Views:
    array = np.array(values)
    assert holds(F32, array)
    return (array,) * (1 + NOISY)


@pytest.mark.parametrize(("op", "expected"), [(Le(), True), (Div(), 0.0)])
def test_a_sigmoid_that_may_be_0_neither_divides_nor_is_compared_with_0(op: Op, expected: float) -> None:
    small = made(Sigmoid(), held(-38.0))
    with pytest.raises(Declined, match="rounding"):
        made(op, held(0.0), small)
    np.testing.assert_array_equal([expected], made(op, held(0.0), made(Sigmoid(), held(-3.0)))[0])


@pytest.mark.parametrize("op", [ReduceProd(), CumProd(0)])
@pytest.mark.parametrize("values", [(0.0, *[3.0] * 12), (*[2.0**-5] * 4, 8.0)])
def test_parts_of_a_product_neither_overflow_nor_vanish(op: Op, values: tuple[float, ...]) -> None:
    with pytest.raises(Declined, match="parts of a product"):
        made(op, held(*values), dtype=F16)
    made(op, held(0.0, 3.0, 2.0**-5), dtype=F16)


def test_the_least_whole_number_is_large() -> None:
    nothing = (np.zeros(0, np.int64),) * (1 + NOISY)
    with pytest.raises(Declined, match="a large whole number"):
        made(ReduceMax(), nothing, dtype=I64)
