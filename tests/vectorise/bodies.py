"""Typical bodies, written as networks whose parameters are inputs like any other."""

from dataclasses import replace
from functools import cache

import netdsl
from netdsl.instances import renumbered
from netdsl.ir import Graph

#: By name: the header, the body, and declarations before it.
BODIES: dict[str, tuple[str, str, str]] = {
    "linear": ("(x: f32[B, 5]) -> f32[B, 4]", "x |> Linear[4]", ""),
    "linear_rows": ("(x: f32[B, T, 5]) -> f32[B, T, 4]", "x |> Linear[4] |> relu", ""),
    "mlp": ("(x: f32[B, 3]) -> f32[B, 2]", "x |> Mlp[[4, 5], 2, tanh]", ""),
    "embedding": ("(i: idx[7][B, T]) -> f32[B, T, 4]", "i |> Embedding[7, 4]", ""),
    "layer_norm": ("(x: f32[B, 6]) -> f32[B, 6]", "x |> LayerNorm |> Linear[6]", ""),
    "convolution": (
        "(x: f32[B, 2, H, W]) -> f32[B, 3, H, W] where H >= 1, W >= 1",
        "x |> Conv2d[4, 3, padding=1] |> GroupNorm[2] |> silu |> Conv2d[3, 1]",
        "",
    ),
    "attention": (
        "(x: f32[B, T, 4]) -> f32[B, T, 4]",
        "x |> SelfAttention[heads=2]",
        "import std.attention: SelfAttention",
    ),
    "quadratic": (
        "(x: f32[B, 3]) -> f32[B, 2]",
        'param w: f32[2, 3, 3] ~ normal\neinsum["b i, o i j, b j -> b o"](x, w, x)',
        "",
    ),
    "gru": (
        "(x: f32[B, T, 3]) -> f32[B, 4]",
        "let cell = GruCell[4]\ny, last = scan cell over x[axis=1] from (zeros[B, 4])\nlast",
        "",
    ),
}

#: Loops: carries that are mapped by their start or by the body, lengths, both directions, a loop in a loop.
LOOPS: dict[str, tuple[str, str, str]] = {
    "yields_and_carries": (
        "(x: f32[B, T, 3], s0: f32[B, 3], g: f32[3]) -> (a: f32[B, T, 3], s: f32[B, 3], n: f32[B])",
        "a, s, n = scan x[axis=1] from (s=s0, n=zeros[B]) {\ns = tanh(s * g + x)\nn = n + 1.0\nyield s + n[:, none]\n}",
        "",
    ),
    "carry_mapped_by_the_body": (
        "(x: f32[B, T, 3], g: f32[3]) -> (s: f32[B, 3], n: f32[B, 3])",
        "s, n = scan x[axis=1] from (s=zeros[B, 3], n=zeros[B, 3]) {\nn = 0.5 * n + s\ns = tanh(s + x * g)\n}",
        "",
    ),
    "lengths": (
        "(x: f32[B, T, 3], s0: f32[B, 3], l: i64[B]) -> (a: f32[B, T, 3], s: f32[B, 3])",
        "a, s = scan x[axis=1, length=l] from (s=s0) {\ns = tanh(s + x)\nyield 2 * s\n}",
        "",
    ),
    "reversed": (
        "(x: f32[B, T, 3], m: f32[B, T], s0: f32[B, 3]) -> (a: f32[B, T, 3], s: f32[B, 3])",
        "a, s = scan (x=x, m=m)[axis=1, reverse=true] from (s=s0) {\ns = tanh(s + x * m[:, none])\nyield s\n}",
        "",
    ),
    "count": (
        "(x: f32[B, 3], w: f32[3, 3]) -> (a: f32[B, 4, 3], s: f32[B, 3])",
        "a, s = scan 4[axis=1] from (s=x) {\ns = tanh(s @ w)\nyield s\n}",
        "",
    ),
    "nested": (
        "(x: f32[B, T, 3], w: f32[3]) -> f32[B, 3]",
        "s = scan x[axis=1] from (s=zeros[B, 3]) {\nr = scan 2[axis=0] from (r=s) {\nr = tanh(r * w + x)\n}\ns = r\n}\ns",
        "",
    ),
}


@cache
def body(name: str) -> Graph:
    """The graph of a body in eval, its parameters after its inputs."""
    header, text, before = (BODIES | LOOPS)[name]
    return as_inputs(netdsl.load(f"{before}\nnetwork N{header} {{\n{text}\n}}\n")["N"].checked.eval_graph)


def as_inputs(graph: Graph) -> Graph:
    """The graph with its parameters as further inputs, and without instances."""
    more = tuple((param.path.replace(".", "_"), param.value) for param in graph.params)
    nodes = renumbered(graph.nodes, lambda _: 0)
    return replace(graph, inputs=(*graph.inputs, *more), nodes=nodes, params=(), updates=(), taps=(), instances=())
