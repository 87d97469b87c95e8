"""Recurrent layers against torch.nn over packed rows, written by the library and by hand."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import netdsl
from tests.parity.torch_nn_case import DTYPES, Case, assert_near, compare, copy_weights, network

KINDS = {"Rnn": nn.RNN, "Gru": nn.GRU, "Lstm": nn.LSTM}
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
LENGTHS = torch.tensor([4, 1, 7, 2, 7, 3])


class Layer(nn.Module):
    """A layer of torch.nn over packed rows; its parameters are called as ours."""

    def __init__(self, kind: str, *, bidirectional: bool) -> None:
        super().__init__()
        self.layer = KINDS[kind](3, 4, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        if lengths is None:
            return self.layer(x)[0]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class Backward(Layer):
    """The half of a bidirectional layer that runs from the end of each row."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, bidirectional=True)
        for name in PARAMETERS:
            getattr(self.layer, f"{name}_l0").requires_grad_(False)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        return super().forward(x, lengths)[..., 4:]


def recurrent(kind: str, form: str, has_length: bool) -> Case:
    cell = f"{kind.lower()}_cell"
    length = ", length: i64[B]" if has_length else ""
    given = "(length)" if has_length else ""
    extra = (LENGTHS,) if has_length else ()
    if form == "both":
        text = f"x: f32[B, T, 3]{length} -> f32[B, T, 8] = x |> Bi{kind}[4]{given} as rnn"
        names = {
            f"layer.{name}_l0{suffix}": f"rnn.{direction}.{cell}.{name}"
            for name in PARAMETERS
            for suffix, direction in (("", "forwards"), ("_reverse", "backwards"))
        }
        return Case(text, lambda: Layer(kind, bidirectional=True), ((6, 7, 3),), names, extra=extra)
    text = f"x: f32[B, T, 3]{length} -> f32[B, T, 4] = x |> {kind}[4]{given} as rnn"
    names = {f"layer.{name}_l0": f"rnn.{cell}.{name}" for name in PARAMETERS}
    return Case(text, lambda: Layer(kind, bidirectional=False), ((6, 7, 3),), names, extra=extra)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize("form", ["forward", "both"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recurrent_layer_is_its_peer(kind: str, form: str, has_length: bool, dtype: torch.dtype) -> None:
    compare(recurrent(kind, form, has_length), dtype)


@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_reversed_layer_starts_at_the_end_of_each_row(kind: str, has_length: bool) -> None:
    length, given = (", length: i64[B]", "(length)") if has_length else ("", "")
    text = f"x: f32[B, T, 3]{length} -> f32[B, T, 4] = x |> {kind}[4, reverse=true]{given} as rnn"
    module, peer = network(text.replace("f32", "f64")).torch(), Backward(kind).double()
    path = f"rnn.{kind.lower()}_cell"
    module.load_state_dict({f"{path}.{n}": getattr(peer.layer, f"{n}_l0_reverse") for n in PARAMETERS})
    ours = torch.randn(6, 7, 3, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    extra = (LENGTHS,) if has_length else ()
    actual, expected = module(ours, *extra), peer(theirs, *extra)
    assert_near(actual, expected, "the output")
    weight = torch.randn_like(expected)
    (actual * weight).sum().backward()
    (expected * weight).sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    assert_near(ours.grad, theirs.grad, "the gradient of the input")
    for name in PARAMETERS:
        found, wanted = module.get_parameter(f"{path}.{name}").grad, getattr(peer.layer, f"{name}_l0_reverse").grad
        assert found is not None
        assert_near(found, wanted, f"the gradient of `{name}`")


BODIES = {
    "Rnn": "h = tanh(x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)\n        yield h",
    "Gru": """xr, xz, xn = split[3, axis=-1](x @ weight_ih.T + bias_ih)
        hr, hz, hn = split[3, axis=-1](h @ weight_hh.T + bias_hh)
        z = sigmoid(xz + hz)
        h = (1 - z) * tanh(xn + sigmoid(xr + hr) * hn) + z * h
        yield h""",
    "Lstm": """i, f, g, o = split[4, axis=-1](x @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        yield h""",
}


@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recurrence_written_by_hand_is_its_peer(kind: str, has_length: bool) -> None:
    gates = {"Rnn": 4, "Gru": 12, "Lstm": 16}[kind]
    start = "zeros[B, 4, dtype=f32]"
    carries = f"h={start}, c={start}" if kind == "Lstm" else f"h={start}"
    length, option = (", length: i64[B]", ", length=length") if has_length else ("", "")
    source = f"""network N(x: f32[B, T, 3]{length}) -> f32[B, T, 4] {{
    param weight_ih: f32[{gates}, 3] ~ normal
    param weight_hh: f32[{gates}, 4] ~ normal
    param bias_ih: f32[{gates}] ~ normal
    param bias_hh: f32[{gates}] ~ normal
    y = scan x[axis=1{option}] from ({carries}) {{
        {BODIES[kind]}
    }}
    y
}}
"""
    case = Case(
        "",
        lambda: Layer(kind, bidirectional=False),
        ((6, 7, 3),),
        {f"layer.{name}_l0": name for name in PARAMETERS},
        extra=(LENGTHS,) if has_length else (),
    )
    for dtype in DTYPES:
        text = source if dtype == torch.float32 else source.replace("f32", "f64")
        module, peer = netdsl.load(text)["N"].torch(), case.peer().to(dtype)
        copy_weights(peer, module, case.names)
        compare(case, dtype, module=module, peer=peer)


def test_a_row_of_no_steps_gives_zeros() -> None:
    module = network("x: f32[B, T, 3], length: i64[B] -> f32[B, T, 8] = x |> BiLstm[4](length)").torch()
    x = torch.randn(3, 5, 3)
    whole = module(x, torch.tensor([5, 0, 2]))
    assert not whole[1].any()
    assert not whole[2, 2:].any()
    torch.testing.assert_close(whole[2:, :2], module(x[2:, :2], torch.tensor([2])))
