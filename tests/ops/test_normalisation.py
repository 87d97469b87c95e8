"""Normalisation: types and values in three backends."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm
from netdsl.tensor_type import F16, F32, F64, I64, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate, uniform

Shape = tuple[int | str | Dim, ...]


def error(op: Op, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, Facts.EMPTY)
    return caught.value


NORMS: list[tuple[Op, list[Shape]]] = [
    (LayerNorm(), [("B", "N", 8), (8,), (8,)]),
    (LayerNorm(eps=1e-3), [("B", 8), (8,)]),
    (LayerNorm(2), [("B", 3, 4)]),
    (LayerNorm(2), [("B", "N", 4), ("N", 4), ("N", 4)]),
    (LayerNorm(), [("B", "D")]),
    (LayerNorm(), [(1,), (1,), (1,)]),
    (RmsNorm(), [("B", "N", 8), (8,)]),
    (RmsNorm(1e-2), [("B", 8)]),
    (RmsNorm(), [("B", "D"), ("D",)]),
    (GroupNorm(2), [("B", 4, "H", "W"), (4,), (4,)]),
    (GroupNorm(4), [("B", 4, 6), (4,)]),
    (GroupNorm(1, 1e-3), [("B", 4)]),
    (GroupNorm(3), [("B", 6, 2, 1, 3)]),
    (Moments((0, 2)), [("B", 3, "H")]),
    (Moments((-1,)), [("B", 5)]),
    (Moments((0, 1)), [(4, 5)]),
]


@pytest.mark.parametrize(("op", "shapes"), NORMS, ids=str)
def test_normalisation_agrees_in_every_backend(op: Op, shapes: list[Shape]) -> None:
    check_op(op, *(tensor(F32, *shape) for shape in shapes), dtypes=(F32, F64, F16), opsets=(18, 23))


@pytest.mark.parametrize("shape", [("B", 3, "H", "W"), ("B", 3), ("B", 3, "L")])
def test_batch_norm_agrees_in_every_backend(shape: Shape) -> None:
    vector = tensor(F32, 3)
    operands = (tensor(F32, *shape), vector, (vector, uniform(0.2, 3.0)), vector, vector)
    check_op(BatchNorm(1e-3), *operands, dtypes=(F32, F64, F16), opsets=(18, 23))


@pytest.mark.parametrize(("op", "shapes"), [case for case in NORMS if case[1][0] == ("B", 3, 4)] + NORMS[9:10], ids=str)
def test_normalisation_has_the_right_gradient(op: Op, shapes: list[Shape]) -> None:
    check_op(op, *(tensor(F32, *shape) for shape in shapes), gradients=True, opsets=())


def test_batch_norm_gives_gradients_to_all_operands() -> None:
    vector = tensor(F32, 2)
    operands = (tensor(F32, 3, 2, 2), vector, (vector, uniform(0.5, 2.0)), vector, vector)
    check_op(BatchNorm(), *operands, gradients=True, opsets=())


def test_moments_and_root_mean_squares_have_the_right_gradient() -> None:
    check_op(Moments((0, 2)), tensor(F32, 3, 2, 2), gradients=True, opsets=())
    check_op(RmsNorm(), tensor(F32, 3, 4), tensor(F32, 4), gradients=True, opsets=())
    check_op(LayerNorm(), tensor(F32, 3, 4), tensor(F32, 4), tensor(F32, 4), gradients=True, opsets=())


@pytest.mark.parametrize("op", [LayerNorm(), RmsNorm(), GroupNorm(1)])
def test_large_half_numbers_do_not_overflow(op: Op) -> None:
    check_op(op, (tensor(F16, 2, 64), uniform(500.0, 4000.0)))
    check_op(Moments((1,)), (tensor(F16, 2, 64), uniform(1000.0, 1100.0)), opsets=(21,))


def test_reference_equals_torch() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, size=(2, 6, 4, 5))
    t = torch.from_numpy(x)
    w, b = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    wanted = F.layer_norm(t, (4, 5), torch.from_numpy(w), torch.from_numpy(b), 1e-3)
    np.testing.assert_allclose(evaluate(LayerNorm(2, 1e-3), x, w, b), wanted.numpy(), rtol=1e-10, atol=1e-12)
    wanted = F.rms_norm(t, (5,), torch.from_numpy(w[0]), 1e-3)
    np.testing.assert_allclose(evaluate(RmsNorm(1e-3), x, w[0]), wanted.numpy(), rtol=1e-10, atol=1e-12)
    c = [rng.uniform(0.5, 2.0, size=6) for _ in range(4)]
    mean, var, weight, bias = map(torch.from_numpy, c)
    wanted = F.group_norm(t, 3, weight, bias, 1e-3)
    np.testing.assert_allclose(evaluate(GroupNorm(3, 1e-3), x, c[2], c[3]), wanted.numpy(), rtol=1e-10, atol=1e-12)
    wanted = F.batch_norm(t, mean, var, weight, bias, eps=1e-3)
    np.testing.assert_allclose(evaluate(BatchNorm(1e-3), x, *c), wanted.numpy(), rtol=1e-10, atol=1e-12)
    var, mean = torch.var_mean(t, (0, 3), correction=0)
    for wanted, actual in zip((mean, var), evaluate(Moments((0, 3)), x), strict=True):
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-10, atol=1e-12)


def test_moments_of_nothing_are_zero() -> None:
    for moment in evaluate(Moments((0,)), np.zeros((0, 2))):
        np.testing.assert_array_equal(moment, np.zeros(2))


def test_a_constant_row_becomes_zero() -> None:
    np.testing.assert_array_equal(evaluate(LayerNorm(), np.full((2, 3), 7.0)), np.zeros((2, 3)))


def test_result_axes_take_the_name_that_exists() -> None:
    (t,) = LayerNorm().infer((tensor(F32, "B", Dim.of("D")), tensor(F32, "D")), Facts.EMPTY)
    assert tensor(F32, "B", "D") == t
    mean, var = Moments((0, -1)).infer((tensor(F32, "B", "C", "H"),), Facts.EMPTY)
    assert tensor(F32, "C") == mean == var


@pytest.mark.parametrize(
    ("code", "op", "shapes", "text"),
    [
        ("E0204", LayerNorm(), [(2, 3), (4,)], "`layer_norm` expects 3 numbers, found 4"),
        ("E0204", GroupNorm(2), [(2, 3)], "`group_norm` in 2 groups needs channels they divide, found 3"),
        ("E0204", BatchNorm(), [(2, 3), (3,), (3,), (2,), (3,)], "`batch_norm` expects 3 numbers, found 2"),
        ("E0205", LayerNorm(2), [(3,)], "`layer_norm` over 2 axes needs as many, found f32[3]"),
        ("E0205", LayerNorm(2), [(2, 3), (3,)], "operand 2 of `layer_norm` needs 2 axes, found f32[3]"),
        ("E0205", RmsNorm(), [()], "`rms_norm` needs an axis, found the scalar f32"),
        ("E0205", GroupNorm(1), [(3,)], "`group_norm` needs at least 2 axes (batch, channels), found 1"),
        ("E0206", Moments((2,)), [(2, 3)], "`moments` has no axis 2"),
        ("E0207", LayerNorm(), [(2, "D"), ("E",)], "two different axes: `D` and `E`"),
        ("E0208", GroupNorm(2), [(2, Dim.of("C"))], "nothing says so of C"),
        ("E0208", LayerNorm(), [(2, Dim.of("D")), (4,)], "nothing says that D equals 4"),
        ("E0219", LayerNorm(0), [(2, 3)], "`axes_count` of `layer_norm` is at least 1, found 0"),
        ("E0219", LayerNorm(eps=-1.0), [(2, 3)], "`eps` of `layer_norm` is 0 or a positive number, found -1.0"),
        ("E0219", GroupNorm(0), [(2, 3)], "`groups` of `group_norm` is at least 1, found 0"),
        ("E0219", Moments(()), [(2, 3)], "`moments` needs at least one axis"),
        ("E0219", Moments((0, -2)), [(2, 3)], "`moments` names an axis twice"),
    ],
)
def test_normalisation_refuses(code: str, op: Op, shapes: list[Shape], text: str) -> None:
    found = error(op, *(tensor(F32, *shape) for shape in shapes))
    assert text in found.title
    assert code == found.code


def test_normalisation_is_for_one_float_type() -> None:
    assert "E0217" == error(LayerNorm(), tensor(I64, 2, 3)).code
    assert "E0201" == error(LayerNorm(), tensor(F32, 2, 3), tensor(F64, 3)).code
