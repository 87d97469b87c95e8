"""Resizing and reading an image at given places: types and values in three backends."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netdsl.backends.onnx.model import build_model
from netdsl.diagnostics import NetError
from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.image import GridSample, Resize
from netdsl.tensor_type import F16, F32, F64, I64, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate, one_node, uniform

Shape = tuple[int | str | Dim, ...]


def error(op: Op, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, Facts.EMPTY)
    return caught.value


def dims(*sizes: int | str) -> tuple[Dim, ...]:
    return tuple(map(Dim.of, sizes))


RESIZES: list[tuple[Resize, Shape]] = [
    (Resize(scale=(2.0,)), ("B", 3, "H", "W")),
    (Resize(scale=(3.0, 1.0)), ("B", 3, "H", "W")),
    (Resize(scale=(0.5,)), ("B", 3, "H")),
    (Resize(scale=(2.0, 0.4)), ("B", 1, "H", 7)),
    (Resize(dims(5, 9)), ("B", 2, "H", "W")),
    (Resize(dims(8, 3)), ("B", 2, 4, 5)),
    (Resize(dims(8, 4)), ("B", 2, 4, 2)),
    (Resize(dims("S"), mode="nearest"), ("B", 2, "H")),
    (Resize(dims(3, 4, 5)), ("B", 1, 2, "H", 5)),
    (Resize(scale=(2.0,), mode="linear"), ("B", 3, "H", "W")),
    (Resize(scale=(0.3,), mode="linear"), ("B", 2, "H")),
    (Resize(scale=(1.2,), mode="linear"), ("B", 2, 10)),
    (Resize(scale=(1.2, 0.7), mode="cubic"), ("B", 1, "H", 6)),
    (Resize(dims("S"), mode="linear"), ("B", 2, "H")),
    (Resize(dims("S", 4), mode="linear", align_corners=True), ("B", 2, "H", 5)),
    (Resize(dims(7, 4), mode="cubic"), ("B", 2, "H", 5)),
    (Resize(dims(7, 1), mode="cubic", align_corners=True), ("B", 1, "H", 5)),
    (Resize(scale=(0.5,), mode="cubic"), ("B", 1, "H", "W")),
    (Resize(dims(3, 4, 5), mode="linear"), ("B", 1, 2, "H", 5)),
]


def spatial_facts(op: Resize, shape: Shape) -> Facts:
    facts = Facts.EMPTY
    for size in op.size or ():
        facts = facts if size.is_const else facts.with_bounds(str(size), 1, None)
    least = 4 if op.scale is not None else 1
    for size in shape[2:]:
        if isinstance(size, str):
            facts = facts.with_bounds(size, least, None)
    return facts


@pytest.mark.parametrize(("op", "shape"), RESIZES, ids=str)
def test_resize_agrees_in_every_backend(op: Resize, shape: Shape) -> None:
    check_op(op, tensor(F32, *shape), facts=spatial_facts(op, shape), opsets=(18, 23))
    check_op(op, tensor(F32, *shape), facts=spatial_facts(op, shape), opsets=(21,), dtypes=(F64, F16))


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
def test_resize_has_the_right_gradient(mode: str) -> None:
    check_op(Resize(dims(5, 3), mode=mode), tensor(F32, 2, 1, 3, 4), gradients=True, opsets=())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11])
def test_resize_reference_equals_torch(size: int, count: int) -> None:
    x = np.random.default_rng(size).normal(size=(2, 3, size, size + 1))
    given, target = torch.from_numpy(x), (count, count + 2)
    wanted = F.interpolate(given, target, mode="nearest")
    np.testing.assert_array_equal(evaluate(Resize(dims(*target)), x), wanted.numpy())
    for mode, name in (("linear", "bilinear"), ("cubic", "bicubic")):
        for align in (False, True):
            wanted = F.interpolate(given, target, mode=name, align_corners=align)
            actual = evaluate(Resize(dims(*target), None, mode, align), x)
            np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scale", [0.5, 2.0, 1.7, 0.3, 1 / 3])
def test_resize_by_a_scale_equals_torch(scale: float) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 10))
    given = torch.from_numpy(x)
    for mode, name in (("linear", "bilinear"), ("cubic", "bicubic"), ("nearest", "nearest")):
        wanted = F.interpolate(given, scale_factor=scale, mode=name)
        actual = evaluate(Resize(scale=(scale,), mode=mode), x)
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-10, atol=1e-10)


def test_nearest_is_exact_where_torch_is_not() -> None:
    """An axis of 2 to 82: place 41 begins the second half, which float32 misses."""
    wanted = [[[0.0] * 41 + [1.0] * 41]]
    np.testing.assert_array_equal(evaluate(Resize(dims(82)), np.array([[[0.0, 1.0]]])), wanted)
    check_op(Resize(dims(82)), tensor(F32, 1, 1, 2))
    check_op(Resize(dims(82)), tensor(F32, "B", 1, "H"), sizes={"B": (1,), "H": (2, 4, 6, 123)})


def test_a_scale_is_the_fraction_that_was_meant() -> None:
    (t,) = Resize(scale=(0.57,)).infer((tensor(F32, 1, 1, 100),), Facts.EMPTY)
    assert Dim.of(57) == t.sizes[2]
    (t,) = Resize(scale=(1 / 3,)).infer((tensor(F32, 1, 1, "H"),), Facts.EMPTY)
    assert Dim.of("H") // 3 == t.sizes[2]


def test_resized_axes_drop_their_names_unless_their_size_stays() -> None:
    (t,) = Resize(scale=(2.0, 1.0)).infer((tensor(F32, "B", "C", "H", "W"),), Facts.EMPTY)
    assert tensor(F32, "B", "C", Dim.of("H") * 2, "W") == t


GRIDS = [
    (m, p, a) for m in ("linear", "nearest", "cubic") for p in ("zeros", "border", "reflection") for a in (False, True)
]


@pytest.mark.parametrize(("mode", "padding", "align"), GRIDS)
def test_grid_sample_agrees_in_every_backend(mode: str, padding: str, align: bool) -> None:
    op = GridSample(mode, padding, align)
    image, grid = tensor(F32, "B", 2, "H", 5), (tensor(F32, "B", "h", 3, 2), uniform(-1.7, 1.7))
    facts = Facts.EMPTY.with_bounds("H", 1, None)
    check_op(op, image, grid, facts=facts, opsets=(18, 23))
    check_op(op, image, grid, facts=facts, opsets=(20,), dtypes=(F64,))


@pytest.mark.parametrize(("mode", "padding", "align"), [g for g in GRIDS if g[0] != "cubic"])
def test_grid_sample_of_volumes_agrees_in_every_backend(mode: str, padding: str, align: bool) -> None:
    image, grid = tensor(F32, "B", 2, 3, 4, 5), (tensor(F32, "B", 2, 3, "w", 3), uniform(-1.7, 1.7))
    check_op(GridSample(mode, padding, align), image, grid, opsets=(20, 23), dtypes=(F32, F64))


def test_grid_sample_agrees_in_f16_and_has_the_right_gradient() -> None:
    image, grid = tensor(F32, 2, 2, 4, 5), (tensor(F32, 2, 3, 2, 2), uniform(-1.2, 1.2))
    check_op(GridSample(), image, grid, dtypes=(F16,))
    for padding in ("zeros", "border", "reflection"):
        check_op(GridSample("linear", padding), image, grid, gradients=True, opsets=())


@pytest.mark.parametrize(("mode", "padding", "align"), GRIDS)
def test_grid_sample_reference_equals_torch(mode: str, padding: str, align: bool) -> None:
    rng = np.random.default_rng(0)
    name = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    for sizes in ((4, 5), (1, 3)):
        x, grid = rng.normal(size=(2, 3, *sizes)), rng.uniform(-3.0, 3.0, size=(2, 6, 7, 2))
        wanted = F.grid_sample(torch.from_numpy(x), torch.from_numpy(grid), name, padding, align)
        actual = evaluate(GridSample(mode, padding, align), x, grid)
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-9, atol=1e-9)


def test_grid_sample_below_opset_20_is_refused_where_it_has_no_kernel() -> None:
    for types in (
        (tensor(F64, 1, 1, 2, 2), tensor(F64, 1, 2, 2, 2)),
        (tensor(F32, 1, 1, 2, 2, 2), tensor(F32, 1, 1, 2, 2, 3)),
    ):
        with pytest.raises(NetError, match=r"E0711: `grid_sample` with .* needs opset 20, found 19"):
            build_model(one_node(GridSample(), types), {}, opset=19)


def test_grid_sample_takes_the_axes_of_the_grid() -> None:
    types = (tensor(F32, Dim.of("B"), "C", "H", "W"), tensor(F32, "B", "h", "w", 2))
    (t,) = GridSample().infer(types, Facts.EMPTY)
    assert tensor(F32, "B", "C", "h", "w") == t


@pytest.mark.parametrize(
    ("code", "op", "shapes", "text"),
    [
        ("E0205", Resize(dims(3)), [(1, 3)], "`resize` needs 3 axes (batch, channels, 1 spatial), found 2"),
        ("E0209", Resize(dims(3)), [(1, 1, 0)], "`resize` needs sizes of at least 1, found 0 to 3"),
        ("E0209", Resize(dims(0)), [(1, 1, 3)], "`resize` needs sizes of at least 1, found 3 to 0"),
        ("E0209", Resize(scale=(0.1,)), [(1, 1, 3)], "`resize` needs sizes of at least 1, found 3 to 0"),
        ("E0219", Resize(), [(1, 1, 3)], "`resize` takes `size` or `scale`, one of them"),
        ("E0219", Resize(dims(3), (2.0,)), [(1, 1, 3)], "`resize` takes `size` or `scale`, one of them"),
        ("E0219", Resize(dims(3, 4)), [(1, 1, 3)], "takes 1 number or one for each of 1 axes, found 2"),
        ("E0219", Resize(scale=(-1.0,)), [(1, 1, 3)], "`scale` of `resize` is above 0, found -1.0"),
        ("E0219", Resize(dims(3), mode="area"), [(1, 1, 3)], "`mode` of `resize` is one of `nearest`, `linear`"),
        ("E0219", Resize(dims(3), mode="cubic"), [(1, 1, 3)], "`cubic` takes 2 spatial axes, found 1"),
        ("E0219", Resize(dims(3), align_corners=True), [(1, 1, 3)], "`align_corners` is for `linear` and `cubic`"),
        ("E0204", GridSample(), [(1, 1, 3, 3), (1, 2, 2, 3)], "needs 2 numbers a place, found 3"),
        ("E0205", GridSample(), [(1, 1, 3), (1, 2, 1)], "needs 4 or 5 axes (batch, channels, 2 or 3 spatial)"),
        ("E0205", GridSample(), [(1, 1, 3, 3), (1, 2, 2)], "needs 4 axes as well, found f32[1, 2, 2]"),
        ("E0202", GridSample(), [(1, 1, 3, 3), (2, 2, 2, 2)], "needs equal sizes: 1 and 2"),
        ("E0209", GridSample(), [(1, 1, 0, 3), (1, 2, 2, 2)], "needs places to read, found f32[1, 1, 0, 3]"),
        ("E0219", GridSample("area"), [(1, 1, 3, 3), (1, 2, 2, 2)], "`mode` of `grid_sample` is one of"),
        ("E0219", GridSample("cubic"), [(1, 1, 3, 3, 3), (1, 2, 2, 2, 3)], "`cubic` takes 2 spatial axes, found 3"),
        ("E0219", GridSample(padding="wrap"), [(1, 1, 3, 3), (1, 2, 2, 2)], "`padding` of `grid_sample` is one of"),
    ],
)
def test_image_ops_refuse(code: str, op: Op, shapes: list[Shape], text: str) -> None:
    found = error(op, *(tensor(F32, *shape) for shape in shapes))
    assert text in found.title
    assert code == found.code


def test_image_ops_are_for_floats() -> None:
    assert "E0217" == error(Resize(dims(3)), tensor(I64, 1, 1, 4)).code
    assert "E0201" == error(GridSample(), tensor(F32, 1, 1, 2, 2), tensor(F64, 1, 2, 2, 2)).code
