"""Statics: tables, functions, lists, unrolled loops, choices, and arguments that are blocks themselves."""

import numpy as np
import pytest

import netdsl
from netdsl.ir_parser import parse_graph
from netdsl.ir_text import print_graph
from tests.language.nets import network, ops, output_type, paths, refused, run

X = "(x: f32[B, 4]) -> f32[B, 4]"
ONES = np.ones((2, 4))


def value(expression: str, before: str = "") -> float:
    """A static number, through a network that adds it to zero."""
    return float(run(network("() -> f32[1]", f"zeros[1] + {expression}", before=before))[0])


# --- tables and functions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 ** 5 - 3 * 4", 20),
        ("7 // 2 + -7 // 2 + 7 % 3 + -7 % 3", 3 - 4 + 1 + 2),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("7 / 2", 3.5),
        ("1_000 + 1e3 + 1.5e-1", 2000.15),
        ("min(3, 1, 2) + max(2.5, 1)", 3.5),
        ("sqrt(16) + abs(-3) + int(3.9) + float(2)", 12),
        ("len([1, 2, 3]) + sum([4, 5]) + max([7, 1])", 19),
        ("ceil_div(7, 2)", 4),
        ("[10, 20, 30][1] + [10, 20, 30][-1] + len([1, 2, 3][1:])", 52),
        ("(1, (2, 3))[1][0]", 2),
        ("(if (2 > 1) & ~(1 == 2) | false { 10 } else { 20 })", 10),
        ("round(2.5) + exp(0) + log(1)", 3),
    ],
)
def test_arithmetic_of_statics(expression: str, expected: float) -> None:
    assert expected == pytest.approx(value(expression))


def test_constants_are_tables_and_functions() -> None:
    before = """
const WIDTHS = [(8, 2), (16, 3)]
const total(n: int): int = if n == 0 { 0 } else { n + total(n - 1) }
const scaled(a: float, b: int = 2): float = a * b
const DEPTH: int = 3
"""
    assert 16 + 3 + 15 + 3 == value("WIDTHS[1][0] + WIDTHS[1][1] + total(5) + DEPTH", before)


def test_constants_of_a_body_may_use_its_statics() -> None:
    before = """
block Wide[n: int](x: float[.., D]) -> float[.., D] {
    const factor = n * D
    const twice(a: int): int = 2 * a
    x * twice(factor)
}
"""
    np.testing.assert_allclose(run(network(X, "x |> Wide[3]", before=before), x=ONES), 24 * ONES)


def test_constants_convert_upwards_only() -> None:
    before = "const F: float = 3\nconst HALF: float = F / 2\n"
    assert 1.5 == value("HALF", before)
    refused("() -> f32[1]", "zeros[1] + I", "E0324", before="const I: int = 1.5\n")


def test_functions_convert_their_arguments_and_results() -> None:
    refused("() -> f32[1]", "zeros[1] + f(1.5)", "E0324", before="const f(a: int): int = a\n")
    refused("() -> f32[1]", "zeros[1] + f(1)", "E0324", before="const f(a: int): int = a / 2\n")
    refused("() -> f32[1]", "zeros[1] + f(1, 2)", "E0323", before="const f(a: int): int = a\n")


# --- lists and tuples --------------------------------------------------------------------------------


def test_lists_grow_in_unrolled_loops() -> None:
    net = network(
        X, "kept = []\nfor i in 0..3 {\nkept = kept + [x * (i + 1)]\n}\nkept[0] + kept[1] * kept[2] + len(kept)"
    )
    x = np.arange(8.0).reshape(2, 4)
    np.testing.assert_allclose(run(net, x=x), x + 2 * x * 3 * x + 3)


def test_skips_cross_loops_as_in_a_u() -> None:
    body = """
skips = []
for level in 0..2 as down {
skips = skips + [x]
x = x |> Conv1d[2 * 2 ** level, kernel=2, stride=2] as conv
}
for level in reversed(0..2) as up {
x = x |> ConvTranspose1d[2 * 2 ** max(level - 1, 0), kernel=2, stride=2] as conv
x = concat[axis=1](skips[level], x)
}
x
"""
    net = network("(x: f32[B, 1, T]) -> f32[B, C, T] where T % 4 == 0, T >= 4", body)
    assert "f32[B, 3, T]" == output_type(net)
    assert ["down.0.conv.weight", "down.1.conv.weight", "up.0.conv.weight", "up.1.conv.weight"] == paths(net)[::2]
    assert (2, 3, 8) == run(net, x=np.ones((2, 1, 8))).shape


def test_tuples_hold_tensors_and_statics_by_place_and_by_name() -> None:
    body = "pair = (x, 2)\nboth = (a=x * 3, b=pair)\ny, n = pair\nboth.a + both.b[0] * both.b[1] + y * n + both[1][1]"
    np.testing.assert_allclose(run(network(X, body), x=ONES), 9 * ONES)


