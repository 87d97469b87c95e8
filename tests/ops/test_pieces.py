"""Joins and cuts: names, proofs, values in three backends, empty parts."""

import numpy as np
import pytest

from netdsl.dims import Dim, Facts, parse_dim
from netdsl.ops.base import Op
from netdsl.ops.pieces import PAD_MODES, Concat, Pad, Pick, Slice, Split, Stack, Unstack
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I16, I64, U8, Axis, DType, ShapeError, TensorType, idx, tensor
from tests.ops.harness import check_op, evaluate

EVERY = (F16, F32, F64)


def d(size: int | str) -> Dim:
    return Dim.of(size) if isinstance(size, int) else parse_dim(size)


def pairs(*sizes: tuple[int | str, int | str]) -> tuple[tuple[Dim, Dim], ...]:
    return tuple((d(before), d(after)) for before, after in sizes)


def at_least(name: str, size: int) -> Facts:
    return Facts.EMPTY.with_bounds(name, size, None)


def infer(op: Op, *types: TensorType, facts: Facts = Facts.EMPTY) -> str:
    return ", ".join(map(str, op.normalised(types).infer(types, facts)))


def error(op: Op, *types: TensorType, facts: Facts = Facts.EMPTY) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.normalised(types).infer(types, facts)
    return caught.value


@pytest.mark.parametrize("axis", [0, -1])
def test_concat_and_stack_agree_in_all_backends(axis: int) -> None:
    x, y = tensor(F32, "A", "B"), tensor(F32, "A", "B")
    for op in (Concat(axis), Stack(axis)):
        check_op(op, x, y, x, dtypes=EVERY, opsets=(18, 21), gradients=True)
        check_op(op, x, opsets=(21,))


@pytest.mark.parametrize("dtype", [BOOL, I64, I16, I8, U8])
def test_joins_and_cuts_take_every_element_type(dtype: DType) -> None:
    x = TensorType(dtype, tensor(F32, "A", 4).axes)
    for op in (Split((d(1), d(3)), 1), Unstack(1), Slice(1, d(1), d(3)), Pick(1, d(2)), Pad(pairs((1, 2)), value=1)):
        check_op(op, x, opsets=(21,))
    check_op(Concat(0), x, x, opsets=(21,))
    check_op(Pad(pairs((2, 1)), "reflect"), x, opsets=(18, 21))


def test_concat_joins_sizes_and_drops_the_name() -> None:
    x, y = tensor(F32, "A", "N"), tensor(F32, "A", 3)
    check_op(Concat(1), x, y, opsets=(21,))
    assert "f32[A, N + 3]" == infer(Concat(1), x, y)
    assert [None] == [a.name for a in Concat(0).infer((tensor(F32, "N"), tensor(F32, "N")), Facts.EMPTY)[0].axes]
    assert "f32[A, N]" == infer(Concat(0), x)
    assert "f32[2, A, N]" == infer(Stack(0), x, x)
    assert "f32[A, N, 2]" == infer(Stack(-1), x, x)


def test_operands_that_do_not_join_are_named() -> None:
    x = tensor(F32, "A", 3)
    assert "E0202: `concat` needs equal sizes: 3 and 4" == str(error(Concat(0), x, tensor(F32, "A", 4)))
    assert "E0207" == error(Concat(1), x, tensor(F32, "B", 3)).code
    assert "E0201" == error(Concat(0), x, tensor(F64, "A", 3)).code
    assert "E0205" == error(Concat(0), x, tensor(F32, 3)).code
    assert "E0205" == error(Concat(0)).code
    assert "E0205" == error(Stack(0)).code
    assert "E0202" == error(Stack(0), x, tensor(F32, "A", 4)).code
    assert "E0206" == error(Stack(3), x).code


