"""What the transform keeps, what it makes of typical bodies, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from netdsl.backends.reference import run
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvTranspose
from netdsl.ops.creation import Dropout
from netdsl.ops.elementwise import Mul
from netdsl.ops.external import ExternCall
from netdsl.ops.loop import Loop
from netdsl.ops.unary import Tanh
from netdsl.source import Source, Span
from netdsl.tensor_type import F32, TensorType, tensor
from netdsl.vectorise import NotVectorised, vectorise
from tests.ops.harness import one_node
from tests.vectorise.agreement import SLICES, mapped_graph
from tests.vectorise.bodies import BODIES, body

S = Dim.of(SLICES)


def names(nodes: tuple[Node, ...]) -> list[str]:
    return [node.op.name for node in nodes]


def over_parameters(name: str, size: Dim | int = S, inputs: int = 1) -> Graph:
    """A typical body with its inputs shared and its parameters mapped."""
    graph = body(name)
    return mapped_graph(graph, frozenset(range(inputs, len(graph.inputs))), Dim.of(size)).whole


def conv(op: Op, at: set[int], size: Dim | int, *shapes: tuple[int, ...]) -> Graph:
    return mapped_graph(one_node(op, [tensor(F32, *shape) for shape in shapes]), frozenset(at), Dim.of(size)).whole


def test_nodes_without_mapped_values_are_the_same_nodes() -> None:
    x, y, w = (Value(tensor(F32, 3), name) for name in "xyw")
    span = Span(Source("net.net", "tanh(x) * w"), 0, 7)
    first = Node(Tanh(), (x,), (y,), (span,), 4)
    second = Node(Mul(), (y, w), (Value(tensor(F32, 3), "scaled"),), (span, span), 4)
    whole = Value(tensor(F32, "B", 3), "w")
    made = vectorise([first, second], {w: whole}, Dim.of("B"), [second.result, y], Facts.EMPTY)
    assert made.nodes[0] is first
    assert ("mul", "scaled", (span, span), 0) == (
        made.nodes[1].op.name,
        made.nodes[1].result.hint,
        made.nodes[1].spans,
        made.nodes[1].instance,
    )
    assert {w: (whole, True), y: (y, False), second.result: (made.nodes[1].result, True)} == {
        value: (slot.value, slot.is_mapped) for value, slot in made.values.items()
    }
    assert ["f32[B, 3]", "f32[B, 3]"] == [str(v.type) for v in made.results]
    assert ["tanh", "mul", "broadcast"] == names(made.nodes)


def test_a_linear_layer_is_one_batched_product() -> None:
    """A weight a slice, the input shared or not: a product with a batch axis and an addition."""
    shared = over_parameters("linear")
    assert ["transpose", "matmul", "unsqueeze", "add"] == names(shared.nodes)
    assert "f32[B, 5]" == str(shared.nodes[1].operands[0].type)
    both = over_parameters("linear", inputs=0)
    assert ["transpose", "matmul", "unsqueeze", "add"] == names(both.nodes)
    only_input = mapped_graph(body("linear_rows"), frozenset((0,)), S).whole
    assert ["transpose", "matmul", "add", "relu"] == names(only_input.nodes)


def test_rows_of_one_weight_are_not_split_into_products() -> None:
    """No weight is repeated for the tokens of a slice."""
    product = next(n for n in over_parameters("linear_rows", inputs=0).nodes if n.op.name == "matmul")
    assert ["f32[Slices, B * T, 5]", "f32[Slices, 5, 4]"] == [str(v.type) for v in product.operands]


X, W, B = (2, 4, 8, 8), (6, 4, 3, 3), (6,)


@pytest.mark.parametrize(
    ("op", "shapes"), [(Conv(), (X, W, B)), (ConvTranspose(), (X, (4, 6, 3, 3), B))], ids=("conv", "transposed")
)
def test_each_choice_of_mapped_operands_is_one_convolution(op: Op, shapes: tuple[tuple[int, ...], ...]) -> None:
    each = f"{op.name}_each"
    cases: list[tuple[set[int], Dim | int, str, int]] = [
        ({0}, S, op.name, 1),
        ({2}, S, op.name, 1),
        ({1, 2}, 3, op.name, 1),
        ({0, 1, 2}, 3, op.name, 3),
        ({0, 1}, S, each, 1),
        ({1}, S, each, 1),
    ]
    for at, size, name, groups in cases:
        (found,) = (n for n in conv(op, at, size, *shapes).nodes if n.op.name.startswith("conv"))
        assert isinstance(found.op, Conv | ConvTranspose) == (name == op.name)
        assert (name, groups) == (found.op.name, getattr(found.op, "groups", None)), f"mapped {at}"


def test_one_image_a_slice_is_grouped_without_transposes() -> None:
    graph = conv(Conv(), {0, 1, 2}, 3, (1, 4, 8, 8), W, B)
    assert {"reshape", "conv"} == set(names(graph.nodes))


def test_dropout_draws_for_every_slice() -> None:
    """Also where its operand is shared, and in a loop; without draws it is the identity."""
    single = replace(one_node(Dropout(0.5), [tensor(F32, 64)]), training=True)
    made = vectorise(single.nodes, {}, Dim.of(3), [single.outputs[0][1]], Facts.EMPTY)
    whole = replace(single, nodes=made.nodes, outputs=(("y", made.results[0]),))
    x = np.ones(64)
    np.testing.assert_array_equal(run(whole, {"x0": x}, {}).outputs["y"], np.ones((3, 64)))
    drawn = run(whole, {"x0": x}, {}, seed=0).outputs["y"]
    assert (drawn[0] != drawn[1]).any() and (drawn[1] != drawn[2]).any()


def test_an_op_without_a_rule_is_named() -> None:
    x = Value(tensor(F32, 3), "x")
    node = Node(ExternCall("plug:f", (), (TensorType(F32),)), (x,), (Value(TensorType(F32)),))
    with pytest.raises(NotVectorised) as caught:
        vectorise([node], {x: Value(tensor(F32, "B", 3))}, Dim.of("B"), [node.result], Facts.EMPTY)
    assert caught.value.node is node
    assert "`extern_call` is a plug-in's function, which takes one sample at a time" == str(caught.value)
    made = vectorise([node], {}, Dim.of("B"), [node.result], Facts.EMPTY)
    assert ["extern_call", "broadcast"] == names(made.nodes)


def test_a_shared_sequence_is_not_repeated() -> None:
    """Its steps are read by all slices; what they alone decide is computed once a step."""
    graph = over_parameters("gru")
    (loop,) = (node for node in graph.nodes if isinstance(node.op, Loop))
    assert ["f32[1, B, T, 3]", "f32[Slices, B, 4]"] == [str(v.type) for v in loop.operands[:2]]
    assert "squeeze" == loop.regions[0].nodes[0].op.name


def test_a_loop_that_reads_nothing_mapped_is_the_same_loop() -> None:
    graph = body("gru")
    made = vectorise(graph.nodes, {Value(TensorType(F32)): Value(tensor(F32, 3))}, Dim.of(3), (), Facts.EMPTY)
    assert graph.nodes == made.nodes


@pytest.mark.parametrize("name", [name for name in BODIES if name != "gru"])
def test_no_value_is_repeated_for_every_slice(name: str) -> None:
    """Parameters of their own do not copy what the slices share, but for the start of a loop's carry."""
    assert "broadcast" not in {n.op.name for n in over_parameters(name, 3).walk()} - {
        n.op.name for n in body(name).walk()
    }
