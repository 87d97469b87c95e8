"""The graph: its text form, its verifier, its edits, and the rule that a damaged instance is not called intact."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

import netdsl
from netdsl.edit import edit
from netdsl.instances import ancestors, intact_instances
from netdsl.ir import Graph, Node, Value
from netdsl.ir_parser import parse_graph
from netdsl.ir_text import print_graph
from netdsl.ops.activation import Relu, Sigmoid
from netdsl.ops.elementwise import Add, Mul
from netdsl.ops.loop import Loop
from netdsl.ops.unary import Tanh
from netdsl.passes.remove_dead_nodes import RemoveDeadNodes
from netdsl.verify import InvalidGraph, verify

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").rglob("*.net"))
DEEP = """
import std.attention: SelfAttention

block Step(x: float[B, T, D]) -> float[B, T, D] {
    y, _ = scan x[axis=1] from (h=zeros[B, D]) {
        h = tanh(h + (x |> Linear[D] as inner))
        yield h
    }
    y |> Lstm[D] as memory
}

network Deep(x: f32[B, T, 8]) -> f32[B, T, 8] {
    repeat 3 as blocks {
        x = x + (x |> LayerNorm as norm |> SelfAttention[2] as attention) + (x |> Step as step)
    }
    x |> FeedForward[16] as mlp
}
"""


def deep() -> Graph:
    return netdsl.load(DEEP)["Deep"].graph


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_specs_are_valid_and_their_text_is_read_back(path: Path) -> None:
    for network in netdsl.load(path).values():
        for graph in {network.checked.eval_graph, network.checked.train_graph}:
            verify(graph)
            text = print_graph(graph)
            again = parse_graph(text)
            assert text == print_graph(again)
            verify(again)


def test_text_keeps_loops_types_and_facts() -> None:
    text = """
    network Net(x: f32[B, T, 4], n: i64[B], i: idx[7][B]) -> (y: f32[B, T, 4], z: f32[B, 4])
        where T in 1..9, B % 2 == 0 {
        y, z = scan x[axis=1, reverse=true, length=n] from (h=zeros[B, 4]) {
            h = h + 0.5 * x
            yield h
        }
        w = i |> Embedding[7, 4]
        z = z + w
    }
    """
    graph = netdsl.load(text)["Net"].graph
    again = parse_graph(print_graph(graph))
    assert print_graph(graph) == print_graph(again)
    assert graph.facts.items == again.facts.items
    loop = next(n for n in again.walk() if isinstance(n.op, Loop))
    assert loop.op == next(n for n in graph.walk() if isinstance(n.op, Loop)).op
    assert "idx[7]" == str(again.inputs[2][1].type.dtype)


# --- the intact rule ------------------------------------------------------------------------------


def damaged(graph: Graph, rng: random.Random) -> tuple[Graph, Node] | None:
    """One node changed behind the back of the instance table."""
    candidates = [n for n in graph.walk() if isinstance(n.op, (Add, Mul, Tanh, Relu, Sigmoid)) and n.instance]
    node = rng.choice(candidates)
    if isinstance(node.op, (Add, Mul)):
        swapped = type(node.op) is Add
        other = replace(node, op=Mul() if swapped else Add())
    else:
        other = replace(node, op=Sigmoid() if isinstance(node.op, Tanh) else Tanh())
    return _replaced(graph, node, other), node


def _replaced(graph: Graph, old: Node, new: Node) -> Graph:
    def swap(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        made = []
        for node in nodes:
            if node is old:
                made.append(new)
            elif node.regions:
                made.append(replace(node, regions=tuple(replace(r, nodes=swap(r.nodes)) for r in node.regions)))
            else:
                made.append(node)
        return tuple(made)

    return replace(graph, nodes=swap(graph.nodes))


@pytest.mark.parametrize("seed", range(40))
def test_the_verifier_finds_each_unmarked_damage(seed: int) -> None:
    graph = deep()
    changed = damaged(graph, random.Random(seed))
    assert changed is not None
    with pytest.raises(InvalidGraph, match="says it is intact and was changed"):
        verify(changed[0])


@pytest.mark.parametrize("seed", range(20))
def test_an_edit_marks_the_instance_and_those_around_it(seed: int) -> None:
    graph = deep()
    rng = random.Random(seed)
    node = rng.choice([n for n in graph.walk() if isinstance(n.op, (Add, Mul, Tanh, Sigmoid)) and n.instance])
    with edit(graph) as e:
        other = Sigmoid() if isinstance(node.op, Tanh) else Tanh() if isinstance(node.op, Sigmoid) else None
        e.replace_node(node, other or (Mul() if isinstance(node.op, Add) else Add()), node.operands)
    verify(e.graph)
    touched = set(ancestors(graph.instances, node.instance))
    for index, (before, after) in enumerate(zip(graph.instances, e.graph.instances, strict=True)):
        assert before.intact
        assert after.intact == (index not in touched), (index, after.block)
    verify(graph)


def test_an_edit_outside_leaves_instances_intact() -> None:
    """Another value at the boundary is no damage: the instance computes the same of it."""
    graph = deep()
    index, row = next(intact_instances(graph, "std.layers.FeedForward"))
    with edit(graph) as e:
        e.replace_value(row.inputs[0], graph.inputs[0][1])
    verify(e.graph)
    assert e.graph.instances[index].intact
    assert (graph.inputs[0][1],) == e.graph.instances[index].inputs
    assert not e.graph.instances[0].intact


def test_replacing_a_value_reaches_outputs_taps_and_rows() -> None:
    graph = netdsl.load("network A(x: f32[B, 4]) -> f32[B, 4] { x |> relu as first |> tanh as second }")["A"].graph
    first, second = graph.nodes
    with edit(graph) as e:
        e.replace_value(second.result, first.result)
        e.erase(second)
    assert [first.result] == [v for _, v in e.graph.outputs]
    assert [first.result, first.result] == [t.value for t in e.graph.taps]
    assert not e.graph.instances[0].intact
    verify(e.graph)


BLOCKS = """
block Half(x: float[B, 4], unused: float[B, 4]) -> (y: float[B, 4], z: float[B, 4]) {
    y = relu(x)
    z = sin(x)
}
block Both(x: float[B, 4]) -> float[B, 4] {
    a = Half(tanh(x), exp(x))
    b = Half(a.z, x)
    a.y
}
network N(x: f32[B, 4]) -> f32[B, 4] { Both(x) }
"""


def test_rows_whose_nodes_are_gone_are_dropped_and_the_others_name_what_is_there() -> None:
    graph = netdsl.load(BLOCKS)["N"].graph
    after = RemoveDeadNodes().run(graph).graph
    assert ["tanh", "relu"] == [n.op.name for n in after.nodes]
    verify(after)
    text = print_graph(after)
    assert text == print_graph(parse_graph(text))
    assert [("N", -1, False), ("Both", 0, False), ("Half", 1, False)] == [
        (row.block.rsplit(":")[-1], row.parent, row.intact) for row in after.instances
    ]
    first = next(row for row in after.instances if row.path == "both.half")
    assert ((after.nodes[0].result,), (after.nodes[1].result,)) == (first.inputs, first.outputs)
    assert [1, 2] == [n.instance for n in after.nodes]


def test_rows_after_a_dropped_one_are_numbered_anew_in_loops_too() -> None:
    text = (
        BLOCKS.partition("network")[0]
        + """
