"""Batch norms, scales and shifts become part of the layer before them, also where its weight is generated."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import netdsl
from netdsl.diagnostics import NetError
from netdsl.ir import Graph
from netdsl.passes.fold_batch_norm import FoldBatchNorm
from netdsl.passes.pipeline import PipelineResult, run_pipeline
from netdsl.verify import verify
from netdsl.weights import random_weights
from tests.passes import wrong_rewrites as wrong
from tests.passes.random_chains import random_chain

SPECS = Path(__file__).parents[2] / "specs"


def folded(text: str) -> PipelineResult:
    """After all passes of an export, with random weights; each pass is validated."""
    graph = netdsl.load(text)["Net"].graph
    return run_pipeline(graph, random_weights(graph.params, 5), budget_s=1.0)


def merged(result: PipelineResult) -> int:
    (row,) = (row for row in result.rows if row.name == FoldBatchNorm.name)
    return row.fired


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes if node.operands]


@pytest.mark.parametrize(
    ("body", "result", "left"),
    [
        ("x |> Conv2d[4, kernel=3] |> BatchNorm2d", "4, 3, 3", "conv"),
        ("x |> Conv2d[4, kernel=3, bias=false] |> BatchNorm2d", "4, 3, 3", "conv"),
        ("x |> Conv2d[6, kernel=3, groups=3] |> BatchNorm2d", "6, 3, 3", "conv"),
        ("x |> ConvTranspose2d[4, kernel=3] |> BatchNorm2d", "4, 7, 7", "conv_transpose"),
        ("x |> ConvTranspose2d[6, kernel=2, groups=3, bias=false] |> BatchNorm2d", "6, 6, 6", "conv_transpose"),
        ("x |> Conv2d[4, kernel=3] |> BatchNorm2d |> BatchNorm2d", "4, 3, 3", "conv"),
        ("(x |> Conv2d[3, kernel=3, bias=false]) * scale[:, none, none] / 3.0 - 1.0", "3, 3, 3", "conv"),
        ("scale[:, none, none] + (x |> ConvTranspose2d[3, kernel=3, bias=false])", "3, 7, 7", "conv_transpose"),
        ("x |> flatten[start=1] |> Linear[4] |> BatchNorm1d", "4", "reshape transpose matmul add"),
        ("x |> flatten[start=1] |> Linear[4, bias=false] |> BatchNorm1d", "4", "reshape transpose matmul add"),
        ("((x |> Linear[3]) * scale + scale) / 2.0", "3, 5, 3", "transpose matmul add"),
        ("(x |> Linear[3, bias=false]) * scale", "3, 5, 3", "transpose matmul"),
        ("(x |> Linear[3] |> BatchNorm2d)", "3, 5, 3", "transpose matmul add batch_norm"),
        ("x |> Conv2d[3, kernel=1] |> relu |> BatchNorm2d", "3, 5, 5", "conv relu batch_norm"),
        ("y = x |> Conv2d[3, kernel=1]\n        y + (y |> BatchNorm2d)", "3, 5, 5", "conv batch_norm add"),
        ("(x |> Conv2d[3, kernel=1]) * x", "3, 5, 5", "conv mul"),
        ("(x |> Conv2d[3, kernel=1]) * wide", "3, 5, 5", "conv mul"),
        ("1.0 / (x |> Conv2d[3, kernel=1])", "3, 5, 5", "conv div"),
        ("(x |> Linear[3]) * scale[:, none, none]", "3, 3, 3", "transpose matmul add mul"),
    ],
)
def test_what_acts_on_each_channel_alone_is_merged(body: str, result: str, left: str) -> None:
    """The last ones are near misses: another axis, a nonlinearity, another reader, data, another shape."""
    result = folded(f"""
    network Net(x: f32[B, 3, {"3" if "Linear[3]) * scale[" in body else "5"}, 5]) -> f32[B, {result}] {{
        param scale: f32[3] ~ normal
        param wide: f32[5, 5] ~ normal
        {body}
    }}
    """).graph
    assert left.split() == ops(result)


@pytest.mark.parametrize("block", range(8))
def test_random_chains_compute_the_same(block: int) -> None:
    """The runner compares both sides after each pass; a second run finds nothing."""
    fired = 0
    for seed in range(12 * block, 12 * block + 12):
        result = folded(random_chain(seed))
        fired += merged(result)
        verify(result.graph)
        again = FoldBatchNorm().run(result.graph)
        assert 0 == again.fired and again.graph is result.graph, random_chain(seed)
    assert fired >= 8


def test_what_is_asked_for_stays() -> None:
    """A label of what is merged is gone, unless it is an output."""
    net = netdsl.load(
        "network Net(x: f32[B, 3, 5, 5]) -> f32[B, 4, 3, 3] { x |> Conv2d[4, kernel=3] as c |> BatchNorm2d }"
    )["Net"]
    assert ["conv"] == ops(run_pipeline(net.graph, net.weights()).graph)
    tapped = net.tap("c").graph
    result = run_pipeline(tapped, net.weights())
    assert ["conv", "batch_norm"] == ops(result.graph)
    assert [{"the result of `conv` is read elsewhere too"}, set()] == [
        {skip.reason for skip in row.skips} for row in result.rows if row.name.startswith("fold")
    ]


SHARED = """
network Net(x: f32[B, 3, 5, 5]) -> f32[B, 3, 5, 5] {
    let f = Conv2d[3, kernel=1]
    let norm = BatchNorm2d
    (x |> f |> norm) - (relu(x) |> f |> LAST)
}
"""


def test_a_shared_weight_is_merged_only_with_what_follows_it_everywhere() -> None:
    same = folded(SHARED.replace("LAST", "norm")).graph
    assert ["conv", "relu", "conv", "sub"] == ops(same)
    assert 2 == len(same.params), "the merged weight and bias are stored once"
    assert ["conv", "batch_norm", "relu", "conv", "batch_norm", "sub"] == ops(
        folded(SHARED.replace("LAST", "BatchNorm2d")).graph
    )


GENERATED = """
block Target(x: float[B, 3, H, W]) -> float[B, 2] where H >= 3, W >= 3 {
    x = x |> Conv2d[4, kernel=3, groups=1] |> BatchNorm2d |> relu
    x |> global_avg_pool |> Linear[5] |> BatchNorm1d |> relu |> Linear[2]
}

