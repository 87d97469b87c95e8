"""Recurrent layers are torch's fused functions, in eager and compiled modules, and a scan in exported ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.library import opcheck

from netdsl.backends.torch_fx import build_module
from netdsl.backends.torch_fx.recurrence import recurrence_op
from tests.backends.torch_agreement import assert_equals_reference, assert_same_gradients, network, sample

AUTO = torch.export.Dim.AUTO
KINDS = ("Rnn", "Gru", "Lstm")
SLOW_KINDS = [pytest.param("Rnn", marks=pytest.mark.long), pytest.param("Gru", marks=pytest.mark.long), "Lstm"]
PEERS = {"Rnn": nn.RNN, "Gru": nn.GRU, "Lstm": nn.LSTM}
LENGTHS = np.array([4, 0, 6, 1])


def layer(kind: str, *, has_length: bool = False, both: bool = True) -> str:
    block = f"Bi{kind}" if both else kind
    length, given = (", length: i64[B]", ", length") if has_length else ("", "")
    width = 10 if both else 5
    return (
        f"import std.recurrent: {block}\n"
        f"network N(x: f32[B, T, 3]{length}) -> f32[B, T, {width}] {{ {block}[5](x{given}) as layer }}\n"
    )


STATEFUL = """
import std.recurrent: LstmCell

network N(x: f32[T, A, B, 3], h0: f32[A, B, 4], c0: f32[A, B, 4], length: i64[A, B]) -> (
    y: f32[T, A, B, 4], h: f32[A, B, 4], c: f32[A, B, 4]
) {
    y, h, c = scan LstmCell[4] over x[axis=0, length=length] from (h0, c0)
}
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_bidirectional_layer_equals_torch_nn(kind: str) -> None:
    module = network(layer(kind)).torch()
    peer = PEERS[kind](3, 5, batch_first=True, bidirectional=True)
    ours = list(module.parameters())  # of each direction: weight_ih, weight_hh, bias_ih, bias_hh
    with torch.no_grad():
        for theirs, mine in zip(peer.parameters(), ours, strict=True):
            theirs.copy_(mine)
    for rows, steps in ((2, 6), (1, 1), (3, 17)):
        x = torch.randn(rows, steps, 3)
        expected, actual = peer(x)[0], module(x)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
        wanted = torch.autograd.grad(expected.square().sum(), list(peer.parameters()))
        found = torch.autograd.grad(actual.square().sum(), ours)
        for a, e in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, e, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_length", [False, True])
def test_a_layer_equals_the_reference_also_without_steps_or_rows(kind: str, has_length: bool) -> None:
    net = network(layer(kind, has_length=has_length))
    module = net.torch()
    assert 2 == sum(loop._cell is not None for loop in (module.loop, module.loop_1))
    for rows, steps in ((4, 6), (1, 1), (4, 0), (0, 3)):
        inputs = sample(net.graph, {"B": rows, "T": steps})
        if rows == 4 and has_length:
            inputs["length"] = LENGTHS
        assert_equals_reference(module, net.graph, inputs, net.weights())


def test_states_of_any_rank_are_final_at_each_rows_length() -> None:
    net = network(STATEFUL)
    module = net.torch()
    assert module.loop._cell is not None
    for sizes in ({"A": 2, "B": 3, "T": 5}, {"A": 1, "B": 1, "T": 1}, {"A": 2, "B": 2, "T": 0}):
        assert_equals_reference(module, net.graph, sample(net.graph, sizes), net.weights())


def test_a_cell_may_have_no_rows() -> None:
    net = network(
        "network N(x: f32[T, 3]) -> (y: f32[T, 4], h: f32[4], c: f32[4]) "
        "{ y, h, c = scan LstmCell[4] over x[axis=0] from (zeros[4], zeros[4]) }"
    )
    module = net.torch()
    assert module.loop._cell is not None
    for steps in (5, 1, 0):
        assert_equals_reference(module, net.graph, sample(net.graph, {"T": steps}), net.weights())