def test_lists_of_tensors_go_to_primitives() -> None:
    net = network(X, "parts = split[2, axis=1](x)\nconcat[axis=1]([parts[1], parts[0]])")
    x = np.arange(4.0)[None]
    np.testing.assert_allclose(run(net, x=x), [[2, 3, 0, 1]])


def test_lists_are_static_and_stay_out_of_the_graph() -> None:
    refused(X, "[x, x]", "E0214")
    refused(X, "x + [x]", "E0301")
    refused(X, "[x, x][2]", "E0326")


# --- loops and choices -------------------------------------------------------------------------------


def test_for_runs_over_lists_ranges_pairs_and_nested_tuples() -> None:
    body = """
for i, (a, (b, c)) in enumerate([(1, (2, 3)), (4, (5, 6))]) {
x = x + i * 1000 + a * 100 + b * 10 + c
}
for a, b in zip([1, 2], [3, 4]) {
x = x + a * b
}
for i in reversed(0..3) {
x = x * 2 + i
}
for _ in [] {
x = x * 0
}
repeat 0 {
x = x * 0
}
x"""
    expected = 1.0 + 123 + 1000 + 456 + 3 + 8
    for i in (2, 1, 0):
        expected = expected * 2 + i
    np.testing.assert_allclose(run(network(X, body), x=ONES), expected * ONES)


def test_a_range_takes_constants_of_the_header() -> None:
    net = netdsl.load(
        "network N[n: int = 4](x: f32[B]) -> f32[B] {\n    for i in n // 2..n {\n        x = x + i\n    }\n    x\n}\n"
    )
    np.testing.assert_allclose(run(net["N"], x=np.zeros(1)), [2 + 3])
    np.testing.assert_allclose(run(net["N"].set(n=6), x=np.zeros(1)), [3 + 4 + 5])


def test_a_loop_may_change_a_type_from_turn_to_turn() -> None:
    net = network("(x: f32[B, 16]) -> f32[B, 2]", "repeat 3 {\nx = max_pool[[2], [2]](x[:, none])[:, 0]\n}\nx")
    np.testing.assert_allclose(run(net, x=np.arange(16.0)[None]), [[7, 15]])


def test_an_if_chooses_by_statics_only() -> None:
    body = "y = if {c} {{ x * 2 }} else {{ x * 3 }}\nif {c} {{\ny = y + 1\n}}\ny"
    np.testing.assert_allclose(run(network(X, body.format(c="4 > 3")), x=ONES), 3 * ONES)
    np.testing.assert_allclose(run(network(X, body.format(c="4 < 3")), x=ONES), 3 * ONES)
    assert "select" in (refused(X, "if x > 0 {\nx = x + 1\n}\nx", "E0354").help or "")


def test_ifs_chain() -> None:
    before = """
block Act[kind: str](x: float[..]) -> float[..] {
    if kind == "relu" { relu(x) } else if kind == "double" { x * 2 } else { -x }
}
"""
    net = network(X, 'Act["relu"](x) + Act["double"](x) + Act["?"](x) * 10', before=before)
    np.testing.assert_allclose(run(net, x=ONES), (1 + 2 - 10) * ONES)


def test_sizes_of_free_dimensions_decide_only_what_is_proved() -> None:
    header = "(x: f32[B, T]) -> f32[B, T] where T >= 4"
    np.testing.assert_allclose(
        run(network(header, "if T > 3 { x + 1 } else { x }"), x=np.zeros((1, 5))), np.ones((1, 5))
    )
    refused(header, "if T > 4 { x + 1 } else { x }", "E0302")


# --- blocks as statics -------------------------------------------------------------------------------

HIGHER = """
block Residual[inner: block, act: block = relu](x: float[.., D]) -> float[.., D] { x + (x |> inner |> act) }
block Stack[inner: block, n: int](x: float[.., D]) -> float[.., D] {
    repeat n as layers {
        x = x |> Residual[inner, act=tanh]
    }
    x
}
"""


def test_blocks_primitives_and_functions_are_given_as_statics() -> None:
    net = network(X, "x |> Stack[Linear[4, bias=false], 2]", before=HIGHER)
    assert [f"stack.layers.{i}.residual.inner.weight" for i in range(2)] == paths(net)
    assert 2 == ops(net).count("tanh") and "relu" not in ops(net)
    weights = net.weights()
    x = np.full((1, 4), 0.5)
    expected = x
    for i in range(2):
        expected = expected + np.tanh(expected @ weights[f"stack.layers.{i}.residual.inner.weight"].T.astype(float))
    np.testing.assert_allclose(run(net, x=x), expected, rtol=1e-6)


def test_a_primitive_may_carry_its_statics() -> None:
    net = network(X, "x |> Residual[leaky_relu[0.5], act=clamp[-1, 3]]", before=HIGHER)
    np.testing.assert_allclose(run(net, x=np.array([[-4.0, -1, 1, 5]])), [[-5, -1.5, 2, 8]])


