"""Layers of the library against torch.nn: outputs and gradients within 1e-5 in f32, and to rounding in f64."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import netdsl

#: Relative to the largest magnitude, by element type.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = tuple(TOLERANCE)
Names = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One layer beside its peer.

    Args:
        text:   the network's inputs, result and body: `x: f32[B, 5] -> f32[B, 3] = x |> Linear[3]`; in f64 tests
                its f32 is f64.
        peer:   the module of torch.nn.
        shapes: of the float inputs.
        names:  our path of a peer's parameter; by default the block's path and the same name.
        call:   how the peer is called.
        extra:  inputs that are not float, after the others.
    """

    text: str
    peer: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    names: Names = field(default_factory=dict)
    call: Callable[..., Any] | None = None
    extra: tuple[Any, ...] = ()

    def module(self, dtype: torch.dtype = torch.float32) -> torch.fx.GraphModule:
        text = self.text if dtype == torch.float32 else self.text.replace("f32", "f64")
        return network(text).torch()


def network(text: str) -> Any:
    """`inputs -> result = body` as a network."""
    inputs, rest = text.split(" -> ", 1)
    result, body = rest.split(" = ", 1)
    source = f"import std.attention\nnetwork N({inputs}) -> {result} {{\n    {body}\n}}\n"
    return netdsl.load(source)["N"]


def paths(peer: nn.Module, module: nn.Module, names: Names) -> dict[str, str]:
    """Our path of each of the peer's floats: as `names` says, or under the one block's path."""
    ours = list(module.state_dict())
    inside = {path.split(".", 1)[-1]: path for path in ours}
    found = {}
    for name, tensor in peer.state_dict().items():
        if tensor.is_floating_point():
            target = names.get(name, name)
            found[name] = target if target in ours else inside[target]
    assert sorted(ours) == sorted(found.values())
    return found


def copy_weights(peer: nn.Module, module: nn.Module, names: Names) -> None:
    """The peer's parameters and buffers, made far from their initial values, in both."""
    generator = torch.Generator().manual_seed(1)
    theirs = peer.state_dict()
    where = paths(peer, module, names)
    with torch.no_grad():
        for name in where:
            noise = 0.3 * torch.randn(theirs[name].shape, generator=generator)
            theirs[name].add_(noise.abs() if "var" in name else noise)
    module.load_state_dict({path: theirs[name] for name, path in where.items()})


def flat(results: Any) -> list[torch.Tensor]:
    return list(results) if isinstance(results, (tuple, list)) else [results]


def assert_near(actual: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    assert actual.shape == expected.shape, what
    if not expected.numel():
        return
    scale = max(1.0, float(expected.detach().abs().max()))
    difference = float((actual - expected).detach().abs().max())
    assert difference <= TOLERANCE[expected.dtype] * scale, f"{what} differs by {difference:.3g}, its size is {scale:.3g}"


def compare(
    case: Case, dtype: torch.dtype, *, train: bool = False, module: nn.Module | None = None, peer: nn.Module | None = None
) -> None:
    """Outputs, and gradients by the inputs and by every parameter, of a random linear function of the outputs."""
    torch.manual_seed(0)
    if module is None or peer is None:
        module, peer = case.module(dtype), case.peer().to(dtype)
        copy_weights(peer, module, case.names)
    module, peer = module.train(train), peer.train(train)
    module.zero_grad()
    peer.zero_grad()
    ours = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in case.shapes]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    actual = flat(module(*ours, *case.extra))
    expected = flat(case.call(peer, *theirs, *case.extra) if case.call else peer(*theirs, *case.extra))
    assert len(expected) == len(actual)
    for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_near(a, e, f"output {index}")
    weights = [torch.randn_like(e) for e in expected]
    for results in (actual, expected):
        torch.stack([(r * w).sum() for r, w in zip(results, weights, strict=True)]).sum().backward()
    for index, (a, e) in enumerate(zip(ours, theirs, strict=True)):
        assert a.grad is not None and e.grad is not None
        assert_near(a.grad, e.grad, f"the gradient of input {index}")
    where = paths(peer, module, case.names)
    for name, parameter in peer.named_parameters():
        gradient = module.get_parameter(where[name]).grad
        assert parameter.grad is not None and gradient is not None, name
        assert_near(gradient, parameter.grad, f"the gradient of `{name}`")


# --- layers --------------------------------------------------------------------------------------