@pytest.mark.parametrize("kind", KINDS)
def test_the_fused_form_has_the_gradient_of_the_cell(kind: str) -> None:
    """With lengths, in both directions; the plain form is the loop over the cell's own nodes."""
    net = network(layer(kind, has_length=True))
    plain = replace(net.graph, instances=tuple(replace(i, intact=False) for i in net.graph.instances))
    module, written_out = net.torch(), build_module(plain, net.weights())
    assert written_out.loop._cell is None
    inputs = sample(net.graph, {"B": 4, "T": 6}) | {"length": LENGTHS}
    expected = _gradients(written_out, inputs)
    for a, e in zip(_gradients(module, inputs), expected, strict=True):
        torch.testing.assert_close(a, e, rtol=1e-4, atol=1e-5)


def _gradients(module: nn.Module, inputs: dict[str, np.ndarray]) -> list[torch.Tensor]:
    tensors = [torch.tensor(a).requires_grad_(a.dtype.kind == "f") for a in inputs.values()]
    result = module(*tensors)
    return [result, *torch.autograd.grad(result.square().sum(), [tensors[0], *module.parameters()])]


@pytest.mark.parametrize("kind", SLOW_KINDS)
@pytest.mark.parametrize("has_length", [False, True])
def test_one_compilation_serves_all_lengths_in_training(kind: str, has_length: bool) -> None:
    torch._dynamo.reset()
    net = network(layer(kind, has_length=has_length))
    module = net.torch()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, backend=counter, dynamic=True)
    for steps in (5, 9, 7):
        assert_same_gradients(compiled, module, sample(net.graph, {"B": 4, "T": steps}))
    assert 1 == counter.frame_count
    assert_same_gradients(compiled, module, sample(net.graph, {"B": 4, "T": 1}))
    assert_equals_reference(compiled, net.graph, sample(net.graph, {"B": 4, "T": 0}), net.weights())


def test_a_compiled_layer_also_serves_inference() -> None:
    torch._dynamo.reset()
    net = network(layer("Lstm", has_length=True))
    module = net.torch().eval()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    for steps in (5, 9, 7):
        assert_equals_reference(compiled, net.graph, sample(net.graph, {"B": 4, "T": steps}), net.weights())
    assert counter.frame_count <= 2


@pytest.mark.parametrize("kind", SLOW_KINDS)
def test_an_exported_layer_takes_other_lengths_and_needs_only_torch(kind: str) -> None:
    net = network(layer(kind, has_length=True))
    module = net.torch().eval()
    traced = tuple(torch.tensor(a) for a in sample(net.graph, {"B": 3, "T": 5}).values())
    program = torch.export.export(module, traced, dynamic_shapes=({0: AUTO, 1: AUTO}, {0: AUTO}))
    assert "netdsl" not in program.graph_module.code
    for rows, steps in ((2, 8), (4, 3), (1, 1), (2, 0)):
        inputs = sample(net.graph, {"B": rows, "T": steps})
        assert_equals_reference(program.module(), net.graph, inputs, net.weights())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_layer_follows_the_module_to_another_dtype(dtype: torch.dtype) -> None:
    net = network(layer("Lstm", has_length=True))
    module = net.torch().to(dtype)
    inputs = sample(net.graph, {"B": 4, "T": 6})
    actual = module(torch.tensor(inputs["x"]).to(dtype), torch.tensor(inputs["length"]))
    assert dtype == actual.dtype
    expected = torch.tensor(next(iter(net.reference(inputs).values())))
    tolerance = {torch.float64: 1e-7, torch.float16: 1e-2, torch.bfloat16: 4e-2}[dtype]
    torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("with_lengths", [False, True])
def test_the_operator_keeps_torchs_rules(with_lengths: bool) -> None:
    torch.manual_seed(0)
    shapes = ((12, 4), (12, 3), (12,), (12,))
    weights = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    steps = torch.randn(5, 4, 4, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    lengths = torch.from_numpy(LENGTHS) if with_lengths else None
    checks = opcheck(recurrence_op, ("lstm", True, steps, lengths, states, weights))
    assert {"SUCCESS"} == set(checks.values())