def test_statics_may_be_given_in_two_steps() -> None:
    net = network(X, "x |> Residual[Linear[bias=false][4]]", before=HIGHER)
    assert ["residual.inner.weight"] == paths(net)


def test_statics_recur_as_far_as_they_shrink() -> None:
    before = """
block Tower[n: int](x: float[.., D]) -> float[.., D] {
    if n == 0 { x } else { x |> Linear[D, bias=false] as fc |> Tower[n - 1] as rest }
}
"""
    assert ["tower.fc.weight", "tower.rest.fc.weight", "tower.rest.rest.fc.weight"] == paths(
        network(X, "x |> Tower[3]", before=before)
    )
    refused(X, "x |> Tower[100]", "E0526", before=before)


def test_defaults_may_refer_to_earlier_statics() -> None:
    before = "block F[a: int, b: int = a * 2](x: float[..]) -> float[..] { x * b + a }\n"
    np.testing.assert_allclose(run(network(X, "F[3](x) + F[1, b=5](x)", before=before), x=ONES), (9 + 6) * ONES)


def test_missing_extra_and_repeated_statics_are_refused() -> None:
    before = "block F[a: int](x: float[..]) -> float[..] { x * a }\n"
    refused(X, "F(x)", "E0334", before=before)
    refused(X, "F[1, 2](x)", "E0323", before=before)
    assert "did you mean `a`" in (refused(X, "F[aa=1](x)", "E0330", before=before).help or "")
    refused(X, "F[1][a=2](x)", "E0331", before=before)
    refused(X, "F[1.5](x)", "E0324", before=before)
    refused(X, 'F["1"](x)', "E0324", before=before)


# --- kinds of literals -------------------------------------------------------------------------------


def test_networks_take_statics_from_python() -> None:
    text = """
network N[n: int, s: float = 1, on: bool = false, name: str = "a", t: dtype = f32, l: list = [], p: tuple = (1, 2)](
    x: f32[B]
) -> f32[B] {
    y = if on { x + s } else { x }
    z = if name == "a" { y * n } else { y }
    z + len(l) + p[1] + cast[f32](cast[t](x))
}
"""
    net = netdsl.load(text, n=3)["N"]
    np.testing.assert_allclose(run(net, x=np.ones(1)), [3 + 0 + 2 + 1])
    other = net.set(n=2, s=0.5, on=True, name="b", t="i64", l=[1, (2, 3)], p=(0, 7))
    np.testing.assert_allclose(run(other, x=np.ones(1)), [1.5 + 2 + 7 + 1])
    assert {"n": "2", "s": "0.5", "on": "true", "name": '"b"', "t": "i64", "l": "[1, (2, 3)]", "p": "(0, 7)"} == dict(
        other.graph.instances[0].statics
    )


def test_kinds_of_literals_stay_apart_in_the_printed_graph() -> None:
    before = """
block F[i: int, f: float, b: bool, s: str, t: dtype, l: list](x: float[..]) -> float[..] { x * f + i }
"""
    net = network(X, 'x |> F[1, 1, true, "1", i64, [1, 1.0, "x", true, (2,)]]', before=before)
    text = print_graph(net.graph)
    again = parse_graph(text)
    assert text == print_graph(again)
    (row,) = [i for i in again.instances if i.block.endswith("F")]
    assert {
        "i": "1",
        "f": "1.0",
        "b": "true",
        "s": '"1"',
        "t": "i64",
        "l": '[1, 1.0, "x", true, (2,)]',
    } == dict(row.statics)


def test_strings_are_printed_as_they_are_written() -> None:
    before = "block F[s: str](x: float[..]) -> float[..] { x }\n"
    written = '"a \\"b\\" \\\\ c\\n\\t"'
    net = network(X, f"x |> F[{written}]", before=before)
    for graph in (net.graph, parse_graph(print_graph(net.graph))):
        assert [("s", written)] == [s for i in graph.instances for s in i.statics]


def test_blocks_and_primitives_are_printed_with_their_statics() -> None:
    net = network(
        X, "x |> Residual[leaky_relu[0.5], act=dropout[p=0.1]] |> Residual[Linear[4, bias=false]]", before=HIGHER
    )
    rows = [dict(i.statics) for i in net.graph.instances if i.block.endswith("Residual")]
    assert {"inner": "leaky_relu[0.5]", "act": "dropout[p=0.1]"} == rows[0]
    assert {"inner": "Linear[out=4, bias=false]", "act": "relu"} == rows[1]


def test_attributes_keep_their_kind_through_print_and_parse() -> None:
    net = network(
        "(x: f32[B, 4]) -> i64[B, 1]", "cast[i64](clamp[0, 1](pad[(0, 0), (1, 1)](x)))[:, 1:2] * 3 // 2 % 5 + 1"
    )
    graph = net.graph
    again = parse_graph(print_graph(graph))
    for left, right in zip(graph.walk(), again.walk(), strict=True):
        assert left.op == right.op
        assert repr(left.op) == repr(right.op)
