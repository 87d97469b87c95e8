"""Typical bodies and loops over slices, with every input mapped or shared, and mapped twice."""

import random

import pytest

from netdsl.dims import Dim
from netdsl.ir import Graph
from tests.backends.test_onnx_loops import scan
from tests.vectorise.agreement import (
    SLICES,
    case_of,
    check_backends,
    check_everywhere,
    check_gradients,
    check_reference,
    in_double,
    mapped_graph,
    subsets,
)
from tests.vectorise.bodies import BODIES, LOOPS, body

SIZES = {"B": 2, "T": 3, "H": 4, "W": 5}


def some_subsets(graph: Graph) -> list[frozenset[int]]:
    """Parameters alone, everything, and three more."""
    chosen = [*subsets(len(graph.inputs))]
    random.Random(0).shuffle(chosen)
    return [frozenset(range(len(graph.inputs))), frozenset(range(1, len(graph.inputs))), *chosen[:3]]


@pytest.mark.parametrize("name", [*BODIES, *LOOPS])
def test_body_over_slices_is_the_loop_over_them(name: str) -> None:
    graph = body(name)
    for at in dict.fromkeys(some_subsets(graph)):
        check_everywhere(graph, at, SIZES, (3, 1, 0))


@pytest.mark.parametrize("name", [*BODIES, *LOOPS])
def test_gradients_are_those_of_the_loop_over_slices(name: str) -> None:
    graph = in_double(body(name))
    for at in dict.fromkeys(some_subsets(graph)):
        made = mapped_graph(graph, at, Dim.of(SLICES))
        check_gradients(made, case_of(made, [None] * len(graph.inputs), SIZES, 3))


@pytest.mark.parametrize("name", [*BODIES, *LOOPS])
def test_a_body_is_mapped_twice(name: str) -> None:
    """First over some inputs, then that graph over others, and over some of them again."""
    graph = body(name)
    rng = random.Random(1)
    places = range(len(graph.inputs))
    for _ in range(3):
        inner = mapped_graph(graph, frozenset(rng.sample(places, rng.randint(1, len(places)))), Dim.of("Inner")).whole
        outer = mapped_graph(inner, frozenset(rng.sample(places, rng.randint(1, len(places)))), Dim.of(SLICES))
        cases = [case_of(outer, [None] * len(places), {**SIZES, "Inner": size}, 2) for size in (3, 1)]
        for case in cases:
            check_reference(outer, case)
        check_backends(outer, cases)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize("has_until", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_loops_of_every_kind(axis: int, has_length: bool, has_until: bool, reverse: bool) -> None:
    graph = scan(axis=axis, has_length=has_length, has_until=has_until, reverse=reverse)
    rng = random.Random(axis)
    for at in [frozenset((2,)), *rng.sample(list(subsets(len(graph.inputs))), 4)]:
        for steps in (3, 0):
            check_everywhere(graph, at, {"B": 2, "T": steps}, (3, 1, 0))
