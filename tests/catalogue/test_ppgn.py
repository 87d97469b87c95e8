"""Polynomials of adjacency matrices: which ones PPGN lacks, what they are, and which graphs they tell apart."""

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

import netdsl
from netdsl.api import Network, graph_flops
from netdsl.ops.product import Einsum
from tests.std.three_way import assert_three_way, stored_weights

SPEC = Path(__file__).parents[2] / "specs/graphs/ppgn.net"
Array = NDArray[np.float64]


def polynomial(pattern: str, out: str) -> Network:
    return netdsl.load(f'network P(x: f32[N, N]) -> f32{out} {{\n    graph_einsum["{pattern}"](x)\n}}\n')["P"]


def by_hand(pattern: str, x: Array) -> Array:
    """Over all assignments of nodes, one by one."""
    left, _, kept = pattern.partition("->")
    edges, kept = left.split(), kept.strip()
    nodes = sorted(set("".join(edges)))
    result = np.zeros((len(x),) * len(kept))
    for places in itertools.product(range(len(x)), repeat=len(nodes)):
        at = dict(zip(nodes, places, strict=True))
        result[tuple(at[n] for n in kept)] += np.prod([x[at[a], at[b]] for a, b in edges])
    return result


PATTERNS = {
    "ab bc ca ->": "",
    "ab ->": "",
    "ab ab bb -> a": "[N]",
    "ab bc cd de -> ae": "[N, N]",
    "ab bc cd de -> ea": "[N, N]",
    "ac ad bc bd cd -> ab": "[N, N]",
    "ab ac ad bc bd cd ->": "",
    "ab ac ad bc bd cd -> a": "[N]",
    "ab cd ->": "",
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_polynomial_equals_the_sum_over_all_assignments(pattern: str) -> None:
    net = polynomial(pattern, PATTERNS[pattern])
    x = np.random.default_rng(0).standard_normal((6, 6))
    expected = by_hand(pattern, x)
    found = net.reference({"x": x})["output"]
    np.testing.assert_allclose(expected, found, atol=1e-9 * max(1, np.abs(expected).max()))
    assert_three_way(net, ({"N": 1}, {"N": 3}, {"N": 5}))
    order = np.random.default_rng(1).permutation(6)
    moved = net.reference({"x": x[np.ix_(order, order)]})["output"]
    np.testing.assert_allclose(found[np.ix_(*[order] * found.ndim)], moved, atol=1e-9)


def test_nodes_are_summed_in_an_order_that_costs_little() -> None:
    def cost(pattern: str, out: str) -> tuple[int, int]:
        """The powers of N: of the time, and of the largest value."""
        graph = polynomial(pattern, out).graph
        flops = [graph_flops(graph).evaluate({"N": n}) for n in (1000, 2000)]
        assert all(isinstance(node.op, Einsum) for node in graph.nodes)
        return round(np.log2(flops[1] / flops[0])), max(node.result.type.rank for node in graph.nodes)

    assert (3, 2) == cost("ab bc cd de -> ae", "[N, N]")
    assert (3, 2) == cost("ab ac bc ->", "")
    assert (4, 3) == cost("ac ad bc bd cd -> ab", "[N, N]")
    assert (4, 3) == cost("ab ac ad bc bd cd ->", "")


# --- what a PPGN block computes by itself -------------------------------------------------------------------


def is_computable(graph: Any, red: frozenset[int]) -> bool:
    """Whether inner nodes of one or two neighbours can be taken away until none is left."""
    graph = nx.Graph(graph)
    while True:
        free = [n for n in graph if n not in red and graph.degree(n) <= 2]
        if not free:
            return set(graph) <= red
        ends = list(graph.neighbors(free[0]))
        graph.remove_node(free[0])
        if len(ends) == 2:
            graph.add_edge(*ends)


@cache
def missing(edges: int) -> tuple[tuple[str, int], ...]:
    """Patterns of connected graphs with so many edges, of which up to two nodes are kept in order, that PPGN lacks."""
    found: list[tuple[Any, tuple[int, ...]]] = []
    for graph in nx.graph_atlas_g():
        if graph.number_of_edges() != edges or not nx.is_connected(graph):
            continue
        for kept in range(3):
            for red in itertools.permutations(graph, kept):
                marked = nx.Graph(graph)
                nx.set_node_attributes(marked, {n: red.index(n) if n in red else -1 for n in graph}, "red")
                if not is_computable(graph, frozenset(red)) and not any(_same(marked, other) for other, _ in found):
                    found.append((marked, red))
    return tuple((_pattern(graph, red), len(red)) for graph, red in found)


def _same(a: Any, b: Any) -> bool:
    return nx.is_isomorphic(a, b, node_match=lambda left, right: left["red"] == right["red"])


def _pattern(graph: Any, red: tuple[int, ...]) -> str:
    letters = "abcdefg"
    edges = " ".join(letters[a] + letters[b] for a, b in graph.edges)
    return f"{edges} -> {''.join(letters[n] for n in red)}".strip()


def test_ppgn_lacks_one_polynomial_of_five_edges_and_eleven_of_six() -> None:
    assert [0, 0, 0, 0, 1, 11] == [len(missing(edges)) for edges in range(1, 7)]
    assert [1, 1, 9] == [sum(kept == red for _, red in missing(6)) for kept in range(3)]


def rook_and_shrikhande() -> Array:
    """Two strongly regular graphs of 16 nodes with the same parameters."""
    cells = list(itertools.product(range(4), repeat=2))
    steps = {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)}
    rook = [[(a[0] == b[0]) != (a[1] == b[1]) for b in cells] for a in cells]
    other = [[((a[0] - b[0]) % 4, (a[1] - b[1]) % 4) in steps for b in cells] for a in cells]
    return np.array([rook, other], np.float64)


def test_cliques_of_four_tell_two_graphs_apart_that_ppgn_takes_for_one() -> None:
    both = rook_and_shrikhande()
    cliques = polynomial("ab ac ad bc bd cd ->", "")
    assert [192, 0] == [round(float(cliques.reference({"x": x})["output"])) for x in both]
    inputs = {"x": both, "mask": np.ones((2, 16), bool)}
    for features, is_told in (([], False), ([*missing(5), *missing(6)], True)):
        net = netdsl.load(SPEC, features=features, width=10, depth=2)["Ppgn"]
        first, second = net.reference(inputs, weights=stored_weights(net.graph))["output"]
        gap = np.abs(first - second).max() / np.abs(first).max()
        assert gap > 1e-2 if is_told else gap < 1e-9


def test_padding_says_nothing() -> None:
    net = netdsl.load(SPEC, width=5, depth=2)["Ppgn"]
    rng, weights = np.random.default_rng(0), stored_weights(net.graph)
    x = rng.standard_normal((1, 4, 4))
    alone = net.reference({"x": x, "mask": np.ones((1, 4), bool)}, weights=weights)["output"]
    wide = np.zeros((1, 7, 7))
    wide[:, :4, :4] = x
    mask = np.arange(7)[None] < 4
    np.testing.assert_allclose(alone, net.reference({"x": wide, "mask": mask}, weights=weights)["output"], atol=1e-9)
