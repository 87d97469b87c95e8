"""Comparisons, logic and tests of elements in three backends."""

import numpy as np
import pytest

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.ops.comparison import Eq, Ge, Gt, IsInf, IsNan, Le, LogicalAnd, LogicalNot, LogicalOr, LogicalXor, Lt, Ne
from netdsl.tensor_type import BF16, BOOL, F16, F32, F64, I8, I16, I32, I64, U8, DType, ShapeError, tensor
from tests.ops.harness import check_op, evaluate, given

FLOATS = (F32, F64, F16)
COMPARISONS: list[Op] = [Eq(), Ne(), Lt(), Le(), Gt(), Ge()]
LOGIC: list[Op] = [LogicalAnd(), LogicalOr(), LogicalXor()]
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0)


@pytest.mark.parametrize("op", COMPARISONS, ids=str)
def test_comparisons_of_special_floats_agree(op: Op) -> None:
    check_op(op, (tensor(F32, 6, 1), given(*SPECIAL)), (tensor(F32, 6), given(*SPECIAL)), dtypes=FLOATS)


@pytest.mark.parametrize("dtype", [F32, I64, I32, I16, I8, U8], ids=str)
@pytest.mark.parametrize("op", COMPARISONS, ids=str)
def test_comparisons_agree(op: Op, dtype: DType) -> None:
    """Small whole numbers, so that ties occur."""
    values = given(0, 1, 2, 3), given(2, 1, 0)
    check_op(op, (tensor(dtype, "B", "N"), values[0]), (tensor(dtype, "N"), values[1]))


@pytest.mark.parametrize("op", [Eq(), Ne(), *LOGIC], ids=str)
def test_logic_agrees(op: Op) -> None:
    check_op(op, tensor(BOOL, "B", "N"), tensor(BOOL, "N"))


def test_not_agrees() -> None:
    check_op(LogicalNot(), tensor(BOOL, "B", "N"))


@pytest.mark.parametrize("op", [IsNan(), IsInf()], ids=str)
def test_tests_of_floats_agree(op: Op) -> None:
    check_op(op, (tensor(F32, "N"), given(*SPECIAL)), sizes={"N": (6, 0)}, dtypes=(*FLOATS, BF16))


def test_comparisons_with_nan_are_false_but_ne() -> None:
    for op in COMPARISONS:
        assert isinstance(op, Ne) == evaluate(op, np.nan, np.nan)


@pytest.mark.parametrize(
    ("op", "dtype"), [(Lt(), BOOL), (LogicalAnd(), I64), (LogicalNot(), F32), (IsNan(), I64)], ids=str
)
def test_kinds_are_checked(op: Op, dtype: DType) -> None:
    with pytest.raises(ShapeError) as caught:
        op.infer((tensor(dtype, 2),) * len(op.operands), Facts.EMPTY)
    assert "E0217" == caught.value.code
