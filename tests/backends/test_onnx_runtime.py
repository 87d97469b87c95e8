"""Running a model: the provider that was asked for, inputs that fit, and errors in the words of the language."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from netdsl.api import load
from netdsl.backends.onnx.model import build
from netdsl.backends.onnx.runtime import Session, installed_wheels
from netdsl.backends.onnx.serialize import to_bytes
from netdsl.codes import all_codes
from netdsl.diagnostics import NetError

TEXT = """
network N(
    ids: idx[V][B, T], x: f32[B, 2 * T], table: f32[V, 3]
) -> (sums: f32[B, 3], doubled: f32[B, 2 * T]) where T <= 4 {
    sums = sum[axis=1](take(table, ids))
    doubled = 2 * x
}
"""


@pytest.fixture(scope="module")
def model() -> bytes:
    net = load(TEXT)["N"]
    return to_bytes(build(net.graph, net.weights(seed=0)))


@pytest.fixture(scope="module")
def session(model: bytes) -> Session:
    return Session.load(model, threads=1)


def arrays(rows: int = 2, length: int = 3, table: int = 5) -> dict[str, object]:
    return {
        "ids": np.arange(rows * length).reshape(rows, length) % table,
        "x": np.ones((rows, 2 * length), np.float32),
        "table": np.ones((table, 3), np.float32),
    }


def codes(error: pytest.ExceptionInfo[NetError]) -> list[str]:
    found = [d.code for d in error.value.diagnostics]
    assert set(found) <= all_codes().keys()
    return found


def test_run_gives_the_outputs_by_name(session: Session) -> None:
    outputs = session.run(arrays())
    assert ["sums", "doubled"] == list(outputs)
    np.testing.assert_array_equal(np.full((2, 3), 3, np.float32), outputs["sums"])
    assert ("CPUExecutionProvider",) == session.providers
    assert ["i64[B, T]", "f32[B, 2 * T]", "f32[V, 3]"] == [str(port) for port in session.inputs]


def test_model_is_read_from_a_file(model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model)
    assert {"sums", "doubled"} == set(Session.load(path, is_optimized=False).run(arrays()))


def test_lists_take_the_type_of_their_input(session: Session) -> None:
    assert session.run({**arrays(), "ids": [[0, 1, 2], [1, 1, 1]]})["sums"].shape == (2, 3)


def test_names_that_do_not_fit_are_all_listed(session: Session) -> None:
    given = arrays()
    given |= {"tabel": given.pop("table"), "y": 1}
    with pytest.raises(NetError, match="missing: `table`; unknown: `tabel`, `y`") as error:
        session.run(given)
    assert ["E0811"] == codes(error)
    assert "`tabel`: did you mean `table`?" == error.value.diagnostics[0].help


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones((2, 6))}, r"`x` is f32\[B, 2 \* T\], found f64\[2, 6\]"),
        ({"x": np.ones(6, np.float32)}, r"found f32\[6\]: 2 axes, found 1"),
        ({"x": np.ones((2, 5), np.float32)}, r"found f32\[2, 5\]: axis 1 is 2 \* T = 6, found 5"),
        ({"x": np.ones((3, 6), np.float32)}, r"axis 0 is B = 2, found 3"),
        ({"table": np.ones((5, 4), np.float32)}, r"`table` is f32\[V, 3\], found f32\[5, 4\]: axis 1 is 3, found 4"),
    ],
)
def test_types_are_checked(session: Session, change: dict[str, object], message: str) -> None:
    with pytest.raises(NetError, match=message) as error:
        session.run({**arrays(), **change})
    assert ["E0812"] == codes(error)


def test_all_types_that_are_wrong_are_listed(session: Session) -> None:
    with pytest.raises(NetError) as error:
        session.run({**arrays(), "x": np.ones((2, 6)), "table": np.ones((5, 4), np.float32)})
    assert ["E0812", "E0812"] == codes(error)


def test_facts_of_the_header_are_checked(session: Session) -> None:
    with pytest.raises(NetError, match="the network needs `T <= 4`, found T = 5") as error:
        session.run(arrays(length=5))
    assert ["E0813"] == codes(error)


@pytest.mark.parametrize("index", [-1, 5])
def test_indices_are_checked(session: Session, index: int) -> None:
    with pytest.raises(NetError, match=f"`ids` holds indices below 5, found {index}") as error:
        session.run({**arrays(), "ids": np.full((2, 3), index)})
    assert ["E0814"] == codes(error)


def test_empty_inputs_run(session: Session) -> None:
    assert session.run(arrays(rows=0))["sums"].shape == (0, 3)
    np.testing.assert_array_equal(np.zeros((2, 3)), session.run(arrays(length=0))["sums"])


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_another_provider_is_never_used_in_silence(model: bytes, provider: str) -> None:
    import onnxruntime

    if {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}[
        provider
    ] in onnxruntime.get_available_providers():
        pytest.skip("it is usable here")
    with pytest.raises(NetError, match=f"the provider `{provider}` is not usable here: found onnxruntime") as error:
        Session.load(model, provider)
    assert ["E0802"] == codes(error)
    assert "netdsl[gpu]" in (error.value.diagnostics[0].help or "")


def test_missing_runtime_says_how_to_get_it(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NetError, match="ONNX Runtime does not load") as error:
        Session.load(model)
    assert ["E0801"] == codes(error)


@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x03\x04" + bytes(300)])
def test_what_is_no_model_is_reported(data: bytes, tmp_path: Path) -> None:
    for given in (data, tmp_path / "model.onnx"):
        if isinstance(given, Path):
            given.write_bytes(data)
        with pytest.raises(NetError) as error:
            Session.load(given)
        assert ["E0810"] == codes(error)


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NetError, match="cannot be read: no such file") as error:
        Session.load(tmp_path / "none.onnx")
    assert ["E0701"] == codes(error)


def test_failure_names_the_line_of_the_source(model: bytes) -> None:
    proto = onnx.load_from_string(model)
    del proto.metadata_props[:]
    (gather,) = [node for node in proto.graph.node if node.op_type == "Gather"]
    broken = Session.load(proto.SerializeToString())
    with pytest.raises(NetError, match="the model failed: Gather: indices element out of data bounds") as error:
        broken.run({**arrays(), "ids": np.full((2, 3), 99)})
    assert ["E0815"] == codes(error)
    assert (f"`{gather.name}` comes from <text>:5",) == error.value.diagnostics[0].notes


def test_installed_wheels_are_known() -> None:
    assert installed_wheels()


@pytest.mark.gpu
def test_cuda_gives_what_the_cpu_gives(model: bytes, session: Session) -> None:
    on_cuda = Session.load(model, "cuda")
    assert "CUDAExecutionProvider" == on_cuda.providers[0]
    for expected, actual in zip(session.run(arrays()).values(), on_cuda.run(arrays()).values(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_a_transpose_before_a_padded_convolution_is_moved_rightly() -> None:
    text = """
network N(x: f64[T, B, 4], w: f64[4, 2, 2]) -> f64[B, 4, T] where B >= 1, T >= 2 {
    y = conv[padding=[2, 1], dilation=[2], groups=2](abs(transpose[[1, 2, 0]](x)), w)
    abs(y)[:, :, :T]
}
"""
    net = load(text)["N"]
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(5, 2, 4)), "w": rng.normal(size=(4, 2, 2))}
    (found,) = Session.load(to_bytes(build(net.graph, {}))).run(given).values()
    np.testing.assert_allclose(found, net.reference(given)["output"], rtol=1e-12)
