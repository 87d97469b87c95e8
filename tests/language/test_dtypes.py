"""R17: type variables of a header, literals that take the type beside them, and networks of every float type."""

import numpy as np
import pytest
import torch

import netdsl
from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.tensor_type import DTYPES
from tests.language.nets import network, ops, output_type, refused, run
from tests.std.three_way import assert_three_way

FLOATS = ["f64", "f32", "f16", "bf16"]

EVERYTHING = """
import std.attention: SelfAttention

network N(x: {t}[B, T, 4], ids: idx[9][B, T], n: i64[B]) -> (y: {t}[B, T, 6], z: {t}[B, 3]) where B >= 1, T >= 1 {{
    x = x + (ids |> Embedding[9, 4] as table)
    x = x |> SelfAttention[2] as attention |> LayerNorm as norm |> Mlp[[5], 4, act=gelu] as mlp
    y = x |> BiGru[3](n) as rnn
    s, last = scan x[axis=1] from (h=zeros[B, 4]) {{
        h = 0.5 * h + x
        yield h
    }}
    pooled = mean[axis=1](y) + T * 0.125 + sum[axis=1](s)[:, :1] + last[:, 1:2]
    z = (pooled |> BatchNorm1d as stats)[:, :3] / sqrt(T)
}}
"""


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_network_may_be_of_any_float_type(dtype: str) -> None:
    net = netdsl.load(EVERYTHING.format(t=dtype))["N"]
    assert {dtype} == {p.value.type.dtype.name for p in net.graph.params}
    assert {dtype} == {v.type.dtype.name for _, v in net.graph.outputs}
    module = net.torch().eval()
    wanted = torch_dtype(DTYPES[dtype])
    assert all(t.dtype == wanted for t in module.state_dict().values())
    results = module(torch.randn(2, 3, 4).to(wanted), torch.zeros(2, 3, dtype=torch.int64), torch.tensor([3, 1]))
    assert [wanted] * 2 == [r.dtype for r in results]


@pytest.mark.parametrize("dtype", ["f64", "f32", "f16"])
def test_backends_agree_in_every_float_type(dtype: str) -> None:
    assert_three_way(netdsl.load(EVERYTHING.format(t=dtype))["N"], [{"B": 2, "T": 3}, {"B": 1, "T": 1}])


def test_float_stands_for_the_callers_type() -> None:
    before = "block Scale(x: float[..]) -> float[..] {\n    param w: float[1] ~ ones\n    x * w\n}\n"
    net = network("(a: f32[B], b: f16[B]) -> (c: f32[B], d: f16[B])", "c = Scale(a)\nd = Scale(b)", before=before)
    assert {"scale.w": "f32", "scale_2.w": "f16"} == {p.path: p.value.type.dtype.name for p in net.graph.params}
    run(net, a=np.ones(2), b=np.ones(2, np.float16))


def test_one_variable_is_one_type_in_a_header() -> None:
    before = "block Add(x: float[..], y: float[..]) -> float[..] { x + y }\n"
    refused("(a: f32[B], b: f16[B]) -> f32[B]", "Add(a, b)", "E0201", before=before)


def test_num_takes_integers_and_floats_and_int_takes_integers() -> None:
    before = "block Double(x: num[..]) -> num[..] { x * 2 }\nblock Next(x: int[..]) -> int[..] { x + 1 }\n"
    net = network(
        "(a: f32[B], i: i32[B]) -> (b: f32[B], j: i32[B])", "b = Double(a)\nj = Next(Double(i))", before=before
    )
    found = run(net, a=np.ones(2), i=np.arange(2, dtype=np.int32))
    assert [1, 3] == found["j"].tolist()
    refused("(a: f32[B]) -> f32[B]", "Next(a)", "E0217", before=before)
    refused("(a: i64[B]) -> i64[B]", "relu(a) |> Linear[3]", "E0217")


