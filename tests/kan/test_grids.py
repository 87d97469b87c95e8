"""Grids that follow the data, and finer ones: the functions stay."""

from typing import Any

import numpy as np
import pytest
import torch

import netdsl
from netdsl.api import Network
from netdsl.diagnostics import NetError
from netdsl.kan import refine, update_grid
from netdsl.kan.grids import data_knots, extended

ADAPTIVE = """import std.edges: AdaptiveBSpline
network N[grid: int = 5, h: int = 3](x: f32[B, 2]) -> f32[B, 1] {
    x |> edges[h, AdaptiveBSpline[grid=grid]] as one |> edges[1, AdaptiveBSpline[grid=grid]] as two
}
"""
#: Dropout makes a module of two graphs.
DROPPED = """import std.edges: AdaptiveBSpline
network N(x: f32[B, 2]) -> f32[B, 1] {
    x |> edges[3, AdaptiveBSpline] as one |> Dropout[0.5] |> edges[1, AdaptiveBSpline] as two
}
"""
RNG = np.random.default_rng(0)
#: Far outside of the first grid, and far from evenly spread.
DATA = np.stack([RNG.normal(size=2000) ** 3, RNG.uniform(-0.2, 0.3, 2000)], axis=1).clip(-0.9, 0.9).astype(np.float32)


def test_knots_are_quantiles_mixed_with_even_ones() -> None:
    column = np.sort(np.random.default_rng(1).exponential(size=1000))
    expected = np.array([column[0], column[250], column[500], column[750], column[-1]])
    np.testing.assert_array_equal(expected, data_knots(column, 4, 0.0))
    even = np.linspace(column[0], column[-1], 5)
    np.testing.assert_allclose(even, data_knots(column, 4, 1.0))
    np.testing.assert_allclose(0.1 * even + 0.9 * expected, data_knots(column, 4, 0.1))
    np.testing.assert_allclose(np.arange(-2.0, 7.0), extended(np.arange(0.0, 5.0), 2))


@pytest.mark.parametrize("text", [ADAPTIVE, DROPPED])
def test_an_updated_grid_lies_where_the_data_is_and_fits_it_again(text: str) -> None:
    model = netdsl.load(text)["N"].torch(seed=1).eval()
    before: dict[str, torch.Tensor] = {k: v.clone() for k, v in model.state_dict().items()}
    kept = dict(model.named_parameters())
    x = torch.from_numpy(DATA)
    expected = model(x).detach()
    assert ("one.knots", "two.knots") == update_grid(model, x, mix=1.0)
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(parameter is kept[path] for path, parameter in model.named_parameters())
    np.testing.assert_allclose(after["one.knots"][:, 3], DATA.min(0), rtol=1e-6)
    np.testing.assert_allclose(after["one.knots"][:, -4], DATA.max(0), rtol=1e-6)
    assert not torch.equal(before["one.coef"], after["one.coef"])
    assert torch.equal(before["one.base"], after["one.base"])
    close = model(x).detach()
    assert (close - expected).square().mean().sqrt() < 0.05 * expected.std()


def test_knots_that_fit_already_leave_all_as_it_was() -> None:
    model = netdsl.load(ADAPTIVE)["N"].torch(seed=1).double()
    first = {path: value.clone() for path, value in model.state_dict().items()}
    x = torch.linspace(-1, 1, 501).double()[:, None].repeat(1, 2)
    update_grid(model, x, mix=1.0)
    for path in ("one.knots", "one.coef"):
        np.testing.assert_allclose(first[path], model.state_dict()[path], atol=1e-6)
    assert model.training


def test_constant_inputs_and_few_points_leave_sound_knots() -> None:
    model = netdsl.load(ADAPTIVE)["N"].torch(seed=1)
    first = model.state_dict()["one.knots"].clone()
    x = torch.tensor([[0.5, 0.1], [0.5, 0.4], [0.5, 0.4]])
    expected = model(x).detach()
    update_grid(model, x)
    knots = model.state_dict()["one.knots"]
    assert torch.equal(first[0], knots[0]) and (knots[1].diff() > 0).all()
    np.testing.assert_allclose(model(x).detach(), expected, atol=1e-4)


