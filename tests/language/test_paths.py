"""R6: where a parameter lives, and what a label names."""

import numpy as np
import pytest

from tests.language.nets import network, paths, refused, run, taps

X = "(x: f32[B, 4]) -> f32[B, 4]"


def test_a_call_is_named_after_its_block_in_snake_case() -> None:
    net = network(
        "(x: f32[B, 4, H, W]) -> f32[B, 4, H, W] where H >= 1, W >= 1",
        "x |> Conv2d[4, 1] |> GroupNorm[2] |> MyOwnHTTPBlock",
        before="""
block MyOwnHTTPBlock(x: float[.., W]) -> float[.., W] {
    param scale: float[1] ~ ones
    x * scale
}
""",
    )
    assert ["conv2d.weight", "conv2d.bias", "group_norm.weight", "group_norm.bias", "my_own_http_block.scale"] == paths(
        net
    )


def test_the_second_of_a_name_in_a_scope_is_numbered_in_source_order() -> None:
    net = network(
        X,
        "y = Linear[4, bias=false](x) |> Linear[4, bias=false]\ny |> LayerNorm[affine=false] |> Linear[4, bias=false]",
    )
    assert ["linear.weight", "linear_2.weight", "linear_3.weight"] == paths(net)


def test_a_label_names_a_call_and_counts_for_no_number() -> None:
    net = network(X, "x |> Linear[4, bias=false] as up |> Linear[4, bias=false] |> Linear[4, bias=false] as down")
    assert ["up.weight", "linear.weight", "down.weight"] == paths(net)


def test_a_label_after_a_plain_call_names_it_too() -> None:
    assert ["up.weight"] == paths(network(X, "y = Linear[4, bias=false](x) as up\ny + (relu(y) as act)"))


def test_labels_may_be_words_of_the_language() -> None:
    net = network(
        X, "x |> Linear[4, bias=false] as update |> Linear[4, bias=false] as in |> Linear[4, bias=false] as state"
    )
    assert ["update.weight", "in.weight", "state.weight"] == paths(net)


def test_inner_blocks_add_their_own_elements() -> None:
    before = """
block Inner(x: float[.., D]) -> float[.., D] { x |> Linear[D, bias=false] as a |> Linear[D, bias=false] }
block Outer(x: float[.., D]) -> float[.., D] { x |> Inner |> Inner as second }
"""
    expected = [
        "outer.inner.a.weight",
        "outer.inner.linear.weight",
        "outer.second.a.weight",
        "outer.second.linear.weight",
    ]
    assert expected == paths(network(X, "x |> Outer", before=before))


@pytest.mark.parametrize("loop", ["repeat 2 as blocks", "for _ in 0..2 as blocks", 'for name in ["a", "b"] as blocks'])
def test_a_labelled_loop_adds_its_label_and_the_turn(loop: str) -> None:
    net = network(X, f"{loop} {{\nx = x |> Linear[4, bias=false] |> Linear[4, bias=false]\n}}\nx")
    assert [f"blocks.{i}.{n}.weight" for i in range(2) for n in ("linear", "linear_2")] == paths(net)


def test_nested_loops_nest_their_turns() -> None:
    net = network(X, "repeat 2 as a {\nrepeat 2 as b {\nx = x |> Linear[4, bias=false] as c\n}\n}\nx")
    assert [f"a.{i}.b.{j}.c.weight" for i in range(2) for j in range(2)] == paths(net)


def test_a_loop_that_makes_parameters_needs_its_label() -> None:
    assert "needs a label" in refused(X, "repeat 2 {\nx = x |> Linear[4]\n}\nx", "E0337").title
    refused(X, "for i in 0..2 {\nparam w: f32[4] ~ ones\nx = x + w\n}\nx", "E0337")


def test_a_loop_without_parameters_needs_none() -> None:
    assert 8 * np.ones((1, 4)) == pytest.approx(run(network(X, "repeat 3 {\nx = x + x\n}\nx"), x=np.ones((1, 4))))


def test_an_if_adds_nothing() -> None:
    net = network(
        X,
        "if 4 > 3 {\nx = x |> Linear[4, bias=false]\n} else {\nx = x |> Linear[4] as other\n}\nx |> Linear[4, bias=false]",
    )
    assert ["linear.weight", "linear_2.weight"] == paths(net)


def test_a_let_is_one_instance_named_after_itself() -> None:
    net = network(X, "let f = Linear[4]\nf(f(x)) + f(x)")
    assert ["f.weight", "f.bias"] == paths(net)
    weights = net.weights(seed=1)
    w, b = weights["f.weight"].astype(float), weights["f.bias"].astype(float)
    x = np.ones((2, 4))
    once = x @ w.T + b
    np.testing.assert_allclose(run(net, weights, x=x), once @ w.T + b + once, rtol=1e-6)


