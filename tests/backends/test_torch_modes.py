"""Training and evaluation are two graphs behind one module."""

import copy
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from netdsl.backends.torch_fx import build_module
from netdsl.ir import Graph, Node, Param, Update, Value
from netdsl.ops.elementwise import Add, Mul
from netdsl.tensor_type import F32, tensor
from tests.backends.torch_agreement import assert_equals_reference, network, sample

AUTO = torch.export.Dim.AUTO
DROPOUT = "network N(x: f32[B, 6]) -> f32[B, 6] { x |> dropout[0.5] }\n"
CONVNET = """
network N(x: f32[B, 2, H, W]) -> y: f32[B, 3, H, W] where B >= 1, H >= 1, W >= 1 {
    y = x |> Conv2d[3, 3, padding=1] as conv |> BatchNorm2d as norm |> relu |> dropout[0.25]
}
"""
SHARED = """
network N(x: f32[B, 3]) -> f32[B, 3] where B >= 1 {
    let norm = BatchNorm1d
    norm(norm(x) * 2)
}
"""


def swap() -> tuple[Graph, Graph]:
    """y = x * a + b; in training the states a and b change places."""

    def graph(training: bool) -> Graph:
        x, a, b, product, y = (Value(tensor(F32, 2), name) for name in ("x", "a", "b", "p", "y"))
        nodes = (Node(Mul(), (x, a), (product,)), Node(Add(), (product, b), (y,)))
        updates = (Update("a", b), Update("b", a)) if training else ()
        params = (Param("a", "state", a), Param("b", "state", b))
        return Graph("N", (("x", x),), (("y", y), ("old", a)), params, nodes, updates, training=training)

    return graph(False), graph(True)


def test_a_network_that_is_the_same_in_training_is_one_graph() -> None:
    module = network("network N(x: f32[B, 6]) -> f32[B, 2] { x |> Linear[2] }\n").torch()
    assert not hasattr(module, "modes")


def test_dropout_acts_in_training_only_and_draws_from_torch() -> None:
    module = network(DROPOUT).torch()
    x = torch.ones(64, 6)
    assert module.training
    torch.manual_seed(0)
    first, second = module(x), module(x)
    assert {0.0, 2.0} == set(first.unique().tolist())
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, module(x))
    assert torch.equal(x, module.eval()(x))
    assert not torch.equal(x, module.train()(x))


def test_running_statistics_follow_torch_nn() -> None:
    net = network(CONVNET.replace(" |> dropout[0.25]", ""))
    module = net.torch()
    peer = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
    with torch.no_grad():
        for ours, theirs in zip(module.parameters(), peer.parameters(), strict=True):
            theirs.copy_(ours)
    for _ in range(3):
        x = torch.randn(4, 2, 5, 5)
        expected, actual = peer(x), module(x)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
        for wanted, found in zip(
            torch.autograd.grad(expected.square().sum(), list(peer.parameters())),
            torch.autograd.grad(actual.square().sum(), list(module.parameters())),
            strict=True,
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    state = module.state_dict()
    torch.testing.assert_close(state["norm.running_mean"], peer[1].running_mean)
    torch.testing.assert_close(state["norm.running_var"], peer[1].running_var)
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(module.eval()(x), peer.eval()(x), rtol=1e-5, atol=1e-5)


def test_evaluation_leaves_the_state_alone() -> None:
    module = network(CONVNET).torch().eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module(torch.randn(2, 2, 4, 4))
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())


def test_keys_are_the_paths_in_both_modes(tmp_path: Path) -> None:
    module = network(CONVNET).torch()
    keys = ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
    assert keys == list(module.state_dict())
    assert keys[:4] == [name for name, _ in module.named_parameters()]
    module(torch.randn(2, 2, 4, 4))
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    other = network(CONVNET).torch(seed=1)
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    x = torch.randn(2, 2, 4, 4)
    assert torch.equal(module.eval()(x), other.eval()(x))


def test_every_update_reads_the_states_as_they_were() -> None:
    evaluation, training = swap()
    module = build_module(evaluation, {"a": np.array([1.0, 2.0]), "b": np.zeros(2)}, training_graph=training)
    y, old = module(torch.ones(2))
    assert [[1.0, 2.0], [1.0, 2.0]] == [y.tolist(), old.tolist()]
    assert [[0.0, 0.0], [1.0, 2.0]] == [module.a.tolist(), module.b.tolist()]


def test_states_may_be_used_in_what_is_differentiated() -> None:
    evaluation, training = swap()
    module = build_module(evaluation, {"a": np.array([1.0, 2.0]), "b": np.zeros(2)}, training_graph=training)
    x = torch.ones(2, requires_grad=True)
    module(x)[0].sum().backward()
    assert x.grad is not None
    assert [1.0, 2.0] == x.grad.tolist()


def test_a_shared_layer_updates_in_call_order() -> None:
    module, peer = network(SHARED).torch(), nn.BatchNorm1d(3)
    x = torch.randn(8, 3)
    expected = peer(peer(x) * 2)
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(module.norm.running_mean, peer.running_mean)
    torch.testing.assert_close(module.norm.running_var, peer.running_var)


def test_a_copy_keeps_mode_and_state_of_its_own() -> None:
    module = network(CONVNET).torch().eval()
    other = copy.deepcopy(module)
    assert not other.training
    other.train()(torch.randn(2, 2, 4, 4))
    assert not torch.equal(module.norm.running_mean, other.norm.running_mean)
    assert list(module.state_dict()) == list(other.state_dict())
    assert not module.training


def test_a_moved_module_trains() -> None:
    module = network(CONVNET).torch().double()
    result = module(torch.randn(2, 2, 4, 4, dtype=torch.float64))
    assert torch.float64 == result.dtype == module.norm.running_mean.dtype


def test_both_modes_compile_as_one_graph_each() -> None:
    torch._dynamo.reset()
    net = network(CONVNET.replace(" |> dropout[0.25]", ""))
    module, twin = net.torch(), net.torch()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, backend=counter, dynamic=True)
    for batch, size in ((5, 6), (4, 8)):  # no two sizes are equal: compilers would take them for one
        x = torch.randn(batch, 2, size, size + 1)
        actual, expected = compiled(x), twin(x)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
        actual.square().sum().backward()
        expected.square().sum().backward()
    for (name, ours), (_, theirs) in zip(module.named_parameters(), twin.named_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4, msg=name)
    torch.testing.assert_close(module.state_dict(), twin.state_dict(), rtol=1e-5, atol=1e-5)
    training_compilations = counter.frame_count
    x = torch.randn(2, 2, 4, 5)
    torch.testing.assert_close(compiled.eval()(x), twin.eval()(x), rtol=1e-5, atol=1e-5)
    assert (1, 2) == (training_compilations, counter.frame_count)


def test_evaluation_is_exported_with_free_sizes() -> None:
    net = network(CONVNET)
    module = net.torch().eval()
    program = torch.export.export(module, (torch.randn(2, 2, 4, 5),), dynamic_shapes=({0: AUTO, 2: AUTO, 3: AUTO},))
    assert set(module.state_dict()) == set(program.state_dict)
    for batch, size in ((3, 6), (1, 2)):
        inputs = sample(net.graph, {"B": batch, "H": size, "W": size + 3})
        assert_equals_reference(program.module(), net.graph, inputs, net.weights())
