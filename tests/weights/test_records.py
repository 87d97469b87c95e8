"""Records of parameters: what they hold, and what is computed with them."""

import numpy as np
import pytest

import netdsl
from netdsl.api import Network
from netdsl.diagnostics import NetError

TARGET = "block Target(x: float[.., 3]) -> float[.., 2] { x |> Linear[4] |> relu |> Linear[2] }\n"
PATHS = ("linear.weight", "linear.bias", "linear_2.weight", "linear_2.bias")


def value_of(body: str, header: str = "(x: f32[B, 3]) -> float[..]", before: str = TARGET) -> Network:
    return netdsl.load(f"{before}network N{header} {{\n{body}\n}}\n")["N"]


def codes(body: str, header: str = "(x: f32[B, 3]) -> float[..]", before: str = TARGET) -> list[str]:
    with pytest.raises(NetError) as error:
        value_of(body, header, before)
    return [d.code for d in error.value.diagnostics]


def test_a_record_of_parameters_starts_as_the_block_does() -> None:
    net = value_of("param base: params[Target] ~ init_of[Target]\nTarget(x, **base)")
    plain = value_of("Target(x) as base")
    assert [f"base.{path}" for path in PATHS] == [p.path for p in net.graph.params]
    assert [(p.path, str(p.init)) for p in net.graph.params] == [(p.path, str(p.init)) for p in plain.graph.params]
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(net.reference({"x": x})["output"], plain.reference({"x": x})["output"])


def test_a_given_parameter_is_not_created() -> None:
    net = value_of("param w: f32[2, 3] ~ zeros\nLinear[2](x, weight=w)")
    assert ["w", "linear.bias"] == [p.path for p in net.graph.params]


def test_numbers_of_a_block() -> None:
    net = value_of("x * numel[Target]")
    assert 4 * 3 + 4 + 2 * 4 + 2 == net.reference({"x": np.ones((1, 3), np.float32)})["output"][0, 0]
    fields = "[leaf.index, leaf.count, leaf.numel, leaf.rank, leaf.fan_in, leaf.fan_out, leaf.kernel]"
    net = value_of(
        f"total = []\nfor leaf in leaves[Conv2d[6, kernel=3, C=4]] {{ total = total + {fields} + leaf.shape }}\n"
        "s = 0\nfor i, v in enumerate(total) { s = s + (i + 1) * v }\nx * s"
    )
    flat = [0, 2, 216, 4, 36, 54, 9, 6, 4, 3, 3, 1, 2, 6, 1, 6, 6, 1, 6]
    wanted = sum((i + 1) * v for i, v in enumerate(flat))
    assert wanted == net.reference({"x": np.ones((1, 3), np.float32)})["output"][0, 0]


def test_records_are_added_scaled_and_interpolated() -> None:
    header = "(x: f32[B, 3], a: f32[numel[Target]], b: f32[numel[Target]], t: f32) -> float[..]"
    body = "p = unpack[Target](a)\nq = unpack[Target](b)\n"
    rng = np.random.default_rng(0)
    a, b, t = (rng.standard_normal(shape).astype(np.float32) for shape in ((26,), (26,), ()))
    x = rng.standard_normal((5, 3)).astype(np.float32)
    plain = value_of("Target(x, **unpack[Target](a))", "(x: f32[B, 3], a: f32[numel[Target]]) -> float[..]")
    for text, mixed in (
        ("p + q", a + b),
        ("p - q", a - b),
        ("2 * p", 2 * a),
        ("p / 2", a / 2),
        ("p * q", a * b),
        ("p + t * (q - p)", a + t * (b - a)),
    ):
        net = value_of(f"{body}Target(x, **({text}))", header)
        found = net.reference({"x": x, "a": a, "b": b, "t": np.asarray(t)})["output"]
        np.testing.assert_allclose(found, plain.reference({"x": x, "a": mixed})["output"], rtol=1e-5, atol=1e-6)


def test_a_tensor_of_the_leading_axes_scales_each_record() -> None:
    net = value_of(
        "theta: params[Target][K] = g * unpack[Target](v)\nTarget(x, **theta)",
        "(x: f32[B, 3], v: f32[numel[Target]], g: f32[K]) -> float[..]",
    )
    rng = np.random.default_rng(0)
    x, v, g = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 3), (26,), (4,)))
    plain = value_of("Target(x, **unpack[Target](v))", "(x: f32[B, 3], v: f32[numel[Target]]) -> float[..]")
    expected = np.stack([plain.reference({"x": x, "v": k * v})["output"] for k in g])
    np.testing.assert_allclose(net.reference({"x": x, "v": v, "g": g})["output"], expected, rtol=1e-5, atol=1e-6)


def test_leaves_take_a_record_apart_and_pack_puts_it_together() -> None:
    header = "(x: f32[B, 3], v: f32[numel[Target]]) -> float[..]"
    whole = value_of("Target(x, **unpack[Target](v))", header)
    parts = value_of(
        "p = unpack[Target](v)\nlist = []\nfor leaf in leaves[Target] { list = list + [p[leaf]] }\n"
        "Target(x, **pack[Target](list))",
        header,
    )
    one = value_of('p = unpack[Target](v)\nx @ p["linear.weight"].T', header)
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((5, 3)).astype(np.float32), rng.standard_normal(26).astype(np.float32)
    np.testing.assert_array_equal(*(n.reference({"x": x, "v": v})["output"] for n in (whole, parts)))
    np.testing.assert_allclose(one.reference({"x": x, "v": v})["output"], x @ v[:12].reshape(4, 3).T, atol=1e-6)


