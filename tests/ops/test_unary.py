"""Functions of one float element in three backends."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.ops.unary import (
    OPS,
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
from netdsl.tensor_type import BF16, F16, F32, F64, I64, ShapeError, tensor
from tests.ops.harness import Sampler, away_from, check_op, evaluate, given, uniform

FLOATS = (F32, F64, F16)
#: Where each function is well conditioned.
RANGES: dict[type[Op], Sampler] = {
    Sqrt: uniform(0.1, 9),
    Rsqrt: uniform(0.1, 9),
    Reciprocal: away_from(0.0, margin=0.3),
    Exp: uniform(-5, 3),
    Expm1: uniform(-5, 3),
    Log: uniform(0.1, 9),
    Log1p: uniform(-0.8, 9),
    Sin: uniform(-7, 7),
    Cos: uniform(-7, 7),
    Tan: uniform(-1.3, 1.3),
    Asin: uniform(-0.95, 0.95),
    Acos: uniform(-0.95, 0.95),
    Atan: uniform(-9, 9),
    Sinh: uniform(-3, 3),
    Cosh: uniform(-3, 3),
    Tanh: uniform(-4, 4),
    Erf: uniform(-3, 3),
    **dict.fromkeys((Floor, Ceil, Round, Trunc), away_from(*(n / 2 for n in range(-20, 21)), margin=0.03)),
}
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.5, -2.5, 0.5, -0.5, 3.5, -1.75)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_functions_agree(op: type[Op]) -> None:
    check_op(op(), (tensor(F32, "B", "N"), RANGES[op]), dtypes=FLOATS, gradients=True)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_functions_agree_at_special_values(op: type[Op]) -> None:
    check_op(op(), (tensor(F32, len(SPECIAL)), given(*SPECIAL)), dtypes=FLOATS, opsets=(18, 21))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_bf16_agrees_in_torch(op: type[Op]) -> None:
    check_op(op(), (tensor(BF16, "N"), RANGES[op]), backends=("torch",))


@pytest.mark.parametrize("op", [Expm1(), Log1p(), Sinh(), Asin(), Atan(), Tan(), Tanh(), Sin()], ids=str)
def test_functions_lose_nothing_near_zero(op: Op) -> None:
    """Relative error, where the value itself is tiny."""
    tiny = given(*(sign * 10.0**-n for n in range(1, 8) for sign in (1, -1)))
    tight = {F32: (3e-6, 0.0), F64: (1e-11, 0.0)}
    dtypes = (F32,) if isinstance(op, Sinh | Asin | Atan) else (F32, F64)
    check_op(op, (tensor(F32, 14), tiny), dtypes=dtypes, tolerance=tight)


def test_functions_reach_far() -> None:
    check_op(Log1p(), (tensor(F32, 6), given(1e30, 1e4, -0.999, -1.0, 1.0, -0.5)), dtypes=(F32, F64))
    check_op(Expm1(), (tensor(F32, 5), given(80.0, -80.0, 1.0, -1.0, 20.0)), dtypes=(F32, F64))
    check_op(Atan(), (tensor(F32, 4), given(1e30, -1e30, 1e4, -50.0)), dtypes=(F32, F64))
    check_op(Erf(), (tensor(F32, 6), given(3.9, -3.9, 6.0, -6.0, 30.0, 1.0)), dtypes=(F32, F64))


def test_halves_round_to_even() -> None:
    assert [0.0, 2.0, 2.0, -2.0, 4.0] == evaluate(Round(), [0.5, 1.5, 2.5, -2.5, 3.5]).tolist()


def test_error_function_is_exact() -> None:
    import math

    x = np.concatenate([np.linspace(-7, 7, 20_001), 10.0 ** np.arange(-300, 3)])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(evaluate(Erf(), x), expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_integers_are_refused(op: type[Op]) -> None:
    with pytest.raises(ShapeError) as caught:
        op().infer((tensor(I64, 2),), Facts.EMPTY)
    assert "E0217" == caught.value.code
