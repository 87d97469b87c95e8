"""What rounding may decide is declined."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ir import Node, Value
from netdsl.ops.activation import Sigmoid
from netdsl.ops.base import Op
from netdsl.ops.comparison import Le
from netdsl.ops.elementwise import Div
from netdsl.tensor_type import F32, tensor
from tests.random_networks.draft import case_of
from tests.random_networks.worlds import NOISY, Declined, Views, evaluate, holds


def made(op: Op, *operands: Views) -> Views:
    types = [tensor(F32, *views[0].shape) for views in operands]
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
