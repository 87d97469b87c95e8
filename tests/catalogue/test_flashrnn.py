"""Row 53, recurrent networks with heads: torch's own with one head, block-diagonal ones with several."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

import netdsl
from tests.catalogue.training import train
from tests.specs.catalogue import SPECS

FILE = SPECS / "time" / "flashrnn.net"
#: Network -> torch's layer and its number of gates.
PEERS = {"Elman": (nn.RNN, 1), "Gru": (nn.GRU, 3), "Lstm": (nn.LSTM, 4)}
INPUT, SIZE = 5, 8


def net(name: str, heads: int) -> netdsl.Network:
    return netdsl.load(FILE)[name].set(I=INPUT, heads=heads, size=SIZE)


def peer_of(name: str, module: nn.Module, heads: int) -> nn.Module:
    """Torch's layer with the heads' matrices on the diagonal of its own."""
    layer, gates = PEERS[name]
    hidden = heads * SIZE
    peer = layer(INPUT, hidden, batch_first=True).double()
    values = {key.split(".", 1)[1]: v.double() for key, v in module.state_dict().items() if "cell" in key}
    inputs = next(v.double() for key, v in module.state_dict().items() if "linear" in key)
    recurrent = torch.zeros(gates, hidden, hidden).double()
    for head in range(heads):
        place = slice(head * SIZE, (head + 1) * SIZE)
        recurrent[:, place, place] = values["recurrence.weight"][:, head].transpose(1, 2)
    bias = values["bias"].reshape(-1, hidden)
    with torch.no_grad():
        peer.weight_ih_l0.copy_(inputs)
        peer.weight_hh_l0.copy_(recurrent.reshape(gates * hidden, hidden))
        peer.bias_ih_l0.copy_(bias[:gates].reshape(-1))
        peer.bias_hh_l0.zero_()
        if name == "Gru":
            peer.bias_hh_l0[2 * hidden :] = bias[3]
    return peer


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("name", PEERS)
def test_outputs_and_gradients_are_those_of_torchs_layers(name: str, heads: int) -> None:
    network = net(name, heads)
    rng = np.random.default_rng(0)
    weights = {k: rng.normal(size=v.shape, scale=0.4).astype(np.float32) for k, v in network.weights().items()}
    module = network.torch(weights=weights).double()
    peer = peer_of(name, module, heads)
    ours, theirs = (torch.randn(4, 50, INPUT, generator=torch.Generator().manual_seed(1)).double() for _ in range(2))
    ours.requires_grad_()
    theirs.requires_grad_()
    y, wanted = module(ours).flatten(2), peer(theirs)[0]
    torch.testing.assert_close(y, wanted, rtol=1e-6, atol=1e-6)
    for result, module_ in ((y, module), (wanted, peer)):
        module_.zero_grad()
        result.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)
    mine = next(p.grad for k, p in module.named_parameters() if "recurrence" in k)
    full = peer.weight_hh_l0.grad.reshape(-1, heads, SIZE, heads, SIZE)
    for head in range(heads):
        torch.testing.assert_close(mine[:, head], full[:, head, :, head].transpose(1, 2), rtol=1e-6, atol=1e-6)
    assert mine.numel() * heads == peer.weight_hh_l0.numel()


def test_slstm_is_the_recurrence_without_a_stabiliser_and_stays_finite() -> None:
    network = net("Slstm", 2)
    module = network.torch(seed=1).double()
    values = {key.split(".", 1)[1]: v.double().numpy() for key, v in module.state_dict().items()}
    x = torch.randn(2, 12, INPUT, generator=torch.Generator().manual_seed(0)).double()
    gates = (x.numpy() @ values["linear.weight"].T).reshape(2, 12, 4, 2, SIZE)
    y, c, n = (np.zeros((2, 2, SIZE)) for _ in range(3))
    expected = []
    for t in range(12):
        i, f, z, o = np.moveaxis(
            gates[:, t] + np.einsum("bhd,ghde->bghe", y, values["recurrence.weight"]) + values["bias"], 1, 0
        )
        forget, write = 1 / (1 + np.exp(-f)), np.exp(i)
        c, n = forget * c + write * np.tanh(z), forget * n + write
        y = c / n / (1 + np.exp(-o))
        expected.append(y)
    # Without a stabiliser n is above 0 only; with one it is 1 at least, at the largest gate.
    np.testing.assert_allclose(module(x).detach().numpy(), np.stack(expected, 1), rtol=1e-6, atol=1e-6)
    assert torch.isfinite(module(1e4 * x)).all()


@pytest.mark.parametrize("name", [*PEERS, "Slstm"])
def test_one_file_takes_every_length(name: str, tmp_path: Path) -> None:
    network = net(name, 2)
    network.onnx(tmp_path / "rnn.onnx")
    session = ort.InferenceSession(tmp_path / "rnn.onnx", providers=["CPUExecutionProvider"])
    module = network.torch()
    for steps in (1, 9, 30):
        x = np.random.default_rng(steps).normal(size=(3, steps, INPUT)).astype(np.float32)
        with torch.no_grad():
            np.testing.assert_allclose(session.run(None, {"x": x})[0], module(torch.from_numpy(x)), atol=1e-5)


@pytest.mark.parametrize("has_recurrence", [True, False], ids=["recurrent", "not recurrent"])
@pytest.mark.parametrize("name", ["Elman", "Lstm"])
def test_only_what_the_state_adds_to_the_gates_keeps_track_of_a_parity(name: str, has_recurrence: bool) -> None:
    """Whether the bits so far have an odd sum: learnt on rows of up to 20 bits, asked after 40."""
    module = netdsl.load(FILE)[name].set(I=2, heads=1, size=32).torch(seed=0)
    torch.manual_seed(0)
    read = torch.nn.Linear(32, 2)
    held = {path: p for path, p in module.named_parameters() if "recurrence" in path}
    assert len(held) == 1
    if not has_recurrence:
        for weight in held.values():
            weight.requires_grad_(False).zero_()
    length = [2]

    def asked(generator: torch.Generator, rows: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        bits = torch.randint(0, 2, (rows, steps), generator=generator)
        return read(module(torch.nn.functional.one_hot(bits, 2).float()).flatten(2)), bits.cumsum(1) % 2

    def loss(generator: torch.Generator) -> torch.Tensor:
        logits, odd = asked(generator, 64, length[0])
        is_known = (logits.argmax(-1) == odd).float().mean() > 0.98
        length[0] = min(20, length[0] + int(is_known))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), odd.flatten())

    free = [p for p in (*module.parameters(), *read.parameters()) if p.requires_grad]
    train(free, loss, steps=400, rate=1e-2, seed=0, clip=1.0)
    with torch.no_grad():
        logits, odd = asked(torch.Generator().manual_seed(1), 4_000, 40)
    right = float((logits[:, -1].argmax(-1) == odd[:, -1]).float().mean())
    assert right > 0.9 if has_recurrence else abs(right - 0.5) < 0.05
