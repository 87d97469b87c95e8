"""`extern`: a typed signature, and the plug-in that the caller allowed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import netdsl
from netdsl import plugins
from netdsl.backends.onnx.model import build_model
from netdsl.diagnostics import NetError
from netdsl.plugins import ExternFunction

TEXT = """
extern Scaled[by: float](x: float[.., T]) -> float[.., T] = "small_plugin:scaled"

network Net(x: f32[B, 4]) -> y: f32[B, 4] {
    x |> Linear[4] |> Scaled[2.5] |> relu
}
"""


def _by(statics: dict[str, str]) -> float:
    return float(statics["by"])


def _onnx(e: Any, node: Any, operands: tuple[str, ...]) -> tuple[str, ...]:
    factor = e.constant(_by(dict(node.op.statics)), node.operands[0].type.dtype)
    return tuple(e.node("Mul", operands[0], factor))


SCALED = ExternFunction(lambda s, x: (x * _by(s),), lambda s, x: (x * _by(s),), _onnx)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    plugins._allowed.clear()


def test_a_plugin_runs_in_every_backend() -> None:
    plugins.allow("small_plugin", {"scaled": SCALED})
    net = netdsl.load(TEXT)["Net"]
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    expected = net.reference({"x": x})["y"]
    module = net.torch()
    found = module(torch.from_numpy(x))
    found.sum().backward()
    session = onnxruntime.InferenceSession(build_model(net.graph, net.weights()).SerializeToString())
    np.testing.assert_allclose(expected, found.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(expected, session.run(None, {"x": x})[0], atol=1e-5)
    assert all(p.grad is not None for p in module.parameters())


def test_a_file_alone_runs_nothing() -> None:
    net = netdsl.load(TEXT)["Net"]
    with pytest.raises(NetError) as error:
        net.torch()
    assert "E0365" == error.value.diagnostics[0].code


def test_a_function_without_onnx_body_is_refused_at_export() -> None:
    plugins.allow("small_plugin", {"scaled": ExternFunction(SCALED.reference, SCALED.torch)})
    net = netdsl.load(TEXT)["Net"]
    with pytest.raises(NetError) as error:
        build_model(net.graph, net.weights())
    assert "E0710" == error.value.diagnostics[0].code


def test_an_unknown_function_is_named() -> None:
    plugins.allow("small_plugin", {"other": SCALED})
    with pytest.raises(NetError) as error:
        netdsl.load(TEXT)["Net"].torch()
    assert "other" in (error.value.diagnostics[0].help or "")
