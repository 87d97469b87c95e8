"""Labels are taps: their values can be asked for, and they survive the passes."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import netdsl
from netdsl.diagnostics import NetError

TEXT = """
block Step(x: float[B, D]) -> float[B, D] {
    x + (x |> Linear[D] as inner |> relu as active)
}

network Net(x: f32[B, 4]) -> y: f32[B, 4] {
    repeat 2 as steps { x = Step(x) }
    x
}
"""


def test_taps_are_outputs_in_every_backend(tmp_path: Path) -> None:
    net = netdsl.load(TEXT)["Net"].tap("steps.*.step.active")
    names = ["y", "steps.0.step.active", "steps.1.step.active"]
    assert names == [name for name, _ in net.graph.outputs]
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    expected = net.reference({"x": x})
    net.onnx(tmp_path / "net.onnx")
    ran = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(names, {"x": x})
    found = net.torch()(torch.from_numpy(x))
    for name, in_onnx, in_torch in zip(names, ran, found, strict=True):
        np.testing.assert_allclose(expected[name], in_onnx, atol=1e-5)
        np.testing.assert_allclose(expected[name], in_torch.detach().numpy(), atol=1e-5)


def test_a_tap_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(NetError) as error:
        netdsl.load(TEXT)["Net"].tap("steps.*.step.activ")
    assert "E0380" == error.value.diagnostics[0].code


def test_labels_of_calls_that_make_parameters_are_taps() -> None:
    net = netdsl.load(
        "import std.edges: Rbf\n"
        "network Net(x: f32[7, 4]) -> y: f32[7, 2] {\n"
        "    x |> edges[3, Rbf] as one |> each[Linear[5], axis=0] as two |> Linear[2] as three\n"
        "}\n"
    )
    tapped = net["Net"].tap("one", "two")
    x = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
    weights = tapped.weights(seed=0)
    found = tapped.reference({"x": x}, weights=weights)
    rows = netdsl.load("import std.edges: Rbf\nnetwork Net(x: f32[7, 4]) -> f32[7, 3] { x |> edges[3, Rbf] as one }")
    expected = rows["Net"].reference({"x": x}, weights={k: v for k, v in weights.items() if k.startswith("one.")})
    np.testing.assert_array_equal(expected["output"], found["one"])
    assert (7, 5) == found["two"].shape
