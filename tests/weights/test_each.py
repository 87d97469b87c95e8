"""`each[B, axis=k]`: every slice has parameters of its own, stored as one tensor."""

import numpy as np
import pytest
import torch

import netdsl
from netdsl.diagnostics import NetError
from netdsl.initialisers import initial_value


def test_every_slice_has_its_own_parameters() -> None:
    net = netdsl.load("network N(x: f32[B, 3, 4]) -> f32[B, 3, 5] { x |> each[Linear[5], axis=1] as heads }")["N"]
    assert {"heads.weight": "f32[3, 5, 4]", "heads.bias": "f32[3, 5]"} == {
        p.path: str(p.value.type) for p in net.graph.params
    }
    weights = net.weights(seed=1)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    w, b = weights["heads.weight"], weights["heads.bias"]
    expected = np.stack([x[:, k] @ w[k].T + b[k] for k in range(3)], 1)
    np.testing.assert_allclose(net.reference({"x": x}, weights=weights)["output"], expected, atol=1e-6)
    found = net.torch(weights=weights)(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_result_has_its_axis_where_it_was() -> None:
    for axis in (0, 1, 2, -1, -2):
        sizes = ["2", "3", "4"]
        slices = sizes[:axis] + sizes[axis:][1:]
        net = netdsl.load(
            f"block F(x: float[{', '.join(slices)}]) -> float[{', '.join(slices)}] {{ param w: float ~ normal\n w * x }}\n"
            f"network N(x: f32[2, 3, 4]) -> f32[2, 3, 4] {{ x |> each[F, axis={axis}] }}"
        )["N"]
        weights = net.weights(seed=3)
        x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        expected = x * weights["f.w"].reshape(shape)
        np.testing.assert_allclose(net.reference({"x": x}, weights=weights)["output"], expected, atol=1e-6)


def test_each_copy_starts_with_the_spread_of_one() -> None:
    text = "block F(x: float[.., 50]) -> float[.., 400] { param w: float[400, 50] ~ kaiming_normal\n x @ w.T }\n"
    net = netdsl.load(text + "network N(x: f32[6, B, 50]) -> f32[6, B, 400] { x |> each[F] }")["N"]
    (param,) = net.graph.params
    value = initial_value(param, 0)
    assert (6, 400, 50) == value.shape
    np.testing.assert_allclose(value.std(axis=(1, 2)), np.sqrt(2 / 50), rtol=0.03)
    assert not np.allclose(value[0], value[1])
    with_text = netdsl.load(
        "network N(x: f32[B]) -> f32[B] { param w: f32[6, 400, 50] ~ kaiming_normal[stacked=1]\n x * sum(w) }"
    )["N"]
    np.testing.assert_allclose(initial_value(with_text.graph.params[0], 0).std(axis=(1, 2)), np.sqrt(2 / 50), rtol=0.03)


def test_a_free_axis_cannot_number_parameters() -> None:
    with pytest.raises(NetError) as error:
        netdsl.load("network N(x: f32[B, N, 4]) -> f32[B, N, 5] { x |> each[Linear[5], axis=1] }")["N"]
    assert ["E0212"] == [d.code for d in error.value.diagnostics]
    net = netdsl.load("network N(x: f32[B, N, 4]) -> f32[B, N, 2] { x |> each[Glu, axis=1] }")["N"]
    assert [] == list(net.graph.params)


def test_inputs_by_name_are_in_any_order() -> None:
    text = (
        "block F(a: float[.., 2], b: float[.., 2]) -> float[.., 2] { a - b }\n"
        "network N(x: f32[B, 3, 2], y: f32[B, 3, 2]) -> f32[B, 3, 2] { each[F, axis=1](b=y, a=x) }"
    )
    x, y = np.random.default_rng(0).standard_normal((2, 4, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(netdsl.load(text)["N"].reference({"x": x, "y": y})["output"], x - y, atol=1e-6)


def test_an_instance_has_one_set_for_all_its_uses() -> None:
    text = """network N(x: f32[B, 3, 4]) -> f32[B, 3, 4] {
        let f = Linear[4]
        x |> each[f, axis=1] as first |> each[f, axis=1] as second
    }"""
    net = netdsl.load(text)["N"]
    assert ["f.weight", "f.bias"] == [p.path for p in net.graph.params]
    assert ["first", "second"] == [t.path for t in net.graph.taps]
    weights = net.weights(seed=1)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    expected = x
    for _ in range(2):
        expected = np.stack([expected[:, k] @ weights["f.weight"][k].T + weights["f.bias"][k] for k in range(3)], 1)
    np.testing.assert_allclose(net.reference({"x": x}, weights=weights)["output"], expected, atol=1e-6)
    for first, second in (("each[f, axis=1]", "f"), ("f", "each[f, axis=1]")):
        body = f"let f = Linear[4]\n    y = x |> {first}\n    y |> {second}"
        with pytest.raises(NetError) as error:
            netdsl.load(f"network N(x: f32[B, 3, 4]) -> f32[B, 3, 4] {{\n    {body}\n}}")["N"]
        assert ["E0338"] == [d.code for d in error.value.diagnostics]
