"""Each family of `std.edges` beside a formula written anew: values in three backends, gradients in torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.polynomial import chebyshev, legendre
from numpy.typing import NDArray
from scipy.special import eval_hermitenorm, eval_jacobi, expit

import netdsl

Floats = NDArray[np.float64]
#: The numbers x and the parameters of one function by name -> its values.
Function = Callable[[Floats, dict[str, Floats]], Floats]


def fourier(x: Floats, p: dict[str, Floats]) -> Floats:
    waves = np.exp(1j * np.outer(x, [1, 2, 3]))
    return waves.real @ p["a"] + waves.imag @ p["b"]


def jacobi(x: Floats, p: dict[str, Floats]) -> Floats:
    return np.stack([eval_jacobi(n, 0.5, 2.0, np.tanh(x)) for n in range(4)], -1) @ p["coef"]


def radial(x: Floats, p: dict[str, Floats]) -> Floats:
    centres, width = np.linspace(-1, 2, 5, retstep=True)
    return p["base"] * x * expit(x) + np.exp(-(((x[:, None] - centres) / width) ** 2)) @ p["coef"]


def wavelet(shape: Callable[[Floats], Floats]) -> Function:
    return lambda x, p: p["weight"] * shape((x - p["shift"]) / p["scale"])


def gaussian_derivative(n: int, factor: float) -> Function:
    return wavelet(lambda t: factor * eval_hermitenorm(n, t) * np.exp(-(t**2) / 2))


def rational(x: Floats, p: dict[str, Floats]) -> Floats:
    return np.polyval(p["p"][::-1], x) / (1 + np.abs(np.polyval([*p["q"][::-1], 0.0], x)))


def bumps(x: Floats, p: dict[str, Floats]) -> Floats:
    step = 1 / 4
    starts = np.arange(-2, 4) * step
    ends = starts + 3 * step
    inside = np.maximum(ends - x[:, None], 0) * np.maximum(x[:, None] - starts, 0)
    return (inside**2 * 16 / (ends - starts) ** 4) @ p["coef"]


def lines(x: Floats, p: dict[str, Floats]) -> Floats:
    return np.interp(x, np.linspace(-1 - 1 / 3, 1 + 1 / 3, 9), [0.0, *p["coef"], 0.0])


FAMILIES: dict[str, Function] = {
    "Fourier": fourier,
    "Chebyshev[degree=6]": lambda x, p: chebyshev.chebval(np.tanh(x), p["coef"]),
    "Legendre[degree=5]": lambda x, p: legendre.legval(np.tanh(x), p["coef"]),
    "Jacobi[degree=3, alpha=0.5, beta=2.0]": jacobi,
    "Rbf[count=5, low=-1.0, high=2.0]": radial,
    "MexicanHat": gaussian_derivative(2, -2 / (np.sqrt(3) * np.pi**0.25)),
    "DoG": gaussian_derivative(1, -1.0),
    "Morlet[frequency=4.0]": wavelet(lambda t: np.exp(4j * t - t**2 / 2).real),
    "Rational[top=4, bottom=3]": rational,
    "ReluPower[grid=4, wide=2]": bumps,
    "PiecewiseLinear[grid=6]": lines,
}
STEP = 1e-6


def layer(edge: str) -> netdsl.Network:
    name = edge.partition("[")[0]
    return netdsl.load(
        f"import std.edges: {name}\nnetwork N(x: f32[B, 3]) -> f32[B, 2] {{ x |> edges[2, {edge}] as one }}"
    )["N"]


def parameters(net: netdsl.Network) -> dict[str, Floats]:
    """Random ones: where scales and shifts are not all alike."""
    rng = np.random.default_rng(5)
    found = {}
    for path, start in net.weights(seed=0).items():
        noise = rng.uniform(-0.4, 0.4, np.shape(start))
        found[path] = (np.asarray(start, np.float64) + noise).astype(np.float32).astype(np.float64)
    return found


def summed(function: Function, x: Floats, p: dict[str, Floats]) -> Floats:
    y = np.zeros((len(x), 2))
    for j, i in np.ndindex(2, 3):
        y[:, j] += function(x[:, i], {path.removeprefix("one."): value[j, i] for path, value in p.items()})
    return y


@pytest.mark.parametrize("edge", FAMILIES)
def test_a_family_is_its_formula_in_every_backend(edge: str, tmp_path: Path) -> None:
    net, x = layer(edge), np.random.default_rng(0).uniform(-2, 2, (200, 3)).astype(np.float32)
    p = parameters(net)
    expected = summed(FAMILIES[edge], x.astype(np.float64), p)
    np.testing.assert_allclose(expected, net.reference({"x": x}, weights=p)["output"], atol=1e-10)
    net.onnx(tmp_path / "n.onnx", weights=p)
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    for found in (session.run(None, {"x": x})[0], net.torch(weights=p)(torch.from_numpy(x)).detach()):
        np.testing.assert_allclose(expected, found, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("edge", FAMILIES)
def test_gradients_of_a_family_are_those_of_its_formula(edge: str) -> None:
    """Central differences of the formula, for x and for every parameter."""
    net, x = layer(edge), np.random.default_rng(0).uniform(-2, 2, (40, 3))
    p, toward = parameters(net), np.random.default_rng(1).normal(size=(40, 2))
    module = net.torch(weights=p).double()
    inputs = torch.from_numpy(x).requires_grad_()
    (module(inputs) * torch.from_numpy(toward)).sum().backward()

    def change(x_by: Floats, p_by: dict[str, Floats]) -> Floats:
        ahead, behind = (
            summed(FAMILIES[edge], x + sign * x_by, {path: v + sign * p_by.get(path, 0.0) for path, v in p.items()})
            for sign in (1, -1)
        )
        return (ahead - behind) * toward / (2 * STEP)

    assert inputs.grad is not None
    for i in range(3):
        by = np.zeros_like(x)
        by[:, i] = STEP
        np.testing.assert_allclose(change(by, {}).sum(1), inputs.grad[:, i], atol=1e-6)
    for path, tensor in module.named_parameters():
        assert tensor.grad is not None
        for at in np.ndindex(*tensor.shape):
            moved = np.zeros(tensor.shape)
            moved[at] = STEP
            slope = change(np.zeros_like(x), {path: moved}).sum()
            np.testing.assert_allclose(slope, tensor.grad[at], atol=1e-6, err_msg=f"{path}{at}")
