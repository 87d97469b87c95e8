"""Groups of rows: empty groups, repeated indices, infinities, threads, gradients, values in three backends."""

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from netdsl.backends.onnx.model import build_model
from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.segment import REDUCTIONS, SegmentReduce
from netdsl.tensor_type import F16, F32, F64, I8, I16, I32, I64, U8, DType, ShapeError, TensorType, idx, tensor
from tests.ops.harness import check_op, evaluate, integers, one_node, run_reference, uniform

SIZES = {"N": (5, 1), "E": (12, 1, 0)}


def groups(table: str | int, *axes: str | int) -> TensorType:
    """Indices into the axis `table`, a name or a size."""
    return TensorType(idx(tensor(F32, table).axes[0]), tensor(F32, *axes).axes)


def error(op: Op, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.normalised(types).infer(types, Facts.EMPTY)
    return caught.value


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("rest", [(), ("D",), ("D", 2), (3,), (40,), (4, 10)])
def test_groups_of_rows_agree_in_all_backends(rest: tuple[str | int, ...], reduction: str) -> None:
    sizes = SIZES | ({"D": (3, 0, 1)} if "D" in rest else {})
    x = (tensor(F32, "E", *rest), uniform(0.5, 1.5))
    by = groups("N", "E")
    check_op(SegmentReduce(reduction), x, by, sizes=sizes, dtypes=(F16, F32, F64), opsets=(18, 21), gradients=True)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_no_groups_and_no_rows_agree(reduction: str) -> None:
    check_op(SegmentReduce(reduction), tensor(F32, 0, "D"), groups("N", 0), opsets=(21,))
    check_op(SegmentReduce(reduction), tensor(F32, 0, 3), groups(0, 0), opsets=(21,))


@pytest.mark.parametrize("reduction", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize("dtype", [I64, I32, I16, I8, U8])
def test_groups_keep_integer_types(dtype: DType, reduction: str) -> None:
    x = TensorType(dtype, tensor(F32, "E", 2).axes)
    check_op(SegmentReduce(reduction), (x, integers(0, 3)), groups("N", "E"), sizes=SIZES, opsets=(21,))


def test_plain_indices_need_a_number_of_groups() -> None:
    by = (TensorType(I32, tensor(F32, "E").axes), integers(0, 3))
    check_op(SegmentReduce("sum", Dim.of(6)), tensor(F32, "E", 2), by, opsets=(21,))
    unknown = error(SegmentReduce("sum"), tensor(F32, "E", 2), by[0])
    assert ("E0219", "give `by` the type `idx[N][..]`") == (unknown.code, unknown.help)


def test_a_group_without_rows_gives_zero_and_of_products_one() -> None:
    x, by = np.full((2, 1), -3.0), np.array([1, 1])
    found = {r: evaluate(SegmentReduce(r, Dim.of(2)), x, by).ravel().tolist() for r in REDUCTIONS}
    assert {"sum": [0, -6], "mean": [0, -3], "max": [0, -3], "min": [0, -3], "prod": [1, 9]} == found


def test_the_result_has_the_axis_of_the_table() -> None:
    (t,) = (
        SegmentReduce("sum")
        .normalised((tensor(F32, "E", "D"), groups("N", "E")))
        .infer((tensor(F32, "E", "D"), groups("N", "E")), Facts.EMPTY)
    )
    assert "f32[N, D]" == str(t)


def test_what_does_not_fit_is_named() -> None:
    x, by = tensor(F32, "E", "D"), groups("N", "E")
    assert "E0219" == error(SegmentReduce("median"), x, by).code
    assert "E0218" == error(SegmentReduce("sum", Dim.of(3)), x, by).code
    assert "E0207" == error(SegmentReduce("sum"), x, groups("N", "K")).code
    assert "E0205" == error(SegmentReduce("sum"), x, groups("N", "E", 1)).code
    assert "E0205" == error(SegmentReduce("sum"), tensor(F32), by).code
    assert "E0217" == error(SegmentReduce("sum", Dim.of(3)), x, tensor(F32, "E")).code
    assert "E0217" == error(SegmentReduce("mean"), TensorType(I64, x.axes), by).code


@pytest.mark.parametrize("width", [1, 40])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_what_is_not_a_number_stays_in_its_group(reduction: str, width: int) -> None:
    """Every group holds another mixture of infinities, NaN, huge and tiny numbers."""
    odd = 2.0 if reduction in ("max", "min") else np.nan
    rows = [np.inf, 1.0, -np.inf, odd, 2.0, 1e30, 1e-8, 3.0, -np.inf, np.inf, -np.inf, odd, np.inf]
    at = [0, 0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7]

    def take(values: list[float]) -> Any:
        return lambda rng, shape: np.broadcast_to(np.reshape(values, (-1, *[1] * (len(shape) - 1))), shape)

    order = np.random.default_rng(0).permutation(len(rows))
    for places in (range(len(rows)), order):
        x = (tensor(F32, len(rows), width), take([rows[i] for i in places]))
        by = (groups(9, len(rows)), take([at[i] for i in places]))
        with np.errstate(invalid="ignore"):
            check_op(SegmentReduce(reduction), x, by, opsets=(18, 21))


@pytest.mark.parametrize("reduction", ["max", "min"])
def test_equal_rows_share_the_gradient(reduction: str) -> None:
    graph = one_node(SegmentReduce(reduction), [tensor(F64, 4), groups(2, 4)])
    x = torch.tensor([3.0, 3.0, 3.0, 5.0], dtype=torch.float64, requires_grad=True)
    build_module(graph, {})(x, torch.tensor([0, 0, 0, 1])).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose([1 / 3, 1 / 3, 1 / 3, 1], x.grad)


def _check_threads(reduction: str, rows: int, width: int, repeats: int, threads: tuple[int, ...]) -> None:
    """Unsorted, heavily repeated indices: every run on any number of threads gives the reference's result."""
    rng = np.random.default_rng(0)
    count = max(rows // 50, 2)
    by = np.minimum(rng.geometric(4 / count, rows) - 1, count - 1)  # a few groups hold most rows, some hold none
    x = rng.choice([-1.0, 1.0], (rows, width)) if reduction == "prod" else rng.normal(size=(rows, width))
    graph = one_node(SegmentReduce(reduction), [tensor(F32, "E", width), groups("N", "E")])
    table = np.zeros(count, np.float32)
    (expected,) = run_reference(graph, [x, by, table], {"E": rows, "N": count})
    feeds = {"x0": x.astype(np.float32), "x1": by, "carrier": table}
    model = build_model(graph, {}).SerializeToString()
    for number in threads:
        options = ort.SessionOptions()
        options.intra_op_num_threads = number
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for _ in range(repeats):
            np.testing.assert_allclose(session.run(None, feeds)[0], expected, rtol=1e-4, atol=1e-3)
    found = build_module(graph, {})(*(torch.from_numpy(feed) for feed in feeds.values())).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("width", [1, 16, 40])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_repeated_indices_do_not_race(reduction: str, width: int) -> None:
    _check_threads(reduction, 10_000, width, 10, (2, 8))


@pytest.mark.long
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("width", [1, 16, 40])
def test_many_repeated_indices_do_not_race(reduction: str, width: int) -> None:
    _check_threads(reduction, 10_000, width, 50, (1, 2, 8))
    _check_threads(reduction, 1_000_000, width, 3, (2, 8))
