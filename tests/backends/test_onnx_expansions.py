"""Products with a basis are sums over its functions, one at a time, and equal to the reference."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import netdsl
from netdsl import expansions
from netdsl.api import Network

LIBRARY = (
    "BSpline",
    "BSpline[grid=3, order=2]",
    "BSpline[grid=17, order=3, low=-2.0, high=1.5]",
    "BSpline[grid=1, order=1]",
    "BSpline[grid=4, order=5]",
    "PiecewiseLinear[grid=12]",
    "Fourier",
    "Chebyshev",
    "Legendre[degree=6]",
    "Jacobi[degree=3, alpha=0.5]",
    "Chebyshev[degree=1]",
    "Rbf",
    "ReluPower",
    "Rational",
    "MexicanHat",
)


def network(edge: str, shape: str = "B", inputs: int = 40, before: str = "") -> Network:
    name = edge.partition("[")[0]
    known = f"import std.edges: {name}\n" if f"edge {name}" not in before else ""
    return netdsl.load(
        f"{known}{before}\nnetwork N(x: f32[{shape}, {inputs}]) -> f32[{shape}, 7] {{ x |> edges[7, {edge}] as phi }}"
    )["N"]


def operators(net: Network, folder: Path) -> Counter[str]:
    net.onnx(folder / "n.onnx")
    return Counter(node.op_type for node in onnx.load(folder / "n.onnx").graph.node)


def check(net: Network, x: np.ndarray, folder: Path) -> None:
    weights = net.weights(seed=1)
    net.onnx(folder / "n.onnx", weights=weights)
    found = onnxruntime.InferenceSession(folder / "n.onnx").run(None, {"x": x})[0]
    expected = np.asarray(net.reference({"x": x}, weights=weights)["output"])
    size = np.abs(expected).max(initial=1.0, where=np.isfinite(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * size)


@pytest.mark.parametrize("edge", LIBRARY)
def test_library_edges_equal_the_reference(edge: str, tmp_path: Path) -> None:
    net = network(edge)
    for batch in (300, 1, 0):
        check(net, np.random.default_rng(0).uniform(-2.5, 2.5, (batch, 40)).astype(np.float32), tmp_path)


@pytest.mark.parametrize(("shape", "sizes"), [("B, T", (3, 5)), ("B, T", (0, 5)), ("B, 3, T", (2, 3, 4))])
def test_higher_ranks_equal_the_reference(shape: str, sizes: tuple[int, ...], tmp_path: Path) -> None:
    for edge in ("BSpline", "Chebyshev", "Rbf"):
        net = network(edge, shape)
        check(net, np.random.default_rng(0).uniform(-2.5, 2.5, (*sizes, 40)).astype(np.float32), tmp_path)


def test_one_row_of_many_numbers_is_a_vector(tmp_path: Path) -> None:
    net = netdsl.load(
        "import std.edges: BSpline\nnetwork N(x: f32[20_000]) -> f32[3] { x |> edges[3, BSpline] as phi }"
    )["N"]
    check(net, np.random.default_rng(0).uniform(-1.2, 1.2, 20_000).astype(np.float32), tmp_path)
    assert operators(net, tmp_path)["Gemm"] == 7


@pytest.mark.parametrize("grid", [4, 17])
def test_ends_nan_and_infinity_are_those_of_the_whole_basis(grid: int, tmp_path: Path) -> None:
    net = network(f"BSpline[grid={grid}, low=0.0, high=1.0]")
    x = np.full((11, 40), 0.3, np.float32)
    x[:, 5] = [-0.75, 0.0, 0.25, 0.5, 1.0, 1.75, 9.0, -9.0, 1e30, 0.24999999, 0.2500001]
    check(net, x, tmp_path)
    x[:, 7] = [np.nan] * 5 + [np.inf] * 6
    net.onnx(tmp_path / "n.onnx")
    found = onnxruntime.InferenceSession(tmp_path / "n.onnx").run(None, {"x": x})[0]
    assert np.isnan(found[:5]).all()


@pytest.mark.parametrize(
    ("edge", "sums", "products"), [("BSpline", 7, 2), ("Chebyshev", 4, 0), ("Rbf", 7, 2), ("ReluPower", 7, 1)]
)
def test_no_basis_is_held(edge: str, sums: int, products: int, tmp_path: Path) -> None:
    """Each function but the first is a `Gemm` that adds to the sum; the first polynomial is a bias."""
    found = operators(network(edge), tmp_path)
    assert (sums, products) == (found["Gemm"], found["MatMul"])
    assert not {"Concat", "Reshape", "Expand"} & set(found)


BASIS = """
block Product(x: f32[B, 40], weight: f32[8 * 40, 7]) -> f32[B, 7] {
    reshape[B, 8 * 40](bspline[5, 3, axis=1](x)) @ weight
}
"""


def test_weights_may_be_computed_and_shared(tmp_path: Path) -> None:
    made = netdsl.load(
        BASIS + "network N(x: f32[B, 40]) -> f32[B, 7] { param w: f32[320, 7] ~ normal\n Product(x, w * w) }"
    )["N"]
    check(made, np.random.default_rng(0).uniform(-1.5, 1.5, (9, 40)).astype(np.float32), tmp_path)
    twin = netdsl.load(
        BASIS + "network N(x: f32[B, 40]) -> f32[B, 7] { param w: f32[320, 7] ~ normal\n"
        " Product(x, w) + Product(2 * x, w) }"
    )["N"]
    check(twin, np.random.default_rng(0).uniform(-1.5, 1.5, (9, 40)).astype(np.float32), tmp_path)
    stored = onnx.load(tmp_path / "n.onnx").graph.initializer
    assert 320 * 7 == sum(int(np.prod(t.dims)) for t in stored if len(t.dims) == 2)


def test_two_grids_share_weights_and_each_has_its_own_combination(tmp_path: Path) -> None:
    net = netdsl.load(
        "network N(x: f32[B, 40]) -> f32[B, 7] {\n param w: f32[320, 7] ~ normal\n"
        " reshape[B, 320](bspline[5, 3, axis=1](x)) @ w + reshape[B, 320](bspline[6, 2, axis=1](x)) @ w }"
    )["N"]
    check(net, np.random.default_rng(0).uniform(-1.5, 1.5, (9, 40)).astype(np.float32), tmp_path)


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("many outputs", "(x: f32[B, 40]) -> f32[B, 200] { x |> edges[200, BSpline] as phi }"),
        ("few inputs", "(x: f32[B, 8]) -> f32[B, 7] { x |> edges[7, BSpline] as phi }"),
        ("a short row", "(x: f32[1, 40]) -> f32[1, 7] { x |> edges[7, BSpline] as phi }"),
        ("f64", "(x: f64[B, 40]) -> f64[B, 7] { x |> edges[7, BSpline] as phi }"),
        (
            "another reader",
            """(x: f32[B, 40]) -> (f32[B, 7], f32[B, 8, 40]) {
                param w: f32[320, 7] ~ normal
                b = bspline[5, 3, axis=1](x)
                (reshape[B, 320](b) @ w, b)
            }""",
        ),
        ("steps", "(x: f32[B, 40]) -> f32[B, 7] { x |> edges[7, BSpline[order=0]] as phi }"),
    ],
)
def test_what_gains_nothing_is_one_product(why: str, text: str, tmp_path: Path) -> None:
    assert not operators(netdsl.load(f"import std.edges: BSpline\nnetwork N{text}")["N"], tmp_path)["Gemm"], why


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of every size are split."""
    monkeypatch.setattr(expansions, "_FEWEST_INPUTS", 1)
    monkeypatch.setattr(expansions, "_MOST_OUTPUTS", 99)
    monkeypatch.setattr(expansions, "_FEWEST_ELEMENTS", 0)


OWN = """
edge Own[n: int = 3](x: float) -> float {
    param c: float[n, 2] ~ normal
    param d: float[4] ~ normal
    t = tanh(x) - cast[float](iota[n]) / n
    sum(c * stack[-1](sin(t), select(t > 0, t, t * x))) + dot(d, stack(1 + 0 * x, x, x * x, relu(x)))
}
"""


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("sizes", [(4, 1), (1, 3), (0, 2), (5, 6)])
def test_any_size_and_any_edge(sizes: tuple[int, int], tmp_path: Path) -> None:
    batch, inputs = sizes
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (batch, inputs)).astype(np.float32)
    for edge, before in (("Own", OWN), ("BSpline", ""), ("Legendre", ""), ("ReluPower", "")):
        check(network(edge, inputs=inputs, before=before), x, tmp_path)