def test_a_block_without_float_inputs_makes_the_networks_own_float() -> None:
    for dtype in FLOATS:
        net = network(f"(i: idx[5][B]) -> {dtype}[B, 3]", "i |> Embedding[5, 3]")
        assert f"{dtype}[B, 3]" == output_type(net)
    net = network(
        "(i: idx[5][B], x: f64[B]) -> f64[B, 3]", "(i |> Embedding[5, 3]) + x[:, none] + zeros[B, 3] + ones[3]"
    )
    assert "f64[B, 3]" == output_type(net)
    # Where a header names several, it is f32.
    net = network("(i: idx[5][B], x: f64[B]) -> (y: f32[B, 3], z: f64[B])", "y = i |> Embedding[5, 3]\nz = x")
    assert "f32[B, 3]" == output_type(net)


def test_a_float_network_is_f32() -> None:
    net = network("(x: float[B, 3]) -> float[B, 2]", "x |> Linear[2]")
    assert "f32[B, 2]" == output_type(net)
    assert torch.float32 == net.torch()(torch.ones(1, 3)).dtype
    assert torch.float64 == net.torch().double()(torch.ones(1, 3).double()).dtype


@pytest.mark.parametrize("dtype", [*FLOATS, "i64", "i32", "i8", "u8"])
def test_a_literal_takes_the_type_beside_it(dtype: str) -> None:
    net = network(f"(x: {dtype}[B]) -> {dtype}[B]", "1 + x * 2 - 3")
    assert f"{dtype}[B]" == output_type(net)
    assert all(n.result.type.dtype.name == dtype for n in net.graph.nodes)


def test_a_float_literal_does_not_fit_among_integers() -> None:
    finding = refused("(i: i64[B]) -> i64[B]", "i + 0.5", "E0201")
    assert "cast[f32]" in (finding.help or "")
    refused("(m: bool[B]) -> bool[B]", "m & 1", "E0201")


def test_two_tensors_never_promote() -> None:
    for left, right in (("f32", "f64"), ("f32", "i64"), ("i64", "i32"), ("f16", "bf16")):
        refused(f"(a: {left}[B], b: {right}[B]) -> {left}[B]", "a + b", "E0201")
    net = network("(a: f32[B], b: i64[B]) -> f32[B]", "a + cast[f32](b)")
    np.testing.assert_allclose(run(net, a=np.ones(2), b=np.array([1, 2])), [2, 3])


def test_casts_take_type_variables() -> None:
    before = "block Mask(x: float[B], m: bool[B]) -> float[B] { x * cast[float](m) }\n"
    net = network("(x: f16[B], m: bool[B]) -> f16[B]", "Mask(x, m)", before=before)
    assert "f16[B]" == output_type(net)


def test_casts_follow_c_and_keep_bits() -> None:
    net = network(
        "(x: f32[B]) -> (i: i64[B], b: bool[B], h: f16[B])", "i = cast[i64](x)\nb = cast[bool](x)\nh = cast[f16](x)"
    )
    found = run(net, x=np.array([-1.5, 0.0, 2.7, 0.1]))
    assert [-1, 0, 2, 0] == found["i"].tolist()
    assert [True, False, True, True] == found["b"].tolist()


def test_division_of_integers_says_how() -> None:
    finding = refused("(i: i64[B]) -> i64[B]", "i / 2", "E0217")
    assert "//" in (finding.help or finding.title)
    net = network("(i: i64[B]) -> i64[B]", "i // 2 * 10 + i % 2")
    assert [-40, -39, 0, 1, 31] == run(net, i=np.array([-8, -7, 0, 1, 7])).tolist()


def test_comparisons_give_bools_and_indices_give_integers() -> None:
    net = network(
        "(x: f32[B, N]) -> (m: bool[B, N], i: idx[N][B], j: i64[B])", "m = x > 0.5\ni = argmax[axis=1](x)\nj = i + 1"
    )
    found = run(net, x=np.array([[0.1, 0.9], [0.7, 0.2]]))
    assert [1, 0] == found["i"].tolist()
    assert [2, 1] == found["j"].tolist()
    assert "argmax" in ops(net)


def test_constants_of_the_type_are_exact() -> None:
    net = network("(x: f64[B]) -> f64[B]", "x + 0.1 + pi * 0")
    found = net.torch()(torch.zeros(1, dtype=torch.float64)).item()
    assert 0.1 == found
    big = 2**53 + 1
    net = network("(i: i64[B]) -> i64[B]", f"i + {big}")
    assert big == net.torch()(torch.zeros(1, dtype=torch.int64)).item()
    assert big == net.reference({"i": np.zeros(1, np.int64)})["output"][0]
