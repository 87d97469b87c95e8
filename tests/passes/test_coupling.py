"""Channels that move together: every order of a free group keeps the function, and pins say why."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netdsl
from netdsl.backends.reference.execute import run
from netdsl.ir import Graph, Param
from netdsl.ops import OPS
from netdsl.passes.coupled_axes import Axes
from netdsl.passes.coupling import Group, Place, couple
from netdsl.passes.coupling_rules import RULES
from netdsl.sampling import sample_inputs, sample_sizes
from netdsl.tensor_type import BF16
from netdsl.verify import verify
from netdsl.weights import random_weights
from tests.ops.harness import _assignments, _case, _fix_op, _fix_type, one_node
from tests.passes.moved_axes import MovedAxes
from tests.passes.opened_networks import nudged, opened
from tests.random_networks.coverage import Coverage
from tests.random_networks.generate import generate
from tests.specs.catalogue import CATALOGUE, reduced
from tests.vectorise.op_cases import OpCase, recorded
from tests.vectorise.test_every_op import graph_of

SPECS = Path(__file__).parents[2] / "specs"
#: Ops whose results say where elements stand, and a plug-in's function, of which nothing is known.
WITHOUT_RULE = {"iota", "tri_mask", "extern_call"}
#: A loop has its networks, dropout does nothing in the reference, and the others have no recorded case.
ELSEWHERE = {"loop", "dropout", "extern_call"}


def free(groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if group.pin is None]


def permuted(groups: Sequence[Group], weights: Mapping[str, NDArray[Any]], seed: int) -> dict[str, NDArray[Any]]:
    """Every free group in another order."""
    rng = np.random.default_rng(seed)
    made = dict(weights)
    for group in free(groups):
        made |= group.permuted(made, rng.permutation(group.size))
    return made


def differs(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> bool:
    """More than rounding does."""
    for name, array in expected.items():
        scale = max(1.0, float(np.abs(np.nan_to_num(array, posinf=0.0, neginf=0.0)).max(initial=0.0)))
        if not np.allclose(array, found[name], rtol=1e-7, atol=1e-9 * scale, equal_nan=True):
            return True
    return False


# --- single ops ---


def closed(case: OpCase) -> tuple[Graph, dict[str, NDArray[Any]]]:
    """The op on parameters of constant sizes, its results in products with further ones."""
    graph = graph_of(case, double=True)
    env = _assignments(graph, case.sizes, case.facts, case.empty)[0]
    fixed = one_node(_fix_op(graph.nodes[0].op, env), [_fix_type(v.type, env) for v in graph.nodes[0].operands])
    data = _case(fixed, case.samplers, {}, 0).inputs
    rng = np.random.default_rng(1)
    made, weights = opened(replace(fixed, inputs=()), rng)
    params = [Param(name, "param", value) for name, value in fixed.inputs]
    weights |= {name: array for (name, _), array in zip(fixed.inputs, data, strict=True)}
    return replace(made, params=(*params, *made.params)), weights


def cases(name: str) -> list[OpCase]:
    found = [c for c in recorded() if c.op.name == name and BF16 not in {t.dtype for t in c.types}]
    return found[:: max(1, len(found) // 12)]


def test_ops_without_a_rule_are_known() -> None:
    assert WITHOUT_RULE == {name for name, op in OPS.items() if op not in RULES}


@pytest.mark.parametrize("name", sorted(set(OPS) - ELSEWHERE))
def test_free_channels_of_an_op_come_in_any_order(name: str) -> None:
    """On parameters, so that inputs pin nothing."""
    assert cases(name), "a case in tests/ops"
    for case in cases(name):
        graph, weights = closed(case)
        groups = couple(graph)
        expected = run(graph, {}, weights).outputs
        for seed in range(3):
            assert not differs(expected, run(graph, {}, permuted(groups, weights, seed)).outputs), str(case)


@pytest.mark.parametrize("name", sorted(set(OPS) - ELSEWHERE))
def test_pins_of_an_op_are_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them some order changes what the op gives, so that the test above can see one that is missing."""
    pinned = [closed(case) for case in cases(name)]
    pinned = [(g, w) for g, w in pinned if any(group.pin and group.pin.node for group in couple(g))]
    monkeypatch.setattr(Axes, "fix", lambda self, terms, reason: None)
    assert not pinned or any(
        differs(run(graph, {}, weights).outputs, run(graph, {}, permuted(couple(graph), weights, seed)).outputs)
        for graph, weights in pinned
        for seed in range(3)
    )


