"""Every network of `specs/` is sound: text, graph, claims, three backends, six opsets."""

from pathlib import Path

import onnx
import pytest

from netdsl.agreement import reference_runner
from netdsl.api import graph_flops, open_session
from netdsl.backends.onnx.model import build_model
from netdsl.claims import check_claim
from netdsl.formatter import format_source
from netdsl.ir import Graph
from netdsl.ir_parser import parse_graph
from netdsl.ir_text import print_graph
from netdsl.sampling import sample_sizes, smallest_sizes
from netdsl.source import Source
from netdsl.syntax import Claim
from netdsl.verify import verify
from tests.specs.catalogue import CATALOGUE, SPECS, published, reduced
from tests.std.three_way import assert_three_way, stored_weights

#: Large enough for every network's `where`.
WANTED = (1, 3)


def test_every_network_is_in_the_catalogue() -> None:
    found = {
        (name, path.relative_to(SPECS).as_posix())
        for path in SPECS.rglob("*.net")
        for name in open_session(path).networks
    }
    assert {(name, spec.file) for name, spec in CATALOGUE.items()} == found


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.net")), ids=lambda p: p.stem)
def test_a_file_checks_clean_and_is_formatted(path: Path) -> None:
    session = open_session(path)
    session.check_all()
    assert [] == session.reporter.diagnostics
    assert session.source.text == format_source(session.source)
    assert session.source.text.startswith("## "), "the file says what it is"


@pytest.mark.parametrize("name", CATALOGUE)
def test_claims_hold_at_published_size(name: str) -> None:
    network = published(name)
    assert CATALOGUE[name].param_count == network.param_count
    claims = [i for i in network.session.file.module.items if isinstance(i, Claim) and i.network == name]
    assert claims
    for claim in claims:
        assert not claim.args
        # Weights are made when a claim speaks of outputs, and for the small networks only.
        runner = reference_runner(network.graph, stored_weights(network.graph) if network.param_count < 10**6 else {})
        result = check_claim(claim, network.graph, runner, _graph_of, flops=graph_flops)
        assert result.holds, (result.text, result.measured)


def _graph_of(name: str) -> Graph:
    return published(name).graph


@pytest.mark.parametrize("name", CATALOGUE)
def test_graphs_are_valid_in_both_modes_and_print_back(name: str) -> None:
    checked = published(name).checked
    for graph in (checked.eval_graph, checked.train_graph):
        verify(graph)
        text = print_graph(graph)
        again = parse_graph(text)
        verify(again)
        assert text == print_graph(again)


@pytest.mark.parametrize("name", CATALOGUE)
def test_three_backends_agree_at_reduced_width(name: str) -> None:
    network = reduced(name)
    sizes = [smallest_sizes(network.graph)]
    for want in WANTED:
        found = sample_sizes(network.graph, want)
        if found is not None and found not in sizes:
            sizes.append(found)
    assert_three_way(network, sizes, opsets=(18, 21, 23))


@pytest.mark.parametrize("opset", range(18, 24))
@pytest.mark.parametrize("name", CATALOGUE)
def test_models_pass_the_checker_and_strict_shape_inference(name: str, opset: int) -> None:
    network = reduced(name)
    model = build_model(network.graph, network.weights(), opset=opset)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    for output, (_, value) in zip(inferred.graph.output, network.graph.outputs, strict=True):
        dims = output.type.tensor_type.shape.dim
        assert [str(s) for s in value.type.sizes] == [d.dim_param or str(d.dim_value) for d in dims]
    assert {opset} == {i.version for i in model.opset_import if i.domain == ""}
    assert [""] == [i.domain for i in model.opset_import]


@pytest.mark.parametrize(("opset", "most"), [(21, 300), (23, 200)])
def test_vit_tiny_stays_small_in_onnx(opset: int, most: int) -> None:
    network = published("ViTTiny")
    model = build_model(network.graph, network.weights(), opset=opset)
    assert len(model.graph.node) <= most


def test_sources_are_utf8_with_unix_lines() -> None:
    for path in SPECS.rglob("*.net"):
        data = path.read_bytes()
        assert b"\r" not in data and data.endswith(b"\n")
        assert Source(path.name, data.decode("utf-8")).text
