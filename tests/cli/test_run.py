"""`netdsl run`: arrays in and out, random inputs, and everything that a `.npy` file can get wrong."""

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netdsl.cli import arrays
from tests.cli.conftest import Run

Net = Callable[..., Path]

TEXT = """\
network Two(x: f32[B, 3], ids: idx[7][B, T]) -> (y: f32[B, 2], total: i64[B]) where T in 2..9 {
    y = x |> Linear[2] as head
    total = sum[axis=1](ids)
}
"""


@pytest.fixture
def model(run: Run, net: Net) -> str:
    run("build", net(TEXT), "-o", "two.onnx", "--save-weights", "w.safetensors", code=0)
    return "two.onnx"


def test_outputs_are_those_of_the_reference(run: Run, model: str) -> None:
    import netdsl

    x, ids = np.ones((2, 3), np.float32), np.array([[1, 2, 3], [4, 5, 6]])
    np.save("x.npy", x)
    np.save("ids.npy", ids)
    out = run("run", model, "-i", "x=x.npy", "--input", "ids=ids.npy", "--output-dir", ".", code=0).out
    assert "f32[2, 2]" in out and "./y.npy" in out
    expected = netdsl.load(TEXT)["Two"].reference({"x": x, "ids": ids})
    np.testing.assert_allclose(np.load("y.npy"), expected["y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal([6, 15], np.load("total.npy"))


def test_json_holds_figures_and_values(run: Run, model: str) -> None:
    np.save("x.npy", np.full((1, 3), np.inf, np.float32))
    document = run("run", model, "-i", "x=x.npy", "-i", "ids=random", "--json", code=0).document
    assert ("netdsl.run/1", ["CPUExecutionProvider"]) == (document["schema"], document["providers"])
    assert {"name": "ids", "dtype": "i64", "shape": [1, 2]} in document["inputs"]
    y, total = document["outputs"]
    assert ("y", "f32", [1, 2], None) == (y["name"], y["dtype"], y["shape"], y["mean"])
    assert {"inf", "-inf", "nan"} >= set(y["values"][0])
    assert 0 <= total["min"] <= 2 * 6


def test_random_inputs_obey_sizes_facts_and_tables(run: Run, model: str) -> None:
    call = ("run", model, "-i", "x=random", "-i", "ids=random")
    document = run(*call, "--size", "B=50", "--size", "T=9", "--json", code=0).document
    assert [[50, 3], [50, 9]] == [row["shape"] for row in document["inputs"]]
    again = run(*call, "--size", "B=50", "--size", "T=9", "--json", code=0).document
    assert again["outputs"] == document["outputs"]
    other = run(*call, "--size", "B=50", "--size", "T=9", "--seed", 1, "--json", code=0).document
    assert other["outputs"] != document["outputs"]
    assert "E0403" in run(*call, "--size", "T=10", code=1).err
    assert "no free dimension `N`" in run(*call, "--size", "N=1", code=1).err
    assert "too many" in run(*call, "--size", "B=1000000000000", code=1).err


def test_inputs_that_do_not_fit_are_findings(run: Run, model: str) -> None:
    np.save("x.npy", np.zeros((1, 4), np.float32))
    np.save("wide.npy", np.zeros((1, 3)))
    np.save("ids.npy", np.array([[1, 7]]))
    assert "E0811" in run("run", model, "-i", "x=random", code=1).err
    assert "did you mean `ids`?" in run("run", model, "-i", "x=random", "-i", "idz=random", code=1).err
    assert "E0812" in run("run", model, "-i", "x=x.npy", "-i", "ids=random", code=1).err
    assert "E0812" in run("run", model, "-i", "x=wide.npy", "-i", "ids=random", code=1).err
    assert "E0814" in run("run", model, "-i", "x=random", "-i", "ids=ids.npy", code=1).err


def test_wrong_calls(run: Run, model: str) -> None:
    assert "not NAME=X.npy" in run("run", model, "-i", "x", code=2).err
    assert "given twice" in run("run", model, "-i", "x=a.npy", "-i", "x=b.npy", code=2).err
    assert "build it first" in run("run", "net.net", code=2).err
    run("run", model, "--provider", "tpu", code=2)
    call = ("run", model, "-i", "x=random", "-i", "ids=random")
    assert "E0704" in run(*call, "--output-dir", "missing", code=2).err


def test_a_provider_that_is_not_there_exits_3(run: Run, model: str) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is a CUDA provider here")
    call = ("run", model, "-i", "x=random", "-i", "ids=random", "--provider", "cuda")
    assert "E0802" in run(*call, code=3).err
    assert ["E0802"] == [d["code"] for d in run(*call, "--json", code=3).document["diagnostics"]]


def test_without_onnx_runtime_it_exits_3(run: Run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    ran = run("run", model, "-i", "x=random", "-i", "ids=random", code=3)
    assert "E0801" in ran.err and "pip install" in ran.err


def test_models_that_cannot_be_read(run: Run) -> None:
    Path("bad.onnx").write_bytes(b"\x08" * 1000)
    Path("empty.onnx").write_bytes(b"")
    os.mkfifo("pipe.onnx")
    assert "E0701" in run("run", "missing.onnx", code=2).err
    assert "E0701" in run("run", ".", code=2).err
    assert "E0701" in run("run", "pipe.onnx", code=2).err
    assert "E0810" in run("run", "bad.onnx", code=1).err
    assert run("run", "empty.onnx").code == 1


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


ROW = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a `.npy` file"),
        (b"PK\x03\x04" + bytes(100), "not a `.npy` file"),
        (b"\x93NUMPY", "not a `.npy` file"),
        (pickle.dumps([1, 2, 3]), "not a `.npy` file"),
        (npy(ROW, bytes(7)), "header says 8"),
        (npy(ROW, bytes(9)), "header says 8"),
        (npy(ROW.replace("(2,)", "(10**18,)"), bytes(8)), "not a `.npy` file"),
        (npy(ROW.replace("(2,)", "(1000000000000000000,)"), bytes(8)), "more than 4,294,967,296"),
        (npy(ROW.replace("(2,)", "(-2,)"), bytes(8)), "not a `.npy` file"),
        (npy(ROW.replace("(2,)", "(" + "1," * 40 + ")"), bytes(4)), "40 axes"),
        (npy(ROW.replace("<f4", "|O"), bytes(16)), "not numbers or bools"),
        (npy(ROW.replace("<f4", "<U4"), bytes(32)), "not numbers or bools"),
        (npy(ROW.replace("<f4", "<c8"), bytes(16)), "not numbers or bools"),
        (npy(ROW.replace("'<f4'", "[('a', '<f4')]"), bytes(8)), "not numbers or bools"),
        (npy("__import__('os').system('touch owned')"), "not a `.npy` file"),
        (npy(ROW, bytes(8), b"\x09\x00"), "version 9.0"),
        (npy("{" * 5000), "not a `.npy` file"),
        (npy("(" * 9000), "not a `.npy` file"),
        (npy(ROW.replace("(2,)", "(" + "2," * 2500 + ")")), "2500 axes"),
        (npy(ROW.replace("<f4", "<f16"), bytes(32)), "not numbers or bools"),
        (npy(ROW.replace("(2,)", "(2"), bytes(8)), "not a `.npy` file"),
    ],
)
def test_a_file_that_is_no_array_is_refused(run: Run, model: str, content: bytes, message: str) -> None:
    Path("x.npy").write_bytes(content)
    ran = run("run", model, "-i", "x=x.npy", "-i", "ids=random", code=2)
    assert "E0706" in ran.err and message in ran.err
    assert not Path("owned").exists()


def test_arrays_that_cannot_be_opened(run: Run, model: str) -> None:
    os.mkfifo("pipe.npy")
    for path, code in (("missing.npy", "E0701"), (".", "E0701"), ("pipe.npy", "E0701"), ("/proc/self/mem", "E07")):
        assert code in run("run", model, "-i", f"x={path}", "-i", "ids=random", code=2).err


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(4, dtype=">i4"),
        np.zeros((0, 3), np.float16),
        np.array(True),
    ],
)
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.npy"
    arrays.write_npy(path, array)
    np.testing.assert_array_equal(array, np.load(path))
    found = arrays.read_npy(str(path))
    np.testing.assert_array_equal(array, found)
    assert array.shape == found.shape and found.dtype.isnative


def test_output_names_stay_in_their_folder(tmp_path: Path) -> None:
    from netdsl.cli.run import _write

    paths = _write(str(tmp_path), {"../up": np.zeros(1), "a/b": np.zeros(1), "a_b": np.zeros(1), "..": np.zeros(1)})
    assert 4 == len(set(paths.values())) and all(Path(p).parent == tmp_path for p in paths.values())
    stream = io.StringIO()
    json.dump(paths, stream)
