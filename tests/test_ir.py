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
