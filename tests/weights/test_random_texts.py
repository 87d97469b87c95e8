"""Random networks of generated weights and edges: valid graphs, and reference = torch = ONNX Runtime at several sizes.

Every other one goes through the passes of an export first.
"""

import pytest

import netdsl
from netdsl.backends.reference import run
from netdsl.backends.torch_fx import build_module
from netdsl.ir_parser import parse_graph
from netdsl.ir_text import print_graph
from netdsl.passes.pipeline import run_pipeline
from netdsl.sampling import sample_inputs, sample_sizes
from netdsl.verify import verify
from tests.std.three_way import assert_close, call_module, session_of, stored_weights
from tests.weights.random_texts import write

SHARES = 8
IN_TEST = 240
IN_LONG_TEST = 8_000
#: What a test of a few hundred networks is made of.
KINDS = {"shared", "per row", "nested", "keyword", "mixed", "two levels", "each", "edges"} | {
    f"edge {kind}{per}"
    for kind in ("scaled", "dot", "bias", "inner")
    for per in ("", " per out", " per in", " per layer")
}


def agree(seed: int, kinds: set[str]) -> None:
    text = write(seed, kinds)
    try:
        net = netdsl.load(text)["N"]
    except netdsl.NetError as error:
        raise AssertionError(f"seed {seed}: {error}\n{text}") from None
    graph = net.graph
    verify(graph)
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)
    weights = stored_weights(graph, seed)
    exported = run_pipeline(graph, weights, validate=False) if seed % 2 else None
    session = session_of(exported.graph, exported.weights) if exported else session_of(graph, weights)
    module = build_module(graph, weights).eval()
    for want in (1, 3, 0):
        sizes = dict.fromkeys(graph.free_dims, want) if want == 0 else sample_sizes(graph, want)
        inputs = sample_inputs(graph, sizes, seed + want)
        expected = run(graph, inputs, weights).outputs
        where = f"seed {seed} at {sizes}\n{text}"
        assert_close(graph, expected, call_module(module, graph, inputs), f"torch, {where}")
        names = [name for name, _ in graph.outputs]
        found = dict(zip(names, session.run(names, {n: inputs[n] for n, _ in graph.inputs}), strict=True))
        assert_close(graph, expected, found, f"onnx, {where}")


@pytest.mark.parametrize("share", range(SHARES))
def test_random_networks_agree(share: int) -> None:
    for seed in range(share, IN_TEST, SHARES):
        agree(seed, set())


def test_they_are_made_of_everything() -> None:
    kinds: set[str] = set()
    for seed in range(IN_TEST):
        write(seed, kinds)
    assert set() == KINDS - kinds


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(16))
def test_many_random_networks_agree(block: int) -> None:
    for seed in range(1000 + block, 1000 + IN_LONG_TEST, 16):
        agree(seed, set())
