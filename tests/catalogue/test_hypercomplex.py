"""Layers of hypercomplex numbers: the known algebras are special cases, and an unknown one is learned."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch

import netdsl
from netdsl.api import Network
from netdsl.diagnostics import NetError
from tests.catalogue.digits import accuracy, digits
from tests.catalogue.training import train
from tests.specs.catalogue import published

HEAD = "import std.hyper: PhcConv1d, PhcConv2d, PhcConv3d, PhmLinear\n"
#: Left multiplication by 1, i, j and k.
HAMILTON = np.array(
    [
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]],
        [[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]],
        [[0, 0, 0, -1], [0, 0, -1, 0], [0, 1, 0, 0], [1, 0, 0, 0]],
    ],
    np.float32,
)


def linear(out: int, n: int, inputs: int, bias: str = "false") -> Network:
    return netdsl.load(
        f"{HEAD}network N(x: f32[B, {inputs}]) -> f32[B, {out}] {{ x |> PhmLinear[{out}, n={n}, bias={bias}] as layer }}"
    )["N"]


def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quaternion product, the parts in the last axis."""
    a, b, c, d = np.moveaxis(p, -1, 0)
    e, f, g, h = np.moveaxis(q, -1, 0)
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        -1,
    )


def test_four_parts_with_hamiltons_algebra_are_quaternions() -> None:
    rng = np.random.default_rng(0)
    f, x = rng.standard_normal((4, 3, 2)), rng.standard_normal((6, 8))
    found = linear(12, 4, 8).reference({"x": x}, weights={"layer.a": HAMILTON, "layer.f": f})["output"]
    quaternions = x.reshape(6, 4, 2).transpose(0, 2, 1)
    expected = product(f.transpose(1, 2, 0)[None], quaternions[:, None]).sum(2)
    np.testing.assert_allclose(found.reshape(6, 4, 3).transpose(0, 2, 1), expected, atol=1e-6)


def test_two_parts_are_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    f, x = rng.standard_normal((2, 3, 5)), rng.standard_normal((6, 10))
    algebra = np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]]], np.float32)
    found = linear(6, 2, 10).reference({"x": x}, weights={"layer.a": algebra, "layer.f": f})["output"]
    expected = (x[:, :5] + 1j * x[:, 5:]) @ (f[0] + 1j * f[1]).T
    np.testing.assert_allclose(found[:, :3] + 1j * found[:, 3:], expected, atol=1e-6)