network Net(x: f32[B, 3, H, W], task: f32[3]) -> f32[B, 2] where H >= 3, W >= 3 {
    let target = Target[C=3]
    Target(x, **(task |> Linear[4] |> tanh |> Linear[numel[Target]] |> unpack[Target]))
}

network ByHand(x: f32[B, 3, H, W]) -> f32[B, 2] where H >= 3, W >= 3 {
    x |> Conv2d[4, kernel=3] |> relu |> global_avg_pool |> Linear[5] |> relu |> Linear[2]
}
"""


def test_batch_norms_of_a_specialised_target_are_gone(tmp_path: Path) -> None:
    nets = netdsl.load(GENERATED.replace("    let target = Target[C=3]\n", ""))
    task = np.array([0.5, -1.0, 2.0], np.float32)
    net = nets["Net"]
    weights = random_weights(net.graph.params, 2)
    net.onnx(tmp_path / "bound.onnx", weights=weights, bind={"task": task})
    nets["ByHand"].onnx(tmp_path / "hand.onnx")
    hand, bound = (onnx.load(tmp_path / f"{name}.onnx").graph for name in ("hand", "bound"))
    assert [n.op_type for n in hand.node] == [n.op_type for n in bound.node]
    assert sorted(tuple(t.dims) for t in hand.initializer) == sorted(tuple(t.dims) for t in bound.initializer)
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 7)).astype(np.float32)
    expected = net.reference({"x": x, "task": task}, weights=weights)["output"]
    (found,) = netdsl.runtime.Session.load(tmp_path / "bound.onnx").run({"x": x}).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


def test_a_generated_kernel_takes_the_batch_norm_before_anything_is_bound() -> None:
    graph = netdsl.load("""
    network Net(x: f32[B, 3, 5, 5], task: f32[2]) -> f32[B, 4, 3, 3] {
        x |> Conv2d[4, kernel=3](weight=task |> Linear[108] |> reshape[4, 3, 3, 3]) |> BatchNorm2d
    }
    """)["Net"].graph
    result = run_pipeline(graph, random_weights(graph.params, 1))
    assert "batch_norm" not in ops(result.graph)
    assert 1 == merged(result)


@pytest.mark.parametrize(
    "rewrite",
    [
        wrong.norm_folded_without_its_mean,
        wrong.norm_folded_without_the_layers_bias,
        wrong.norm_folded_without_eps,
        wrong.norm_folded_along_the_input_channels,
        wrong.norm_folded_past_a_second_reader,
    ],
)
def test_a_wrong_fold_is_caught(rewrite: wrong.Rewrite) -> None:
    text = """
    network Net(x: f32[B, 3, 5, 5]) -> f32[B, 3, 5, 5] {
        y = x |> Conv2d[3, kernel=1]
        (y |> BatchNorm2d) * relu(y)
    }
    """
    graph = netdsl.load(text)["Net"].graph
    verify(run_pipeline(graph, {}, passes=(wrong.Wrong(rewrite),), validate=False).graph)
    with pytest.raises(NetError) as error:
        run_pipeline(graph, {}, passes=(wrong.Wrong(rewrite),), budget_s=1.0)
    assert ["E0601"] == [d.code for d in error.value.diagnostics]


@pytest.mark.parametrize(
    ("spec", "network", "nodes"),
    [
        ("vision/resnet18.net", "ResNet18", 49),
        ("vision/mobilenet_v2.net", "MobileNetV2", 100),
        ("vision/vit_tiny.net", "ViTTiny", 288),
    ],
)
def test_files_of_image_networks_hold_no_batch_norm(spec: str, network: str, nodes: int) -> None:
    from netdsl.backends.onnx.model import build

    graph = netdsl.load(SPECS / spec)[network].graph
    result = run_pipeline(graph, random_weights(graph.params, 0), validate=False)
    kinds = [node.op_type for node in build(result.graph, result.weights).frame.graph.node]
    assert "BatchNormalization" not in kinds
    assert nodes == len(kinds)