def conv(rank: int, **options: Any) -> Case:
    """A convolution with the same options in both, in our spelling and torch's."""
    dims = ("T", "H, W", "D, H, W")[rank - 1]
    out = ("T2", "H2, W2", "D2, H2, W2")[rank - 1]
    mode = options.pop("mode", "zeros")
    transposed = options.pop("transposed", False)
    given = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    if rank == 1:
        given = {k: v[0] if isinstance(v, list) else v for k, v in given.items()}
        options = {k: v[0] if isinstance(v, tuple) else v for k, v in options.items()}
    brackets = "".join(f", {k}={str(v).lower()}" for k, v in given.items() if k != "kernel")
    kind = f"{'ConvTranspose' if transposed else 'Conv'}{rank}d"
    brackets += "" if transposed else f', mode="{mode}"'
    kernel = options.pop("kernel")
    torch_mode = {} if transposed else {"padding_mode": mode}
    return Case(
        f"x: f32[B, 4, {dims}] -> f32[B, 6, {out}] = x |> {kind}[6, kernel={given['kernel']}{brackets}]".replace(
            " = x", " where " + ", ".join(f"{d} in 4..64" for d in dims.split(", ")) + " = x"
        ),
        lambda: getattr(nn, kind)(4, 6, kernel, **options, **torch_mode),
        ((2, 4, *(11, 9, 8)[:rank]),),
    )


CONVOLUTIONS = {
    "1d": conv(1, kernel=3),
    "1d strided": conv(1, kernel=5, stride=3, padding=2),
    "1d dilated, grouped": conv(1, kernel=3, dilation=2, groups=2, bias=False),
    "2d": conv(2, kernel=3),
    "2d with lists": conv(2, kernel=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 3)),
    "2d grouped": conv(2, kernel=1, groups=2, bias=False),
    "3d": conv(3, kernel=(2, 3, 1), stride=(1, 2, 2), padding=(1, 0, 1)),
    "3d grouped": conv(3, kernel=2, groups=2, dilation=2),
    **{
        f"{rank}d {mode}": conv(rank, kernel=3, padding=(2, 1, 2)[:rank], stride=2, mode=mode)
        for rank, mode in itertools.product((1, 2, 3), ("reflect", "replicate", "circular"))
    },
    "transposed 1d": conv(1, kernel=4, transposed=True),
    "transposed 1d strided": conv(1, kernel=4, stride=3, padding=1, output_padding=2, groups=2, transposed=True),
    "transposed 2d": conv(2, kernel=(3, 4), stride=(2, 3), padding=(1, 2), output_padding=(1, 0), transposed=True),
    "transposed 2d dilated": conv(2, kernel=3, dilation=(2, 1), groups=2, bias=False, transposed=True),
    "transposed 3d": conv(3, kernel=(2, 3, 1), stride=2, output_padding=(0, 1, 0), transposed=True),
}


def pool(kind: str, rank: int, **options: Any) -> Case:
    dims = ("T", "H, W", "D, H, W")[rank - 1]
    out = ("T2", "H2, W2", "D2, H2, W2")[rank - 1]
    kernel = options.pop("kernel")
    text = ", ".join([str(kernel), *(f"{k}={v}" for k, v in options.items())])
    where = ", ".join(f"{d} in 4..64" for d in dims.split(", "))
    return Case(
        f"x: f32[B, 3, {dims}] -> f32[B, 3, {out}] where {where} = x |> {kind}{rank}d[{text}]",
        lambda: getattr(nn, f"{kind}{rank}d")(kernel, **options),
        ((2, 3, *(11, 9, 8)[:rank]),),
    )


POOLS = {
    f"{kind}{rank}d {i}": pool(kind, rank, **options)
    for kind in ("MaxPool", "AvgPool")
    for rank in (1, 2, 3)
    for i, options in enumerate(
        (
            {"kernel": 2},
            {"kernel": 3, "stride": 2, "padding": 1},
            {"kernel": (4, 2, 3)[:rank] if rank > 1 else 4, "stride": 1, "padding": (2, 1, 0)[:rank] if rank > 1 else 2},
        )
    )
}

ACTIVATIONS = {"gelu": "gelu", "gelu[approximate=true]": "gelu", "silu": "silu", "tanh": "tanh", "relu": "relu"}


