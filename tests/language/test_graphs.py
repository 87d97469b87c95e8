"""Graphs and hypergraphs as inputs: their types, what a call takes, and one argument for each struct."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import netdsl
from netdsl.agreement import Conditions, verify_session
from netdsl.backends.torch_fx.entry_checks import InputError
from netdsl.diagnostics import NetError
from netdsl.formatter import format_source
from netdsl.ir_parser import parse_graph
from netdsl.ir_text import print_graph
from netdsl.sampling import sample_inputs
from tests.language.nets import network, refused
from tests.std.three_way import assert_three_way

GRAPH = "(g: graph[N, E], x: f32[N, 3]) -> f32[N, 3]"
SUM = 'scatter[axis=0, reduction="add"](zeros[N, 3], g.dst, x[g.src])'
BLOCK = """
block Sums(x: float[N, F], g: graph[N, E]) -> float[N, F] {
    scatter[axis=0, reduction="add"](zeros[N, F], g.dst, x[g.src])
}
"""
SIZES = ({"N": 1, "E": 0}, {"N": 1, "E": 3}, {"N": 5, "E": 1}, {"N": 4, "E": 40})


def small() -> tuple[netdsl.Graph, torch.Tensor]:
    """Four nodes; one is repeated, one has a loop, one no edge."""
    edges = torch.tensor([[0, 1, 1, 2, 2], [1, 0, 0, 2, 1]])
    return netdsl.Graph(edges[0], edges[1]), torch.arange(12.0).reshape(4, 3)


def dense(g: netdsl.Graph, x: torch.Tensor) -> torch.Tensor:
    a = torch.zeros(len(x), len(x))
    for source, target in zip(g.src.tolist(), g.dst.tolist(), strict=True):
        a[target, source] += 1
    return a @ x


# --- types ------------------------------------------------------------------------------------------


def test_a_struct_is_one_input_for_each_field() -> None:
    net = network(GRAPH, SUM)
    assert [("g.src", "idx[N][E]"), ("g.dst", "idx[N][E]"), ("x", "f32[N, 3]")] == [
        (name, str(value.type)) for name, value in net.graph.inputs
    ]
    assert_three_way(net, SIZES)


def test_a_batch_of_graphs_knows_the_graph_of_each_node() -> None:
    net = network(
        "(g: graph[N, E, G], x: f32[N, 3]) -> f32[G, 3]",
        'scatter[axis=0, reduction="add"](zeros[G, 3], g.batch, x)',
    )
    assert ["g.src", "g.dst", "g.batch", "g.ptr", "x"] == [name for name, _ in net.graph.inputs]
    assert_three_way(net, ({"N": 1, "E": 0, "G": 1}, {"N": 6, "E": 2, "G": 3}, {"N": 2, "E": 2, "G": 7}))


def test_a_hypergraph_has_pairs_of_nodes_and_edges() -> None:
    net = network(
        "(h: hypergraph[N, M, I], x: f32[N, 3], w: f32[M]) -> f32[M, 3]",
        'scatter[axis=0, reduction="add"](zeros[M, 3], h.edge, x[h.node]) * w[:, none]',
    )
    assert ["h.node", "h.edge"] == [name for name, _ in net.graph.inputs][:2]
    assert_three_way(net, ({"N": 1, "M": 1, "I": 0}, {"N": 6, "M": 2, "I": 9}))


def test_any_tuple_of_named_tensors_is_a_struct() -> None:
    net = network("(pair: (left: f32[N, 2], right: idx[N][P]), y: f32[P, 2]) -> f32[P, 2]", "pair.left[pair.right] + y")
    assert ["pair.left", "pair.right", "y"] == [name for name, _ in net.graph.inputs]
    assert_three_way(net, ({"N": 3, "P": 2},))


@pytest.mark.parametrize("written", ["graph[N]", "graph", "graph[N, E, G, K]", "hypergraph[N, E]", "graph[N, E][B]"])
def test_a_struct_of_other_sizes_is_refused(written: str) -> None:
    finding = refused(f"(g: {written}, x: f32[N, E]) -> f32[N, E]", "x", "E0304")
    assert "is written `" in finding.title


def test_a_gather_from_another_table_is_a_type_error() -> None:
    refused("(g: graph[N, E], y: f32[M, 3]) -> f32[E, 3]", "y[g.src]", "E0220")
    refused("(g: graph[N, E], x: f32[N, 3], y: f32[M, 3]) -> f32[E, 3]", "y[g.src]", "E0218")
    refused(
        "(g: graph[N, E], h: graph[M, E], x: f32[N, 3], y: f32[M, 3]) -> f32[M, 3]", "Sums(y, g)", "E0207", before=BLOCK
    )


def test_nodes_that_no_input_has_are_refused() -> None:
    finding = refused("(g: graph[N, E]) -> f32[E]", "ones[E]", "E0220")
    assert "`N`" in finding.title
    network("(g: graph[N, E]) -> f32[E] where N == 2 * E", "ones[E]")


def test_two_inputs_of_one_name_are_refused() -> None:
    refused("(g: graph[N, E], g: f32[N]) -> f32[N]", "g", "E0311")
    refused("(g: graph[N, E], g: graph[N, E], x: f32[N]) -> f32[N]", "x", "E0311")


# --- calls ------------------------------------------------------------------------------------------


def test_a_block_takes_a_struct_by_position_and_by_name() -> None:
    for call in ("Sums(x, g)", "x |> Sums(g)", "Sums(g=g, x=x)", "Sums(x, (src=g.src, dst=g.dst))"):
        net = network(GRAPH, call, before=BLOCK)
        g, x = small()
        torch.testing.assert_close(dense(g, x), net.torch()(g, x))


def test_a_struct_is_made_of_named_tensors() -> None:
    body = "back: graph[N, E] = (src=g.dst, dst=g.src)\nx |> Sums(back)"
    g, x = small()
    torch.testing.assert_close(dense(netdsl.Graph(g.dst, g.src), x), network(GRAPH, body, before=BLOCK).torch()(g, x))
    refused(GRAPH, "back: graph[N, E] = (src=g.dst, to=g.src)\nx", "E0214")
    refused(GRAPH, "back: graph[N, E] = x\nx", "E0214")


def test_a_batch_of_graphs_is_a_graph() -> None:
    header = "(g: graph[N, E, G], x: f32[N, 3]) -> f32[N, 3]"
    assert_three_way(network(header, "x |> Sums(g)", before=BLOCK), ({"N": 4, "E": 5, "G": 2},))


def test_a_block_returns_a_struct() -> None:
    before = BLOCK + "block Reversed(g: graph[N, E]) -> graph[N, E] { (src=g.dst, dst=g.src) }\n"
    g, x = small()
    expected = dense(netdsl.Graph(g.dst, g.src), x)
    for body in ("x |> Sums(Reversed(g))", "r = Reversed(g)\nx |> Sums(r)"):
        torch.testing.assert_close(expected, network(GRAPH, body, before=before).torch()(g, x))


def test_a_struct_may_be_left_out() -> None:
    before = """