def test_a_model_without_adaptive_splines_is_refused() -> None:
    net = netdsl.load("network N(x: f32[B, 2]) -> f32[B, 1] { x |> Linear[1] }")["N"]
    with pytest.raises(NetError) as error:
        update_grid(net.torch(), np.zeros((3, 2), np.float32))
    assert ["E0605"] == [d.code for d in error.value.diagnostics]


def uniform(edge: str) -> Network:
    return netdsl.load(
        f"import std.edges: BSpline, AdaptiveBSpline, PiecewiseLinear, Chebyshev, Rational\n"
        f"edge Both[grid: int = 4](x: float) -> float {{ BSpline[grid=grid](x) + AdaptiveBSpline[grid=grid, low=0.0](x) }}\n"
        f"network N[grid: int = 4, h: int = 3](x: f32[B, T, 2]) -> f32[B, T, h] {{ x |> edges[h, {edge}] as one }}"
    )["N"]


@pytest.mark.parametrize(
    "edge", ["BSpline[grid=grid]", "BSpline[grid=grid, order=2, low=-2.0]", "AdaptiveBSpline[grid=grid]"]
)
@pytest.mark.parametrize("grid", [8, 12])
def test_a_finer_grid_that_holds_the_coarser_one_keeps_the_functions(edge: str, grid: int) -> None:
    net = uniform(edge)
    finer = net.set(grid=grid)
    weights = net.weights(seed=2)
    better = refine(net, finer, weights)
    assert better.keys() == finer.weights(seed=0).keys()
    x = RNG.uniform(-1, 0.999, (5, 4, 2))
    expected = net.reference({"x": x}, weights=weights)["output"]
    np.testing.assert_allclose(finer.reference({"x": x}, weights=better)["output"], expected, atol=1e-6)


def test_another_grid_is_the_best_fit() -> None:
    net = uniform("BSpline[grid=grid]")
    weights = net.weights(seed=2)
    x = np.linspace(-1, 0.999, 400).reshape(100, 4, 1).repeat(2, axis=2)
    expected = net.reference({"x": x}, weights=weights)["output"]
    errors = []
    for grid in (7, 31, 61):
        finer = net.set(grid=grid)
        found = finer.reference({"x": x}, weights=refine(net, finer, weights))["output"]
        errors.append(float(np.sqrt(np.mean((np.asarray(found, float) - expected) ** 2))))
    assert errors[0] < 0.2 * float(np.std(np.asarray(expected))) and errors[0] > 10 * errors[1] > 20 * errors[2]


def test_edges_of_two_grids_and_of_polynomials_are_refined() -> None:
    x = RNG.uniform(0, 0.99, (50, 4, 2))
    for edge, statics in (("Both[grid=grid]", {"grid": 8}), ("Chebyshev[degree=grid]", {"grid": 6})):
        net = uniform(edge)
        finer = net.set(**statics)
        weights = net.weights(seed=3)
        expected = net.reference({"x": x}, weights=weights)["output"]
        found = finer.reference({"x": x}, weights=refine(net, finer, weights, x))["output"]
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("edge", "statics", "given"),
    [
        ("Rational[bottom=grid]", {"grid": 5}, True),
        ("Chebyshev[degree=grid]", {"grid": 5}, False),
        ("BSpline", {"h": 4}, True),
    ],
)
def test_what_is_no_refinement_is_refused(edge: str, statics: dict[str, Any], given: bool) -> None:
    net = uniform(edge)
    with pytest.raises(NetError) as error:
        refine(net, net.set(**statics), net.weights(), np.zeros((2, 1, 2)) + 0.1 if given else None)
    assert ["E0606"] == [d.code for d in error.value.diagnostics]
