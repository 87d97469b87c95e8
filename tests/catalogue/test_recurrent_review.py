"""Row 31, the recurrent review: cells by their formulas, both directions within lengths, gradients through time."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netdsl
from tests.catalogue.training import train
from tests.specs.catalogue import SPECS

FILE = SPECS / "time" / "recurrent_review.net"
LENGTH = np.array([6, 3, 1])


def net(name: str, **statics: int) -> netdsl.Network:
    return netdsl.load(FILE)[name].set(I=3, hidden=4, **statics)


def weights_of(network: netdsl.Network) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {k: rng.normal(size=v.shape, scale=0.5).astype(np.float32) for k, v in network.weights().items()}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("name", ["ElmanNet", "JordanNet", "Lstm1997", "Peephole"])
def test_cells_follow_their_formulas(name: str) -> None:
    network = net(name, outputs=2) if name == "JordanNet" else net(name)
    weights = weights_of(network)
    w = {k.split(".", 1)[1]: v.astype(float) for k, v in weights.items()}
    x = np.random.default_rng(1).normal(size=(3, 6, 3))
    y = network.reference({"x": x, "length": LENGTH}, weights=weights)["output"]
    for row, length in enumerate(LENGTH):
        h, s = np.zeros(2 if name == "JordanNet" else 4), np.zeros(4)
        for t in range(length):
            a = w["input.weight"] @ x[row, t] + w["input.bias"] + w["context.weight"] @ h
            if name == "ElmanNet":
                h = np.tanh(a)
            elif name == "JordanNet":
                h = w["output.weight"] @ np.tanh(a) + w["output.bias"]
            elif name == "Lstm1997":
                g, i, o = np.split(a, 3)
                s = s + np.tanh(g) * sigmoid(i)
                h = np.tanh(s) * sigmoid(o)
            else:
                (g, i, f, o), p = np.split(a, 4), w["peephole"]
                s = np.tanh(g) * sigmoid(i + p[0] * s) + s * sigmoid(f + p[1] * s)
                h = np.tanh(s) * sigmoid(o + p[2] * s)
            np.testing.assert_allclose(y[row, t], h, atol=1e-9)
        np.testing.assert_array_equal(y[row, length:], 0)


def test_both_directions_stay_within_a_rows_length() -> None:
    network = net("Bidirectional")
    module = network.torch(weights=weights_of(network))
    peer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    state = {}
    for layer, label in enumerate(("first", "second")):
        for side, suffix in (("forwards", ""), ("backwards", "_reverse")):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                (key,) = (k for k in module.state_dict() if k.startswith(f"{label}.{side}") and k.endswith(kind))
                state[f"{kind}_l{layer}{suffix}"] = module.state_dict()[key]
    peer.load_state_dict(state)
    x, length = torch.randn(3, 6, 3), torch.from_numpy(LENGTH)
    packed = nn.utils.rnn.pack_padded_sequence(x, length, batch_first=True)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(peer(packed)[0], batch_first=True)
    torch.testing.assert_close(module(x, length), wanted, rtol=1e-5, atol=1e-6)
    padded = torch.where(torch.arange(6)[:, None] < length[:, None, None], x, 1e3)
    torch.testing.assert_close(module(padded, length), module(x, length), rtol=0, atol=0)


def gradient(window: int | None, steps: int = 7) -> torch.Tensor:
    """Of the last output by every input."""
    network = net("Truncated", window=window or 100)
    module = network.torch(seed=0)
    x = torch.randn(1, steps, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    module(x)[:, -1].sum().backward()
    assert x.grad is not None
    return x.grad[0]


def test_truncated_gradients_are_whole_within_the_window_and_zero_before_it() -> None:
    whole = gradient(None)
    torch.testing.assert_close(gradient(7), whole)
    cut = gradient(3)
    assert bool((cut[:6] == 0).all())
    torch.testing.assert_close(cut[6:], whole[6:])
    assert bool((whole[:6].abs().sum(1) > 0).all())


def test_gradients_of_a_contracting_network_fade_at_least_as_its_bound_says() -> None:
    network = net("ElmanNet")
    module = network.torch(seed=0).double()
    context = next(p for k, p in module.named_parameters() if k.endswith("context.weight"))
    with torch.no_grad():
        context.mul_(0.5 / torch.linalg.matrix_norm(context, 2))
    x = torch.randn(1, 51, 3).double().requires_grad_()
    module(x, torch.tensor([51]))[0, -1].sum().backward()
    assert x.grad is not None
    size = x.grad[0].norm(dim=1).flip(0)
    weight = next(p for k, p in module.named_parameters() if k.endswith("input.weight"))
    bound = 2 * torch.linalg.matrix_norm(weight, 2) * 0.5 ** torch.arange(51)
    assert bool((size <= bound + 1e-300).all())


def test_a_gate_remembers_the_first_symbol() -> None:
    """Copy the first of 4 symbols after up to 40 steps, which become longer: with a gate 100 %, without it about half."""
    text = """
block Last(x: float[B, T, D]) -> float[B, D] where T >= 1 { x[:, -1] }
network Gated(x: f32[B, T, 5]) -> f32[B, 4] where T >= 1 { x |> Lstm[64] as cell |> Last |> Linear[4] }
network Plain(x: f32[B, T, 5]) -> f32[B, 4] where T >= 1 { x |> Rnn[64] as cell |> Last |> Linear[4] }
"""
    right = {}
    for name in ("Gated", "Plain"):
        module = netdsl.load(text)[name].torch(seed=0)
        with torch.no_grad():
            for key, value in module.named_parameters():
                if key.endswith("bias_ih") and name == "Gated":
                    value[64:128] = 1.0
        hits: list[float] = []

        def loss(generator: torch.Generator, module: Any = module, hits: list[float] = hits) -> torch.Tensor:
            symbol = torch.randint(0, 4, (64,), generator=generator)
            x = 0.1 * torch.randn(64, min(40, 3 + len(hits) // 15), 5, generator=generator)
            x[:, 0, :4] += torch.nn.functional.one_hot(symbol, 4)
            logits = module(x)
            hits.append(float((logits.argmax(1) == symbol).float().mean()))
            return torch.nn.functional.cross_entropy(logits, symbol)

        train(module.parameters(), loss, steps=800, rate=5e-3, seed=0, clip=1.0)
        right[name] = float(np.mean(hits[-100:]))
    assert right["Gated"] >= 0.95 and right["Gated"] - right["Plain"] >= 0.2