block Either(x: float[N, F], g: graph[N, E] = none) -> float[N, F] {
    if g == none { x } else { scatter[axis=0, reduction="add"](x, g.dst, x[g.src]) }
}
"""
    g, x = small()
    torch.testing.assert_close(x + dense(g, x), network(GRAPH, "Either(x, g)", before=before).torch()(g, x))
    torch.testing.assert_close(x, network(GRAPH, "Either(x) + 0 * x", before=before).torch()(g, x))


def test_calls_that_do_not_fit_are_refused() -> None:
    assert "`src`, `dst`" in refused(GRAPH, "Sums(x, x)", "E0214", before=BLOCK).title
    assert "2 values" in refused(GRAPH, "Sums(x)", "E0323", before=BLOCK).title
    assert "2 values" in refused(GRAPH, "Sums(x, g, g)", "E0323", before=BLOCK).title
    refused(GRAPH, "g", "E0214")
    refused(GRAPH, "x[g.source]", "E0328")


def test_a_block_with_a_struct_that_nothing_calls_is_checked() -> None:
    before = "block Wrong(x: float[M, 3], g: graph[N, E]) -> float[E, 3] { x[g.src] }\n"
    session = netdsl.load(f"{before}network N(x: f32[B]) -> f32[B] {{ x }}\n").session
    session.check_all()
    assert ["E0218"] == [d.code for d in session.reporter.diagnostics]


# --- text -------------------------------------------------------------------------------------------


def test_the_graph_is_printed_and_parsed() -> None:
    net = network(GRAPH, "Sums(x, g)", before=BLOCK)
    text = print_graph(net.graph)
    assert 'input "g.src"' in text
    assert text == print_graph(parse_graph(text))


def test_the_formatter_keeps_a_struct() -> None:
    text = "network N(g: graph[N, E], x: f32[N]) -> f32[E] {\n    x[g.src]\n}\n"
    assert text == format_source(netdsl.source.Source("a.net", text))


# --- one argument for each struct --------------------------------------------------------------------


def given(g: netdsl.Graph) -> list[Any]:
    from torch_geometric.data import Data

    edges = torch.stack([g.src, g.dst])
    return [
        g,
        SimpleNamespace(src=g.src, dst=g.dst),
        {"src": g.src, "dst": g.dst},
        {"edge_index": edges},
        Data(edge_index=edges, x=torch.zeros(4, 1)),
    ]


def test_torch_takes_one_object_for_each_struct() -> None:
    module = network(GRAPH, SUM).torch()
    g, x = small()
    for struct in given(g):
        torch.testing.assert_close(dense(g, x), module(struct, x))


def test_the_reference_and_the_runtime_take_structs_too(tmp_path: Any) -> None:
    net = network(GRAPH, SUM)
    net.onnx(tmp_path / "net.onnx")
    session = netdsl.runtime.Session.load(tmp_path / "net.onnx", "cpu")
    g, x = small()
    for struct in given(g):
        arrays = {"g": struct, "x": x.numpy()}
        np.testing.assert_allclose(dense(g, x), net.reference(arrays)["output"])
        np.testing.assert_allclose(dense(g, x), session.run(arrays)["output"])


def test_data_of_hypergraphs_and_of_batches_are_read() -> None:
    from torch_geometric.data import Batch, Data
    from torch_geometric.data.hypergraph_data import HyperGraphData

    net = network(
        "(h: hypergraph[N, M, I], x: f32[N, 1], w: f32[M, 1]) -> f32[M, 1]",
        'scatter[axis=0, reduction="add"](w, h.edge, x[h.node])',
    )
    pairs, x, w = torch.tensor([[0, 1, 2, 2], [0, 0, 0, 1]]), torch.tensor([[1.0], [2], [4]]), torch.zeros(2, 1)
    for struct in (Data(hyperedge_index=pairs), HyperGraphData(edge_index=pairs), netdsl.Hypergraph(*pairs)):
        assert [[7.0], [4.0]] == net.torch()(struct, x, w).tolist()
    net = network(
        "(g: graph[N, E, G], x: f32[N, 1]) -> f32[G, 1]", 'scatter[axis=0, reduction="add"](zeros[G, 1], g.batch, x)'
    )
    one = Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [1]]))
    batch = Batch.from_data_list([one, one, one])
    assert [[2.0], [2.0], [2.0]] == net.torch()(batch, batch.x).tolist()


def test_a_struct_without_a_field_is_refused() -> None:
    module = network(GRAPH, SUM).torch()
    g, x = small()
    with pytest.raises(InputError, match="`g` has no `dst`: found SimpleNamespace"):
        module(SimpleNamespace(src=g.src), x)


@pytest.mark.parametrize("wrong", [4, -1])
def test_an_index_past_the_nodes_is_refused_where_data_enters(wrong: int, tmp_path: Any) -> None:
    net = network(GRAPH, SUM)
    g, x = small()
    g.dst[3] = wrong
    with pytest.raises(InputError, match=f"`g.dst` holds indices below 4, found {wrong}"):
        net.torch()(g, x)
    net.onnx(tmp_path / "net.onnx")
    with pytest.raises(NetError, match=f"`g.dst` holds indices below 4, found {wrong}"):
        netdsl.runtime.Session.load(tmp_path / "net.onnx", "cpu").run({"g": g, "x": x.numpy()})


def test_modules_with_structs_are_compiled_and_exported() -> None:
    module = network(GRAPH, "x |> Sums(g) |> Linear[3]", before=BLOCK).torch()
    g, x = small()
    expected = module(g, x)
    for struct in given(g):
        torch._dynamo.reset()
        compiled = torch.compile(module, fullgraph=True, backend="eager", dynamic=True)
        torch.testing.assert_close(expected, compiled(struct, x))
    nodes, edges = torch.export.Dim("nodes"), torch.export.Dim("edges")
    shapes = {"g": [{0: edges}, {0: edges}], "x": {0: nodes}}
    program = torch.export.export(module, (g, x), dynamic_shapes=shapes).module()
    for more in (g, netdsl.Graph(*torch.randint(0, 7, (2, 11)))):
        wide = torch.randn(7, 3)
        torch.testing.assert_close(module(more, wide), program(more, wide))


def test_samples_are_valid_graphs() -> None:
    net = network(GRAPH, SUM)
    for nodes, edges in ((1, 0), (1, 4), (6, 0), (6, 20)):
        inputs = sample_inputs(net.graph, {"N": nodes, "E": edges}, seed=1)
        for name in ("g.src", "g.dst"):
            assert (edges,) == inputs[name].shape
            assert np.all((inputs[name] >= 0) & (inputs[name] < nodes))


def test_claims_know_that_indices_follow_their_nodes() -> None:
    text = f"network N{GRAPH} {{\n    {SUM}\n}}\nclaim N: permutation_equivariant[N]\n"
    found = list(verify_session(netdsl.load(text).session, ["N"], {}, Conditions(backends=())))
    assert [True] == [claim.holds for verification in found for claim in verification.claims]


def test_patterns_of_graphs_are_checked() -> None:
    header = "(x: f32[B, N, N]) -> f32[B, N, N]"
    assert "f32[B, N, N]" == str(network(header, 'graph_einsum["ab bc -> ac"](x)').graph.outputs[0][1].type)
    for pattern in ("ab bc", "abc -> a", "ab, bc -> ac", "ab -> aa", "ab -> c", "-> a", "AB -> A"):
        refused(header, f'graph_einsum["{pattern}"](x)', "E0216")
    refused("(x: f32[N]) -> f32[N]", 'graph_einsum["ab -> ab"](x)', "E0205")
    refused("(x: f32[N, 3]) -> f32[N, N]", 'graph_einsum["ab bc -> ac"](x)', "E0208")
