"""Structs on the command line: a `.npz` file with the fields, or a file for each field."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.conftest import Run

Net = Callable[..., Path]

TEXT = """\
network Degrees(g: graph[N, E], x: f32[N]) -> f32[N] {
    scatter[axis=0, reduction="add"](zeros[N], g.dst, x[g.src])
}
"""


@pytest.fixture
def model(run: Run, net: Net) -> str:
    run("build", net(TEXT), "-o", "net.onnx", code=0)
    np.save("x.npy", np.ones(3, np.float32))
    return "net.onnx"


def test_a_struct_is_read_from_one_file_or_from_several(run: Run, model: str) -> None:
    src, dst = np.array([0, 1, 1]), np.array([2, 2, 0])
    np.savez("g.npz", src=src, dst=dst, more=src)
    np.savez_compressed("pairs.npz", edge_index=np.stack([src, dst]))
    np.save("src.npy", src)
    np.save("dst.npy", dst)
    for given in (("g=g.npz",), ("g=pairs.npz",), ("g.src=src.npy", "g.dst=dst.npy")):
        options = [word for text in (*given, "x=x.npy") for word in ("--input", text)]
        run("run", model, *options, "--output-dir", ".", code=0)
        np.testing.assert_array_equal([1, 0, 2], np.load("output.npy"))


def test_random_structs_are_valid(run: Run, model: str) -> None:
    run("run", model, "-i", "g=random", "-i", "x=random", "--size", "N=3", "--size", "E=9", code=0)


def test_what_a_struct_lacks_is_said(run: Run, model: str) -> None:
    np.savez("g.npz", src=np.array([0]))
    assert "missing: `g.dst`" in run("run", model, "-i", "g=g.npz", "-i", "x=x.npy", code=1).err
    np.savez("g.npz", src=np.array([0]), dst=np.array([3]))
    assert "`g.dst` holds indices below 3, found 3" in run("run", model, "-i", "g=g.npz", "-i", "x=x.npy", code=1).err


def test_files_that_are_no_archives_of_arrays_are_refused(run: Run, model: str) -> None:
    whole = Path("whole.npz")
    np.savez_compressed(whole, src=np.arange(1000))
    with zipfile.ZipFile("text.npz", "w") as archive:
        archive.writestr("src.npy", "text")
    with zipfile.ZipFile("objects.npz", "w") as archive, archive.open("src.npy", "w") as stream:
        np.lib.format.write_array(stream, np.array([{}]), allow_pickle=True)
    Path("no.npz").write_bytes(b"PK nothing")
    data = whole.read_bytes()
    Path("cut.npz").write_bytes(data[: len(data) // 2])
    Path("turned.npz").write_bytes(data[:100] + bytes(40) + data[140:])
    for name in ("text", "objects", "no", "cut", "turned"):
        assert "E0706" in run("run", model, "-i", f"g={name}.npz", "-i", "x=x.npy", code=2).err, name
    assert "E0701" in run("run", model, "-i", "g=none.npz", "-i", "x=x.npy", code=2).err


SCALED = """\
network Scaled(g: graph[N, E], x: f32[N]) -> f32[N] {
    x * aggregate[sum](ones[E], by=g.dst)
}
"""


def test_a_bound_graph_is_computed_when_building(run: Run, net: Net) -> None:
    np.savez("g.npz", src=np.array([0, 1, 1]), dst=np.array([2, 2, 0]))
    np.save("x.npy", np.ones(3, np.float32))
    run("build", net(SCALED), "-o", "net.onnx", "--bind", "g=g.npz", "--size", "N=3", code=0)
    assert "ScatterElements" not in str(onnx.load("net.onnx").graph)
    run("run", "net.onnx", "-i", "x=x.npy", "--output-dir", ".", code=0)
    np.testing.assert_array_equal([1, 0, 2], np.load("output.npy"))


def test_bound_edges_alone_are_constants(run: Run, net: Net) -> None:
    np.savez("g.npz", src=np.array([0, 1, 1]), dst=np.array([2, 2, 0]))
    np.save("x.npy", np.array([1, 2, 3], np.float32))
    assert "--size N=.." in run("build", net(TEXT), "-o", "net.onnx", "--bind", "g=g.npz", code=1).err
    run("build", net(TEXT), "-o", "net.onnx", "--bind", "g=g.npz", "--size", "N=3", code=0)
    run("run", "net.onnx", "-i", "x=x.npy", "--output-dir", ".", code=0)
    np.testing.assert_array_equal([2, 0, 3], np.load("output.npy"))


def test_a_bound_graph_fits_its_nodes(run: Run, net: Net) -> None:
    np.savez("g.npz", src=np.array([0, 1, 3]), dst=np.array([2, 2, 0]))
    path = net(SCALED)
    found = run("build", path, "-o", "net.onnx", "--bind", "g=g.npz", "--size", "N=3", code=1)
    assert "`g.src` holds indices below 3, found 3" in found.err
    assert "no free dimension `K`" in run("build", path, "-o", "net.onnx", "--size", "K=3", code=2).err