# --- networks ---


def check_random(seeds: range) -> tuple[int, int, int]:
    """Networks with free groups, outputs compared, and calls that compare nothing.

    Inputs and outputs are opened: sums and products with parameters stand between, so that more is free.
    """
    coverage, found, checked, refused = Coverage(), 0, 0, 0
    for seed in seeds:
        network = generate(seed, coverage)
        graph, further = opened(network.training or network.graph, np.random.default_rng(seed))
        weights = {**network.weights, **further}
        groups = couple(graph)
        found += bool(free(groups))
        other = permuted(groups, weights, seed)
        for sample in network.samples:
            try:
                expected, near = (run(graph, sample.inputs, w) for w in (weights, nudged(weights, seed)))
            except IndexError:  # the network makes indices of a float input, which now are others
                refused += 1
                continue
            if differs(expected.outputs, near.outputs):
                refused += 1
                continue
            results = run(graph, sample.inputs, other)
            checked += len(results.outputs)
            assert not differs(expected.outputs, results.outputs), f"seed {seed}"
            states = permuted(groups, {**weights, **expected.updates}, seed)
            assert not differs({path: states[path] for path in expected.updates}, results.updates), f"seed {seed}"
    return found, checked, refused


def test_free_channels_of_random_networks_come_in_any_order() -> None:
    found, checked, refused = check_random(range(150))
    assert found >= 100 and checked >= 5000 and refused <= 20, (found, checked, refused)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", range(10))
def test_free_channels_of_5000_random_networks_come_in_any_order(block: int) -> None:
    check_random(range(1000 + 500 * block, 1500 + 500 * block))


def test_axes_taken_apart_and_put_together_keep_their_channels() -> None:
    """Sizes have many factors, so that blocks of blocks come about."""
    found = 0
    for seed in range(250):
        graph = MovedAxes(seed).graph
        verify(graph)
        groups = couple(graph)
        found += any(at.extent > 1 or at.blocks or at.start for group in free(groups) for at in group.places)
        weights = random_weights(graph.params, seed)
        expected = run(graph, {}, weights).outputs
        assert not differs(expected, run(graph, {}, permuted(groups, weights, seed)).outputs), f"seed {seed}"
    assert found >= 200, found


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_free_channels_of_specs_come_in_any_order(name: str) -> None:
    graph = reduced(name).graph
    groups = couple(graph)
    weights = random_weights(graph.params, 0)
    other = permuted(groups, weights, 0)
    inputs = sample_inputs(graph, sample_sizes(graph, 2), 0)
    assert not differs(run(graph, inputs, weights).outputs, run(graph, inputs, other).outputs)


# --- what is in a group ---


def written(text: str, *, training: bool = False) -> list[str]:
    """Each group of more than one place or of a weight's hidden axis: its size, its places, and why it is fixed."""
    checked = netdsl.load(text)["Net"].checked
    modes = (checked.eval_graph, checked.train_graph) if training else (checked.eval_graph,)
    return [f"{group.size}: {', '.join(map(place, group.places))}{why(group)}" for group in couple(*modes)]


def place(at: Place) -> str:
    blocks = "".join(f" x{count}/{stride}" for count, stride in at.blocks)
    return f"{at.path}[{at.axis}]" + (f"@{at.start}" if at.start else "") + (f"+{at.extent}" * (at.extent > 1)) + blocks


def why(group: Group) -> str:
    return f" ({group.pin})" if group.pin is not None else ""


