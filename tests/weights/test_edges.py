"""`edges[out, E]`: the sum over inputs of one function per pair, whatever form the compiler gives it."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import netdsl
from netdsl.api import Network
from netdsl.diagnostics import NetError
from tests.bad_input.checking import findings

EDGES = """
edge Cubic(x: float) -> float {
    param c: float[4] ~ normal[std=0.5]
    param w: float ~ normal
    w * silu(x) + dot(c, stack(1 + 0 * x, x, x * x, x * x * x))
}
edge Fourier[g: int = 3](x: float) -> float {
    param a: float[g] ~ normal
    param b: float[g] ~ normal
    m = cast[f32](1 + iota[g])
    dot(a, cos(m * x)) + dot(b, sin(m * x))
}
edge Hat(x: float) -> float {
    param scale: float ~ uniform
    param shift: float ~ normal
    param w: float ~ normal
    t = (x - shift) / (1 + scale * scale)
    w * (1 - t * t) * exp(-0.5 * t * t)
}
edge Shared(x: float) -> float {
    param o: float per out ~ normal
    param i: float[2] per in ~ normal
    param l: float per layer ~ normal
    param c: float ~ normal
    o * c * sin(x) - mean(i * stack(x, cos(x))) / 2 + l * c + x - c
}
edge Pool(x: float) -> float {
    param s: float[2] per out ~ normal
    dot(softmax(s), stack(Cubic(x), Fourier(x)))
}
edge Mixed(x: float) -> float { Hat(x) + Fourier(x) }
"""


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def cubic(x: float, p: dict[str, np.ndarray], at: str, j: int, i: int) -> float:
    return p[f"{at}w"][j, i] * silu(x) + p[f"{at}c"][j, i] @ [1, x, x * x, x**3]


def fourier(x: float, p: dict[str, np.ndarray], at: str, j: int, i: int) -> float:
    m = 1 + np.arange(3)
    return p[f"{at}a"][j, i] @ np.cos(m * x) + p[f"{at}b"][j, i] @ np.sin(m * x)


def hat(x: float, p: dict[str, np.ndarray], at: str, j: int, i: int) -> float:
    t = (x - p[f"{at}shift"][j, i]) / (1 + p[f"{at}scale"][j, i] ** 2)
    return p[f"{at}w"][j, i] * (1 - t * t) * np.exp(-0.5 * t * t)


def shared(x: float, p: dict[str, np.ndarray], at: str, j: int, i: int) -> float:
    o, own, all_, c = p[f"{at}o"][j], p[f"{at}i"][i], p[f"{at}l"], p[f"{at}c"][j, i]
    return o * c * np.sin(x) - np.mean(own * [x, np.cos(x)]) / 2 + all_ * c + x - c


def pool(x: float, p: dict[str, np.ndarray], at: str, j: int, i: int) -> float:
    s = np.exp(p[f"{at}s"][j]) / np.exp(p[f"{at}s"][j]).sum()
    return s @ [cubic(x, p, f"{at}cubic.", j, i), fourier(x, p, f"{at}fourier.", j, i)]


def mixed(x: float, p: dict[str, np.ndarray], at: str, j: int, i: int) -> float:
    return hat(x, p, f"{at}hat.", j, i) + fourier(x, p, f"{at}fourier.", j, i)


FUNCTIONS = {"Cubic": cubic, "Fourier": fourier, "Hat": hat, "Shared": shared, "Pool": pool, "Mixed": mixed}


@pytest.mark.parametrize("edge", FUNCTIONS)
def test_edges_are_a_double_loop_over_functions(edge: str, tmp_path: Path) -> None:
    net = netdsl.load(f"{EDGES}\nnetwork N(x: f32[B, T, 4]) -> f32[B, T, 3] {{ x |> edges[3, {edge}] as phi }}")["N"]
    weights = net.weights(seed=2)
    p = {path.removeprefix("phi."): np.asarray(value, np.float64) for path, value in weights.items()}
    net.onnx(tmp_path / "n.onnx", weights=weights)
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    module = net.torch(weights=weights)
    for batch in (2, 1, 0):
        x = np.random.default_rng(0).standard_normal((batch, 2, 4)).astype(np.float32)
        expected = np.zeros((batch, 2, 3))
        for b, t, j, i in np.ndindex(batch, 2, 3, 4):
            expected[b, t, j] += FUNCTIONS[edge](float(x[b, t, i]), p, "", j, i)
        np.testing.assert_allclose(net.reference({"x": x}, weights=weights)["output"], expected, atol=1e-6)
        np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), expected, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, atol=1e-4, rtol=1e-4)


def forms(net: Network) -> str:
    (row,) = [row for row in net.graph.instances if row.block == "edges"]
    return dict(row.statics)["form"]


def test_what_is_linear_in_its_parameters_is_one_expansion_and_one_product() -> None:
    nets = {
        edge: netdsl.load(f"{EDGES}\nnetwork N(x: f32[B, 4]) -> f32[B, 3] {{ x |> edges[3, {edge}] as phi }}")["N"]
        for edge in FUNCTIONS
    }
    assert "1 basis function and 1 product; 4 basis functions and 1 product" == forms(nets["Cubic"])
    assert "every pair of input and output" == forms(nets["Hat"])
    assert forms(nets["Mixed"]).endswith("every pair of input and output")
    for edge in ("Cubic", "Fourier", "Shared", "Pool"):
        largest = max(
            value.type.rank for node in nets[edge].graph.walk() for value in node.results if "B" in str(value.type)
        )
        assert largest <= 3, f"{edge} makes a tensor over samples, outputs, inputs and basis functions"


def test_shapes_of_parameters_follow_what_they_are_per() -> None:
    net = netdsl.load(f"{EDGES}\nnetwork N(x: f32[B, 4]) -> f32[B, 3] {{ x |> edges[3, Shared] as phi }}")["N"]
    assert {
        "phi.o": "f32[3]",
        "phi.i": "f32[4, 2]",
        "phi.l": "f32",
        "phi.c": "f32[3, 4]",
    } == {p.path: str(p.value.type) for p in net.graph.params}


def test_knots_of_each_input_belong_to_the_basis() -> None:
    net = netdsl.load(
        "import std.edges: AdaptiveBSpline, BSpline\n"
        "network A(x: f32[B, 4]) -> f32[B, 3] { x |> edges[3, AdaptiveBSpline] as phi }\n"
        "network F(x: f32[B, 4]) -> f32[B, 3] { x |> edges[3, BSpline] as phi }\n"
    )
    assert forms(net["F"]) == forms(net["A"])
    values = net["A"].weights(seed=0)
    assert (4, 12) == values["phi.knots"].shape
    x = np.random.default_rng(0).uniform(-0.99, 0.99, (50, 4)).astype(np.float32)
    expected = net["F"].reference({"x": x}, weights={k: v for k, v in values.items() if k != "phi.knots"})["output"]
    np.testing.assert_allclose(net["A"].reference({"x": x}, weights=values)["output"], expected, atol=1e-6)
    module = net["A"].torch(weights=values)
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach(), expected, atol=1e-5)
    assert "phi.knots" not in dict(module.named_parameters())


def test_initialisers_with_fans_count_inputs_and_outputs_of_the_layer() -> None:
    edge = "edge E(x: float) -> float { param c: float ~ kaiming_normal[1.0]\n param d: float ~ normal[std=0.1]\n c * x + d }"
    net = netdsl.load(f"{edge}\nnetwork N(x: f32[B, 400]) -> f32[B, 300] {{ x |> edges[300, E] as phi }}")["N"]
    values = net.weights(seed=0)
    np.testing.assert_allclose([values["phi.c"].std(), values["phi.d"].std()], [1 / 20, 0.1], rtol=0.02)


@pytest.mark.parametrize(
    ("before", "call", "code"),
    [
        ("edge E(x: float, y: float) -> float { x + y }", "edges[3, E](x)", "E0371"),
        ("edge E(x: float[2]) -> float { sum(x) }", "edges[3, E](x)", "E0371"),
        ("edge E(x: float) -> float[2] { stack(x, x) }", "edges[3, E](x)", "E0371"),
        ("edge E(x: float) -> float { x }", "E(x)", "E0336"),
        ("edge E(x: float) -> float { x }", 'edges["3", E](x)', "E0324"),
        ("block E(x: float) -> float { x }", "edges[3, E](x)", "E0371"),
        ("edge E(x: float) -> float { param c: float per input ~ one\n c * x }", "edges[3, E](x)", "E0336"),
        (
            "edge E(x: float) -> float { state s: float ~ one\n update s = 2 * s\n s * x }",
            "edges[3, E](x)",
            "E0367",
        ),
        ("edge E(x: float) -> float { param c: float ~ one\n c * x }", "edges[3, E](x.T)", "E0212"),
    ],
)
def test_a_wrong_edge_is_reported_once(before: str, call: str, code: str) -> None:
    with pytest.raises(NetError) as error:
        netdsl.load(f"{before}\nnetwork N(x: f32[B, 4]) -> float[..] {{ {call} }}")["N"]
    assert [code] == [d.code for d in error.value.diagnostics]


def test_an_unused_edge_is_checked() -> None:
    unused = "edge E(x: float) -> float {{ {} }}\nnetwork N(x: f32[B]) -> f32[B] {{ x }}\n"
    assert ["E0300"] == [d.code for d in findings(unused.format("y + x"))]
    assert () == findings(unused.format("2 * x"))


def test_a_kernel_of_edges_is_a_layer_of_edges_on_every_window() -> None:
    net = netdsl.load(
        f"import std.edges: conv_edges\n{EDGES}\n"
        "network N(x: f32[B, 2, H, W]) -> float[..] where H >= 3, W >= 4 {\n"
        "    x |> conv_edges[3, Hat, kernel=[3, 2], stride=[2, 1], padding=[1, 0]] as phi\n}\n"
    )["N"]
    weights = net.weights(seed=2)
    p = {path.removeprefix("phi.edges."): np.asarray(value, np.float64) for path, value in weights.items()}
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 4)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    expected = np.zeros((2, 3, 3, 3))
    for b, j, r, s in np.ndindex(expected.shape):
        window = padded[b, :, 2 * r : 2 * r + 3, s : s + 2].ravel()
        expected[b, j, r, s] = sum(hat(float(v), p, "", j, i) for i, v in enumerate(window))
    np.testing.assert_allclose(net.reference({"x": x}, weights=weights)["output"], expected, atol=1e-6)
    found = net.torch(weights=weights)(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
