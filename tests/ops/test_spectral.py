"""Real Fourier transforms: types, values in three backends, and how exact they are."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from netdsl.backends.onnx.model import build_model
from netdsl.backends.reference import run
from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.ops.spectral import Irfft, Rfft
from netdsl.tensor_type import F16, F32, F64, I64, Axis, DType, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate, one_node

Shape = tuple[int | str | Dim, ...]


def error(op: Op, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, Facts.EMPTY)
    return caught.value


FACTS = Facts.EMPTY.with_bounds("N", 1, None)
CASES: list[tuple[Op, Shape]] = [
    (Rfft(), ("B", 8)),
    (Rfft(), ("B", 13)),
    (Rfft(0), (5, "B")),
    (Rfft(-2), ("B", 6, 3)),
    (Rfft(), (1,)),
    (Rfft(), ("B", "N")),
    (Rfft(1), (2, "N", "B")),
    (Irfft(Dim.of(8)), ("B", 5, 2)),
    (Irfft(Dim.of(7), 0), (4, "B", 2)),
    (Irfft(Dim.of(6), -2), ("B", 4, 3, 2)),
    (Irfft(Dim.of(1)), (1, 2)),
    (Irfft(Dim.of(2)), ("B", 2, 2)),
]


@pytest.mark.parametrize(("op", "shape"), CASES, ids=str)
def test_transforms_agree_in_every_backend(op: Op, shape: Shape) -> None:
    facts = FACTS if "N" in shape else Facts.EMPTY
    check_op(op, tensor(F32, *shape), facts=facts, dtypes=(F32, F64, F16), opsets=(18, 23))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_a_free_length_goes_there_and_back(axis: int, dtype: DType) -> None:
    length = Dim.of("N")
    there, back = Rfft(axis), Irfft(length, axis)
    x = Value(tensor(dtype, *(("N", "B") if axis == 0 else ("B", "N"))), "x")
    frequencies = Value(there.infer((x.type,), FACTS)[0], "f")
    y = Value(back.infer((frequencies.type,), FACTS)[0], "y")
    nodes = (Node(there, (x,), (frequencies,)), Node(back, (frequencies,), (y,)))
    graph = Graph("there_and_back", (("x", x),), (("y", y),), nodes=nodes, facts=FACTS)
    module = build_module(graph, {})
    models = [build_model(graph, {}, opset=opset) for opset in (18, 21)]
    for size in (1, 2, 3, 8, 13, 30):
        for batch in (2, 0):
            shape = (size, batch) if axis == 0 else (batch, size)
            given = np.random.default_rng(size).normal(size=shape).astype("float32" if dtype == F32 else "float64")
            results = [run(graph, {"x": given}, {}).outputs["y"], module(torch.from_numpy(given)).numpy()]
            for result in [*results, *(_run(model, given) for model in models)]:
                np.testing.assert_allclose(result, given, rtol=0, atol=1e-6 if dtype == F32 else 1e-12)


def test_transforms_have_the_right_gradient() -> None:
    check_op(Rfft(0), tensor(F32, 5, 2), gradients=True, opsets=())
    check_op(Irfft(Dim.of(6)), tensor(F32, 2, 4, 2), gradients=True, opsets=())
    check_op(Irfft(Dim.of(5)), tensor(F32, 2, 3, 2), gradients=True, opsets=())


@pytest.mark.parametrize("length", [1, 2, 7, 12])
def test_reference_equals_torch(length: int) -> None:
    x = np.random.default_rng(length).normal(size=(3, length, 2))
    wanted = torch.view_as_real(torch.fft.rfft(torch.from_numpy(x), dim=1)).numpy()
    actual = evaluate(Rfft(1), x)
    np.testing.assert_allclose(actual, wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(evaluate(Irfft(Dim.of(length), 1), actual), x, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dtype", "bound"), [(F32, 1e-6), (F64, 1e-11)])
@pytest.mark.parametrize("length", [13, 197, 512, 1009, 4096, 5003])
def test_onnx_transforms_are_as_exact_as_documented(dtype: DType, bound: float, length: int) -> None:
    x = np.random.default_rng(length).normal(size=(4, length)).astype("float32" if dtype == F32 else "float64")
    for is_free in (False, True):
        forward = one_node(Rfft(), [tensor(dtype, 4, "N" if is_free else length)])
        wanted = evaluate(Rfft(), x.astype(np.float64))
        assert np.abs(_run(build_model(forward, {}), x) - wanted).max() <= bound * np.abs(wanted).max()
    back = one_node(Irfft(Dim.of(length)), [tensor(dtype, 4, length // 2 + 1, 2)])
    assert np.abs(_run(build_model(back, {}), wanted.astype(x.dtype)) - x).max() <= bound * np.abs(x).max()


def test_types_of_transforms() -> None:
    (t,) = Rfft(1).infer((tensor(F32, "B", "N", "C"),), Facts.EMPTY)
    two = Axis(None, Dim.of(2))
    b, c = tensor(F32, "B", "C").axes
    assert TensorType(F32, (b, Axis(None, Dim.of("N") // 2 + 1), c, two)) == t
    (back,) = Irfft(Dim.of("N"), 1).infer((t,), Facts.EMPTY)
    assert TensorType(F32, (b, Axis(None, Dim.of("N")), c)) == back


@pytest.mark.parametrize(
    ("code", "op", "shape", "text"),
    [
        ("E0204", Irfft(Dim.of(8)), (4, 2), "`irfft` to 8 numbers needs 5 frequencies, found 4"),
        ("E0204", Irfft(Dim.of(8)), (5, 3), "needs pairs (real, imaginary) on the last axis, found f32[5, 3]"),
        ("E0205", Rfft(), (), "`rfft` needs an axis, found the scalar f32"),
        ("E0205", Irfft(Dim.of(2)), (2,), "needs an axis of frequencies and one of pairs, found f32[2]"),
        ("E0206", Rfft(2), (3, 4), "`rfft` has no axis 2"),
        ("E0206", Irfft(Dim.of(2), 1), (2, 2), "`irfft` has no axis 1"),
        ("E0208", Irfft(Dim.of(8)), (Dim.of("K"), 2), "nothing says that K is that"),
        ("E0209", Rfft(), (3, 0), "`rfft` needs numbers to transform, found f32[3, 0]"),
        ("E0209", Irfft(Dim.of(0)), (1, 2), "`irfft` makes at least 1 number, found n = 0"),
    ],
)
def test_transforms_refuse(code: str, op: Op, shape: Shape, text: str) -> None:
    found = error(op, tensor(F32, *shape))
    assert text in found.title
    assert code == found.code


def test_transforms_are_for_floats() -> None:
    assert "E0217" == error(Rfft(), tensor(I64, 4)).code


def _run(model: onnx.ModelProto, x: NDArray[Any]) -> NDArray[Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: x})
    return np.asarray(result)