@pytest.mark.parametrize(
    ("sizes", "x"),
    [
        ((1, 3), tensor(F32, "A", 4)),
        ((4,), tensor(F32, "A", 4)),
        ((0, 4, 0), tensor(F32, "A", 4)),
        ((), tensor(F32, 0)),
    ],
)
def test_split_agrees_in_all_backends(sizes: tuple[int, ...], x: TensorType) -> None:
    if sizes:
        check_op(Split(tuple(map(d, sizes))), x, dtypes=EVERY, opsets=(18, 21), gradients=True)
    assert len(sizes) == len(Split(tuple(map(d, sizes))).normalised((x,)).infer((x,), Facts.EMPTY))


def test_split_takes_free_sizes_that_add_up() -> None:
    op = Split((d("N"), d("N + M")), 0)
    assert "f32[N], f32[M + N]" == infer(op, TensorType(F32, (Axis(None, d("2 * N + M")),)))
    assert "E0202" == error(Split((d(1), d(2))), tensor(F32, 4)).code
    unknown = error(Split((d(1), d("N"))), tensor(F32, "M"))
    assert ("E0208", "add `where M == N + 1` to the header") == (unknown.code, unknown.help)
    assert "E0209" == error(Split((d(-1), d(5))), tensor(F32, 4)).code


def test_split_agrees_at_free_sizes() -> None:
    x = TensorType(F32, (Axis(None, d("2 * N + 1")), Axis("N", d("N"))))
    check_op(Split((d("N"), d(1), d("N")), 0), x, opsets=(21,))


def test_unstack_gives_one_result_an_entry() -> None:
    check_op(Unstack(1), tensor(F32, "A", 3, 2), dtypes=EVERY, opsets=(18, 21), gradients=True)
    assert "f32[A], f32[A]" == infer(Unstack(1), tensor(F32, "A", 2))
    assert "E0208" == error(Unstack(0), tensor(F32, "A", 2)).code


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [(0, 5, 1), (1, 4, 1), (2, 5, 1), (0, 5, 2), (1, 4, 3), (3, 3, 1), (5, 5, 2)],
)
def test_slice_agrees_in_all_backends(start: int, stop: int, step: int) -> None:
    check_op(Slice(1, d(start), d(stop), step), tensor(F32, "A", 5, 2), dtypes=EVERY, opsets=(18, 21), gradients=True)


@pytest.mark.parametrize(
    ("start", "stop", "step"), [("1", "N", 1), ("0", "N - 1", 1), ("N - 2", "N", 1), ("0", "N", 3)]
)
def test_slices_of_free_axes_are_proved(start: str, stop: str, step: int) -> None:
    facts = at_least("N", 2)
    check_op(Slice(0, d(start), d(stop), step), tensor(F32, "N", "A"), facts=facts, sizes={"A": (2, 0), "N": (2, 5, 6)})


def test_slices_outside_of_the_axis_are_refused() -> None:
    wrong = error(Slice(0, d(2), d(9)), tensor(F32, 5))
    assert "E0209: a slice 2:9 lies inside axis 0, which has size 5: 9 <= 5 is false" == str(wrong)
    unknown = error(Slice(0, d(0), d(2)), tensor(F32, "N"))
    assert ("E0208", "add `where 2 <= N` to the header") == (unknown.code, unknown.help)
    assert "E0209" == error(Slice(0, d(3), d(2)), tensor(F32, 5)).code
    assert "E0209" == error(Slice(0, d(-1), d(2)), tensor(F32, 5)).code
    assert "E0219" == error(Slice(0, d(0), d(2), -1), tensor(F32, 5)).code
    assert "f32[N]" == infer(Slice(0, d(0), d("N")), tensor(F32, "N"))
    assert [None] == [a.name for a in Slice(0, d(1), d("N")).infer((tensor(F32, "N"),), at_least("N", 1))[0].axes]


@pytest.mark.parametrize(("axis", "index"), [(0, 0), (1, 3), (-1, 1)])
def test_pick_agrees_in_all_backends(axis: int, index: int) -> None:
    check_op(Pick(axis, d(index)), tensor(F32, 2, 4, 3), dtypes=EVERY, opsets=(18, 21), gradients=True)