def test_coordinates_of_weights() -> None:
    net = value_of(
        "for leaf in leaves[Linear[4, I=3]] { c = coords[leaf, norm=8.0]\nif leaf.index == 0 { x = x @ c.T[:3, :3] * 0 + sum[axis=0](c)[:3] } }\nx"
    )
    o, i = np.divmod(np.arange(12), 3)
    rows = np.stack([np.zeros(12), o / 4, i / 3, np.full(12, 2 / 8), np.full(12, 4 / 8), np.full(12, 3 / 8)], 1)
    found = net.reference({"x": np.ones((1, 3), np.float32)})["output"]
    np.testing.assert_allclose(found[0], rows.sum(0)[:3], atol=1e-6)


def test_a_generator_may_generate_a_generator() -> None:
    net = value_of(
        "outer = z |> Linear[numel[Gen]] |> unpack[Gen]\n"
        "inner = Gen(z[:2], **outer) |> unpack[Target]\nTarget(x, **inner)",
        "(x: f32[B, 3], z: f32[5]) -> float[..]",
        TARGET + "block Gen(z: float[2]) -> float[numel[Target]] { z |> Linear[numel[Target]] }\n",
    )
    assert ["linear.weight", "linear.bias"] == [p.path for p in net.graph.params]
    shape = net.reference({"x": np.ones((4, 3), np.float32), "z": np.ones(5, np.float32)})["output"].shape
    assert (4, 2) == shape


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("x * numel[Linear[4]]", "E0335"),
        ("param p: params[Linear[4]] ~ init_of[Linear[4]]\nx", "E0335"),
        ("param p: params[Target] ~ init_of[Linear[2, I=3]]\nx", "E0366"),
        ("param p: params ~ zeros\nx", "E0304"),
        ("param p: params[3] ~ zeros\nx", "E0324"),
        ("x * numel[x]", "E0324"),
        ("Target(x, **x)", "E0329"),
        ("relu(x, **unpack[Target](zeros[26]))", "E0329"),
        ("Target(x, **unpack[Target](zeros[25]))", "E0202"),
        ("Target(x, **unpack[Linear[2, I=3]](zeros[8]))", "E0366"),
        ("Linear[2](x, **unpack[Target](zeros[26]))", "E0366"),
        ("p = unpack[Target](zeros[26])\nTarget(x, **p, **p)", "E0331"),
        ("p: params[Target][K] = unpack[Target](zeros[26])\nTarget(x, **p)", "E0214"),
        ("p: params[Linear[2, I=3]] = unpack[Target](zeros[26])\nx", "E0366"),
        ("p: params[Target] = x\nx", "E0214"),
        ("Target(x, **pack[Target]([x]))", "E0323"),
        ("Target(x, **pack[Target]([x, x, x, x]))", "E0366"),
        ("unpack[Target](zeros[26]) + unpack[Linear[2, I=3]](zeros[8])\n", "E0366"),
        ("p = unpack[Target](zeros[26]) @ x\nx", "E0320"),
        ("p = unpack[Target](zeros[26])\nx * p[3]", "E0325"),
        ('p = unpack[Target](zeros[26])\nx * p["linear.weigth"]', "E0328"),
        ("for leaf in leaves[Target] { y = leaf.shap }\nx", "E0328"),
        ("x * sum(coords[3])", "E0324"),
        ("parts = []\nfor leaf in leaves[Linear[4]] { parts = parts + [x] }\nconcat[axis=0](parts)", "E0335"),
        ("Linear[2, bias=false](x, bias=zeros[2])", "E0330"),
    ],
)
def test_a_wrong_use_is_reported_once(body: str, code: str) -> None:
    assert [code] == codes(body)


SPREADS = (
    "zeros",
    "ones",
    "constant[0.5]",
    "normal[0.3, 0.7]",
    "uniform[2.0]",
    "trunc_normal[std=1.5, mean=1.0]",
    "trunc_normal[std=500.0]",
    "trunc_normal[std=0.02]",
    "xavier_uniform[2.0]",
    "xavier_normal",
    "kaiming_uniform[sqrt(5)]",
    "kaiming_normal",
    "orthogonal[3.0]",
    "identity_matrix",
    "kaiming_normal[stacked=1]",
)


@pytest.mark.parametrize("init", SPREADS)
def test_a_leaf_knows_the_mean_and_the_spread_it_starts_with(init: str) -> None:
    shape = "2, 300, 200" if "stacked" in init else "300, 200"
    net = netdsl.load(
        f"block T(x: float[..]) -> float[..] {{ param w: float[{shape}] ~ {init}\n x + sum(w) }}\n"
        "network N(x: f32[2]) -> (m: f32[2], s: f32[2], y: f32[2]) {\n"
        "m = x\ns = x\nfor leaf in leaves[T] { m = x + leaf.mean\ns = x + leaf.std }\ny = T(x) as t\n}"
    )["N"]
    drawn = net.weights(seed=2)["t.w"].astype(np.float64)
    found = net.reference({"x": np.zeros(2, np.float32)})
    assert found["m"][0] == pytest.approx(drawn.mean(), abs=0.02 * drawn.std() + 1e-6)
    assert found["s"][0] == pytest.approx(drawn.std(), rel=0.02, abs=1e-6)
