"""Take, scatter and one-hot: tables, repeated indices, threads, values in three backends."""

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from netdsl.backends.onnx.model import build_model
from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.indexing import REDUCTIONS, OneHot, Retarget, Scatter, ScatterAlong, Take, TakeAlong
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
from tests.ops.harness import Sampler, check_op, evaluate, integers, one_node, run_reference, uniform

EVERY = (F16, F32, F64)


def indices(table: str | int, *axes: str | int, dtype: DType | None = None) -> TensorType:
    """Indices into the axis `table`, a name or a size."""
    axis = tensor(F32, table).axes[0]
    return TensorType(dtype or idx(axis), tensor(F32, *axes).axes)


def error(op: Op, *types: TensorType, facts: Facts = Facts.EMPTY) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.normalised(types).infer(types, facts)
    return caught.value


@pytest.mark.parametrize("axes", [("K",), (), ("K", "L"), (2, "K", 1)])
@pytest.mark.parametrize("axis", [0, 1])
def test_take_agrees_in_all_backends(axis: int, axes: tuple[str | int, ...]) -> None:
    sizes = {name: (3, 1, 0) for name in axes if isinstance(name, str)} | {"N": (5, 1), "D": (4, 0)}
    shape = ("N", "D") if axis == 0 else ("D", "N")
    check_op(Take(axis), tensor(F32, *shape), indices("N", *axes), sizes=sizes, opsets=(18, 21), gradients=True)


def test_take_keeps_every_element_type() -> None:
    for dtype in (F16, F64, I64, I16, U8, BOOL):
        x = TensorType(dtype, tensor(F32, 5, "D").axes)
        check_op(Take(0), x, (indices(5, "K"), integers(0, 4)), opsets=(21,))
        check_op(Take(), x, (indices(5, "K", 2, dtype=I32), integers(0, 4)), opsets=(21,))


def test_take_of_an_empty_table_with_no_index_is_empty() -> None:
    check_op(Take(0), tensor(F32, 0, 3), indices(0, 0), opsets=(21,))


def test_indices_point_into_one_table() -> None:
    x = tensor(F32, "N", "D")
    assert "f32[B, D]" == str(Take(0).infer((x, indices("N", "B")), Facts.EMPTY)[0])
    wrong = error(Take(0), x, indices("M", "B"))
    assert "E0218: `take` reads axis `N` with indices into `M`" == str(wrong)
    assert "E0218" == error(Take(1), x, indices("N", "B")).code
    sized = error(Take(0), tensor(F32, 5), indices(4, "B"))
    assert "E0218: `take` reads an axis of size 5 with indices into one of size 4" == str(sized)
    free = error(Take(0), TensorType(F32, (Axis(None, Dim.of("N") * 2),)), indices("M", "B"))
    assert ("E0218", "add `where M == 2 * N` to the header") == (free.code, free.help)
    assert "E0217" == error(Take(0), x, indices("N", "B", dtype=I8)).code
    assert "E0217" == error(Take(0), x, tensor(F32, "B")).code
    assert "E0206" == error(Take(2), x, indices("N", "B")).code


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_agrees_in_all_backends(axis: int) -> None:
    x: list[str | int] = ["A", "B", 3]
    x[axis] = "N"
    at = list(x)
    at[axis] = "K"
    sizes = {"A": (2, 0), "B": (3, 1), "N": (5, 1), "K": (4, 1, 0)}
    sizes = {name: size for name, size in sizes.items() if name in (*x, *at)}
    op = TakeAlong(axis)
    check_op(op, tensor(F32, *x), indices("N", *at), sizes=sizes, dtypes=EVERY, opsets=(18, 21), gradients=True)


def test_take_along_needs_the_other_axes_equal() -> None:
    assert "E0202" == error(TakeAlong(0), tensor(F32, 5, 3), indices(5, 2, 4)).code
    assert "E0205" == error(TakeAlong(0), tensor(F32, 5, 3), indices(5, 2)).code
    assert "E0218" == error(TakeAlong(0), tensor(F32, "N", 3), indices("M", 2, 3)).code


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, 1])
def test_scatter_agrees_in_all_backends(axis: int, reduction: str) -> None:
    shape = ("N", "D") if axis == 0 else ("D", "N")
    updates = ("K", "D") if axis == 0 else ("D", "K")
    sizes = {"N": (5, 1), "D": (3, 0, 1), "K": (12, 1, 0)}
    x = (tensor(F32, *shape), uniform(-2, 2))
    check_op(
        Scatter(axis, reduction),
        x,
        indices("N", "K"),
        (tensor(F32, *updates), uniform(0.5, 1.5)),
        sizes=sizes,
        dtypes=EVERY,
        opsets=(18, 21),
        gradients=True,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, 1])