def test_pick_of_free_axes() -> None:
    sizes = {"A": (3, 0, 1), "N": (4, 2)}
    check_op(Pick(1, d(0)), tensor(F32, "A", "N"), sizes=sizes)
    check_op(Pick(1, d("N - 1")), tensor(F32, "A", "N"), sizes=sizes, facts=at_least("N", 1), static=False)
    assert "E0209" == error(Pick(0, d(4)), tensor(F32, 4)).code
    assert "E0208" == error(Pick(0, d("M")), tensor(F32, "N")).code
    with pytest.raises(IndexError, match="there is no entry 0"):
        evaluate(Pick(0, d(0)), np.zeros((0, 2)), types=[tensor(F64, 0, 2).with_axes(tensor(F64, "N", 2).axes)])


@pytest.mark.parametrize("mode", PAD_MODES)
@pytest.mark.parametrize("padding", [pairs((1, 2), (0, 3)), pairs((0, 0), (3, 0)), pairs((2, 1))])
def test_pad_agrees_in_all_backends(mode: str, padding: tuple[tuple[Dim, Dim], ...]) -> None:
    value = -1.5 if mode == "constant" else 0.0
    check_op(Pad(padding, mode, value), tensor(F32, "A", 3, 4), dtypes=EVERY, opsets=(18, 19, 23), gradients=True)


def test_pad_with_free_sizes() -> None:
    x = tensor(F32, "A", "N")
    check_op(Pad(pairs(("A", 0), (1, "N")), value=2.0), x, opsets=(21,))
    check_op(Pad(pairs(("N", 1)), "circular"), x, facts=at_least("N", 1), opsets=(21,))
    check_op(
        Pad(pairs((2, "N - 1")), "reflect"), x, facts=at_least("N", 3), sizes={"A": (2, 0), "N": (3, 5)}, opsets=(21,)
    )
    check_op(
        Pad(pairs((2, "N")), "replicate"), x, facts=at_least("N", 1), sizes={"A": (2, 0), "N": (1, 3)}, opsets=(21,)
    )
    check_op(Pad(pairs((0, 0))), x, opsets=(21,))


def test_pad_is_what_numpy_pads() -> None:
    x = np.arange(12.0).reshape(3, 4)
    modes = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    for mode, name in modes.items():
        expected = np.pad(x, [(2, 1), (3, 2)], mode=name)  # type: ignore[call-overload]
        np.testing.assert_array_equal(expected, evaluate(Pad(pairs((2, 1), (3, 2)), mode), x))


def test_padding_that_a_mode_cannot_take_is_refused() -> None:
    x = tensor(F32, "A", 3)
    assert "E0209" == error(Pad(pairs((3, 0)), "reflect"), x).code
    assert "E0209" == error(Pad(pairs((4, 0)), "circular"), x).code
    assert "E0209" == error(Pad(pairs((-1, 0))), x).code
    assert "E0209" == error(Pad(pairs((1, 0)), "replicate"), tensor(F32, 0)).code
    assert "E0208" == error(Pad(pairs((1, 0)), "replicate"), tensor(F32, "N")).code
    assert "E0205" == error(Pad(pairs((1, 0), (1, 0), (1, 0))), x).code
    assert "E0219" == error(Pad(pairs((1, 0)), "mirror"), x).code
    assert "E0219" == error(Pad(pairs((1, 0)), value=0.5), tensor(I64, 3)).code
    assert "E0219" == error(Pad(pairs((1, 0)), value=300), tensor(U8, 3)).code
    assert "E0219" == error(Pad(pairs((1, 0)), value=2), tensor(BOOL, 3)).code


def test_padding_with_a_value_makes_plain_integers_of_indices() -> None:
    table = idx(Axis("N", d("N")))
    x = tensor(table, "A", 3)
    assert "i64[A, 4]" == infer(Pad(pairs((1, 0))), x)
    assert "idx[N][A, 4]" == infer(Pad(pairs((1, 0)), "reflect"), x)
