"""Softmax and its logarithm: values in three backends, masks and overflow."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax
from netdsl.tensor_type import F16, F32, F64, I64, ShapeError, tensor
from tests.ops.harness import check_op, evaluate, given


@pytest.mark.parametrize("op", [Softmax, LogSoftmax])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax_agrees_in_all_backends(op: type[Softmax], axis: int) -> None:
    check_op(op(axis), tensor(F32, "A", "B", "C"), dtypes=(F16, F32, F64), opsets=(18, 23), gradients=axis == 1)


@pytest.mark.parametrize(("axes", "keep"), [((-1,), False), ((0, 2), True), ((), False), ((1,), True)])
def test_logsumexp_agrees_in_all_backends(axes: tuple[int, ...], keep: bool) -> None:
    check_op(LogSumExp(axes, keep), tensor(F32, "A", "B", "C"), dtypes=(F16, F32, F64), opsets=(18, 23), gradients=True)


def test_logsumexp_of_a_scalar_is_the_scalar() -> None:
    check_op(LogSumExp(), tensor(F32), opsets=(21,))


@pytest.mark.parametrize("op", [Softmax(), LogSoftmax(), LogSumExp((1,))])
def test_large_and_masked_elements_do_not_overflow(op: Op) -> None:
    x = (tensor(F32, 3, 4), given(1000.0, -1000.0, -np.inf, 999.0, -np.inf, 3.0))
    check_op(op, x, opsets=(21,))


def test_logsumexp_of_minus_infinity_is_minus_infinity() -> None:
    check_op(LogSumExp((1,)), (tensor(F32, "A", 3), given(-np.inf)), opsets=(21,))
    assert -np.inf == evaluate(LogSumExp(), np.zeros(0))


def test_a_wholly_masked_slice_is_nan() -> None:
    masked = np.full((1, 3), -np.inf)
    assert np.isnan(evaluate(Softmax(), masked)).all()
    assert np.isnan(evaluate(LogSoftmax(), masked)).all()


def test_softmax_needs_floats() -> None:
    with pytest.raises(ShapeError, match=r"E0217: `softmax` needs float elements, found i64"):
        Softmax(0).infer((tensor(I64, 2),), Facts.EMPTY)