def test_a_quaternion_convolution_multiplies_the_parts_of_channels() -> None:
    net = netdsl.load(
        f"{HEAD}network N(x: f32[B, 8, 6, 7]) -> f32[B, 4, H, W] "
        "{ x |> PhcConv2d[4, n=4, kernel=3, stride=2, padding=1, bias=false] as layer }"
    )["N"]
    rng = np.random.default_rng(0)
    f, x = rng.standard_normal((4, 1, 2, 3, 3)), rng.standard_normal((3, 8, 6, 7))
    found = net.reference({"x": x}, weights={"layer.a": HAMILTON, "layer.f": f})["output"]
    patches = torch.nn.functional.unfold(torch.from_numpy(x), 3, padding=1, stride=2).numpy()
    quaternions = patches.reshape(3, 4, 2, 9, -1).transpose(0, 2, 3, 4, 1)
    expected = product(f[:, 0].reshape(4, 2, 9).transpose(1, 2, 0)[None, :, :, None], quaternions).sum((1, 2))
    np.testing.assert_allclose(found.reshape(3, 4, -1).transpose(0, 2, 1), expected, atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_part_is_an_ordinary_convolution_and_its_bias_counts(axes: int) -> None:
    sizes = ", ".join(["6", "7", "5"][:axes])
    out = ", ".join("HWD"[:axes])
    net = netdsl.load(
        f"{HEAD}network N(x: f32[B, 4, {sizes}]) -> f32[B, 6, {out}] "
        f"{{ x |> PhcConv{axes}d[6, n=1, kernel=3, stride=2, padding=1, dilation=1] as layer }}"
    )["N"]
    weights = dict(net.weights(seed=3))
    weights["layer.a"] = np.ones((1, 1, 1), np.float32)
    (bias,) = [path for path in weights if path.endswith("bias")]
    x = np.random.default_rng(0).standard_normal((2, 4, *[6, 7, 5][:axes]))
    conv = [torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d][axes - 1]
    f, b = (torch.from_numpy(weights[path]).double() for path in ("layer.f", bias))
    expected = conv(torch.from_numpy(x), f[0], b, stride=2, padding=1)
    assert b.abs().min() > 0
    np.testing.assert_allclose(net.reference({"x": x}, weights=weights)["output"], expected, atol=1e-6)


def test_parameters_follow_the_formula() -> None:
    rng = random.Random(0)
    for _ in range(20):
        n, kernel = rng.choice([1, 2, 3, 4, 8]), rng.choice([1, 3, 5])
        inputs, out = n * rng.randint(1, 5), n * rng.randint(1, 5)
        assert n**3 + out * inputs // n + out == linear(out, n, inputs, "true").param_count
        net = netdsl.load(
            f"{HEAD}network N(x: f32[B, {inputs}, 9, 9]) -> f32[B, {out}, H, W] {{ x |> PhcConv2d[{out}, n={n}, kernel={kernel}] }}"
        )["N"]
        assert n**3 + out * inputs * kernel**2 // n + out == net.param_count


def test_filters_of_the_residual_network_are_a_quarter_of_the_real_ones() -> None:
    real = {p.path: p.value.type.numel().value for p in published("ResNet20").graph.params if p.value.type.rank == 4}
    ours = {p.path: p.value.type.numel().value for p in published("PhcResNet20").graph.params if p.value.type.rank == 5}
    assert 18 == len(ours)
    assert sum(real.values()) - real["body.first.weight"] == 4 * sum(ours.values())


def test_a_layer_equals_the_layer_whose_weight_is_written_out() -> None:
    net = linear(12, 4, 8, "true")
    weights = net.weights(seed=5)
    (bias,) = [path for path in weights if path.endswith("bias")]
    weight = sum(np.kron(a, f) for a, f in zip(weights["layer.a"], weights["layer.f"], strict=True))
    x = torch.randn(7, 8, generator=torch.Generator().manual_seed(0))
    folded = torch.nn.functional.linear(x, torch.from_numpy(weight), torch.from_numpy(weights[bias]))
    torch.testing.assert_close(net.torch(weights=weights)(x), folded, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n", [3, 5])
def test_parts_that_do_not_divide_the_channels_are_an_error(n: int) -> None:
    with pytest.raises(NetError) as error:
        linear(12, n, 8)
    assert ["E0210"] == [d.code for d in error.value.diagnostics]


def test_the_algebra_of_quaternions_is_learned() -> None:
    """Weights are compared, and not algebras: filters and algebra may be mixed by any invertible matrix."""
    module = linear(16, 4, 16).torch(seed=0)
    filters = np.random.default_rng(0).standard_normal((4, 4, 4)).astype(np.float32) / 4
    wanted = torch.from_numpy(sum(np.kron(a, f) for a, f in zip(HAMILTON, filters, strict=True)))

    def loss(g: torch.Generator) -> torch.Tensor:
        x = torch.randn(64, 16, generator=g)
        return (module(x) - x @ wanted.T).square().mean()  # type: ignore[no-any-return]

    train(module.parameters(), loss, steps=1500, rate=1e-2, seed=0)
    found = module(torch.eye(16)).detach().T
    assert (found - wanted).norm() / wanted.norm() < 1e-2


def perceptron(layer: str) -> Network:
    widths = (64, 128, 64)
    text = " |> ".join(f"{layer.format(out)} |> relu" for _, out in pairwise(widths))
    return netdsl.load(f"{HEAD}network N(x: f32[B, 64]) -> f32[B, 10] {{ x |> {text} |> Linear[10] }}")["N"]


def test_a_third_of_the_weights_read_digits_as_well() -> None:
    learn, test = digits()
    right = {}
    for layer in ("PhmLinear[{}, n=4]", "Linear[{}]"):
        net = perceptron(layer)
        module = net.torch(seed=0)

        def loss(g: torch.Generator, module: torch.nn.Module = module) -> torch.Tensor:
            rows = torch.randint(len(learn[0]), (64,), generator=g)
            return torch.nn.functional.cross_entropy(module(learn[0][rows]), learn[1][rows])

        train(module.parameters(), loss, steps=500, rate=3e-3, seed=0)
        right[layer] = (accuracy(module, test), net.param_count)
    (ours, few), (dense, many) = right.values()
    assert few <= 0.3 * many
    assert ours >= dense - 0.02