def test_a_let_in_a_loop_is_one_instance_a_turn() -> None:
    net = network(X, "repeat 2 as turns {\nlet f = Linear[4, bias=false]\nx = f(f(x))\n}\nx")
    assert ["turns.0.f.weight", "turns.1.f.weight"] == paths(net)


def test_a_let_outside_a_loop_is_shared_by_its_turns() -> None:
    net = network(X, "let f = Linear[4, bias=false]\nrepeat 3 {\nx = f(x)\n}\nx")
    assert ["f.weight"] == paths(net)


def test_an_instance_lends_its_tensor() -> None:
    net = network("(i: idx[7][B]) -> f32[B, 7]", "let emb = Embedding[7, 3]\nemb(i) @ emb.weight.T")
    assert ["emb.weight"] == paths(net)
    table = net.weights()["emb.weight"].astype(float)
    np.testing.assert_allclose(run(net, i=np.array([2, 6])), table[[2, 6]] @ table.T, rtol=1e-6)


def test_an_instance_lends_nothing_before_its_sizes_are_known() -> None:
    assert "first call" in refused(X, "let f = Linear[4]\nw = f.weight\nf(x) @ w", "E0335").title


def test_sizes_of_an_instance_may_be_given_in_brackets() -> None:
    net = network(X, "let f = Linear[4, I=4]\nf(x)")
    assert [(4, 4), (4,)] == [v.shape for v in net.weights().values()]
    refused(X, "let f = Linear[4, I=5]\nf(x)", "E0202")


def test_a_shared_instance_keeps_its_sizes() -> None:
    body = "let f = Linear[4]\na = f(x)\nb = f(concat[axis=1](x, x))\na + b"
    assert "shares `weight`" in refused(X, body, "E0338").title


def test_a_block_given_as_a_static_is_named_after_the_static() -> None:
    before = """
block Twice[inner: block](x: float[.., D]) -> float[.., D] { x |> inner |> inner }
"""
    net = network(X, "x |> Twice[Linear[4, bias=false]] as pair", before=before)
    assert ["pair.inner.weight", "pair.inner_2.weight"] == paths(net)


def test_an_instance_given_as_a_static_is_shared_and_keeps_its_path() -> None:
    before = """
block Twice[inner: block](x: float[.., D]) -> float[.., D] { x |> inner |> inner }
"""
    net = network(X, "let f = Linear[4, bias=false]\nx |> Twice[f] |> Twice[f] |> f", before=before)
    assert ["f.weight"] == paths(net)


def test_a_given_parameter_is_not_made() -> None:
    net = network("(x: f32[B, 4], w: f32[3, 4]) -> f32[B, 3]", "Linear[3](x, weight=w) as head")
    assert ["head.bias"] == paths(net)
    x, w = np.ones((2, 4)), np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(run(net, x=x, w=w), x @ w.T + net.weights()["head.bias"], rtol=1e-6)


def test_a_given_parameter_must_fit() -> None:
    refused("(x: f32[B, 4], w: f32[4, 4]) -> f32[B, 3]", "Linear[3](x, weight=w)", "E0214")


def test_paths_are_unique() -> None:
    refused(X, "x |> Linear[4] as a |> Linear[4] as a", "E0333")
    refused(X, "param linear: f32[4] ~ ones\nparam linear: f32[4] ~ ones\nx + linear", "E0311")


def test_labels_are_taps_with_their_paths() -> None:
    net = network(X, "repeat 2 as blocks {\nx = x |> Linear[4] as up |> relu as act\n}\ntanh(x) as last")
    assert ["blocks.0.up", "blocks.0.act", "blocks.1.up", "blocks.1.act", "last"] == taps(net)


def test_taps_of_inner_blocks_are_under_the_call() -> None:
    before = "block Inner(x: float[.., D]) -> float[.., D] { x |> Linear[D] as a |> relu as act }\n"
    assert ["i.a", "i.act", "i"] == taps(network(X, "x |> Inner as i", before=before))


def test_instances_are_rows_with_blocks_statics_and_paths() -> None:
    net = network(X, "x |> Linear[4, bias=false] as up |> Glu |> Linear[4]", before="")
    rows = [(i.block, dict(i.statics), i.path, i.parent) for i in net.graph.instances]
    assert ("std.layers.Linear", {"out": "4", "bias": "false"}, "up", 0) in rows
    assert ("std.layers.Glu", {}, "glu", 0) in rows
    assert ("std.layers.Linear", {"out": "4", "bias": "true"}, "linear", 0) in rows
    assert all(i.intact for i in net.graph.instances)