def test_hidden_channels_of_an_mlp_are_free() -> None:
    net = "network Net(x: f32[B, 4]) -> y: f32[B, 3] { y = x |> Linear[6] as a |> relu |> Linear[3] as b }"
    assert written(net) == [
        "6: a.weight[0], a.bias[0], b.weight[1]",
        "4: a.weight[1] (they are those of the input `x`)",
        "3: b.weight[0], b.bias[0] (they are those of the output `y`)",
    ]


def test_a_flattened_image_has_a_block_for_each_channel() -> None:
    """`+16` places in a row; what is inside has its own groups, there 6 times."""
    net = """network Net(x: f32[B, 1, 8, 8]) -> y: f32[B, 3] {
        x = x |> Conv2d[6, kernel=3, padding=1] as a |> BatchNorm2d as n |> relu |> MaxPool2d[2]
        y = x |> flatten[start=1] |> Linear[3] as b
    }"""
    groups = written(net)
    norm = "n.weight[0], n.bias[0], n.running_mean[0], n.running_var[0]"
    assert groups[0] == f"6: a.weight[0], a.bias[0], {norm}, b.weight[1]+16"
    assert groups[-2:] == [
        "4: b.weight[1]+4 x6/16 (`max_pool` works on a grid of them)",
        "4: b.weight[1] x24/4 (`max_pool` works on a grid of them)",
    ]


def test_residual_sums_couple_both_sides() -> None:
    net = """network Net(x: f32[B, 3, 8, 8]) -> f32[B, 2] {
        x = x |> Conv2d[4, kernel=3, padding=1] as a
        y = x |> BatchNorm2d as n |> relu |> Conv2d[4, kernel=3, padding=1] as b
        (x + y) |> mean[axes=(2, 3)] |> Linear[2] as c
    }"""
    norm = "n.weight[0], n.bias[0], n.running_mean[0], n.running_var[0]"
    both = f"4: a.weight[0], a.bias[0], {norm}, b.weight[0], b.weight[1], b.bias[0], c.weight[1]"
    assert both == written(net)[0]


def test_a_concatenation_has_parts() -> None:
    net = """network Net(x: f32[B, 3]) -> f32[B, 2] {
        a = x |> Linear[4] as a
        b = x |> Linear[5] as b
        concat[axis=-1](a, b, a) |> Linear[2] as c
    }"""
    groups = written(net)
    assert "4: a.weight[0], a.bias[0], c.weight[1], c.weight[1]@9" in groups
    assert "5: b.weight[0], b.bias[0], c.weight[1]@4" in groups


def test_groups_of_a_convolution_move_whole_or_inside() -> None:
    net = """network Net(x: f32[B, 3, 8, 8]) -> f32[B, 2] {
        x = x |> Conv2d[8, kernel=1] as a |> Conv2d[12, kernel=3, groups=4] as b
        x |> Conv2d[12, kernel=3, groups=12, bias=false] as c |> mean[axes=(2, 3)] |> Linear[2] as d
    }"""
    assert [group for group in written(net) if "(" not in group] == [
        "4: a.weight[0]+2, a.bias[0]+2, b.weight[0]+3, b.bias[0]+3, c.weight[0]+3, d.weight[1]+3",
        "2: a.weight[0] x4/2, a.bias[0] x4/2, b.weight[1]",
        "3: b.weight[0] x4/3, b.bias[0] x4/3, c.weight[0] x4/3, d.weight[1] x4/3",
    ]


def test_a_tied_embedding_is_fixed_along_its_rows_alone() -> None:
    net = """network Net(x: idx[9][B, T]) -> f32[B, T, 9] {
        param e: f32[9, 5] ~ normal
        h = e[x] |> Linear[7] as a |> tanh |> Linear[5] as b
        h @ e.T
    }"""
    assert written(net) == [
        "9: e[0] (`take` counts them)",
        "5: e[1], a.weight[1], b.weight[0], b.bias[0]",
        "7: a.weight[0], a.bias[0], b.weight[1]",
    ]


