"""Layers of B-splines beside pykan (numbers recorded by `record_pykan.py`) and scipy: values and gradients."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

import netdsl
from netdsl.kan import update_grid

PYKAN = {k: np.array(v) for k, v in json.loads(Path(__file__).with_name("pykan.json").read_text("utf-8")).items()}


def layer(edge: str) -> torch.nn.Module:
    text = f"import std.edges: BSpline, AdaptiveBSpline\nnetwork N(x: f32[B, 3]) -> f32[B, 2] {{ x |> edges[2, {edge}] as one }}"
    net = netdsl.load(text)["N"]
    own = {"one." + name: PYKAN[name] for name in ("base", "coef", "knots")}
    return net.torch(weights={p.path: own[p.path] for p in net.graph.params}).double()


def load(module: torch.nn.Module) -> None:
    """The recorded numbers in full: a module starts in its declared precision."""
    with torch.no_grad():
        for path, tensor in module.state_dict().items():
            tensor.copy_(torch.from_numpy(PYKAN[path.removeprefix("one.")]))


@pytest.mark.parametrize("edge", ["BSpline", "AdaptiveBSpline"])
def test_a_layer_equals_pykan_forward_and_in_gradients(edge: str) -> None:
    module = layer(edge)
    load(module)
    x = torch.from_numpy(PYKAN["x"]).requires_grad_()
    y = module(x)
    np.testing.assert_allclose(PYKAN["y"], y.detach(), atol=1e-9)
    (y * torch.from_numpy(PYKAN["weight"])).sum().backward()
    np.testing.assert_allclose(PYKAN["grad_x"], x.grad, atol=1e-9)
    for name in ("base", "coef"):
        np.testing.assert_allclose(
            PYKAN[f"grad_{name}"], dict(module.named_parameters())[f"one.{name}"].grad, atol=1e-9
        )


def test_an_updated_grid_equals_that_of_pykan() -> None:
    module = layer("AdaptiveBSpline")
    load(module)
    update_grid(module, torch.from_numpy(PYKAN["data"]))
    np.testing.assert_allclose(PYKAN["knots_after"], module.state_dict()["one.knots"], atol=1e-9)
    np.testing.assert_allclose(PYKAN["y_after"], module(torch.from_numpy(PYKAN["data"][:20])).detach(), atol=1e-6)


@pytest.mark.parametrize(("grid", "order"), [(5, 3), (1, 1), (7, 2), (20, 5)])
def test_a_layer_equals_scipy_forward_and_in_gradients(grid: int, order: int) -> None:
    text = f"import std.edges: BSpline\nnetwork N(x: f32[B, 3]) -> f32[B, 2] {{ x |> edges[2, BSpline[grid={grid}, order={order}, low=-2.0, high=1.0]] as one }}"
    module = netdsl.load(text)["N"].torch(seed=0).double()
    coef, base = (module.state_dict()[f"one.{name}"].numpy() for name in ("coef", "base"))
    knots = -2 + 3 / grid * np.arange(-order, grid + order + 1)
    x = np.random.default_rng(0).uniform(-2, 1, (40, 3))
    inputs = torch.from_numpy(x).requires_grad_()
    y = module(inputs)
    gradient = np.random.default_rng(1).normal(size=(40, 2))
    (y * torch.from_numpy(gradient)).sum().backward()
    sigmoid = 1 / (1 + np.exp(-x))
    silu, slope = x * sigmoid, sigmoid * (1 + x * (1 - sigmoid))
    expected, expected_gradient = np.zeros((40, 2)), np.zeros((40, 3))
    for j, i in np.ndindex(2, 3):
        spline = BSpline(knots, coef[j, i], order)
        expected[:, j] += base[j, i] * silu[:, i] + spline(x[:, i])
        expected_gradient[:, i] += gradient[:, j] * (base[j, i] * slope[:, i] + spline.derivative()(x[:, i]))
    np.testing.assert_allclose(expected, y.detach(), atol=1e-9)
    np.testing.assert_allclose(expected_gradient, inputs.grad, atol=1e-7)