def test_scatter_along_agrees_in_all_backends(axis: int, reduction: str) -> None:
    shape = ("N", "D") if axis == 0 else ("D", "N")
    updates = ("K", "D") if axis == 0 else ("D", "K")
    check_op(
        ScatterAlong(axis, reduction),
        (tensor(F32, *shape), uniform(-2, 2)),
        indices("N", *updates),
        (tensor(F32, *updates), uniform(0.5, 1.5)),
        sizes={"N": (5, 1), "D": (3, 0, 1), "K": (12, 1, 0)},
        dtypes=EVERY,
        opsets=(18, 21),
        gradients=True,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [I64, I32, I16, I8, U8])
def test_scatter_keeps_integer_types(reduction: str, dtype: DType) -> None:
    t = TensorType(dtype, tensor(F32, 6, 2).axes)
    u = TensorType(dtype, tensor(F32, 20, 2).axes)
    check_op(Scatter(0, reduction), (t, integers(0, 3)), (indices(6, 20), integers(0, 5)), (u, integers(0, 3)))
    at = (indices(6, 20, 2, dtype=I32), integers(0, 5))
    check_op(ScatterAlong(0, reduction), (t, integers(0, 3)), at, (u, integers(0, 3)), opsets=(21,))


def test_the_last_of_several_replacements_stays() -> None:
    x, at, updates = np.zeros((3, 1)), np.array([1, 2, 1]), np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal([[0], [3], [2]], evaluate(Scatter(0, "none"), x, at, updates))
    booleans = TensorType(BOOL, tensor(F32, "N").axes)
    update = TensorType(BOOL, tensor(F32, 9).axes)
    check_op(Scatter(0, "none"), booleans, indices("N", 9), update, sizes={"N": (4, 1)}, opsets=(18, 21))
    check_op(ScatterAlong(0, "none"), booleans, indices("N", 9), update, sizes={"N": (4, 1)}, opsets=(18, 21))


def test_narrow_floats_are_added_in_f32() -> None:
    ones: Sampler = lambda rng, shape: np.ones(shape)  # noqa: E731
    for dtype in (F16, BF16):
        x, u = TensorType(dtype, tensor(F32, 2).axes), TensorType(dtype, tensor(F32, 5000).axes)
        check_op(Scatter(0, "add"), (x, ones), (indices(2, 5000), integers(0, 0)), (u, ones), opsets=(21,))


def test_scatter_names_what_does_not_fit() -> None:
    x, u = tensor(F32, "N", "D"), tensor(F32, "K", "D")
    assert "E0219" == error(Scatter(0, "mean"), x, indices("N", "K"), u).code
    assert "E0218" == error(Scatter(0, "add"), x, indices("M", "K"), u).code
    assert ("E0207", 2) == (
        (e := error(Scatter(0, "add"), x, indices("N", "K"), tensor(F32, "K", "E"))).code,
        e.operand,
    )
    assert "E0207" == error(Scatter(0, "add"), x, indices("N", "L"), u).code
    assert "E0205" == error(Scatter(0, "add"), x, indices("N", "K", 1), u).code
    assert "E0205" == error(Scatter(0, "add"), x, indices("N", "K"), tensor(F32, "K")).code
    mixed = error(Scatter(0, "add"), x, indices("N", "K"), tensor(F16, "K", "D"))
    assert ("E0201", 2, ((0, "f32[N, D]"), (2, "f16[K, D]"))) == (mixed.code, mixed.operand, mixed.labels)
    booleans = TensorType(BOOL, x.axes), indices("N", "K"), TensorType(BOOL, u.axes)
    assert "E0217" == error(Scatter(0, "add"), *booleans).code
    assert (
        "E0217" == error(ScatterAlong(0, "max"), *(TensorType(BOOL, u.axes), indices("K", "K", "D"), booleans[2])).code
    )


