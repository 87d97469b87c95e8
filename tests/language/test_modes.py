"""R16: states are read as they were, updated for the next call in training only; both modes agree in type."""

import numpy as np
import pytest
import torch

from tests.language.nets import network, ops, paths, refused, run

COUNTER = """
block Counter(x: float[B]) -> float[B] {
    state n: float[1] ~ zeros
    update n = n + 1
    x + n
}
"""
X = "(x: f32[B]) -> f32[B]"


def test_a_state_counts_calls_in_training_only() -> None:
    net = network(X, "x |> Counter as c", before=COUNTER)
    assert ["c.n"] == paths(net)
    module = net.torch()
    zero = torch.zeros(1)
    assert [0.0, 1.0, 2.0] == [module(zero).item() for _ in range(3)]
    module.eval()
    assert [3.0, 3.0] == [module(zero).item() for _ in range(2)]
    assert [3.0, 4.0] == [module.train()(zero).item() for _ in range(2)]
    assert 5.0 == module.state_dict()["c.n"].item()
    assert not list(module.parameters())


def test_calls_of_one_instance_follow_program_order() -> None:
    net = network(X, "let c = Counter\na = c(x)\nb = c(x)\na + 10 * b", before=COUNTER)
    module = net.torch()
    assert 10.0 == module(torch.zeros(1)).item()
    assert 2.0 + 30.0 == module(torch.zeros(1)).item()
    assert 4.0 == module.state_dict()["c.n"].item()
    # Evaluation, the reference and ONNX see the state as it is.
    np.testing.assert_allclose(run(net, {"c.n": np.float32([4])}, x=np.zeros(2)), [44, 44])


def test_an_instance_given_to_blocks_counts_on() -> None:
    before = COUNTER + "block Twice[f: block](x: float[B]) -> float[B] { f(f(x)) }\n"
    net = network(X, "let c = Counter\nx |> Twice[c] |> Twice[c]", before=before)
    module = net.torch()
    assert 0.0 + 1 + 2 + 3 == module(torch.zeros(1)).item()
    assert 4.0 == module.state_dict()["c.n"].item()


def test_an_instance_inside_other_statics_counts_on() -> None:
    before = (
        COUNTER
        + """
block Twice[f: block](x: float[B]) -> float[B] { f(f(x)) }
block Each[fs: list](x: float[B]) -> float[B] {
    for f in fs {
        x = f(x)
    }
    x
}
"""
    )
    net = network(
        X, "let c = Counter\nlet d = Counter\nx |> Each[[Twice[Twice[c]], d, c, Twice[d]]] |> c", before=before
    )
    module = net.torch()
    assert sum(range(4)) + 0 + 4 + 1 + 2 + 5 == module(torch.zeros(1)).item()
    assert {"c.n": 6.0, "d.n": 3.0} == {k: v.item() for k, v in module.state_dict().items()}


def test_a_states_own_update_is_not_seen_by_its_call() -> None:
    body = "state s: f32[1] ~ ones\nbefore = s\nupdate s = s * 2\nx * before + s"
    module = network(X, body).torch()
    assert [2.0, 4.0] == [module(torch.ones(1)).item() for _ in range(2)]


def test_training_is_a_static() -> None:
    body = "if training {\nx = x * 2\n} else {\nx = x * 3\n}\ny = if training { x } else { x + 1 }\ny"
    net = network(X, body)
    module = net.torch()
    assert 2.0 == module(torch.ones(1)).item()
    assert 4.0 == module.eval()(torch.ones(1)).item()
    np.testing.assert_allclose(run(net, x=np.ones(1)), [4])
    assert net.graph is net.checked.eval_graph is not net.checked.train_graph


def test_a_network_without_modes_is_one_graph() -> None:
    net = network(X, "x |> relu")
    assert net.checked.eval_graph is net.checked.train_graph


def test_dropout_is_there_in_training_only() -> None:
    net = network(X, "x |> dropout[0.5] |> dropout[0.0]")
    assert "dropout" not in ops(net)
    assert 1 <= sum(n.op.name == "dropout" for n in net.checked.train_graph.walk()) <= 2


def test_modes_must_agree_in_type_and_parameters() -> None:
    refused("(x: f32[B, 4]) -> f32[B, C]", "y = if training { x } else { x[:, :2] }\ny", "E0363")
    refused(X, "if training {\nparam w: f32[1] ~ ones\nx = x * w\n}\nx", "E0363")


def test_only_states_are_updated() -> None:
    refused(X, "param w: f32[1] ~ ones\nupdate w = w * 2\nx", "E0351")
    refused(X, "update x = x * 2\nx", "E0351")
    refused(X, "state s: f32[1] ~ ones\nupdate s = ones[2]\nx", "E0214")


def test_gradients_are_stopped_and_replaced() -> None:
    net = network(
        "(x: f32[B]) -> (a: f32[B], b: f32[B])", "a = x * stop_gradient(x)\nb = with_gradient(round(x), of=3 * x)"
    )
    module = net.torch()
    x = torch.tensor([1.6], requires_grad=True)
    a, b = module(x)
    assert 2.0 == b.item()
    assert 1.6 == pytest.approx(torch.autograd.grad(a, x, retain_graph=True)[0].item())
    assert 3.0 == torch.autograd.grad(b, x)[0].item()


def test_random_ops_draw_anew_each_call() -> None:
    module = network("(x: f32[B, 100]) -> f32[B, 100]", "x |> dropout[0.5]").torch()
    x = torch.ones(1, 100)
    assert not torch.equal(module(x), module(x))
