"""Layers of the library against torch.nn: outputs and gradients within 1e-5 in f32, and to rounding in f64."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.parity.torch_nn_case import DTYPES, Case, assert_near, compare, network


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
            " = x", " where " + ", ".join(f"{d} in 5..64" for d in dims.split(", ")) + " = x"
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
    where = ", ".join(f"{d} in 5..64" for d in dims.split(", "))
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
            {
                "kernel": (4, 2, 3)[:rank] if rank > 1 else 4,
                "stride": 1,
                "padding": (2, 1, 0)[:rank] if rank > 1 else 2,
            },
        )
    )
}


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


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "gelu[approximate=true]": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "leaky_relu[0.2]": lambda: nn.LeakyReLU(0.2),
    "softplus": nn.Softplus,
}


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_a_perceptron_is_a_row_of_its_peers_layers(act: str) -> None:
    make = ACTIVATIONS[act]
    names = {
        f"{index}.{leaf}": f"mlp.{path}.{leaf}"
        for index, path in ((0, "layers.0.linear"), (2, "layers.1.linear"), (4, "out_layer"))
        for leaf in ("weight", "bias")
    }
    case = Case(
        f"x: f32[B, 5] -> f32[B, 3] = x |> Mlp[[8, 6], 3, act={act}]",
        lambda: nn.Sequential(nn.Linear(5, 8), make(), nn.Linear(8, 6), make(), nn.Linear(6, 3)),
        ((4, 5),),
        names,
    )
    for dtype in DTYPES:
        compare(case, dtype)


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
