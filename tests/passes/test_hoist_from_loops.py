"""What all steps of a loop share is computed once; what a step changes, and a cell's weights, stay."""

import numpy as np

from netdsl.ir import Graph
from netdsl.ops.loop import Loop
from netdsl.passes.hoist_from_loops import HoistFromLoops
from netdsl.passes.pipeline import run_pipeline
from netdsl.verify import verify
from tests.language.nets import network

HEADER = "(x: f32[B, 2], k: f32[B, N, 2], w: f32[2, 2]) -> f32[B, 4, 2] where N >= 1"


def hoisted(header: str, body: str) -> tuple[Graph, list[str], list[str]]:
    """The graph after the pass, and the ops in front of its loop and in it."""
    net = network(header, body)
    result = HoistFromLoops().run(net.graph)
    verify(result.graph)
    run_pipeline(net.graph, net.weights(), passes=[HoistFromLoops()])
    at = next(i for i, n in enumerate(result.graph.nodes) if isinstance(n.op, Loop))
    (region,) = result.graph.nodes[at].regions
    return result.graph, [n.op.name for n in result.graph.nodes[:at]], [n.op.name for n in region.nodes]


def test_what_all_steps_share_goes_in_front() -> None:
    body = "y, h = decode 4 from (h=x) {\nh = tanh(h + (k @ w)[:, 0])\nyield h\n}\ny"
    _, before, inside = hoisted(HEADER, body)
    assert "matmul" in before
    assert ["add", "tanh"] == inside


def test_what_loops_inside_share_goes_in_front_of_all() -> None:
    body = """
y, h = scan 4[axis=1] from (h=x) {
z, g = scan 3[axis=1] from (g=h) {
g = g + (k @ w)[:, 0] + h @ w
yield g
}
h = tanh(g)
yield h
}
y
"""
    graph, before, inside = hoisted(HEADER, body)
    assert 1 == before.count("matmul")
    assert 1 == inside.count("matmul"), "`h @ w` is shared by the steps of the inner loop"
    (inner,) = [n for n in graph.walk() if isinstance(n.op, Loop) and n not in graph.nodes]
    assert {"add"} == {n.op.name for n in inner.regions[0].nodes}


def test_cells_keep_their_weights_and_steps_their_randomness() -> None:
    body = "y = scan LstmCell[2] over k[axis=1] from (x, x)\nx"
    net = network("(x: f32[B, 2], k: f32[B, N, 2]) -> f32[B, 2]", body)
    assert HoistFromLoops().run(net.graph).graph is net.graph
    body = "y, h = decode 4 from (h=x) {\nh = h + dropout[0.5](x)\nyield h\n}\ny"
    net = network("(x: f32[B, 2]) -> f32[B, 4, 2]", body)
    assert HoistFromLoops().run(net.checked.train_graph).graph is net.checked.train_graph


def test_a_loop_of_no_steps_does_not_read_what_is_not_there() -> None:
    """The largest of no keys has no value: it stays in the loop, which takes no step."""
    body = "y, h = decode N from (h=x) {\nh = h + max[axis=1](k)\nyield h\n}\nh"
    net = network("(x: f32[B, 2], k: f32[B, N, 2]) -> f32[B, 2] where N >= 1", body)
    assert HoistFromLoops().run(net.graph).graph is net.graph


def test_instances_that_are_cut_say_so() -> None:
    body = "y, h = decode 4 from (h=x) {\nh = tanh(h + (k |> Linear[2] as far)[:, 0] + (h |> Linear[2] as near))\nyield h\n}\ny"
    net = network(HEADER, body)
    made = HoistFromLoops().run(net.graph).graph
    verify(made)
    rows = {row.path: row.intact for row in made.instances}
    assert rows["near"] and not rows["far"]
    inputs = {"x": np.ones((1, 2)), "k": np.ones((1, 3, 2)), "w": np.ones((2, 2))}
    assert np.isfinite(net.reference(inputs)["output"]).all()
