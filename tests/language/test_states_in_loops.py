"""R16 in loops: a state that a body updates is carried from step to step, in training only."""

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import netdsl
from netdsl.api import Network
from netdsl.backends.onnx.model import build
from netdsl.backends.onnx.runtime import Session
from netdsl.backends.onnx.serialize import to_bytes
from netdsl.backends.reference import run as run_reference
from netdsl.ir import Graph
from netdsl.ir_parser import parse_graph
from netdsl.ir_source import source_of
from netdsl.ir_text import print_graph
from netdsl.ops.loop import Loop
from tests.language.nets import Array, network, refused, run
from tests.random_networks.same import difference

X = "(x: f32[B, T, 3]) -> f32[B, T, 3]"
COUNT = (
    "state n: i64 ~ zeros\ny = scan x[axis=1] from (s=zeros[B, 3]) {\nupdate n = n + 1\ns = s + x\nyield s * n\n}\ny"
)
COUNTER = """
block Counter(x: float[..]) -> float[..] {
    state n: float[1] ~ zeros
    update n = n + 1
    x + n
}
block Last(x: float[C]) -> float[C] {
    state old: float[C] ~ zeros
    update old = x
    old
}
block Through[f: block](x: float[B, T, C]) -> float[B, T, C] {
    y = scan x[axis=1] from (s=zeros[B, C]) {
        s = f(x)
        yield s
    }
    y
}
"""
NORMED = """
y, h = scan x[axis=1{options}] from (h=zeros[B, 3]) {{
    h = tanh(BatchNorm1d(Linear[3](x) + h))
    yield h
}}
"""


def loops(graph: Graph) -> list[Loop]:
    return [node.op for node in graph.walk() if isinstance(node.op, Loop)]


@pytest.fixture
def x() -> Array:
    return np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)


def train(
    net: Network, weights: dict[str, Array] | None = None, /, **inputs: Array
) -> tuple[list[Array], dict[str, Array]]:
    """Outputs and states after one call in training by the reference; those of the torch module agree."""
    held = net.weights(weights, seed=0)
    graph = net.checked.train_graph
    expected = run_reference(graph, inputs, held)
    module = net.torch(weights=held).train()
    found = module(*(torch.from_numpy(a) for a in inputs.values()))
    for wanted, tensor in zip(expected.outputs.values(), found if isinstance(found, tuple) else (found,), strict=True):
        np.testing.assert_allclose(tensor.detach().numpy(), wanted, rtol=1e-5, atol=1e-5)
    states = module.state_dict()
    for path, wanted in expected.updates.items():
        np.testing.assert_allclose(states[path].numpy(), wanted, rtol=1e-5, atol=1e-6)
    return list(expected.outputs.values()), expected.updates


def test_a_state_counts_steps_in_training_only(x: Array) -> None:
    net = network(X, COUNT.replace("s * n", "s * cast[f32](n)"))
    outputs, states = train(net, x=x)
    assert 4 == states["n"]
    np.testing.assert_allclose(outputs[0], np.cumsum(x, 1) * np.arange(4)[:, None], rtol=1e-6)
    assert [1] == [op.states for op in loops(net.checked.train_graph)]
    assert [0] == [op.states for op in loops(net.graph)]
    np.testing.assert_allclose(run(net, {"n": np.int64(5)}, x=x), np.cumsum(x, 1) * 5, rtol=1e-5)
    model = Session.load(to_bytes(build(net.graph, {"n": np.int64(5)})))
    np.testing.assert_allclose(next(iter(model.run({"x": x}).values())), np.cumsum(x, 1) * 5, rtol=1e-5)


def test_no_steps_leave_the_state_alone() -> None:
    net = network(X, COUNT.replace("s * n", "s"))
    assert 7 == train(net, {"n": np.int64(7)}, x=np.zeros((2, 0, 3), np.float32))[1]["n"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [(2, 0), (0, 0), (4, 1)])
def test_rows_that_ended_do_not_change_the_steps_that_a_state_sees(
    x: Array, reverse: bool, lengths: tuple[int, int]
) -> None:
    option = ", reverse=true" if reverse else ""
    body = COUNT.replace("axis=1", f"axis=1, length=n{option}").replace("n = n", "k = k").replace("state n", "state k")
    net = network("(x: f32[B, T, 3], n: i64[B]) -> f32[B, T, 3]", body.replace("s * n", "s * cast[f32](k)"))
    (y,), states = train(net, x=x, n=np.array(lengths))
    assert 4 == states["k"]
    for row, length in enumerate(lengths):
        assert not y[row, length:].any()


