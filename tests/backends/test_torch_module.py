"""The torch module of a network is an ordinary module: names, copies, dtypes, saving, compiling, exporting."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import fx, nn
from torch._dynamo.testing import CompileCounterWithBackend

from netdsl.backends.torch_fx import build_module
from netdsl.diagnostics import NetError
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Param, Value
from netdsl.ops.creation import Constant, DimValue, Full
from netdsl.ops.elementwise import Add, Cast, Mul
from netdsl.ops.product import Matmul
from netdsl.ops.unary import Tanh
from netdsl.tensor_type import F16, F32, F64, I64, DType, TensorType, tensor
from tests.backends.onnx_graphs import LINE_2, Builder
from tests.backends.torch_agreement import assert_equals_reference, assert_same_gradients, network, sample

AUTO = torch.export.Dim.AUTO
MLP = """
network N(x: f32[B, T, 6]) -> (y: f32[B, T, 3], mean: f32[B, 6]) where T >= 1 {
    h = x |> Linear[8] as first |> tanh
    y = h |> Linear[3] as second
    mean = mean[axis=1](x)
}
"""
PATHS = ("first.weight", "first.bias", "second.weight", "second.bias")


def tower(dtype: DType = F32) -> tuple[Graph, dict[str, np.ndarray]]:
    """tanh(x w) + full(1) + constant, with paths in three scopes, one of them unused."""
    b = Builder()
    x = Value(tensor(dtype, "B", 4), "x")
    w = b.param("blocks.3.encoder.attention.qkv.weight", tensor(dtype, 4, 4))
    b.param("blocks.3.encoder.spare", tensor(dtype, 2))
    h = b(Tanh(), b(Matmul(), x, w))
    h = b(Add(), h, b(Full((Dim.of("B"), Dim.of(4)), 1, dtype)))
    y = b(Mul(), h, b(Constant((0.5, 2.0, 3.0, 4.0), (4,), dtype)), hint="scaled")
    rng = np.random.default_rng(0)
    params = {p.path: rng.normal(size=tuple(d.value for d in p.value.type.sizes)) for p in b.params}
    return b.graph({"x": x}, {"y": y}), params


def test_it_is_a_graph_module_with_plain_nested_modules() -> None:
    module = network(MLP).torch()
    assert isinstance(module, fx.GraphModule)
    assert type(module.first) is nn.Module
    assert ["x"] == [n.target for n in module.graph.nodes if n.op == "placeholder"]
    assert ("y", "mean") == module.output_names
    module.graph.lint()


def test_state_dict_keys_are_the_parameter_paths() -> None:
    graph, params = tower()
    module = build_module(graph, params)
    assert set(params) == set(module.state_dict())
    assert set(params) == {name for name, _ in module.named_parameters()}
    assert all(p.requires_grad for p in module.parameters())


def test_constants_are_buffers_that_are_not_saved() -> None:
    module = build_module(*tower())
    assert any("constants" in name for name, _ in module.named_buffers())
    assert not any("constants" in name for name in module.state_dict())


@pytest.mark.parametrize("path", ["type.weight", "graph.weight", "layer.half", "code", "training.forward", "meta.T"])
def test_a_path_may_use_names_that_torch_has_taken(path: str, tmp_path: Path) -> None:
    x = Value(tensor(F32, "B", 2), "x")
    weight, spare, y = (Value(tensor(F32, 2), n) for n in ("w", "v", "y"))
    made = Value(tensor(F32, "B", 2), "y")
    params = (Param(path, "param", weight), Param("plain", "state", spare))
    graph = Graph("N", (("x", x),), (("y", made),), params, (Node(Mul(), (x, weight), (made,)),))
    module = build_module(graph, {path: np.array([2.0, 3.0]), "plain": np.zeros(2)})
    assert [path, "plain"] == sorted(module.state_dict(), key=lambda k: k == "plain")
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    other = build_module(graph, {path: np.zeros(2), "plain": np.ones(2)})
    other = copy.deepcopy(other)
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    assert torch.equal(torch.tensor([[2.0, 3.0]]), other(torch.ones(1, 2)))
    assert y is not None


def test_input_names_may_be_words_of_python() -> None:
    names = ("lambda", "self", "torch", "getattr", "None", "Image")
    values = [Value(tensor(F32, "B"), name) for name in names]
    b = Builder()
    total = values[0]
    for value in values[1:]:
        total = b(Add(), total, value)
    module = build_module(b.graph(dict(zip(names, values, strict=True)), {"y": total}), {})
    assert torch.equal(torch.full((2,), 6.0), module(*(torch.ones(2) for _ in names[1:]), Image=torch.ones(2)))


def test_nodes_carry_their_place_in_the_source_and_the_name_of_their_value() -> None:
    module = build_module(*tower())
    (scaled,) = (n for n in module.graph.nodes if n.name == "scaled")
    assert f"{LINE_2.source.path}:2" == scaled.meta["netdsl"]
    assert f'File "{LINE_2.source.path}", line 2, in N' in scaled.stack_trace


def test_a_copy_has_weights_and_names_of_its_own() -> None:
    module = network(MLP).torch()
    other = copy.deepcopy(module)
    assert list(module.state_dict()) == list(other.state_dict()) == list(PATHS)
    assert module.output_names == other.output_names
    with torch.no_grad():
        other.first.weight.zero_()
    assert bool(module.first.weight.any())
    twice = copy.deepcopy(build_module(*tower()))
    assert not any("constants" in name for name in copy.deepcopy(twice).state_dict())


def test_saving_and_loading_restores_the_outputs(tmp_path: Path) -> None:
    first, second = network(MLP).torch(seed=0), network(MLP).torch(seed=1)
    x = torch.randn(2, 5, 6)
    assert not torch.equal(first(x)[0], second(x)[0])
    save_file(first.state_dict(), tmp_path / "w.safetensors")
    second.load_state_dict(load_file(tmp_path / "w.safetensors"))
    assert torch.equal(first(x)[0], second(x)[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_creation_and_casts_follow_the_module_to_another_dtype(dtype: torch.dtype) -> None:
    b = Builder()
    x, n = Value(tensor(F32, "B", 4), "x"), Value(tensor(I64, "B", 4), "n")
    y = b(Add(), b(Add(), x, b(Cast(F32), n)), b(Full((Dim.of(4),), 2, F32)))
    y = b(Mul(), y, b(Constant((1.0, 2.0, 3.0, 4.0), (4,), F32)))
    module = build_module(b.graph({"x": x, "n": n}, {"y": y}), {}).to(dtype)
    got = module(torch.ones(1, 4, dtype=dtype), torch.ones(1, 4, dtype=torch.int64))
    assert dtype == got.dtype
    assert [4.0, 8.0, 12.0, 16.0] == got[0].tolist()
    assert dtype == build_module(*tower()).to(dtype)(torch.ones(2, 4, dtype=dtype)).dtype


def test_a_type_that_is_not_the_networks_own_stays_when_the_module_moves() -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 2), "x")
    wide = b(Mul(), b(Cast(F64), x), b(Constant((1.0, 2.0), (2,), F64)))
    module = build_module(b.graph({"x": x}, {"wide": wide, "back": b(Cast(F32), wide)}), {})
    for own in (torch.float32, torch.float16, torch.float64):
        wide_, back = module.to(own)(torch.ones(1, 2, dtype=own))
        assert (torch.float64, own) == (wide_.dtype, back.dtype)


def test_double_gives_the_reference_to_float64_precision() -> None:
    net = network(MLP)
    inputs = sample(net.graph, {"B": 2, "T": 3})
    module = net.torch().double()
    expected = net.reference(inputs)["y"]
    np.testing.assert_allclose(
        module(torch.tensor(inputs["x"]).double())[0].detach().numpy(), expected, rtol=1e-12, atol=1e-12
    )


def test_sizes_come_from_axes_that_are_expressions() -> None:
    b = Builder()
    n, k = Dim.of("N"), Dim.of("K")
    x, z = Value(tensor(F32, n * 2, 3), "x"), Value(tensor(F32, n * k + 1), "z")
    shapes = (n, k, n // 2 + k % 3 - 1, n * n * k)
    outputs = {f"s{i}": b(DimValue(s)) for i, s in enumerate(shapes)}
    module = build_module(b.graph({"x": x, "z": z}, outputs), {})
    for size, count in ((1, 0), (4, 5), (7, 2)):
        found = module(torch.zeros(2 * size, 3), torch.zeros(size * count + 1))
        expected = [s.evaluate({"N": size, "K": count}) for s in shapes]
        assert expected == [int(f) for f in found]


def test_a_size_that_no_input_shows_is_a_diagnostic() -> None:
    b = Builder()
    x = Value(tensor(F32, "B"), "x")
    with pytest.raises(NetError, match="E0712: the size `K` cannot be read from the inputs"):
        build_module(b.graph({"x": x}, {"y": b(DimValue(Dim.of("K")))}), {})


def test_only_sizes_that_are_used_are_computed() -> None:
    b = Builder()
    x = Value(tensor(F32, "B", "N"), "x")
    module = build_module(b.graph({"x": x}, {"y": b(Tanh(), x)}), {})
    assert [] == [n for n in module.graph.nodes if n.target == "size"]


def test_states_and_integers_are_buffers_and_constants_need_no_array() -> None:
    x = Value(tensor(F32, 2), "x")
    types: tuple[TensorType, ...] = (tensor(F32, 2), tensor(F32, 2), tensor(I64, 2))
    state, const, count = (Value(t) for t in types)
    data = np.array([1.0, 2.0])
    params = (Param("s", "state", state), Param("c", "const", const, data=data), Param("n", "param", count))
    b = Builder()
    y = b(Add(), b(Add(), x, state), const)
    graph = Graph("N", (("x", x),), (("y", y), ("n", count)), params, tuple(b.nodes))
    module = build_module(graph, {"s": np.ones(2), "n": np.array([5, 6])})
    assert ["s", "n"] == list(module.state_dict())
    assert [] == list(module.parameters())
    assert [2.0, 3.0] == module(torch.zeros(2))[0].tolist()


@pytest.mark.parametrize(("params", "error"), [({}, KeyError), ({"w": np.zeros(3)}, ValueError)])
def test_a_missing_or_misshapen_array_is_an_error(params: dict[str, np.ndarray], error: type[Exception]) -> None:
    x = Value(tensor(F32, 2), "x")
    w = Param("w", "param", Value(tensor(F32, 2)))
    with pytest.raises(error, match="w"):
        build_module(Graph("N", (("x", x),), (("y", x),), (w,)), params)


def test_it_trains() -> None:
    torch.manual_seed(0)
    module = network(MLP).torch(seed=0)
    x, target = torch.randn(8, 4, 6), torch.randn(8, 4, 3)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        loss = ((module(x)[0] - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_full_graph_compilation_gives_the_same_outputs_and_gradients() -> None:
    torch._dynamo.reset()
    net = network(MLP)
    module = net.torch()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    for batch, length in ((2, 5), (3, 7), (4, 9)):
        assert_same_gradients(compiled, module, sample(net.graph, {"B": batch, "T": length}))
    assert counter.frame_count <= 2


def test_a_moved_module_compiles() -> None:
    torch._dynamo.reset()
    module = build_module(*tower()).to(torch.bfloat16)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    x = torch.randn(2, 4, dtype=torch.bfloat16)
    assert torch.equal(module(x), compiled(x))


@pytest.mark.parametrize("strict", [False, True])
def test_export_keeps_batch_and_length_free(strict: bool) -> None:
    net = network(MLP)
    module = net.torch().eval()
    program = torch.export.export(module, (torch.randn(2, 5, 6),), dynamic_shapes=({0: AUTO, 1: AUTO},), strict=strict)
    assert set(PATHS) == set(program.state_dict)
    for batch, length in ((3, 4), (1, 9)):
        inputs = sample(net.graph, {"B": batch, "T": length})
        assert_equals_reference(program.module(), net.graph, inputs, net.weights())


def test_equal_sizes_and_facts_hold_in_an_exported_program() -> None:
    b = Builder(Facts.EMPTY.with_fact("==", Dim.of("N") % 2, 0))
    x, z = Value(tensor(F32, "B", "N"), "x"), Value(tensor(F32, "B", Dim.of("N") // 2), "z")
    module = build_module(b.graph({"x": x, "z": z}, {"y": b(Tanh(), x), "n": b(DimValue(Dim.of("N") // 2))}), {})
    batch, half = torch.export.Dim("batch"), torch.export.Dim("half")
    shapes = ({0: batch, 1: 2 * half}, {0: batch, 1: half})
    program = torch.export.export(module, (torch.randn(3, 8), torch.randn(3, 4)), dynamic_shapes=shapes)
    assert 5 == int(program.module()(torch.randn(2, 10), torch.randn(2, 5))[1])


def test_a_network_may_return_its_input_and_one_value_twice() -> None:
    x = Value(tensor(F32, "B"), "x")
    b = Builder()
    y = b(Tanh(), x)
    module = build_module(b.graph({"x": x}, {"a": x, "b": y, "c": y}), {})
    a, first, second = module(torch.ones(3))
    assert torch.equal(torch.ones(3), a)
    assert torch.equal(first, second)


def test_a_network_without_inputs_has_the_device_and_type_of_the_module() -> None:
    b = Builder()
    module = build_module(b.graph({}, {"y": b(Full((Dim.of(2),), 3, F32))}), {})
    assert [3.0, 3.0] == module().tolist()
    assert torch.float64 == module.double()().dtype
    assert "meta" == module.to("meta")().device.type


def test_f16_networks_are_f16_as_built() -> None:
    graph, params = tower(F16)
    module = build_module(graph, params)
    assert torch.float16 == module(torch.ones(2, 4, dtype=torch.float16)).dtype


def test_it_can_be_traced_again() -> None:
    module = network(MLP).torch()
    x = torch.randn(2, 5, 6)
    assert torch.equal(module(x)[0], fx.symbolic_trace(module)(x)[0])


def test_weights_may_be_given_for_one_call() -> None:
    module = network(MLP).torch()
    weights = {name: torch.zeros_like(p) for name, p in module.named_parameters()}
    result = torch.func.functional_call(module, weights, (torch.randn(2, 5, 6),))
    assert not bool(result[0].any())
