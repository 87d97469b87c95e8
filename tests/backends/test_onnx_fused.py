"""Attention at opset 23: one operator where it is the same function, empty tensors included, else none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netdsl.api import Network, load
from netdsl.backends.onnx.serialize import OnnxModel
from tests.backends.onnx_graphs import Array, compare, op_types


def network(body: str, header: str = "x: f32[B, N, 12]", result: str = "f32[B, N, 12]") -> Network:
    return load(
        f"""
import std.attention: attend, CrossAttention, SelfAttention

network N({header}) -> {result} {{
    {body}
}}
"""
    )["N"]


def inputs(net: Network, **sizes: int) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    made: dict[str, Array] = {}
    for name, value in net.graph.inputs:
        shape = tuple(d.evaluate(sizes) for d in value.type.sizes)
        if value.type.dtype.kind == "bool":
            made[name] = rng.random(shape) < 0.7
        else:
            made[name] = rng.normal(size=shape).astype(np.float64 if value.type.dtype.name == "f64" else np.float32)
    return made


def all_types(model: OnnxModel) -> set[str]:
    return {*op_types(model), *(n.op_type for node in model.frame.graph.node for a in node.attribute for n in a.g.node)}


SIZES = [
    {"B": 2, "N": 5, "S": 3},
    {"B": 1, "N": 1, "S": 1},
    {"B": 0, "N": 4, "S": 2},
    {"B": 2, "N": 0, "S": 2},
    {"B": 2, "N": 3, "S": 7},
]


@pytest.mark.parametrize("causal", ["false", "true"])
def test_self_attention_is_one_operator(causal: str, tmp_path: Path) -> None:
    net = network(f"x |> SelfAttention[3, causal={causal}] as attention")
    cases = [inputs(net, **sizes) for sizes in SIZES]
    model = compare(net.graph, cases, params=net.weights(seed=0), folder=tmp_path, opset=23)
    assert {"Attention", "If"} <= all_types(model)
    assert not {"Softmax", "Transpose"} & all_types(model)


def test_cross_attention_is_one_operator(tmp_path: Path) -> None:
    net = network("CrossAttention[2](x, memory)", "x: f32[B, N, 12], memory: f32[B, S, 6]")
    cases = [inputs(net, **sizes) for sizes in SIZES]
    model = compare(net.graph, cases, params=net.weights(seed=0), folder=tmp_path, opset=23)
    assert "Attention" in all_types(model)
    assert "Softmax" not in all_types(model)


@pytest.mark.parametrize("causal", ["false", "true"])
def test_attend_is_one_operator(causal: str, tmp_path: Path) -> None:
    net = network(
        f"attend[causal={causal}](q, k, v)",
        "q: f32[B, 2, N, 4], k: f32[B, 2, S, 4], v: f32[B, 2, S, 5]",
        "f32[B, 2, N, 5]",
    )
    cases = [inputs(net, **sizes) for sizes in SIZES]
    model = compare(net.graph, cases, params={}, folder=tmp_path, opset=23)
    assert "Attention" in all_types(model)


def test_no_key_at_all_gives_zeros(tmp_path: Path) -> None:
    net = network("attend(q, k, v)", "q: f32[B, 2, N, 4], k: f32[B, 2, S, 4], v: f32[B, 2, S, 5]", "f32[B, 2, N, 5]")
    compare(net.graph, [inputs(net, B=2, N=3, S=0)], params={}, folder=tmp_path, opset=23)


def test_constant_sizes_need_no_guard(tmp_path: Path) -> None:
    net = network("x |> SelfAttention[3] as attention", "x: f32[2, 5, 12]", "f32[2, 5, 12]")
    model = compare(net.graph, [inputs(net)], params=net.weights(seed=0), folder=tmp_path, opset=23)
    assert ["MatMul", "Add", "Split", "Attention", "MatMul", "Add"] == op_types(model)


def test_guards_of_all_layers_share_one_condition(tmp_path: Path) -> None:
    net = network("repeat 3 as layers {\n        x = x |> SelfAttention[3] as attention\n    }\n    x")
    model = compare(net.graph, [inputs(net, **SIZES[0])], params=net.weights(seed=0), folder=tmp_path, opset=23)
    assert 1 == op_types(model).count("Equal")
    assert 3 == op_types(model).count("If")


def test_mask_is_declined(tmp_path: Path) -> None:
    net = network("SelfAttention[3](x, mask)", "x: f32[B, N, 12], mask: bool[B, N]")
    case = inputs(net, **SIZES[0])
    case["mask"][0] = False
    model = compare(net.graph, [case], params=net.weights(seed=0), folder=tmp_path, opset=23)
    assert "Attention" not in all_types(model)


def test_double_precision_is_declined(tmp_path: Path) -> None:
    net = network("x |> SelfAttention[3] as attention", "x: f64[B, N, 12]", "f64[B, N, 12]")
    cases = [inputs(net, **sizes) for sizes in SIZES]
    model = compare(net.graph, cases, params=net.weights(seed=0), folder=tmp_path, opset=23, rtol=1e-9, atol=1e-10)
    assert "Attention" not in all_types(model)


def test_older_opset_is_declined(tmp_path: Path) -> None:
    net = network("x |> SelfAttention[3] as attention")
    model = compare(net.graph, [inputs(net, **SIZES[0])], params=net.weights(seed=0), folder=tmp_path)
    assert "Softmax" in all_types(model)


def test_value_that_is_read_from_outside_is_kept(tmp_path: Path) -> None:
    net = network("x |> SelfAttention[3] as attention")
    graph = net.graph
    scores = next(n.result for n in graph.nodes if n.op.name == "softmax")
    tapped = replace(graph, outputs=(*graph.outputs, ("scores", scores)))
    model = compare(tapped, [inputs(net, **SIZES[0])], params=net.weights(seed=0), folder=tmp_path, opset=23)
    assert "Softmax" in all_types(model)