def _scatter_case(op: Op, rows: int, table: int) -> tuple[list[TensorType], list[np.ndarray[Any, Any]]]:
    rng = np.random.default_rng(0)
    at = rng.integers(0, table, rows if isinstance(op, Scatter) else (rows, 16))
    arrays = [rng.normal(size=(table, 16)), at, rng.choice([-1.0, 1.0], (rows, 16))]
    types = [tensor(F32, table, 16), indices(table, *at.shape), tensor(F32, rows, 16)]
    return types, [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]


def _check_threads(op: Op, rows: int, repeats: int, threads: tuple[int, ...]) -> None:
    """Heavily repeated, unsorted indices: every run on any number of threads gives the reference's result."""
    types, arrays = _scatter_case(op, rows, rows // 50)
    graph = one_node(op, types)
    (expected,) = run_reference(graph, [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays])
    feeds = {f"x{i}": a for i, a in enumerate(arrays)}
    model = build_model(graph, {}).SerializeToString()
    for count in threads:
        options = ort.SessionOptions()
        options.intra_op_num_threads = count
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for _ in range(repeats):
            np.testing.assert_allclose(session.run(None, feeds)[0], expected, rtol=1e-4, atol=1e-3)
    module, tensors = build_module(graph, {}), [torch.from_numpy(a) for a in arrays]
    np.testing.assert_allclose(module(*tensors).numpy(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("op", [Scatter, ScatterAlong])
def test_repeated_indices_do_not_race(op: type[Scatter | ScatterAlong], reduction: str) -> None:
    _check_threads(op(0, reduction), 10_000, 10, (2, 8))


@pytest.mark.long
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("op", [Scatter, ScatterAlong])
@pytest.mark.parametrize(("rows", "repeats"), [(10_000, 50), (1_000_000, 5)])
def test_many_repeated_indices_do_not_race(
    op: type[Scatter | ScatterAlong], reduction: str, rows: int, repeats: int
) -> None:
    _check_threads(op(0, reduction), rows, repeats, (1, 2, 8))


@pytest.mark.parametrize("dtype", [F32, F16, BOOL, I64])
@pytest.mark.parametrize("axes", [("K",), (), ("K", "L")])
def test_one_hot_agrees_in_all_backends(axes: tuple[str, ...], dtype: DType) -> None:
    at = (indices("N", *axes, dtype=I64), integers(-2, 6))
    check_op(OneHot(Dim.of(5), dtype), at, opsets=(18, 21))
    check_op(OneHot(Dim.of("M"), dtype), (indices("N", *axes, dtype=I32), integers(-2, 6)), opsets=(21,))


def test_one_hot_names_its_axis_after_the_table() -> None:
    (t,) = OneHot(Dim.of("N")).infer((indices("N", "K"),), Facts.EMPTY)
    assert ["K", "N"] == [a.name for a in t.axes]
    wrong = error(OneHot(Dim.of(4)), indices("N", "K"))
    assert ("E0218", "write `one_hot[N](..)`") == (wrong.code, wrong.help)
    assert "E0219" == error(OneHot(Dim.of(-1)), tensor(I64, 2)).code
    assert "E0217" == error(OneHot(Dim.of(4)), tensor(F32, 2)).code


@pytest.mark.parametrize("axes", [("K",), (), ("K", "L")])
def test_retarget_agrees_in_all_backends(axes: tuple[str, ...]) -> None:
    check_op(Retarget(Dim.of("N")), indices("N", *axes), opsets=(18, 21), empty=False)
    check_op(Retarget(Dim.of("N") + Dim.of("M"), Dim.of("M")), indices("N", *axes), empty=False)
    check_op(Retarget(Dim.of(9), Dim.of(2)), (indices("N", *axes, dtype=I32), integers(0, 6)), opsets=(21,))


def test_retarget_needs_a_table_that_holds_all_indices() -> None:
    (t,) = Retarget(Dim.of("N") + 3, Dim.of(3)).infer((indices("N", "K"),), Facts.EMPTY)
    assert "idx[N + 3][K]" == str(t)
    assert "E0218" == error(Retarget(Dim.of("N"), Dim.of(1)), indices("N", "K")).code
    assert "E0208" == error(Retarget(Dim.of("M")), indices("N", "K")).code
    assert "E0217" == error(Retarget(Dim.of(4)), tensor(F32, 2)).code
    with pytest.raises(IndexError, match="3 entries"):
        evaluate(Retarget(Dim.of(3), Dim.of(2)), np.array([1]))