@pytest.mark.parametrize("options", ["", ", length=n", ", reverse=true, length=n"])
def test_running_statistics_in_a_body_follow_torch_nn(x: Array, options: str) -> None:
    header = "(x: f32[B, T, 3], n: i64[B]) -> (y: f32[B, T, 3], h: f32[B, 3]) where B >= 2"
    net = network(header, NORMED.format(options=options))
    torch.manual_seed(0)
    module = net.torch(seed=0)
    linear, norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
    linear.load_state_dict({k: module.state_dict()[f"linear.{k}"] for k in ("weight", "bias")})
    lengths = torch.tensor([4, 2])
    for _ in range(2):
        steps = torch.randn(2, 4, 3)
        h, outputs = torch.zeros(2, 3), [torch.zeros(2, 3)] * 4
        for at in range(3, -1, -1) if "reverse" in options else range(4):
            active = (lengths > at)[:, None] if options else torch.tensor(True)
            after = torch.tanh(norm(linear(steps[:, at]) + h))
            h, outputs[at] = torch.where(active, after, h), torch.where(active, after, 0)
        y, final = module(steps, lengths)
        torch.testing.assert_close(y, torch.stack(outputs, 1))
        torch.testing.assert_close(final, h)
        peers = (linear.weight, linear.bias, norm.weight, norm.bias)
        for expected, found in zip(
            torch.autograd.grad(h.square().sum(), peers),
            torch.autograd.grad(final.square().sum(), list(module.parameters())),
            strict=True,
        ):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(module.state_dict()[f"batch_norm1d.{name}"], getattr(norm, name))
    train(net, x=x, n=lengths.numpy())


def test_a_gradient_runs_through_the_state(x: Array) -> None:
    body = "state m: f32[3] ~ ones\nparam w: f32[3] ~ ones\ny = scan x[axis=1] from (s=zeros[B, 3]) {\n"
    net = network(X, body + "update m = m * w\ns = s + x * m\nyield s\n}\ny")
    module = net.torch()
    module(torch.from_numpy(x))[:, -1].sum().backward()
    expected = (x.sum(0) * np.arange(4)[:, None]).sum(0)  # the derivative of w ** t at 1 is t
    np.testing.assert_allclose(module.w.grad.numpy(), expected, rtol=1e-5)


def test_calls_before_in_and_after_a_loop_follow_program_order(x: Array) -> None:
    body = "let c = Counter\na = c(x)\nb = scan x[axis=1] from (s=zeros[B, 3]) {\ns = c(x)\nyield s\n}\na + b + c(x)"
    (y,), states = train(network(X, body, before=COUNTER), x=x)
    np.testing.assert_allclose(y, 3 * x + 0 + (1 + np.arange(4))[:, None] + 5, rtol=1e-6)
    assert [6] == states["c.n"].tolist()


def test_a_state_is_not_mistaken_for_the_value_that_it_holds(x: Array) -> None:
    body = "let l = Last\nz = x[0, 0]\na = l(z)\n"
    body += "y = scan x[axis=1] from (s=zeros[3]) {\ns = x[0] + l(x[1]) + z\nyield s\n}\na + y.T"
    net = network("(x: f32[B, T, 3]) -> f32[T, 3] where B >= 2, T >= 1", body, before=COUNTER)
    (y,), states = train(net, x=x)
    left = np.concatenate([x[0, :1], x[1, :-1]])
    np.testing.assert_allclose(y, x[0] + left + x[0, 0], rtol=1e-6)
    np.testing.assert_allclose(states["l.old"], x[1, -1])


def test_an_instance_given_to_a_block_with_a_loop_counts_on(x: Array) -> None:
    body = "let c = Counter\na = x |> Through[c] |> Through[c]\nz = scan x[axis=0] from (s=zeros[T, 3]) {\n"
    body += "s = reshape[T, 3](Through[c](s[none] + x[none]))\nyield s\n}\na + z"
    (y,), states = train(network(X + " where T >= 1", body, before=COUNTER), x=x)
    assert [16] == states["c.n"].tolist()
    turns = np.arange(16.0).reshape(4, 4)[..., None]
    z0 = x[0] + turns[2]
    np.testing.assert_allclose(y[0], x[0] + turns[0] + turns[1] + z0, rtol=1e-6)
    np.testing.assert_allclose(y[1], x[1] + turns[0] + turns[1] + z0 + x[1] + turns[3], rtol=1e-6)


