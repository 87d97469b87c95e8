"""Order: ties, index types, values in three backends."""

import numpy as np
import pytest

from netdsl.dims import Dim, Facts, parse_dim
from netdsl.ops.base import Op
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I16, I32, I64, U8, DType, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate, integers

#: Few values, so that most elements have an equal one.
TIES = integers(0, 2)


def error(op: Op, *types: TensorType, facts: Facts = Facts.EMPTY) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.normalised(types).infer(types, facts)
    return caught.value


@pytest.mark.parametrize("op", [ArgMax, ArgMin])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_first_of_equal_elements_is_found(op: type[ArgMax | ArgMin], axis: int, keep: bool) -> None:
    shape: list[int | str] = ["A", "B", "A"]
    shape[axis] = 7
    sizes = {"A": (3, 1, 0), "B": (4, 0)} if axis != 1 else {"A": (3, 1, 0)}
    check_op(op(axis, keep), (tensor(F32, *shape), TIES), sizes=sizes, dtypes=(F16, F32, F64), opsets=(18, 21))
    check_op(op(axis, keep), tensor(F32, 200, 50, 30), opsets=(21,))


@pytest.mark.parametrize("dtype", [I64, I32, I16, I8, U8])
def test_integers_are_ordered_in_every_type(dtype: DType) -> None:
    x = (TensorType(dtype, tensor(F32, 3, 9).axes), integers(0 if dtype == U8 else -3, 3))
    for op in (ArgMax(1), ArgMin(0), TopK(Dim.of(4)), Sort(descending=True)):
        check_op(op, x, opsets=(21,))


def test_rows_of_one_value_give_index_0() -> None:
    for value in (0.0, -np.inf, np.inf):
        assert 0 == evaluate(ArgMax(0), np.full(4, value))
        check_op(ArgMin(1), (tensor(F32, 2, 5), lambda rng, shape, value=value: np.full(shape, value)), opsets=(21,))
        check_op(ArgMax(1), (tensor(F32, 2, 5), lambda rng, shape, value=value: np.full(shape, value)), opsets=(21,))


def test_indices_into_a_named_axis_are_typed() -> None:
    x = tensor(F32, "B", "N")
    assert "idx[N][B]" == str(ArgMax(1).infer((x,), Facts.EMPTY)[0])
    assert "i64[B]" == str(ArgMax(1).infer((tensor(F32, "B", 3),), Facts.EMPTY)[0])
    assert "idx[N][B, 1]" == str(ArgMin(1, keep=True).infer((x,), Facts.EMPTY)[0])
    assert ["f32[B, N]", "idx[N][B, N]"] == [str(t) for t in Sort(1).infer((x,), Facts.EMPTY)]
    assert [None, None] == [t.axes[1].name for t in Sort(1).infer((x,), Facts.EMPTY)]


def test_what_cannot_be_ordered_is_named() -> None:
    assert "E0209" == error(ArgMax(0), tensor(F32, 0)).code
    assert "E0217" == error(ArgMax(0), tensor(BOOL, 3)).code
    assert "E0206" == error(Sort(), tensor(F32)).code
    assert "E0209: `topk` takes 4 of the 3 elements of axis 0: 4 <= 3 is false" == str(
        error(TopK(Dim.of(4)), tensor(F32, 3))
    )
    unknown = error(TopK(Dim.of(4)), tensor(F32, "N"))
    assert ("E0208", "add `where 4 <= N` to the header") == (unknown.code, unknown.help)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(("axis", "k"), [(0, 1), (1, 3), (-1, 5), (-1, 0)])
def test_topk_keeps_the_order_of_equal_elements(axis: int, k: int, largest: bool) -> None:
    shape: list[int | str] = ["A", "B"]
    shape[axis] = 5
    x = (tensor(F32, *shape), TIES)
    check_op(TopK(Dim.of(k), axis, largest), x, dtypes=(F16, F32, F64), opsets=(18, 21), gradients=False)
    wide = list(shape)
    wide[axis] = 300
    check_op(TopK(Dim.of(k * 20), axis, largest), (tensor(F32, *wide), TIES), opsets=(21,))


def test_topk_takes_a_free_count() -> None:
    x = (tensor(F32, "A", "N"), TIES)
    check_op(TopK(parse_dim("N // 2")), x, opsets=(18, 21))
    check_op(TopK(Dim.of("N"), largest=False), x, opsets=(21,))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_sort_is_stable_in_both_directions(axis: int, descending: bool) -> None:
    check_op(Sort(axis, descending), (tensor(F32, "A", "B"), TIES), dtypes=(F16, F32, F64), opsets=(18, 21))
    check_op(Sort(axis, descending), (tensor(F32, 70, 70), TIES), opsets=(21,))
    values, order = evaluate(Sort(0, descending), np.array([1.0, 0.0, 1.0, 0.0]))
    assert ([0, 2, 1, 3] if descending else [1, 3, 0, 2]) == order.tolist()
    assert sorted(values, reverse=descending) == values.tolist()


@pytest.mark.parametrize("op", [Sort(1), Sort(0, True), TopK(Dim.of(2), 1)])
def test_gradients_go_to_the_elements_chosen(op: Op) -> None:
    check_op(op, tensor(F32, 3, 4), gradients=True, backends=("torch",))