network N(x: f32[B, 4]) -> f32[B, 4] {
    unread = Half(x, x)
    y = scan x[axis=0] from (h=zeros[4]) {
        h = Both((x + h)[none])[0]
        yield h
    }
    y
}
"""
    )
    graph = netdsl.load(text)["N"].graph
    after = RemoveDeadNodes().run(graph).graph
    verify(after)
    assert print_graph(after) == print_graph(parse_graph(print_graph(after)))
    assert ["", "half", "both", "both.half", "both.half_2"] == [row.path for row in graph.instances]
    assert ["", "both", "both.half"] == [row.path for row in after.instances]
    (relu,) = [n for n in after.walk() if isinstance(n.op, Relu)]
    assert "both.half" == after.instances[relu.instance].path


# --- the verifier ---------------------------------------------------------------------------------


def test_a_use_before_its_definition_is_found() -> None:
    graph = deep()
    with pytest.raises(InvalidGraph, match="before it is defined"):
        verify(replace(graph, nodes=tuple(reversed(graph.nodes))), instances=False)


def test_a_result_of_another_type_is_found() -> None:
    graph = deep()
    node = next(n for n in graph.nodes if isinstance(n.op, Add))
    wrong = Value(node.result.type.with_axes(node.result.type.axes[:-1]), "wrong")
    broken = _replaced(graph, node, replace(node, results=(wrong,)))
    with pytest.raises(InvalidGraph, match="its result says"):
        verify(broken, instances=False)


def test_a_region_that_reads_from_outside_is_found() -> None:
    graph = deep()
    loop = next(n for n in graph.nodes if isinstance(n.op, Loop))
    region = loop.regions[0]
    inner = region.nodes[0]
    leaking = replace(inner, operands=(graph.inputs[0][1], *inner.operands[1:]))
    broken = replace(loop, regions=(replace(region, nodes=(leaking, *region.nodes[1:])),))
    with pytest.raises(InvalidGraph, match=r"outside its region|: E0"):
        verify(_replaced(graph, loop, broken), instances=False)


def test_a_path_that_stands_twice_is_found() -> None:
    graph = deep()
    with pytest.raises(InvalidGraph, match="stands twice"):
        verify(replace(graph, params=(*graph.params, graph.params[0])), instances=False)


def test_a_row_that_names_a_value_that_is_gone_is_found() -> None:
    graph = deep()
    row = replace(graph.instances[3], inputs=(Value(graph.inputs[0][1].type, "gone"),))
    rows = (*graph.instances[:3], row, *graph.instances[4:])
    with pytest.raises(InvalidGraph, match="names a value that nothing defines"):
        verify(replace(graph, instances=rows), instances=False)


def test_a_yield_of_other_rows_than_the_lengths_is_found() -> None:
    text = "network A(x: f32[B, T, 4], n: i64[B]) -> f32[B, T, 4] {\n"
    text += (
        "    y = scan x[axis=1, length=n] from (h=zeros[B, 4]) {\n        h = h + x\n        yield h\n    }\n    y\n}\n"
    )
    graph = netdsl.load(text)["A"].graph
    loop = next(n for n in graph.nodes if isinstance(n.op, Loop))
    lengths = Value(loop.operands[1].type.with_axes(graph.inputs[0][1].type.without_names().axes[1:2]), "m")
    wrong = replace(graph, inputs=(graph.inputs[0], ("n", lengths)))
    wrong = _replaced(wrong, loop, replace(loop, operands=(loop.operands[0], lengths, *loop.operands[2:])))
    with pytest.raises(InvalidGraph, match="which has other rows than"):
        verify(wrong, instances=False)
