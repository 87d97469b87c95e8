"""Triangles and lengths: diagonals, element types, values in three backends."""

import pytest

from netdsl.dims import Dim, Facts
from netdsl.ops.masks import LengthMask, Tril, TriMask, Triu
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I16, I32, I64, U8, DType, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, integers


@pytest.mark.parametrize("op", [Tril, Triu])
@pytest.mark.parametrize("diagonal", [0, 1, -1, 9, -9])
def test_triangles_agree_in_all_backends(op: type[Tril | Triu], diagonal: int) -> None:
    check_op(op(diagonal), tensor(F32, "A", "B", "C"), dtypes=(F16, F32, F64), opsets=(18, 21), gradients=diagonal == 0)
    check_op(op(diagonal), tensor(F32, "A", 4), opsets=(21,))


@pytest.mark.parametrize("op", [Tril, Triu])
@pytest.mark.parametrize("dtype", [BOOL, I64, I32, I16, I8, U8])
def test_triangles_of_every_element_type(op: type[Tril | Triu], dtype: DType) -> None:
    check_op(op(), TensorType(dtype, tensor(F32, "A", 4).axes), opsets=(21,))


@pytest.mark.parametrize("diagonal", [0, 2, -2])
def test_the_causal_mask_agrees_in_all_backends(diagonal: int) -> None:
    check_op(TriMask(Dim.of("N"), Dim.of("M"), diagonal), opsets=(18, 21))
    check_op(TriMask(Dim.of("N"), Dim.of(3), diagonal), opsets=(21,))
    check_op(TriMask(Dim.of(4), Dim.of("N") + 1, diagonal), opsets=(21,))


@pytest.mark.parametrize("dtype", [I64, I32])
@pytest.mark.parametrize("axes", [("B",), (), ("B", 2)])
def test_the_length_mask_agrees_in_all_backends(axes: tuple[str | int, ...], dtype: DType) -> None:
    length = (TensorType(dtype, tensor(F32, *axes).axes), integers(-1, 6))
    check_op(LengthMask(Dim.of(5)), length, opsets=(18, 21))
    check_op(LengthMask(Dim.of("T")), length, opsets=(21,))


def test_wrong_operands_are_named() -> None:
    with pytest.raises(ShapeError, match=r"E0205: `tril` needs rows and columns, found f32\[3\]"):
        Tril().infer((tensor(F32, 3),), Facts.EMPTY)
    with pytest.raises(ShapeError, match=r"E0217: `length_mask` needs lengths of type i64 or i32, found f32"):
        LengthMask(Dim.of(3)).infer((tensor(F32, 3),), Facts.EMPTY)
    with pytest.raises(ShapeError, match="E0209"):
        TriMask(Dim.of(-1), Dim.of(3)).infer((), Facts.EMPTY)
