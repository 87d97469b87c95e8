"""Reductions: types, values in three backends, what they give over nothing."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ops.reduction import (
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Reduction,
    Variance,
)
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I16, I32, I64, U8, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate, integers, uniform

NUMERIC: list[type[Reduction]] = [ReduceSum, ReduceMean, ReduceProd, ReduceMax, ReduceMin, Variance]
WHOLE: list[type[Reduction]] = [ReduceSum, ReduceProd, ReduceMax, ReduceMin]


def error(op: Reduction, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.normalised(types).infer(types, Facts.EMPTY)
    return caught.value


@pytest.mark.parametrize("op", NUMERIC)
@pytest.mark.parametrize("keep", [False, True])
def test_reductions_agree_in_all_backends(op: type[Reduction], keep: bool) -> None:
    check_op(op(axes=(1,), keep=keep), tensor(F32, "A", "B", "C"), dtypes=(F16, F32, F64), opsets=(18, 23))


@pytest.mark.parametrize("op", NUMERIC)
@pytest.mark.parametrize("axes", [(), (0, -1), (-2,), (2, 1)])
def test_reductions_take_several_axes_or_all(op: type[Reduction], axes: tuple[int, ...]) -> None:
    check_op(op(axes=axes), (tensor(F32, "A", "B", "C"), uniform(-1.5, 1.5)), opsets=(21,))


@pytest.mark.parametrize("op", NUMERIC)
def test_reductions_of_a_scalar_change_nothing(op: type[Reduction]) -> None:
    check_op(op(), tensor(F32), opsets=(21,))
    check_op(op(keep=True), tensor(F64), opsets=(21,))


@pytest.mark.parametrize("op", WHOLE)
@pytest.mark.parametrize("dtype", [I64, I32, I16, I8, U8])
def test_integers_wrap_around_in_their_own_type(op: type[Reduction], dtype: object) -> None:
    assert hasattr(dtype, "bits")
    sampler = integers(0 if dtype == U8 else -100, 100)
    check_op(op(axes=(0,)), (TensorType(dtype, tensor(F32, "A", "B").axes), sampler), opsets=(21,))


@pytest.mark.parametrize("op", [ReduceSum, ReduceProd])
def test_i32_wraps_around_where_it_is_exceeded(op: type[Reduction]) -> None:
    high = 2**31 - 1 if op is ReduceSum else 2**15
    check_op(op(axes=(0,)), (tensor(I32, 3, "B"), integers(-high, high)), opsets=(21,))


@pytest.mark.parametrize("op", [ReduceAny, ReduceAll])
@pytest.mark.parametrize(("axes", "keep"), [((1,), False), ((0, 2), True), ((), False)])
def test_any_and_all_agree_in_all_backends(op: type[Reduction], axes: tuple[int, ...], keep: bool) -> None:
    check_op(op(axes=axes, keep=keep), tensor(BOOL, "A", "B", "C"), opsets=(18, 20, 23))


@pytest.mark.parametrize("correction", [1, 2])
def test_variance_divides_by_one_at_least(correction: int) -> None:
    check_op(Variance((0, 1), correction=correction), tensor(F32, "A", "B"), dtypes=(F16, F32), opsets=(18, 21))
    check_op(Variance((1,), True, correction), tensor(F32, 3, 1), opsets=(21,))


def test_reductions_over_nothing_give_the_documented_values() -> None:
    x = np.zeros((0, 2))
    expected = {ReduceSum: 0, ReduceMean: 0, ReduceProd: 1, ReduceMax: -np.inf, ReduceMin: np.inf, Variance: 0}
    for op, value in expected.items():
        np.testing.assert_array_equal(np.full(2, value), evaluate(op((0,)), x))
    np.testing.assert_array_equal([False] * 2, evaluate(ReduceAny((0,)), x.astype(bool)))
    np.testing.assert_array_equal([True] * 2, evaluate(ReduceAll((0,)), x.astype(bool)))


@pytest.mark.parametrize("op", NUMERIC)
def test_gradients_are_the_derivatives(op: type[Reduction]) -> None:
    check_op(op(axes=(1,)), (tensor(F32, "A", "B"), uniform(0.5, 2.0)), gradients=True, backends=("torch",))


def test_product_has_a_gradient_at_zero() -> None:
    def sampler(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        x = rng.uniform(0.5, 2.0, shape)
        x[..., :1] = 0
        return x

    check_op(ReduceProd((1,)), (tensor(F32, "A", "B"), sampler), gradients=True, backends=("torch",))


def test_kept_axes_lose_their_name_and_others_keep_it() -> None:
    x = tensor(F32, "A", "B", "C")
    assert "f32[A, 1, C]" == str(ReduceSum((1,), True).infer((x,), Facts.EMPTY)[0])
    assert "f32[B]" == str(ReduceMax((0, 2)).infer((x,), Facts.EMPTY)[0])
    assert "f32" == str(ReduceMean().infer((x,), Facts.EMPTY)[0])
    assert (0, 2) == ReduceSum((-1, 0)).normalised((x,)).axes


def test_wrong_operands_are_named() -> None:
    assert "E0206: `sum` has no axis 2: its operand has 2 axes" == str(error(ReduceSum((2,)), tensor(F32, 2, 3)))
    assert "E0206: `max` names axis 1 twice" == str(error(ReduceMax((1, -1)), tensor(F32, 2, 3)))
    assert "E0217: `mean` needs float elements, found i64" == str(error(ReduceMean(), tensor(I64, 2)))
    assert "E0217: `any` needs bool elements, found f32" == str(error(ReduceAny(), tensor(F32, 2)))
    assert "E0219" == error(Variance(correction=-1), tensor(F32, 2)).code
