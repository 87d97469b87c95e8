"""Reshape, transpose, broadcast and turned axes: names, proofs, constant shapes in ONNX, values in three backends."""

import pytest

from netdsl.backends.onnx.model import build_model
from netdsl.dims import Dim, Facts, parse_dim
from netdsl.ops.base import Op
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I16, I64, U8, Axis, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, one_node

EVERY = (F16, F32, F64)


def dims(*sizes: int | str) -> tuple[Dim, ...]:
    return tuple(Dim.of(s) if isinstance(s, int) else parse_dim(s) for s in sizes)


def infer(op: Op, *types: TensorType, facts: Facts = Facts.EMPTY) -> TensorType:
    (result,) = op.normalised(types).infer(types, facts)
    return result


def error(op: Op, *types: TensorType, facts: Facts = Facts.EMPTY) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.normalised(types).infer(types, facts)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("B", "N", 12), ("B", "N", 3, 4)),
        (("B", "N", 3, 4), ("B", "N", 12)),
        (("B", "N", 4), ("B * N", 4)),
        (("B", 6), ("B", -1, 2)),
        (("B", 6), (-1,)),
        (("B", "C", "H", 5), ("B", "C", "5 * H")),
        (("B", "C", "H"), ("B", "C * H")),
        (("B", "C", "H"), ("B * C", "H")),
        (("B", 6), (2, 3, "B")),
        ((2, 3), (3, 2)),
        ((1, 1), ()),
        ((), (1, 1)),
        ((0, 3), (2, 0, 7)),
        ((0, "B"), ("B", 0)),
        (("B", 4), ("B", 1, 4)),
    ],
)
def test_reshape_agrees_in_all_backends(old: tuple[int | str, ...], new: tuple[int | str, ...]) -> None:
    check_op(Reshape(dims(*new)), tensor(F32, *old), opsets=(18, 21), gradients=0 not in old)


def test_a_free_size_may_be_split_by_a_fact() -> None:
    facts = Facts.EMPTY.with_fact("==", parse_dim("D % 4"), 0)
    op = Reshape(dims("B", 4, "D // 4"))
    check_op(op, tensor(F32, "B", "D"), facts=facts, sizes={"B": (0, 1, 3), "D": (0, 4, 12)}, opsets=(21,))
    assert "f32[B, 4, D // 4]" == str(infer(Reshape(dims("B", 4, -1)), tensor(F32, "B", "D"), facts=facts))


@pytest.mark.parametrize("dtype", [BOOL, I64, I16, I8, U8])
def test_shapes_change_for_every_element_type(dtype: object) -> None:
    x = TensorType(dtype, tensor(F32, "B", 4).axes)  # type: ignore[arg-type]
    for op in (Reshape(dims("B", 2, 2)), Transpose((1, 0)), Broadcast(dims(3, "B", 4)), Unsqueeze(1), Flip((0, 1))):
        check_op(op, x, opsets=(21,))


@pytest.mark.parametrize(
    ("old", "new", "nodes"),
    [
        (("B", "N", 12), ("B", "N", 3, 4), ["Reshape"]),
        (("B", "N", 4), ("B * N", 4), ["Reshape"]),
        (("B", "N", "C"), ("B", "C * N"), ["Flatten"]),
        (("B", 4), ("B", 4), ["Identity"]),
    ],
)
def test_reshape_needs_one_node(old: tuple[int | str, ...], new: tuple[int | str, ...], nodes: list[str]) -> None:
    model = build_model(one_node(Reshape(dims(*new)), [tensor(F32, *old)]), {})
    assert nodes == [node.op_type for node in model.graph.node]


def test_axes_that_stay_keep_their_names() -> None:
    x = tensor(F32, "B", "N", 12)
    assert "f32[B, N, 3, 4]" == str(infer(Reshape(dims("B", "N", 3, 4)), x))
    named = TensorType(F32, (*x.axes[:2], Axis("D", Dim.of(12))))
    result = infer(Reshape(dims("B * N", 12)), named)
    assert [None, "D"] == [axis.name for axis in result.axes]
    assert ["N", "B"] == [a.name for a in infer(Transpose((1, 0)), tensor(F32, "B", "N")).axes]
    assert [None, None, "N"] == [a.name for a in infer(Broadcast(dims("B", 1, "N")), tensor(F32, 1, 1, "N")).axes]


