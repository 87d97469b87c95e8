"""What maps rows and reduces them by group runs block by block, and equals the reference."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import netdsl
from netdsl.api import Network
from netdsl.backends.onnx import blocks, segment

HEAD = "(x: f32[M, 40], src: idx[M][E], by: idx[N][E], w: f32[E, 1], t: f32[N, 40]) -> f32[N, 40]"
LOOP = "(x: f32[N, 40], src: idx[N][E], by: idx[N][E], t: f32[N, 40]) -> f32[N, 40]"
#: Bodies that are one loop over blocks, with nothing of rows outside of it.
WHOLE = {
    "sum": "aggregate[sum](x[src], by=by)",
    "prod": "aggregate[prod](x[src], by=by)",
    "of rows of groups": "aggregate[sum](tanh(t)[by], by=by)",
    "scaled": "aggregate[sum](w * x[src], by=by)",
    "std": "aggregate[std](x[src], by=by)",
    "softmax": "aggregate[softmax[0.5]](x[src], by=by)",
    "logsumexp": "aggregate[logsumexp[-7.0]](x[src], by=by)",
    "powermean": "aggregate[powermean[2.0]](x[src], by=by)",
    "of no rows": "exp(aggregate[min](x[src], by=by)) + aggregate[max](x[src], by=by)",
    "attention": "aggregate[sum](softmax(w, by=by) * (x[src] - t[by]), by=by)",
}
#: Bodies that share what they compute with something else.
SHARED = {
    "mean and what is left": "m = aggregate[mean](x[src], by=by)\n    m * aggregate[sum](abs(x[src] - m[by]), by=by)",
    "with what else groups have": "relu(t + aggregate[max](x[src] * t[by], by=by))",
    "twice": "aggregate[sum](x[src] * aggregate[mean](x[src] - aggregate[min](x[src], by=by)[by], by=by)[by], by=by)",
    "by two": "aggregate[max](x[src], by=by) + aggregate[sum](x[src], by=flip[0](by))",
}


def network(body: str, head: str = HEAD) -> Network:
    return netdsl.load(f"network T{head} {{\n    {body}\n}}\n")["T"]


def data(sources: int, rows: int, groups: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    by = np.minimum(rng.geometric(4 / groups, rows) - 1, groups - 1) if groups > 4 else rng.integers(0, groups, rows)
    return {
        "x": rng.normal(size=(sources, 40)).astype(np.float32),
        "src": rng.integers(0, max(sources, 1), rows),
        "by": by,
        "w": rng.normal(size=(rows, 1)).astype(np.float32),
        "t": rng.normal(size=(groups, 40)).astype(np.float32),
    }


def session(net: Network, path: Path, threads: int = 2) -> ort.InferenceSession:
    net.onnx(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(found: ort.InferenceSession, feeds: dict[str, np.ndarray[Any, Any]]) -> Any:
    return found.run(None, {i.name: feeds[i.name] for i in found.get_inputs()})[0]


def check(net: Network, feeds: dict[str, np.ndarray[Any, Any]], found: Any) -> None:
    expected = np.asarray(net.reference({name: feeds[name] for name, _ in net.graph.inputs})["output"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize("elements", [blocks._ELEMENTS, 200])
@pytest.mark.parametrize("body", [*WHOLE.values(), *SHARED.values()], ids=[*WHOLE, *SHARED])
def test_groups_equal_the_reference(body: str, elements: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that fit in one block, and groups larger than a block."""
    monkeypatch.setattr(blocks, "_ELEMENTS", elements)
    net = network(body)
    live = session(net, tmp_path / "t.onnx")
    for sizes in ((7, 90, 13), (1, 1, 1), (3, 0, 5), (5, 40, 1), (3, 3, 3)):
        feeds = data(*sizes)
        check(net, feeds, run(live, feeds))


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_rows_are_held_in_blocks_only(body: str, tmp_path: Path) -> None:
    network(body).onnx(tmp_path / "t.onnx")
    graph = onnx.load(tmp_path / "t.onnx").graph
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in graph.value_info}
    assert not [name for name, shape in shapes.items() if shape == ["E", 40]]
    assert 1 == Counter(node.op_type for node in graph.node)["Loop"]


def test_layers_share_how_rows_are_sorted(tmp_path: Path) -> None:
    body = "h = aggregate[max](t[src], by=by)\n    aggregate[std](h[src], by=by)"
    network(body, LOOP).onnx(tmp_path / "t.onnx")
    count = Counter(node.op_type for node in onnx.load(tmp_path / "t.onnx").graph.node)
    assert (2, 2) == (count["Loop"], count["TopK"])


def test_results_that_are_read_elsewhere_are_given(tmp_path: Path) -> None:
    head = HEAD.replace("-> f32[N, 40]", "-> (rows: f32[E, 40], total: f32[N, 40], y: f32[N, 40])")
    net = network("rows = exp(x[src])\n    total = aggregate[sum](rows, by=by)\n    y = total * total", head)
    live, feeds = session(net, tmp_path / "t.onnx"), data(7, 90, 13)
    expected = net.reference({name: feeds[name] for name, _ in net.graph.inputs})
    found = live.run(None, {i.name: feeds[i.name] for i in live.get_inputs()})
    for name, value in zip((o.name for o in live.get_outputs()), found, strict=True):
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4)


def test_groups_in_a_loop_equal_the_reference(tmp_path: Path) -> None:
    net = network("h = scan 3[axis=0] from (h=t) { h = aggregate[std](h[src] + x[src], by=by) }\n    h", LOOP)
    live, feeds = session(net, tmp_path / "t.onnx"), data(7, 90, 7)
    check(net, feeds, run(live, feeds))


@pytest.mark.parametrize("name", ["std", "softmax", "logsumexp[-7.0]", "powermean[2.0]", "attention[Linear[1]]"])
def test_what_is_not_a_number_stays_in_its_group(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks as where rows are scattered."""
    net = network(f"aggregate[{name}](x[src], by=by)")
    feeds = data(30, 60, 9)
    feeds["x"][:3] = np.array([np.nan, np.inf, -np.inf])[:, None]
    in_blocks = run(session(net, tmp_path / "blocks.onnx"), feeds)
    monkeypatch.setattr(segment, "_NARROW", 40)
    scattered = run(session(net, tmp_path / "scattered.onnx"), feeds)
    np.testing.assert_array_equal(np.isfinite(scattered), np.isfinite(in_blocks))
    np.testing.assert_allclose(scattered, in_blocks, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["std", "softmax"])
def test_repeated_indices_do_not_race(name: str, tmp_path: Path) -> None:
    net = network(f"aggregate[{name}](x[src], by=by)")
    feeds = data(200, 10_000, 200)
    for threads in (2, 8):
        live = session(net, tmp_path / "t.onnx", threads)
        first = run(live, feeds)
        check(net, feeds, first)
        for _ in range(20):
            np.testing.assert_array_equal(first, run(live, feeds))
