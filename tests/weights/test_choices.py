"""`choose`: open while training, decided by its scores, and nothing of the losers left."""

from pathlib import Path

import numpy as np
import pytest
import torch

import netdsl
from netdsl.api import Network
from netdsl.diagnostics import NetError
from netdsl.ir_parser import parse_graph
from netdsl.ir_text import print_graph

TEXT = """
import std.edges: BSpline, Rbf, Chebyshev

edge Pool(x: float) -> float { choose[BSpline, Rbf, Chebyshev[4], per=out, mode=soft](x) + 0.5 * x }

network SKan(x: f32[B, 3]) -> f32[B, 2] { x |> edges[7, Pool] as one |> edges[2, Pool] as two }
network Hard(x: f32[B, 3]) -> f32[B, 2] { x |> choose[Linear[2], Mlp[hidden=[4], out=2]] as way }
network Soft(x: f32[B, 3]) -> f32[B, 2] {
    x |> choose[Mlp[hidden=[4], out=2], Linear[2], mode=soft, temperature=0.5] as way
}
"""
NETS = netdsl.load(TEXT)
#: Scores that say which option each of the 7 outputs takes.
WANTED = (2, 0, 1, 0, 0, 2, 1)


def weights() -> dict[str, np.ndarray]:
    values = NETS["SKan"].weights(seed=3)
    values["one.choose.scores"] = 60 * np.eye(3, dtype=np.float32)[list(WANTED)]
    values["two.choose.scores"] = 60 * np.eye(3, dtype=np.float32)[[1, 1]]
    return values


def test_the_committed_network_is_the_one_with_hard_scores() -> None:
    net, values = NETS["SKan"], weights()
    small, kept = net.commit(values)
    assert () == small.graph.choices
    x = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    expected = net.reference({"x": x}, weights=values)["output"]
    np.testing.assert_allclose(small.reference({"x": x}, weights=kept)["output"], expected, atol=1e-6)
    found = small.torch(weights=kept)(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_losers_are_gone(tmp_path: Path) -> None:
    small, kept = NETS["SKan"].commit(weights())
    sizes = {0: 9, 1: 9, 2: 5}
    assert sum(3 * sizes[k] for k in WANTED) + 2 * 7 * sizes[1] == small.param_count
    assert sum(v.size for v in kept.values()) == small.param_count
    kinds = [row for row in small.graph.instances if row.block == "edges"]
    assert ["1, 3, 4", "2, 6", "0, 5"] == [dict(row.statics)["rows"] for row in kinds[:3]]
    assert "rows" not in dict(kinds[3].statics)
    assert small.onnx(tmp_path / "small.onnx", weights=kept).nodes > 0


def test_equal_scores_go_to_the_smaller_option() -> None:
    values = NETS["SKan"].weights(seed=0)
    small, _ = NETS["SKan"].commit(values)
    assert (7 * 3 + 2 * 7) * 5 == small.param_count
    small, kept = NETS["Soft"].commit(NETS["Soft"].weights(seed=0))
    assert ["way.linear.weight", "way.linear.bias"] == list(kept)
    assert 8 == small.param_count


def test_what_is_open_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(NetError) as error:
        NETS["SKan"].onnx(tmp_path / "n.onnx")
    (found,) = error.value.diagnostics
    assert "E0604" == found.code
    assert (
        "`one.choose` is among BSpline, Rbf, Chebyshev[degree=4]",
        "`two.choose` is among BSpline, Rbf, Chebyshev[degree=4]",
    ) == found.notes
    with pytest.raises(NetError):
        NETS["Hard"].torch()
    with pytest.raises(NetError):
        NETS["Hard"].commit()
    hard = Network(NETS["Hard"].session, "Hard", {}, {"way": (1,)})
    assert [
        "way.mlp.layers.0.linear.weight",
        "way.mlp.layers.0.linear.bias",
        "way.mlp.out_layer.weight",
        "way.mlp.out_layer.bias",
    ] == [p.path for p in hard.graph.params]


def test_a_soft_choice_of_blocks_is_their_weighed_sum() -> None:
    net = NETS["Soft"]
    values = net.weights(seed=1)
    values["way.scores"] = np.array([0.3, -0.2], np.float32)
    share = np.exp(2 * values["way.scores"]) / np.exp(2 * values["way.scores"]).sum()
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    hidden = np.maximum(x @ values["way.mlp.layers.0.linear.weight"].T + values["way.mlp.layers.0.linear.bias"], 0)
    first = hidden @ values["way.mlp.out_layer.weight"].T + values["way.mlp.out_layer.bias"]
    second = x @ values["way.linear.weight"].T + values["way.linear.bias"]
    expected = share[0] * first + share[1] * second
    np.testing.assert_allclose(net.reference({"x": x}, weights=values)["output"], expected, atol=1e-6)


def test_the_text_of_a_graph_keeps_its_choices() -> None:
    graph = NETS["SKan"].graph
    text = print_graph(graph)
    assert text == print_graph(parse_graph(text))
    assert graph.choices == parse_graph(text).choices


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("choose[Linear[2]]", "E0323"),
        ("choose[Linear[2], 3]", "E0324"),
        ("choose[Linear[2], Linear[2], mode=mild]", "E0324"),
        ("choose[Linear[2], Linear[2], per=out, mode=soft]", "E0324"),
        ("choose[Linear[2], Linear[2], temperature=0.0]", "E0324"),
        ("choose[Linear[2], Linear[3], mode=soft]", "E0214"),
    ],
)
def test_a_wrong_choice_is_reported_once(call: str, code: str) -> None:
    with pytest.raises(NetError) as error:
        netdsl.load(f"network N(x: f32[B, 4]) -> f32[B, 2] {{ x |> {call} }}")["N"]
    assert [code] == [d.code for d in error.value.diagnostics]


