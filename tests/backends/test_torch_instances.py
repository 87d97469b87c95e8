"""Intact instances of known blocks become one call, and only they."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from netdsl.backends.torch_fx import build_module
from netdsl.ir import Graph
from tests.backends.torch_agreement import assert_equals_reference, call, network, sample

ATTEND = """
import std.attention: attend

network N[causal: bool = false](q: f32[B, 2, N, 4], k: f32[B, 2, S, 4], v: f32[B, 2, S, 6], mask: bool[B, 1, 1, S]) -> (
    plain: f32[B, 2, N, 6], masked: f32[B, 2, N, 6]
) {
    plain = attend[causal](q, k, v)
    masked = attend[causal](q, k, v, mask)
}
"""
LINEAR = """
network N(x: f32[B, 5], deep: f32[B, T, 5]) -> (y: f32[B, 3], z: f32[B, T, 3], free: f32[B, 3]) {
    let shared = Linear[3]
    y = shared(x)
    z = shared(deep)
    free = x |> Linear[3, bias=false] as free
}
"""


def calls(graph: Graph, function: object) -> int:
    module = build_module(graph, {p.path: np.zeros([d.value for d in p.value.type.sizes]) for p in graph.params})
    return sum(node.target is function for node in module.graph.nodes)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("rows", "queries", "keys"), [(2, 3, 5), (2, 5, 3), (1, 1, 1), (2, 4, 0), (2, 0, 4), (0, 3, 3)]
)
def test_attention_is_torchs_function_and_equals_the_block(causal: bool, rows: int, queries: int, keys: int) -> None:
    net = network(ATTEND, causal=causal)
    assert 2 == calls(net.graph, functional.scaled_dot_product_attention)
    inputs = sample(net.graph, {"B": rows, "N": queries, "S": keys})
    inputs["mask"][:1] = False  # a row that sees nothing is NaN
    assert_equals_reference(net.torch(), net.graph, inputs, {})


def test_attention_has_the_gradient_of_the_block() -> None:
    net = network(ATTEND, causal=True)
    plain = replace(net.graph, instances=tuple(replace(i, intact=False) for i in net.graph.instances))
    inputs = sample(net.graph, {"B": 2, "N": 4, "S": 4})
    inputs["mask"][:, ..., 0] = True
    found = []
    for graph in (net.graph, plain):
        tensors = [torch.tensor(a).requires_grad_(a.dtype.kind == "f") for a in inputs.values()]
        a, b = build_module(graph, {})(*tensors)
        found.append(torch.autograd.grad(a.square().sum() + b.square().sum(), tensors[:3]))
    for fused, wanted in zip(*found, strict=True):
        torch.testing.assert_close(fused, wanted, rtol=1e-4, atol=1e-5)


def test_linear_is_torchs_function_also_when_it_is_shared() -> None:
    net = network(LINEAR)
    assert 3 == calls(net.graph, functional.linear)
    for rows, steps in ((2, 3), (1, 1), (0, 2), (2, 0)):
        assert_equals_reference(net.torch(), net.graph, sample(net.graph, {"B": rows, "T": steps}), net.weights())


def test_an_instance_that_a_rewrite_cut_is_lowered_node_by_node() -> None:
    graph = network(LINEAR).graph
    cut = replace(graph, instances=tuple(replace(i, intact=False) for i in graph.instances))
    assert 0 == calls(cut, functional.linear)


def test_an_instance_with_an_inner_value_that_is_read_outside_is_lowered_node_by_node() -> None:
    graph = network(LINEAR).graph
    inner = next(n.result for n in graph.nodes if n.op.name == "matmul")
    read = replace(graph, outputs=(*graph.outputs, ("inner", inner)))
    assert 2 == calls(read, functional.linear)
    params = {p.path: np.ones([d.value for d in p.value.type.sizes]) for p in graph.params}
    inputs = sample(graph, {"B": 2, "T": 3})
    assert_equals_reference(build_module(read, params), read, inputs, params)


def test_a_fused_call_carries_the_line_of_the_instance() -> None:
    module = network(LINEAR).torch()
    places = [n.meta["netdsl"] for n in module.graph.nodes if n.target is functional.linear]
    assert ["<text>:4", "<text>:5", "<text>:6"] == places
    assert 3 == len(call(module, sample(network(LINEAR).graph, {"B": 1, "T": 1})))
