"""A fixed condition is computed when building: the file holds the network that a person would have written for it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import netdsl
from netdsl.diagnostics import NetError

TEXT = """
block Target(x: float[.., 6]) -> float[.., 2] { x |> Linear[5] |> relu |> Linear[2] }

network TaskNet(x: f32[B, 6], task: f32[3]) -> f32[B, 2] {
    param base: params[Target] ~ init_of[Target]
    delta = task |> Linear[4] |> tanh |> Linear[numel[Target], bias=false] as heads
    Target(x, **(base + unpack[Target](delta)))
}

network Mixture(x: f32[K, B, 6], gamma: f32[K, 1]) -> f32[K, B, 2] {
    theta: params[Target][K] = gamma |> Linear[4] |> tanh |> Linear[numel[Target]] |> unpack[Target]
    Target(x, **theta)
}

network FromData(x: f32[B, 6], task: f32[3]) -> f32[B, 2] {
    z = (task |> Linear[4]) + (mean[axis=0](x) |> Linear[4])
    Target(x, **(z |> Linear[numel[Target]] |> unpack[Target]))
}

network Conv(x: f32[B, 3, H, W], task: idx[7]) -> f32[B, 4, H, W] where H >= 1, W >= 1 {
    w = Embedding[7, 3 * 4 * 9](task) |> reshape[4, 3, 3, 3]
    x |> Conv2d[4, kernel=3, padding=1](weight=w)
}

network Plain(x: f32[B, 6]) -> f32[B, 2] { Target(x) }
network PlainConv(x: f32[B, 3, H, W]) -> f32[B, 4, H, W] where H >= 1, W >= 1 { x |> Conv2d[4, kernel=3, padding=1] }
"""
NETS = netdsl.load(TEXT)
TASK = np.array([0.5, -1.0, 2.0], np.float32)


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def run(path: Path, **inputs: np.ndarray) -> np.ndarray:
    (result,) = onnxruntime.InferenceSession(path).run(None, inputs)
    return np.asarray(result)


def test_the_generator_is_gone_and_its_weights_are_initializers(tmp_path: Path) -> None:
    net = NETS["TaskNet"]
    report = net.onnx(tmp_path / "bound.onnx", bind={"task": TASK})
    NETS["Plain"].onnx(tmp_path / "plain.onnx")
    assert kinds(tmp_path / "plain.onnx") == kinds(tmp_path / "bound.onnx")
    graph = onnx.load(tmp_path / "bound.onnx").graph
    assert ["x"] == [i.name for i in graph.input]
    assert {
        "target.linear.weight.transposed",
        "target.linear.bias",
        "target.linear_2.weight.transposed",
        "target.linear_2.bias",
    } == {i.name for i in graph.initializer}
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    expected = net.reference({"x": x, "task": TASK})["output"]
    np.testing.assert_allclose(run(tmp_path / "bound.onnx", x=x), expected, atol=1e-6)
    row = report.rows[0]
    assert "specialize" == row.name
    assert row.largest_error is not None and row.largest_error <= 1e-9


def test_a_dimension_of_the_bound_input_becomes_a_size(tmp_path: Path) -> None:
    net = NETS["Mixture"]
    gamma = np.array([[0.1], [0.7]], np.float32)
    net.onnx(tmp_path / "bound.onnx", bind={"gamma": gamma})
    (given,) = onnx.load(tmp_path / "bound.onnx").graph.input
    assert [2, "B", 6] == [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    x = np.random.default_rng(0).standard_normal((2, 3, 6)).astype(np.float32)
    expected = net.reference({"x": x, "gamma": gamma})["output"]
    np.testing.assert_allclose(run(tmp_path / "bound.onnx", x=x), expected, atol=1e-5)


def test_generated_kernels_become_those_of_a_plain_convolution(tmp_path: Path) -> None:
    NETS["Conv"].onnx(tmp_path / "bound.onnx", bind={"task": np.array(3)})
    NETS["PlainConv"].onnx(tmp_path / "plain.onnx")
    assert kinds(tmp_path / "plain.onnx") == kinds(tmp_path / "bound.onnx")
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)
    expected = NETS["Conv"].reference({"x": x, "task": np.array(3)})["output"]
    np.testing.assert_allclose(run(tmp_path / "bound.onnx", x=x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "bound", "code", "words"),
    [
        ("FromData", {"task": TASK}, "E0603", "hang on `x`"),
        ("TaskNet", {"x": np.zeros((2, 6), np.float32)}, "E0603", "fixes nothing"),
        ("TaskNet", {"x": np.zeros((2, 6), np.float32), "task": TASK}, "E0603", "would be a constant"),
        ("TaskNet", {"tsk": TASK}, "E0602", "no input `tsk`"),
        ("TaskNet", {"task": TASK[:2]}, "E0602", "does not fit"),
        ("Conv", {"task": np.array(0.5)}, "E0602", "float64"),
    ],
)
def test_what_cannot_be_fixed_is_refused_with_the_reason(
    name: str, bound: dict[str, np.ndarray], code: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(NetError) as error:
        NETS[name].onnx(tmp_path / "no.onnx", bind=bound)
    (found,) = error.value.diagnostics
    assert code == found.code
    assert words in found.title
    assert not (tmp_path / "no.onnx").exists()