def heads_of(peer: nn.MultiheadAttention, *tensors: torch.Tensor, causal: bool = False) -> torch.Tensor:
    """Self- or cross-attention of nn.MultiheadAttention; our masks are true at the keys that may be seen."""
    floats = [t for t in tensors if t.is_floating_point()]
    masks = [t for t in tensors if not t.is_floating_point()]
    x, memory = floats[0], floats[-1]
    n, s = x.shape[1], memory.shape[1]
    result, _ = peer(
        x,
        memory,
        memory,
        key_padding_mask=~masks[0] if masks else None,
        attn_mask=~torch.ones(n, s, dtype=torch.bool).tril() if causal else None,
        need_weights=False,
    )
    return result


def causal_heads(peer: nn.MultiheadAttention, *tensors: torch.Tensor) -> torch.Tensor:
    return heads_of(peer, *tensors, causal=True)


class SeparateHeads(nn.Module):
    """nn.MultiheadAttention over a memory, with its joined projections as three linear layers' parameters."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(8, 8, bias=bias), nn.Linear(6, 8, bias=bias)
        self.value, self.out = nn.Linear(6, 8, bias=bias), nn.Linear(8, 8, bias=bias)

    def forward(self, x: torch.Tensor, memory: torch.Tensor, *mask: torch.Tensor) -> torch.Tensor:
        biases = [m.bias for m in (self.query, self.key, self.value)]
        result, _ = nn.functional.multi_head_attention_forward(
            x.transpose(0, 1),
            memory.transpose(0, 1),
            memory.transpose(0, 1),
            8,
            4,
            None,
            None if biases[0] is None else torch.cat(biases),
            None,
            None,
            False,
            0.0,
            self.out.weight,
            self.out.bias,
            key_padding_mask=~mask[0] if mask else None,
            use_separate_proj_weight=True,
            q_proj_weight=self.query.weight,
            k_proj_weight=self.key.weight,
            v_proj_weight=self.value.weight,
        )
        return result.transpose(0, 1)


MASK = torch.tensor([[True, True, False, True, False], [True] * 5, [True, False, False, False, False]])
JOINED = {
    "in_proj_weight": "qkv.weight",
    "in_proj_bias": "qkv.bias",
    "out_proj.weight": "out.weight",
    "out_proj.bias": "out.bias",
}
SELF = "x: f32[B, N, 8]{mask} -> f32[B, N, 8] = x |> attention.SelfAttention[4{brackets}]({given}) as mha"
CROSS = (
    "x: f32[B, N, 8], memory: f32[B, S, 6]{mask} -> f32[B, N, 8] "
    "= x |> attention.CrossAttention[4{brackets}](memory{given}) as mha"
)


def self_attention(mask: bool, causal: bool, bias: bool) -> Case:
    text = SELF.format(
        mask=", mask: bool[B, N]" if mask else "",
        brackets=(", causal=true" if causal else "") + ("" if bias else ", bias=false"),
        given="mask" if mask else "",
    )
    return Case(
        text,
        lambda: nn.MultiheadAttention(8, 4, bias=bias, batch_first=True),
        ((3, 5, 8),),
        JOINED,
        causal_heads if causal else heads_of,
        (MASK,) if mask else (),
    )


def cross_attention(mask: bool, bias: bool) -> Case:
    text = CROSS.format(
        mask=", mask: bool[B, S]" if mask else "",
        brackets="" if bias else ", bias=false",
        given=", mask" if mask else "",
    )
    return Case(text, lambda: SeparateHeads(bias), ((3, 4, 8), (3, 5, 6)), {}, None, (MASK,) if mask else ())


IDS = torch.tensor([[0, 3, 3, 10], [7, 0, 3, 1]])
LAYERS = {
    "Linear": Case("x: f32[B, N, 5] -> f32[B, N, 3] = x |> Linear[3]", lambda: nn.Linear(5, 3), ((2, 4, 5),)),
    "Linear without bias": Case(
        "x: f32[B, 5] -> f32[B, 3] = x |> Linear[3, bias=false]", lambda: nn.Linear(5, 3, bias=False), ((4, 5),)
    ),
    "Embedding": Case(
        "ids: idx[11][B, N] -> f32[B, N, 4] = ids |> Embedding[11, 4]", lambda: nn.Embedding(11, 4), (), extra=(IDS,)
    ),
    "LayerNorm": Case("x: f32[B, N, 6] -> f32[B, N, 6] = x |> LayerNorm", lambda: nn.LayerNorm(6), ((2, 3, 6),)),
    "LayerNorm without weights": Case(
        "x: f32[B, N, 6] -> f32[B, N, 6] = x |> LayerNorm[1e-3, affine=false]",
        lambda: nn.LayerNorm(6, 1e-3, elementwise_affine=False),
        ((2, 3, 6),),
    ),
    "RmsNorm": Case("x: f32[B, N, 6] -> f32[B, N, 6] = x |> RmsNorm", lambda: nn.RMSNorm(6, 1e-6), ((2, 3, 6),)),
    "GroupNorm": Case(
        "x: f32[B, 6, H, W] -> f32[B, 6, H, W] = x |> GroupNorm[3]", lambda: nn.GroupNorm(3, 6), ((2, 6, 4, 5),)
    ),
    "GroupNorm of one group": Case(
        "x: f32[B, 6] -> f32[B, 6] = x |> GroupNorm[1, eps=1e-3]", lambda: nn.GroupNorm(1, 6, 1e-3), ((3, 6),)
    ),
    "PRelu": Case("x: f32[B, N] -> f32[B, N] = x |> PRelu", nn.PReLU, ((3, 6),)),
    "Glu": Case("x: f32[B, 6] -> f32[B, 3] = x |> Glu", nn.GLU, ((4, 6),)),
    "RnnCell": Case(
        "x: f32[B, 3], h: f32[B, 4] -> f32[B, 4] = RnnCell[4](x, h)", lambda: nn.RNNCell(3, 4), ((5, 3), (5, 4))
    ),
    "GruCell": Case(
        "x: f32[B, 3], h: f32[B, 4] -> f32[B, 4] = GruCell[4](x, h)", lambda: nn.GRUCell(3, 4), ((5, 3), (5, 4))
    ),
    "LstmCell": Case(
        "x: f32[B, 3], h: f32[B, 4], c: f32[B, 4] -> (h2: f32[B, 4], c2: f32[B, 4]) = LstmCell[4](x, h, c)",
        lambda: nn.LSTMCell(3, 4),
        ((5, 3), (5, 4), (5, 4)),
        call=lambda peer, x, h, c: peer(x, (h, c)),
    ),
    **{
        f"SelfAttention {'masked ' * mask}{'causal ' * causal}{'biased' * bias}": self_attention(mask, causal, bias)
        for mask, causal, bias in itertools.product((False, True), repeat=3)
    },
    **{
        f"CrossAttention {'masked ' * mask}{'biased' * bias}": cross_attention(mask, bias)
        for mask, bias in itertools.product((False, True), repeat=2)
    },
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_peer(name: str, dtype: torch.dtype) -> None:
    compare(LAYERS[name], dtype)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_is_its_peer(name: str) -> None:
    for dtype in DTYPES:
        compare(CONVOLUTIONS[name], dtype)


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_is_its_peer(name: str) -> None:
    compare(POOLS[name], torch.float64)


@pytest.mark.parametrize("act", ["relu", "tanh", "sigmoid", "gelu", "silu", "elu", "leaky_relu", "softplus"])
def test_a_perceptron_is_a_row_of_its_peers_layers(act: str) -> None:
    activation = {"gelu": nn.GELU, "silu": nn.SiLU, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU}.get(
        act, getattr(nn, {"relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus"}.get(act, "ReLU"))
    )
    names = {
        f"{index}.{leaf}": f"mlp.{path}.{leaf}"
        for index, path in ((0, "layers.0.linear"), (2, "layers.1.linear"), (4, "out_layer"))
        for leaf in ("weight", "bias")
    }
    case = Case(
        f"x: f32[B, 5] -> f32[B, 3] = x |> Mlp[[8, 6], 3, act={act}]",
        lambda: nn.Sequential(
            nn.Linear(5, 8), activation(), nn.Linear(8, 6), activation(), nn.Linear(6, 3)
        ),
        ((4, 5),),
        names,
    )
    for dtype in DTYPES:
        compare(case, dtype)


# --- running statistics and dropout ----------------------------------------------------------------

NORMS = {
    "BatchNorm1d": ("x: f32[B, 5] -> f32[B, 5]", lambda: nn.BatchNorm1d(5), ((7, 5), (2, 5), (16, 5))),
    "BatchNorm2d": (
        "x: f32[B, 5, H, W] -> f32[B, 5, H, W]",
        lambda: nn.BatchNorm2d(5),
        ((3, 5, 4, 6), (1, 5, 2, 1), (2, 5, 7, 3)),
    ),
    "BatchNorm3d": (
        "x: f32[B, 5, D, H, W] -> f32[B, 5, D, H, W]",
        lambda: nn.BatchNorm3d(5),
        ((3, 5, 2, 4, 3), (1, 5, 1, 2, 1), (2, 5, 3, 1, 2)),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMS)
def test_batch_norm_trains_and_evaluates_as_its_peer(name: str, dtype: torch.dtype) -> None:
    header, make, shapes = NORMS[name]
    case = Case(f"{header} = x |> {name}", make, ())
    module, peer = case.module(dtype), make().to(dtype)
    copy_weights(peer, module, {})
    for shape in shapes:
        step = Case(case.text, make, (shape,))
        compare(step, dtype, train=True, module=module, peer=peer)
        compare(step, dtype, train=False, module=module, peer=peer)
    for name, tensor in peer.state_dict().items():
        if name != "num_batches_tracked":
            (ours,) = (t for path, t in module.state_dict().items() if path.endswith(f".{name}"))
            assert_near(ours, tensor, name)


def test_batch_norm_takes_its_momentum_and_eps() -> None:
    text = "x: f32[B, 5] -> f32[B, 5] = x |> BatchNorm1d[momentum=0.3, eps=0.1]"
    case = Case(text, lambda: nn.BatchNorm1d(5, eps=0.1, momentum=0.3), ((6, 5),))
    for train in (True, False):
        compare(case, torch.float64, train=train)


def test_a_shared_norm_called_twice_counts_both_calls() -> None:
    text = "x: f32[B, 5], y: f32[B, 5] -> (a: f32[B, 5], b: f32[B, 5]) = \n    let norm = BatchNorm1d\n    a = norm(x)\n    b = norm(y * 3)"
    case = Case(
        text, lambda: nn.BatchNorm1d(5), ((6, 5), (6, 5)), call=lambda peer, x, y: (peer(x), peer(y * 3))
    )
    module, peer = case.module(torch.float64), case.peer().double()
    copy_weights(peer, module, {})
    for _ in range(3):
        compare(case, torch.float64, train=True, module=module, peer=peer)
    assert_near(module.state_dict()["norm.running_mean"], peer.running_mean, "the mean")
    assert_near(module.state_dict()["norm.running_var"], peer.running_var, "the variance")
    compare(case, torch.float64, train=False, module=module, peer=peer)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_dropout_is_its_peer(p: float) -> None:
    module = network(f"x: f32[B, N] -> f32[B, N] = x |> Dropout[{p}]").torch()
    x = torch.rand(200, 300) + 1
    torch.manual_seed(7)
    expected = nn.Dropout(p)(x)
    torch.manual_seed(7)
    actual = module(x)
    kept = actual != 0
    torch.testing.assert_close(actual[kept], (x / (1 - p))[kept])
    assert abs(float(kept.double().mean()) - (1 - p)) < 4 * (p * (1 - p) / x.numel()) ** 0.5 + 1e-9
    assert abs(float(kept.double().mean()) - float((expected != 0).double().mean())) < 0.01
    torch.manual_seed(7)
    assert torch.equal(actual, module(x))
    torch.manual_seed(8)
    assert p == 0.0 or not torch.equal(actual, module(x))
    assert torch.equal(x, module.eval()(x))


# --- recurrence ------------------------------------------------------------------------------------

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


# --- positions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [10000.0, 500.0])
def test_rotary_positions_follow_the_formula_of_transformers(base: float) -> None:
    from transformers.models.llama.configuration_llama import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    heads, width, steps = 3, 8, 11
    config = LlamaConfig(
        hidden_size=heads * width,
        num_attention_heads=heads,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": base},
    )
    x = torch.randn(2, heads, steps, width)
    cos, sin = LlamaRotaryEmbedding(config)(x, torch.arange(steps)[None])
    expected, _ = apply_rotary_pos_emb(x, x, cos, sin)
    text = f"x: f32[B, 3, N, 8] -> f32[B, 3, N, 8] = x |> attention.Rotary[{base}]"
    assert_near(network(text).torch()(x), expected, "the rotated input")


def test_learned_positions_are_an_embedding_of_the_index() -> None:
    module = network("x: f32[B, N, 4] -> f32[B, N, 4] where N <= 9 = x |> attention.LearnedPositions[9] as at").torch()
    x = torch.randn(2, 5, 4)
    table = module.state_dict()["at.weight"]
    torch.testing.assert_close(module(x), x + nn.functional.embedding(torch.arange(5), table))
