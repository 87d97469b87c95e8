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
