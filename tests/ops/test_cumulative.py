"""Running sums and products: all directions, zeros, long axes."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ops.cumulative import CumProd, CumSum
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I32, I64, U8, DType, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate, given, integers, uniform

DIRECTIONS = [(False, False), (True, False), (False, True), (True, True)]


@pytest.mark.parametrize("op", [CumSum, CumProd])
@pytest.mark.parametrize(("exclusive", "reverse"), DIRECTIONS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_running_totals_agree_in_all_backends(
    op: type[CumSum | CumProd], axis: int, exclusive: bool, reverse: bool
) -> None:
    check_op(op(axis, exclusive, reverse), tensor(F32, "A", "B", "C"), opsets=(21,), gradients=axis == 1)


@pytest.mark.parametrize("op", [CumSum, CumProd])
@pytest.mark.parametrize("dtype", [F16, F64, I64, I32, I8, U8])
def test_running_totals_keep_their_type(op: type[CumSum | CumProd], dtype: DType) -> None:
    sampler = uniform(0.5, 1.5) if dtype.is_float else integers(0, 3)
    check_op(op(1, exclusive=True), (TensorType(dtype, tensor(F32, "A", "B").axes), sampler), opsets=(18, 23))


@pytest.mark.parametrize("op", [CumSum, CumProd])
def test_i32_wraps_around_where_it_is_exceeded(op: type[CumSum | CumProd]) -> None:
    high = 2**31 - 1 if op is CumSum else 2**15
    check_op(op(0), (tensor(I32, 3, "B"), integers(-high, high)), opsets=(21,))


@pytest.mark.parametrize(("exclusive", "reverse"), DIRECTIONS)
def test_products_of_long_axes_agree(exclusive: bool, reverse: bool) -> None:
    op = CumProd(1, exclusive, reverse)
    sizes = {"A": (2,), "B": (63, 64, 65, 128, 200)}
    check_op(op, (tensor(F32, "A", "B", 2), uniform(0.9, 1.1)), sizes=sizes, opsets=(18, 21))
    check_op(CumProd(0, exclusive, reverse), (tensor(F32, 70), uniform(-1.1, 1.1)), opsets=(21,))


def test_products_of_zeros_and_negatives_are_exact() -> None:
    x = np.array([2.0, -3.0, 0.0, 5.0])
    np.testing.assert_array_equal([2, -6, 0, 0], evaluate(CumProd(0), x))
    np.testing.assert_array_equal([1, 2, -6, 0], evaluate(CumProd(0, exclusive=True), x))
    np.testing.assert_array_equal([0, 0, 0, 5], evaluate(CumProd(0, reverse=True), x))
    check_op(CumProd(1), (tensor(F32, "A", "B"), given(2.0, -3.0, 0.0, 5.0, -1.0)), opsets=(21,), gradients=True)


def test_running_totals_need_numbers() -> None:
    with pytest.raises(ShapeError, match=r"E0217: `cumsum` needs float or int elements, found bool"):
        CumSum(0).infer((tensor(BOOL, 2),), Facts.EMPTY)
