"""Arithmetic, select, clamp and cast in three backends."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Div,
    FloorDiv,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Pow,
    Select,
    Sign,
    Sub,
)
from netdsl.tensor_type import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    Axis,
    DType,
    ShapeError,
    TensorType,
    idx,
    tensor,
)
from tests.ops.harness import Sampler, away_from, check_op, evaluate, given, integers, uniform

FLOATS = (F32, F64, F16)
INTS = (I64, I32, I16, I8, U8)
NAN, INF = np.nan, np.inf

#: Binary ops with samplers of operands on which each is well conditioned.
BINARY: list[tuple[Op, Sampler, Sampler]] = [
    (Add(), uniform(-3, 3), uniform(-3, 3)),
    (Sub(), uniform(-3, 3), uniform(-3, 3)),
    (Mul(), uniform(-3, 3), uniform(-3, 3)),
    (Div(), uniform(-3, 3), away_from(0.0, margin=0.5)),
    (FloorDiv(), uniform(-9, 9), away_from(0.0, margin=0.5)),
    (Mod(), uniform(-9, 9), away_from(0.0, margin=0.5)),
    (Pow(), uniform(0.2, 3), uniform(-2, 3)),
    (Maximum(), uniform(-3, 3), uniform(-3, 3)),
    (Minimum(), uniform(-3, 3), uniform(-3, 3)),
]
UNARY: list[Op] = [Neg(), Abs(), Sign(), Clamp(-1.0, 1.5), Clamp(low=0.0), Clamp(high=0.5), Clamp()]


@pytest.mark.parametrize(("op", "left", "right"), BINARY, ids=lambda v: v.name if isinstance(v, Op) else "")
def test_floats_agree(op: Op, left: Sampler, right: Sampler) -> None:
    check_op(op, (tensor(F32, "B", "N"), left), (tensor(F32, "B", "N"), right), dtypes=FLOATS, gradients=True)


@pytest.mark.parametrize("op", UNARY, ids=str)
def test_unary_floats_agree(op: Op) -> None:
    x = (tensor(F32, "B", 3), away_from(0.0, -1.0, 1.5, 0.5))
    check_op(op, x, dtypes=FLOATS, gradients=True)


@pytest.mark.parametrize("dtype", INTS, ids=str)
@pytest.mark.parametrize("op", [Add(), Sub(), Mul(), Maximum(), Minimum(), FloorDiv(), Mod(), Pow()], ids=str)
def test_ints_agree(op: Op, dtype: DType) -> None:
    low = 0 if dtype == U8 else -9
    right = integers(0, 2) if isinstance(op, Pow) else given(3, 2, 7, 1) if dtype == U8 else given(3, -2, -7, 1, -1)
    check_op(op, (tensor(dtype, "N", 7), integers(low, 9)), (tensor(dtype, "N", 7), right), opsets=(21,))


@pytest.mark.parametrize("dtype", INTS, ids=str)
@pytest.mark.parametrize("op", [Neg(), Abs(), Sign(), Clamp(2, 4)], ids=str)
def test_unary_ints_agree(op: Op, dtype: DType) -> None:
    check_op(op, tensor(dtype, "N", 7), opsets=(21,))


@pytest.mark.parametrize("op", [Add(), Mul(), Maximum(), Div(), Sign(), Clamp(0.0, 1.0)], ids=str)
def test_bf16_agrees_in_torch(op: Op) -> None:
    operands = [tensor(BF16, "N", 3)] * len(op.operands)
    check_op(op, *operands, backends=("torch",))


@pytest.mark.parametrize("op", [Add(), Div(), Pow(), Maximum(), FloorDiv(), Mod()], ids=str)
def test_special_floats_agree(op: Op) -> None:
    """Every pair of NaN, infinities, zeros and ordinary numbers."""
    points = [NAN, INF, -INF, 0.0, 1.0, -1.0, 2.5, -2.5]
    left = (tensor(F32, 8, 1), given(*points))
    right = (tensor(F32, 8), given(*points))
    check_op(op, left, right, dtypes=FLOATS, opsets=(21,))


@pytest.mark.parametrize("op", [Neg(), Abs(), Sign(), Clamp(-1.0, 1.0), Clamp(1.0, -1.0)], ids=str)
def test_special_floats_agree_unary(op: Op) -> None:
    check_op(op, (tensor(F32, 8), given(NAN, INF, -INF, 0.0, 1.0, -1.0, 2.5, -2.5)), dtypes=FLOATS)


def test_operands_broadcast_from_the_right() -> None:
    check_op(Add(), tensor(F32, "B", 1, "N"), tensor(F32, 4, 1), gradients=True)
    check_op(Mul(), tensor(F32), tensor(F32, "N"), gradients=True)
    check_op(Select(), tensor(BOOL, "N", 1), tensor(F32, 3), tensor(F32), gradients=True)


@pytest.mark.parametrize("dtype", [F32, F64, F16, BOOL, *INTS], ids=str)
def test_select_agrees(dtype: DType) -> None:
    check_op(Select(), tensor(BOOL, "B", "N"), tensor(dtype, "B", "N"), tensor(dtype, "N"), gradients=dtype == F32)


def test_select_keeps_indices() -> None:
    i = TensorType(idx(Axis("N", tensor(F32, "N").sizes[0])), tensor(F32, "B").axes)
    (result,) = Select().infer((tensor(BOOL, "B"), i, i), Facts.EMPTY)
    assert i == result
    (result,) = Select().infer((tensor(BOOL, "B"), i, tensor(I64, "B")), Facts.EMPTY)
    assert tensor(I64, "B") == result


def test_select_ignores_what_is_not_chosen() -> None:
    assert [1.0, 4.0] == evaluate(Select(), [True, False], [1.0, NAN], [NAN, 4.0]).tolist()


@pytest.mark.parametrize("new", [F64, F32, F16, BOOL, *INTS], ids=str)
@pytest.mark.parametrize("old", [F64, F32, F16, BOOL, *INTS], ids=str)
def test_cast_agrees(old: DType, new: DType) -> None:
    values = given(0, 1.9, 2.5, 0.5, 100, 3) if new == U8 else given(0, 1.9, -1.9, -0.5, 0.5, 100, -100)
    sampler = (lambda rng, shape: np.abs(given(0, 1, 3, 100)(rng, shape))) if old == U8 else values
    check_op(Cast(new), (tensor(old, "N", 7), sampler), opsets=(21,))


def test_cast_keeps_the_low_bits_of_integers() -> None:
    wide = [300, -300, 1 << 31, 255]
    check_op(Cast(I8), (tensor(I64, 4), given(*wide)))
    check_op(Cast(I32), (tensor(I64, 4), given(*wide)))
    assert [44, -44, 0, -1] == evaluate(Cast(I8), wide).tolist()


def test_cast_of_nan_is_true() -> None:
    check_op(Cast(BOOL), (tensor(F32, 4), given(NAN, 0.0, 0.25, -INF)), dtypes=FLOATS)


def test_floor_division_is_exact() -> None:
    assert 9.0 == evaluate(FloorDiv(), 1.0, 0.1)
    check_op(FloorDiv(), (tensor(F32, 64), uniform(-50, 50)), (tensor(F32, 64), given(0.1, -0.1, 0.3)))
    check_op(FloorDiv(), (tensor(F32, 64), integers(-50, 50)), (tensor(F32, 64), given(0.5, -0.25, 4)))


def test_floor_and_mod_follow_python() -> None:
    for a in (7, -7, 6, -6):
        for b in (3, -3):
            assert a // b == evaluate(FloorDiv(), a, b)
            assert a % b == evaluate(Mod(), a, b)
            assert float(a) // b == evaluate(FloorDiv(), float(a), float(b))
            assert float(a) % b == evaluate(Mod(), float(a), float(b))


def test_int_powers_round_towards_zero() -> None:
    base, exponent = [2, -1, -1, 1, 0, -3, 10], [-1, -3, -2, -9, 0, 3, 9]
    assert [0, -1, 1, 1, 1, -27, 10**9] == evaluate(Pow(), base, exponent).tolist()
    check_op(Pow(), (tensor(I64, 7), given(*base)), (tensor(I64, 7), given(*exponent)))


def test_high_bound_wins() -> None:
    assert [-1.0, -1.0] == evaluate(Clamp(1.0, -1.0), [5.0, -5.0]).tolist()


def test_arithmetic_on_indices_is_i64() -> None:
    i = TensorType(idx(Axis("N", tensor(F32, "N").sizes[0])), tensor(F32, "B").axes)
    for op in (Add(), Sub(), Maximum(), Mod()):
        assert (tensor(I64, "B"),) == op.infer((i, i), Facts.EMPTY)
    assert (tensor(I64, "B"),) == Neg().infer((i,), Facts.EMPTY)
    check_op(Add(), i, i, sizes={"B": (3,), "N": (4,)})


def refused(op: Op, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, Facts.EMPTY)
    return caught.value


def test_bool_arithmetic_is_refused() -> None:
    for op in (Add(), Mul(), Maximum()):
        assert "E0217" == refused(op, tensor(BOOL, 2), tensor(BOOL, 2)).code
    assert "E0217" == refused(Neg(), tensor(BOOL, 2)).code


def test_division_of_integers_is_refused_with_the_right_sign() -> None:
    error = refused(Div(), tensor(I64, 2), tensor(I64, 2))
    assert "E0217" == error.code
    assert "`//`" in (error.help or "")


def test_element_types_do_not_mix() -> None:
    assert "E0201" == refused(Add(), tensor(F32, 2), tensor(F64, 2)).code
    error = refused(Select(), tensor(BOOL, 2), tensor(F32, 2), tensor(I64, 2))
    assert ("E0201", 2) == (error.code, error.operand)


def test_sizes_must_agree() -> None:
    assert "E0202" == refused(Add(), tensor(F32, 2), tensor(F32, 3)).code
    assert "E0207" == refused(Add(), tensor(F32, "N"), tensor(F32, "M")).code


def test_bounds_must_be_values_of_the_type() -> None:
    assert "E0201" == refused(Clamp(0.5), tensor(I64, 2)).code
    assert "E0201" == refused(Clamp(high=300), tensor(U8, 2)).code


def test_cast_makes_no_indices() -> None:
    assert "E0217" == refused(Cast(idx(tensor(F32, "N").axes[0])), tensor(I64, 2)).code
