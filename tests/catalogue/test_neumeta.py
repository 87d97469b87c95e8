"""One implicit function gives a network of any width."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import netdsl
from tests.specs.catalogue import SPECS

FILE = SPECS / "hyper" / "neumeta.net"
SMALL = {"frequencies": 4, "width": 32, "depth": 2}
NETS = netdsl.load(FILE, **SMALL)


def coordinates(width: int) -> np.ndarray:
    net = netdsl.load(
        f"network N(x: f32[1, 6]) -> f32[N, 6] {{ for leaf in leaves[Linear[{width}, I={width}]] "
        "{ if leaf.rank == 2 { x = x[:1] * 0 + coords[leaf] } }\n x }"
    )["N"]
    return net.reference({"x": np.zeros((1, 6))})["output"].reshape(width, width, 6)


@pytest.mark.parametrize("width", [3, 8, 20])
def test_places_at_twice_the_width_agree_where_they_are_the_same(width: int) -> None:
    one, two = coordinates(width), coordinates(2 * width)
    np.testing.assert_array_equal(one[..., :3], two[::2, ::2, :3])
    np.testing.assert_allclose(2 * one[..., 4:], two[::2, ::2, 4:], atol=1e-12)


def test_the_parameters_are_those_of_every_width() -> None:
    shapes = [{path: a.shape for path, a in NETS["NeuMeta"].set(h=h).weights().items()} for h in (8, 17, 32)]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize("h", [8, 19])
def test_a_sampled_network_holds_no_implicit_function(h: int, tmp_path: Path) -> None:
    net = NETS["NeuMeta"].set(h=h)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (h * h + 76 * h + 10, 6)).astype(np.float32)
    net.onnx(tmp_path / "bound.onnx", bind={"noise": noise})
    static = netdsl.load(f"network N(x: f32[B, 64]) -> logits: f32[B, 10] {{ x |> Mlp[[{h}, {h}], 10] as mlp }}")["N"]
    static.onnx(tmp_path / "static.onnx")
    bound, plain = (onnx.load(tmp_path / name).graph for name in ("bound.onnx", "static.onnx"))
    assert [n.op_type for n in plain.node] == [n.op_type for n in bound.node]
    assert sorted(tuple(i.dims) for i in plain.initializer) == sorted(tuple(i.dims) for i in bound.initializer)
    x = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(tmp_path / "bound.onnx").run(None, {"x": x})
    np.testing.assert_allclose(found, net.reference({"x": x, "noise": noise})["logits"], atol=1e-6)
