"""Formulas and pictures of learned functions."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import netdsl
from netdsl.diagnostics import NetError
from netdsl.kan import plot, suggest
from netdsl.kan.symbolic import SHAPES

FUNCTIONS = {
    "x": "3 * x - 1",
    "x^2": "2 * (x - 0.3) ** 2",
    "x^3": "(x + 0.5) ** 3",
    "abs": "0.5 * abs(x - 0.2) + 1",
    "1/x": "1 / (2 * x + 3)",
    "sqrt": "sqrt(4 - 3 * x)",
    "exp": "exp(-2 * x)",
    "log": "2 * log(x + 1.2)",
    "sin": "sin(4 * x + 1)",
    "cos": "-cos(7 * x) + 2",
    "tanh": "tanh(3 * x - 1)",
    "gaussian": "exp(-(2 * x - 0.5) * (2 * x - 0.5))",
}
X = np.random.default_rng(0).uniform(-1, 1, (3000, 2)).astype(np.float32)


def network(body: str) -> netdsl.Network:
    return netdsl.load(
        f"edge E(x: float) -> float {{ param w: float ~ one\n w * ({body}) }}\nnetwork N(x: f32[B, 2]) -> f32[B, 3] {{ x |> edges[3, E] as one }}"
    )["N"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_shape_is_found_again(name: str) -> None:
    net = network(FUNCTIONS[name])
    weights = net.weights()
    weights["one.w"][2, 1] = -2.5
    found = suggest(net, weights, "one", (2, 1), X)
    best = found.formulas[0]
    same = {"sin": {"sin", "cos"}, "cos": {"sin", "cos"}}.get(name, {name})
    assert best.name in same and best.r2 > 0.99999, str(found)
    at = np.linspace(-0.9, 0.9, 50)
    layer_values = net.reference(
        {"x": np.stack([at, at], 1)}, weights={"one.w": np.where(weights["one.w"] < 0, -2.5, 0)}
    )
    np.testing.assert_allclose(best(at), layer_values["output"][:, 2], atol=0.02)


def test_the_names_tell_what_is_tried() -> None:
    assert list(FUNCTIONS) == [shape.name for shape in SHAPES]


def test_nothing_is_suggested_where_nothing_fits() -> None:
    net = network("sin(9 * x) * exp(2 * x) + abs(x)")
    found = suggest(net, net.weights(), "one", (0, 0), X)
    assert () == found.formulas
    assert f"one[0, 0]: nothing fits; the closest, {found.closest.name}, has R² = {found.closest.r2:.4f}" == str(found)
    assert 0 < found.closest.r2 < 0.95


def test_a_constant_function_is_its_value() -> None:
    net = network("0 * x + 3")
    found = suggest(net, net.weights(), "one", (0, 0), X)
    assert (0.0, 3.0) == (found.formulas[0].c, found.formulas[0].d)


def test_memory_is_that_of_a_few_copies_of_the_data() -> None:
    net = network("tanh(3 * x)")
    peaks = []
    for rows in (2_000, 200_000):
        x = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
        tracemalloc.start()
        found = suggest(net, net.weights(), "one", (0, 0), x)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert "tanh" == found.formulas[0].name
    assert peaks[1] < 2_000_000 + 8 * x.nbytes


def test_edges_and_layers_that_are_not_there_are_refused() -> None:
    net = network("x")
    with pytest.raises(ValueError, match="3 outputs and 2 inputs"):
        suggest(net, net.weights(), "one", (2, 2), X)
    with pytest.raises(ValueError, match="8 values or more"):
        suggest(net, net.weights(), "one", (0, 0), X[:5])
    with pytest.raises(NetError) as error:
        suggest(net, net.weights(), "onne", (0, 0), X)
    assert ["E0605"] == [d.code for d in error.value.diagnostics]


def test_a_picture_without_matplotlib_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    net = network("x")
    with pytest.raises(NetError) as error:
        plot(net, net.weights(), tmp_path / "a.svg", layer="one")
    assert ["E0801"] == [d.code for d in error.value.diagnostics]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")])
def test_pictures_show_every_function_and_are_reproducible(tmp_path: Path, name: str, start: bytes) -> None:
    net = network("sin(x)")
    written = []
    for at in ("1", "2"):
        (tmp_path / at).mkdir()
        plot(net, net.weights(), tmp_path / at / name, layer="one", x=X if at == "1" else X.copy())
        written.append((tmp_path / at / name).read_bytes())
    assert written[0].startswith(start) and written[0] == written[1]
    if name == "a.svg":
        assert 6 == written[0].count(b'<g id="axes_')
        plot(net, net.weights(), tmp_path / name, layer="one", edges=[(2, 1)])
        assert 1 == (tmp_path / name).read_bytes().count(b'<g id="axes_')


def test_pictures_of_other_formats_or_edges_are_refused(tmp_path: Path) -> None:
    net = network("x")
    with pytest.raises(ValueError, match=r"`a\.jpg`"):
        plot(net, net.weights(), tmp_path / "a.jpg", layer="one")
    with pytest.raises(ValueError, match="1 to 400 panels"):
        plot(net, net.weights(), tmp_path / "a.svg", layer="one", edges=[])
    with pytest.raises(ValueError, match="not all of"):
        plot(net, net.weights(), tmp_path / "a.svg", layer="one", edges=[(3, 0)])
