"""Sizes near a wanted one: each dimension by itself, in the order that the facts allow."""

import pytest

import netdsl
from netdsl.ir import Graph
from netdsl.sampling import sample_sizes, smallest_sizes


def graph(facts: str) -> Graph:
    return netdsl.load(f"network A(x: f32[N, M, K]) -> f32[N, M, K] where {facts} {{ 2 * x }}")["A"].graph


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ("N >= 1", {"N": 16, "M": 16, "K": 16}),
        ("N in 1..2", {"N": 1, "M": 16, "K": 16}),
        ("N % 5 == 0, N in 1..99", {"N": 20, "M": 16, "K": 16}),
        ("N < M", {"N": 1, "M": 16, "K": 16}),
        ("M <= N, K in 2..4", {"N": 16, "M": 16, "K": 2}),
    ],
)
def test_one_dimension_that_cannot_have_the_size_leaves_the_others(facts: str, expected: dict[str, int]) -> None:
    assert expected == sample_sizes(graph(facts), 16)


def test_dimensions_that_only_change_together_are_drawn() -> None:
    network = graph("N == 2 * M, K == M + 1")
    sizes = sample_sizes(network, 16)
    assert network.facts.satisfies(sizes) and sizes != smallest_sizes(network)


def test_the_smallest_sizes_are_small_where_dimensions_depend_on_each_other() -> None:
    assert {"N": 2, "M": 1, "K": 4} == smallest_sizes(graph("M < N, N < K - 1"))


def test_only_the_dimensions_that_are_asked_for_change() -> None:
    network = graph("N >= 2")
    assert {"N": 2, "M": 7, "K": 1} == sample_sizes(network, 7, dims=["M"])
