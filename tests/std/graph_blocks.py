"""Cases of the blocks of `std.graph` and `std.hypergraph`."""

from tests.std.block_case import Case

#: A node without edges and edges without nodes among them.
SIZES = [{"N": 4, "E": 9}, {"N": 1, "E": 3}, {"N": 5, "E": 1}, {"N": 3, "E": 0}]
BATCHES = [{"N": 5, "E": 4, "G": 2}, {"N": 1, "E": 0, "G": 3}]
PAIRS = [{"N": 4, "M": 3, "I": 9}, {"N": 1, "M": 2, "I": 4}, {"N": 3, "M": 2, "I": 0}]


def graph(call: str, out: str = "N, 5", inputs: str = "") -> Case:
    return Case(f"x: f32[N, 5], g: graph[N, E]{inputs}", f"f32[{out}]", call, SIZES)


def hypergraph(call: str, out: str = "N, 5", inputs: str = "") -> Case:
    return Case(f"x: f32[N, 5], h: hypergraph[N, M, I], w: f32[M]{inputs}", f"f32[{out}]", call, PAIRS)


GRAPHS: dict[str, list[Case]] = {
    "degree": [graph("graph.degree(g.dst)", "N")],
    "is_loop": [Case("x: f32[N, 5], g: graph[N, E]", "bool[E]", "graph.is_loop(g)", SIZES)],
    "with_loops": [graph("loops = graph.with_loops(g)\n    x[loops.src] - x[loops.dst]", "E + N, 5")],
    "GlorotLinear": [graph("x |> graph.GlorotLinear[3]", "N, 3")],
    "gcn_propagate": [
        graph("x |> graph.gcn_propagate(g)"),
        graph("x |> graph.gcn_propagate(g, abs(w))", inputs=", w: f32[E]"),
    ],
    "GCNConv": [graph("x |> graph.GCNConv[3](g)", "N, 3"), graph("x |> graph.GCNConv[3, bias=false](g)", "N, 3")],
    "SAGEConv": [graph(f"x |> graph.SAGEConv[3, aggr={aggr}](g)", "N, 3") for aggr in ("mean", "max", "std")],
    "GINConv": [graph("x |> graph.GINConv[Linear[3], train_eps=true](g)", "N, 3")],
    "GATConv": [
        graph("x |> graph.GATConv[3, heads=2](g)", "N, 6"),
        graph("x |> graph.GATConv[3, heads=2, concat=false, bias=false](g)", "N, 3"),
    ],
    "GATv2Conv": [
        graph("x |> graph.GATv2Conv[3, heads=2](g)", "N, 6"),
        graph("x |> graph.GATv2Conv[3, heads=2, concat=false, bias=false](g)", "N, 3"),
    ],
    "PNAConv": [
        graph("x |> graph.PNAConv[3, [mean, max], [aggregators.unscaled, aggregators.amplification[1.5]]](g)", "N, 3")
    ],
    "APPNP": [graph("x |> graph.APPNP[3, 0.1](g)")],
    "SGConv": [graph("x |> graph.SGConv[3, K=2](g)", "N, 3")],
    "DAGNN": [graph("x |> graph.DAGNN[3](g)")],
    "radius_graph": [
        Case(
            "x: f32[N, 5]",
            "f32[N * min(N, 3), 5]",
            "src, dst, there = graph.radius_graph[3.0, most=3](x)\n    select(there[:, none], x[src] - x[dst], 0)",
            [{"N": n} for n in (9, 2, 1)],
        )
    ],
    "EGNNConv": [
        Case(
            "x: f32[N, 5], p: f32[N, 3], g: graph[N, E]",
            "(features: f32[N, 4], places: f32[N, 3])",
            "moved = graph.EGNNConv[4, 6](x, p, g)\n    features = moved.x\n    places = moved.pos",
            SIZES,
        )
    ],
    **{
        f"global_{name}_pool": [
            Case("x: f32[N, 5], g: graph[N, E, G]", "f32[G, 5]", f"x |> graph.global_{name}_pool(g)", BATCHES)
        ]
        for name in ("add", "mean", "max")
    },
    "node_degree": [hypergraph(f"hypergraph.node_degree(h{more})", "N") for more in ("", ", w")],
    "edge_mean": [hypergraph("x |> hypergraph.edge_mean(h)", "M, 5")],
    **{
        name: [hypergraph(f"x |> hypergraph.{name}(h{more})") for more in ("", ", abs(w)")]
        for name in ("hypergraph_mean", "hypergraph_smooth")
    },
    **{
        name: [hypergraph(f"x |> hypergraph.{name}[3](h{more})", "N, 3") for more in ("", ", abs(w)")]
        for name in ("HypergraphConv", "HGNNConv", "HGNNPConv")
    },
    **{
        name: [hypergraph(f"x |> hypergraph.{name}[3](h)", "N, 3")]
        for name in ("UniGCNConv", "UniGINConv", "UniSAGEConv", "UniGATConv")
    },
    "UniGCNIIConv": [hypergraph("x |> hypergraph.UniGCNIIConv[0.1, 0.5](2 * x, h)")],
}