def test_a_reshape_that_loses_elements_is_refused() -> None:
    x = tensor(F32, 2, 6)
    assert "E0215: `reshape` keeps all elements: f32[2, 6] has 12, [5, 2] has 10" == str(error(Reshape(dims(5, 2)), x))
    assert "E0215" == error(Reshape(dims(5, -1)), x).code
    unknown = error(Reshape(dims("B", 3, -1)), tensor(F32, "B", "D"))
    assert "E0208" == unknown.code
    assert "add `where D % 3 == 0` to the header" == unknown.help
    assert "E0215" == error(Reshape(dims("B", 5)), tensor(F32, "B", 6)).code
    assert "add `where D == N` to the header" == error(Reshape(dims("N")), tensor(F32, "D")).help
    assert "E0219" == error(Reshape(dims(-1, -1)), x).code
    assert "E0219" == error(Reshape(dims(-2, -6)), x).code
    assert "E0219" == error(Reshape(dims(0, -1)), tensor(F32, 0)).code


@pytest.mark.parametrize("perm", [(0, 1, 2), (2, 0, 1), (-1, 1, 0)])
def test_transpose_agrees_in_all_backends(perm: tuple[int, ...]) -> None:
    check_op(Transpose(perm), tensor(F32, "A", "B", "C"), dtypes=EVERY, opsets=(18, 23), gradients=True)


def test_transpose_names_each_axis_once() -> None:
    assert "E0206: `transpose` needs each of 2 axes once, found [0, 0]" == str(
        error(Transpose((0, 0)), tensor(F32, 2, 3))
    )
    assert "E0206" == error(Transpose((0,)), tensor(F32, 2, 3)).code
    assert "E0206" == error(Transpose((0, 2)), tensor(F32, 2, 3)).code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((1, 1, 4), ("B", 1, 4)),
        ((1, "N"), ("B", "N")),
        (("N",), (2, "B", "N")),
        ((), ("B", 2)),
        ((1, "N", 1), ("B", "N", "N")),
        (("B", 1), ("B", 1)),
        ((1,), (0,)),
        ((1, 3), (1, 1, 3)),
    ],
)
def test_broadcast_agrees_in_all_backends(old: tuple[int | str, ...], new: tuple[int | str, ...]) -> None:
    check_op(Broadcast(dims(*new)), tensor(F32, *old), dtypes=EVERY, opsets=(18, 21), gradients=0 not in new)


def test_only_an_unnamed_axis_of_literal_size_1_stretches() -> None:
    assert "E0202" == error(Broadcast(dims(4)), tensor(F32, 3)).code
    assert "E0208" == error(Broadcast(dims(4)), tensor(F32, "N")).code
    assert "E0202" == error(Broadcast(dims(4)), TensorType(F32, (Axis("N", Dim.of(1)),))).code
    assert "E0205" == error(Broadcast(dims(4)), tensor(F32, 1, 4)).code
    assert "E0219" == error(Broadcast(dims(-1, 4)), tensor(F32, 4)).code


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unsqueeze_and_squeeze_are_inverse(axis: int) -> None:
    x = tensor(F32, "A", "B")
    check_op(Unsqueeze(axis), x, dtypes=EVERY, opsets=(18, 21), gradients=True)
    wide = infer(Unsqueeze(axis), x)
    check_op(Squeeze(axis), wide, opsets=(18, 21), gradients=True)
    assert x == infer(Squeeze(axis), wide)


def test_squeeze_needs_a_size_of_1() -> None:
    assert "E0202" == error(Squeeze(0), tensor(F32, 2)).code
    assert "E0208" == error(Squeeze(0), tensor(F32, "N")).code
    facts = Facts.EMPTY.with_fact("==", Dim.of("N"), 1)
    check_op(Squeeze(0), tensor(F32, "N", 3), facts=facts, sizes={"N": (1,)}, opsets=(21,))
    assert "E0206: `unsqueeze` puts a new axis at 2, and its result has 2 axes" == str(
        error(Unsqueeze(2), tensor(F32, 2))
    )


@pytest.mark.parametrize("axes", [(0,), (-1, 0), (1,), ()])
def test_flip_agrees_in_all_backends(axes: tuple[int, ...]) -> None:
    check_op(Flip(axes), tensor(F32, "A", "B", 3), dtypes=EVERY, opsets=(18, 21), gradients=True)


def test_flip_names_an_axis_once() -> None:
    assert "E0206" == error(Flip((0, -2)), tensor(F32, 2, 3)).code