def test_loops_nest_and_cells_count(x: Array) -> None:
    body = "state n: f32 ~ zeros\ny = scan x[axis=0] from (s=zeros[T, 3]) {\nupdate n = n + 10\n"
    body += "z = scan x[axis=0] from (r=zeros[3]) {\nupdate n = n + 1\nr = r + x * n\nyield r\n}\ns = z\nyield z\n}\ny"
    (y,), states = train(network(X, body), x=x)
    # The loop inside starts from the state as the outer step began, and its last value is the later update.
    assert 8 == states["n"]
    np.testing.assert_allclose(y[1], np.cumsum(x[1] * np.arange(4, 8)[:, None], 0), rtol=1e-6)
    cell = "block Cell(x: float[B, C], h: float[B, C]) -> float[B, C] { Counter(x) + h }\n"
    net = network(X, "y, _ = scan Cell over x[axis=1] from (zeros[B, 3])\ny", before=COUNTER + cell)
    (y,), states = train(net, x=x)
    assert [4] == states["cell.counter.n"].tolist()
    np.testing.assert_allclose(y, np.cumsum(x + np.arange(4)[:, None], 1), rtol=1e-6)


def test_a_state_that_is_only_read_is_captured(x: Array) -> None:
    body = (
        "state n: f32 ~ ones\ny = scan x[axis=1] from (s=zeros[B, 3]) {\ns = s + x * n\nyield s\n}\nupdate n = n + 1\ny"
    )
    net = network(X, body)
    assert [0] == [op.states for op in loops(net.checked.train_graph)]
    (y,), states = train(net, x=x)
    assert 2 == states["n"]
    np.testing.assert_allclose(y, np.cumsum(x, 1), rtol=1e-5)


@pytest.mark.parametrize("options", ["", ", length=n"])
def test_a_compiled_module_in_training_keeps_the_same_states(options: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    header = "(x: f32[B, T, 3], n: i64[B]) -> (y: f32[B, T, 3], h: f32[B, 3]) where B >= 2"
    text = "state k: i64 ~ zeros\n" + NORMED.format(options=options).replace("yield", "update k = k + 1\nyield")
    net = network(header, text)
    eager, module = net.torch(seed=0).double(), net.torch(seed=0).double()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    compilations = []
    for steps in (5, 9, 12):
        x, lengths = torch.randn(3, steps, 3, dtype=torch.float64), torch.tensor([steps, 2, 0])
        wanted, found = eager(x, lengths), compiled(x, lengths)
        torch.testing.assert_close(found[0], wanted[0])
        for a, b in zip(
            torch.autograd.grad(wanted[0].square().sum(), list(eager.parameters())),
            torch.autograd.grad(found[0].square().sum(), list(module.parameters())),
            strict=True,
        ):
            torch.testing.assert_close(b, a)
        for path, state in eager.state_dict().items():
            torch.testing.assert_close(module.state_dict()[path], state)
        compilations.append(counter.frame_count)
    assert 26 == module.state_dict()["k"]
    assert compilations[1] == compilations[2], "one graph serves every length"


def test_the_graph_has_a_text_and_a_source() -> None:
    nested = "state n: f32 ~ zeros\ny = scan x[axis=0] from (s=zeros[T, 3]) {\nupdate n = n + 10\n"
    nested += "z = scan x[axis=0] from (r=zeros[3]) {\nupdate n = n + 1\nr = r + x * n\nyield r\n}\nyield z\n}\ny"
    for body in (COUNT.replace("s * n", "s * cast[f32](n)"), nested):
        graph = network(X, body).checked.train_graph
        assert print_graph(graph) == print_graph(parse_graph(print_graph(graph)))
        again = netdsl.load(source_of(graph))["N"].checked.train_graph
        assert "" == difference(graph, again)


def test_what_is_not_a_state_is_not_updated_in_a_body() -> None:
    refused(X, "y = scan x[axis=1] from (s=zeros[B, 3]) {\nupdate s = x\nyield s\n}\ny", "E0351")
    body = "y = scan x[axis=1] from (s=zeros[B, 3]) {\nstate n: f32 ~ zeros\nyield s\n}\ny"
    refused(X, body, "E0349")
