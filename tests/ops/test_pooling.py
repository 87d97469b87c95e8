"""Pooling: types and values in three backends."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netdsl.dims import Dim, Facts
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.tensor_type import F16, F32, F64, I64, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate

Pool = MaxPool | AvgPool | AdaptiveAvgPool
Shape = tuple[int | str, ...]


def error(op: Pool, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, Facts.EMPTY)
    return caught.value


POOLS: list[tuple[Pool, Shape]] = [
    (MaxPool((2,)), ("B", 3, "H")),
    (MaxPool((3, 2), (2, 1), (1, 0, 0, 1)), ("B", 2, "H", "W")),
    (MaxPool((3,), (2,), (1,), ceil=True), ("B", 2, "H")),
    (MaxPool((3, 3), (2,), (1,), ceil=True), ("B", 2, 6, 7)),
    (MaxPool((2, 2), (3,), (0, 1, 1, 0), ceil=True), ("B", 2, "H", 8)),
    (MaxPool((2,), (1,), (1,), (2,)), ("B", 2, "H")),
    (MaxPool((2, 2, 2), (1, 2, 1), (0, 1, 0, 0, 1, 1), (1, 1, 2)), ("B", 1, 4, "H", 5)),
    (MaxPool((1,)), (1, 1, 1)),
    (AvgPool((2,)), ("B", 3, "H")),
    (AvgPool((3, 2), (2, 1), (1,)), ("B", 2, "H", "W")),
    (AvgPool((3, 2), (2, 1), (1,), count_include_pad=False), ("B", 2, "H", "W")),
    (AvgPool((3, 2), (2, 1), (1, 0, 0, 1)), ("B", 2, "H", "W")),
    (AvgPool((3, 2), (2, 1), (1, 0, 0, 1), count_include_pad=False), ("B", 2, "H", "W")),
    (AvgPool((3,), (2,), (1,), ceil=True), ("B", 2, "H")),
    (AvgPool((3,), (2,), (1,), count_include_pad=False, ceil=True), ("B", 2, "H")),
    (AvgPool((3, 4), (2, 3), (1, 0, 2, 1), ceil=True), ("B", 2, "H", 8)),
    (AvgPool((3, 4), (2, 3), (1, 0, 2, 1), count_include_pad=False, ceil=True), ("B", 2, "H", 9)),
    (AvgPool((2,), (3,), (1, 0), ceil=True), ("B", 2, "H")),
    (AvgPool((2, 2, 2), (2,), (1, 0, 0, 1, 0, 0), ceil=True), ("B", 2, 4, 5, "H")),
    (AvgPool((2, 3, 2), (1,), (1, 1, 0, 0, 1, 1)), ("B", 2, 1, "H", 1)),
    (AvgPool((4, 2, 2), (1,), (1,), count_include_pad=False), ("B", 2, "H", 2, 1)),
    (AdaptiveAvgPool((1, 1)), ("B", 3, "H", "W")),
    (AdaptiveAvgPool((2,)), ("B", 3, 6)),
    (AdaptiveAvgPool((3, 5)), ("B", 3, "H", "W")),
    (AdaptiveAvgPool((3, 7)), ("B", 3, 8, 5)),
    (AdaptiveAvgPool((2, 1, 3)), ("B", 2, 4, "H", 5)),
]


def spatial_facts(shape: Shape) -> Facts:
    facts = Facts.EMPTY
    for size in shape[2:]:
        if isinstance(size, str):
            facts = facts.with_bounds(size, 3, None)
    return facts


@pytest.mark.parametrize(("op", "shape"), POOLS, ids=str)
def test_pooling_agrees_in_every_backend(op: Pool, shape: Shape) -> None:
    sizes = {s: (1, 0) if s == "B" else range(3, 12) for s in sorted(s for s in shape if isinstance(s, str))}
    if len(sizes) > 2:
        sizes = {s: (2, 0) if s == "B" else (4, 5, 7) for s in sizes}
    check_op(op, tensor(F32, *shape), facts=spatial_facts(shape), opsets=(18, 23), sizes=sizes or None)


@pytest.mark.parametrize(("op", "shape"), POOLS, ids=str)
def test_pooling_agrees_in_other_float_types(op: Pool, shape: Shape) -> None:
    check_op(op, tensor(F32, *shape), facts=spatial_facts(shape), opsets=(21,), dtypes=(F16, F64))


@pytest.mark.parametrize(
    "op",
    [
        MaxPool((2,), (1,), (1, 0), ceil=True),
        AvgPool((3,), (2,), (1, 0), ceil=True),
        AvgPool((3,), (2,), (1,), count_include_pad=False),
        AdaptiveAvgPool((3,)),
    ],
)
def test_pooling_has_the_right_gradient(op: Pool) -> None:
    check_op(op, tensor(F32, 2, 2, 6), gradients=True, opsets=())


@pytest.mark.parametrize("size", range(3, 14))
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 3, 1), (2, 3, 1), (4, 3, 2), (3, 4, 0)]
)
@pytest.mark.parametrize("ceil", [False, True])
def test_reference_equals_torch(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> None:
    if size + 2 * padding < kernel:
        return
    x = np.random.default_rng(size).normal(size=(2, 2, size))
    given = torch.from_numpy(x)
    wanted = F.max_pool1d(given, kernel, stride, padding, 1, ceil)
    np.testing.assert_array_equal(evaluate(MaxPool((kernel,), (stride,), (padding,), ceil=ceil), x), wanted.numpy())
    for include in (True, False):
        wanted = F.avg_pool1d(given, kernel, stride, padding, ceil, include)
        actual = evaluate(AvgPool((kernel,), (stride,), (padding,), include, ceil), x)
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-12)
    wanted = F.adaptive_avg_pool1d(given, kernel + 1)
    np.testing.assert_allclose(evaluate(AdaptiveAvgPool((kernel + 1,)), x), wanted.numpy(), rtol=1e-12)


def test_nan_wins_and_so_does_minus_infinity_alone() -> None:
    x = np.array([[[-np.inf, -np.inf, 1.0, np.nan, 2.0]]])
    np.testing.assert_array_equal(evaluate(MaxPool((2,), (1,)), x), [[[-np.inf, 1.0, np.nan, np.nan]]])


def test_result_axes_carry_the_right_names() -> None:
    (same,) = MaxPool((3, 2), (1, 2), (1, 1, 0, 0)).infer((tensor(F32, "B", "C", "H", "W"),), Facts.EMPTY)
    assert ["B", "C", "H", None] == [axis.name for axis in same.axes]
    assert Dim.of("W") // 2 == same.sizes[3]
    (rounded,) = AvgPool((2,), ceil=True).infer((tensor(F32, "B", "C", "H"),), Facts.EMPTY)
    assert (Dim.of("H") - 1) // 2 + 1 == rounded.sizes[2]
    (even,) = AdaptiveAvgPool((7, 7)).infer((tensor(F32, "B", "C", "H", 7),), Facts.EMPTY)
    assert tensor(F32, "B", "C", 7, 7) == even


@pytest.mark.parametrize(
    ("op", "least"),
    [
        (MaxPool((2,)), 2),
        (MaxPool((3,), padding=(1,)), 1),
        (MaxPool((2,), padding=(1,)), 1),
        (MaxPool((2,), ceil=True), 2),
        (AvgPool((3,), padding=(1, 0)), 2),
        (AdaptiveAvgPool((2,)), 1),
    ],
)
def test_a_free_axis_must_be_shown_to_hold_a_window(op: MaxPool | AvgPool | AdaptiveAvgPool, least: int) -> None:
    x = (tensor(F32, "B", 2, "H"),)
    op.check_room(x, Facts.EMPTY.with_fact(">=", Dim.of("H"), least))
    with pytest.raises(ShapeError) as caught:
        op.check_room(x, Facts.EMPTY.with_fact(">=", Dim.of("H"), least - 1))
    assert ("E0208", ((0, 2),)) == (caught.value.code, caught.value.axes)
    assert f"add `where H >= {least}` to the header" == caught.value.help


@pytest.mark.parametrize(
    ("code", "op", "shape", "text"),
    [
        ("E0209", MaxPool((4,)), (1, 1, 3), "a window of `max_pool` spans 4, more than the axis of size 3"),
        ("E0209", AvgPool((4,), padding=(0, 2)), (1, 1, 1), "the axis of size 1 (3 with its padding)"),
        ("E0209", AdaptiveAvgPool((4,)), (1, 1, 0), "needs elements on each spatial axis, found an axis of size 0"),
        (
            "E0209",
            MaxPool((2,), padding=(1,)),
            (1, 1, 0),
            "needs elements on each spatial axis, found an axis of size 0",
        ),
        (
            "E0209",
            AvgPool((2,), padding=(1,)),
            (1, 1, 0),
            "needs elements on each spatial axis, found an axis of size 0",
        ),
        ("E0205", MaxPool((2, 2)), (1, 1, 3), "`max_pool` needs 4 axes (batch, channels, 2 spatial), found 3"),
        ("E0205", AdaptiveAvgPool((2, 2)), (1, 1, 3), "`adaptive_avg_pool` needs 4 axes"),
        ("E0219", MaxPool(()), (1, 1), "`max_pool` has 1 to 3 spatial axes, found 0"),
        ("E0219", MaxPool((3,), padding=(2,)), (1, 1, 5), "is at most half of the 3 that a window spans, found 2"),
        ("E0219", MaxPool((0,)), (1, 1, 5), "`kernel` of `max_pool` is at least 1, found 0"),
        ("E0219", AvgPool((2,), (0,)), (1, 1, 5), "`stride` of `avg_pool` is at least 1, found 0"),
        ("E0219", AdaptiveAvgPool((0,)), (1, 1, 5), "`output` of `adaptive_avg_pool` is at least 1, found 0"),
    ],
)
def test_pooling_refuses(code: str, op: Pool, shape: tuple[int, ...], text: str) -> None:
    found = error(op, tensor(F32, *shape))
    assert text in found.title
    assert code == found.code


def test_pooling_is_for_floats() -> None:
    assert "E0217" == error(MaxPool((2,)), tensor(I64, 1, 1, 4)).code