NUMBERS = """
block Two[w: int = choose[3, 5]](x: float[.., I]) -> float[.., 2] { x |> Linear[w] |> choose[relu, tanh] |> Linear[2] }
network N[flag: bool = choose[true, false]](x: f32[B, 4]) -> f32[B, 2] {
    const width = choose[16, 64]
    repeat choose[1, 2, 3] as layers { x = x |> Linear[choose[8, 16]] |> relu |> Linear[width] }
    let two = Two
    x = x |> two
    if flag { x } else { x |> Linear[64] |> Linear[2] |> Linear[2] }
}
"""


def test_each_written_choice_among_numbers_is_one_decision_per_turn() -> None:
    net = netdsl.load(NUMBERS)["N"]
    assert [
        ("choose", ("true", "false")),
        ("choose_2", ("16", "64")),
        ("choose_3", ("1", "2", "3")),
        ("layers.0.choose", ("8", "16")),
        ("two.choose", ("3", "5")),
        ("two.choose_2", ("relu", "tanh")),
    ] == [(c.path, c.options) for c in net.graph.choices]
    assert net.graph.choices == net.checked.train_graph.choices
    made = net.choose({"choose": True, "choose_2": 64, "choose_3": 2, "layers.0.choose": 8, "two.choose": 5})
    assert ["layers.1.choose", "two.choose_2"] == [c.path for c in made.graph.choices]
    # The third turn is not there, so what is decided for it is not used.
    whole = made.choose({"layers.1.choose": 16, "layers.2.choose": 16, "two.choose_2": "tanh"})
    assert () == whole.graph.choices
    sizes = {p.path: tuple(d.value for d in p.value.type.sizes) for p in whole.graph.params}
    assert (8, 4) == sizes["layers.0.linear.weight"] and (64, 8) == sizes["layers.0.linear_2.weight"]
    assert (16, 64) == sizes["layers.1.linear.weight"] and (5, 64) == sizes["two.linear.weight"]
    assert ["tanh"] == [n.op.name for n in whole.graph.nodes if n.op.name == "tanh"]


def test_a_searched_network_is_the_one_that_is_written_out(tmp_path: Path) -> None:
    plain = """
    network N(x: f32[B, 4]) -> f32[B, 2] {
        repeat 1 as layers { x = x |> Linear[16] |> relu |> Linear[16] }
        let two = Two
        x |> two
    }
    block Two(x: float[.., I]) -> float[.., 2] { x |> Linear[3] |> tanh |> Linear[2] }
    """
    decisions = {"choose": True, "choose_2": 16, "choose_3": 1, "layers.0.choose": 16, "two.choose": 3}
    made = netdsl.load(NUMBERS)["N"].choose({**decisions, "two.choose_2": "tanh"})
    hand = netdsl.load(plain)["N"]
    assert {p.path for p in hand.graph.params} == {p.path for p in made.graph.params}
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    expected = hand.reference({"x": x}, seed=4)["output"]
    np.testing.assert_array_equal(made.reference({"x": x}, seed=4)["output"], expected)
    assert made.onnx(tmp_path / "made.onnx").nodes == hand.onnx(tmp_path / "hand.onnx").nodes


def test_options_of_blocks_are_decided_as_they_are_written() -> None:
    hard = NETS["Hard"]
    for written in ("Mlp", "Mlp[hidden=[4], out=2]"):
        assert 4 * 3 + 4 + 2 * 4 + 2 == hard.choose({"way": written}).param_count
    small = NETS["SKan"].choose({"one.choose": ["BSpline", "Rbf", "Chebyshev", "Rbf", "Rbf", "Rbf", "Rbf"]})
    assert ["two.choose"] == [c.path for c in small.graph.choices]


@pytest.mark.parametrize(
    ("decisions", "words", "help"),
    [
        ({"wya": "Mlp"}, "`Hard` has no choice `wya`", "did you mean `way`?"),
        ({"way": "Mpl"}, "`way` is among", None),
        ({"way": 3}, "`way` is among", None),
        ({"way": ["Mlp", "Mlp"]}, "takes one decision, found Mlp, Mlp", None),
    ],
)
def test_a_wrong_decision_is_refused(decisions: dict[str, object], words: str, help: str | None) -> None:
    with pytest.raises(NetError) as error:
        NETS["Hard"].choose(decisions)
    (found,) = error.value.diagnostics
    assert "E0604" == found.code
    assert words in found.title
    assert help == found.help