def test_attention_has_heads_and_channels_of_a_head() -> None:
    net = """import std.attention: SelfAttention
    network Net(x: f32[B, T, 8]) -> y: f32[B, T, 8] {
        x = x + (x |> LayerNorm as n |> SelfAttention[heads=2, bias=false] as t)
        y = x + (x |> FeedForward[16] as m)
    }"""
    assert [group for group in written(net) if "(" not in group] == [
        "2: t.qkv.weight[0]+4, t.qkv.weight[0]@8+4, t.qkv.weight[0]@16+4, t.out.weight[1]+4",
        "4: t.qkv.weight[0] x2/4, t.qkv.weight[0]@8 x2/4, t.qkv.weight[0]@16 x2/4, t.out.weight[1] x2/4",
        "16: m.up.weight[0], m.up.bias[0], m.down.weight[1]",
    ]


def test_a_recurrent_state_moves_in_all_gates() -> None:
    """Its three gates stand one after another in the rows of both weights; the state is in the columns of one."""
    net = """network Net(x: f32[B, T, 3]) -> f32[B, 2] {
        x |> Gru[4] as g |> mean[axes=1] |> Linear[2] as b
    }"""
    (states,) = (group for group in written(net) if "(" not in group)
    rows = {path: ", ".join(f"g.gru_cell.{path}[0]{at}" for at in ("", "@4", "@8")) for path in GRU}
    ih, hh, bias_ih, bias_hh = rows.values()
    assert f"4: {ih}, {hh}, g.gru_cell.weight_hh[1], {bias_ih}, {bias_hh}, b.weight[1]" == states


GRU = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("w * cumsum[axis=0](w)", "`cumsum` goes along them in order"),
        ("w * iota[6, f32]", "`iota` has no rule for them"),
        ("w * flip[axes=(0,)](w)", "`flip` turns them around"),
        ("w * one_hot[6](argmax[axis=0](w))", "`one_hot` counts them"),
        ("w[::2]", "`slice` takes some of them"),
        ("w + x[0]", "they are those of the input `x`"),
    ],
)
def test_pins_say_why(body: str, reason: str) -> None:
    net = f"network Net(x: f32[2, 6]) -> f32 {{ param w: f32[6] ~ normal\n sum({body}) }}"
    assert [f"6: w[0] ({reason})"] == written(net)


def test_channels_taken_apart_in_two_ways_are_fixed() -> None:
    """Halves of thirds, and thirds of halves: what one way has together is apart in the other."""
    net = """network Net() -> f32 {
        param w: f32[6] ~ normal
        sum(sum[axes=0](reshape[2, 3](w)) * sum[axes=1](reshape[3, 2](w)))
    }"""
    reason = "(`reshape` takes them apart in a way that does not fit another)"
    assert [f"2: w[0]+3 {reason}", f"3: w[0] x2/3 {reason}"] == written(net)


def test_what_one_mode_alone_reads_pins_in_both() -> None:
    """A second head that training has reads the hidden channels with a weight of its own, in order."""
    net = """network Net(x: f32[B, 3]) -> f32[B, 2] {
        h = x |> Linear[5] as a
        state seen: f32[5] ~ zeros
        if training { update seen = cumsum[axis=0](mean[axes=0](h)) }
        h |> Linear[2] as b
    }"""
    assert "5: a.weight[0], a.bias[0], b.weight[1]" in written(net)
    (both,) = (group for group in written(net, training=True) if "a.weight[0]" in group)
    assert both.endswith("(`cumsum` goes along them in order)")


def test_what_nothing_reads_and_dead_nodes_pin_or_stay_out() -> None:
    net = """network Net(x: f32[B, 3]) -> f32[B, 2] {
        param unread: f32[4] ~ normal
        h = x |> Linear[5] as a
        dead = cumsum[axis=1](h)
        h |> Linear[2] as b
    }"""
    groups = written(net)
    assert "4: unread[0] (nothing reads them)" in groups
    assert "5: a.weight[0], a.bias[0], b.weight[1]" in groups
