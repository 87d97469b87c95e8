"""Edges that coordinates make: `radius_graph`, and the layers that take edges which are not there."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.spatial import KDTree

import netdsl


def near_pairs(pos: np.ndarray, cloud: np.ndarray, radius: float) -> set[tuple[int, int]]:
    """By a tree of one cloud after the other."""
    found = set()
    for name in set(cloud.tolist()):
        (nodes,) = np.nonzero(cloud == name)
        for a, b in KDTree(pos[nodes]).query_pairs(radius):
            found |= {(int(nodes[a]), int(nodes[b])), (int(nodes[b]), int(nodes[a]))}
    return found


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_radius_graph_joins_who_is_near_within_its_own_cloud(count: int, tmp_path: Path) -> None:
    text = """
import std.graph: radius_graph
network R(pos: f32[N, 3], cloud: i64[N]) -> (
    src: i64[N * min(N, 32)],
    dst: i64[N * min(N, 32)],
    there: bool[N * min(N, 32)]
) {
    s, d, t = radius_graph[0.7](pos, cloud)
    src, dst, there = (cast[i64](s), cast[i64](d), t)
}
"""
    rng = np.random.default_rng(count)
    pos, cloud = rng.random((count, 3)).astype(np.float32), rng.integers(0, 3, count)
    network = netdsl.load(text)["R"]
    network.onnx(tmp_path / "r.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "r.onnx", providers=["CPUExecutionProvider"])
    sides = [network.reference({"pos": pos, "cloud": cloud}).values(), session.run(None, {"pos": pos, "cloud": cloud})]
    sides.append([t.numpy() for t in network.torch()(torch.from_numpy(pos), torch.from_numpy(cloud))])
    for src, dst, there in sides:
        pairs = list(zip(src[there].tolist(), dst[there].tolist(), strict=True))
        assert len(pairs) == len(set(pairs)) and set(pairs) == near_pairs(pos, cloud, 0.7)
        np.testing.assert_array_equal(src[~there], dst[~there])


def test_the_nearest_are_kept_where_there_are_too_many() -> None:
    text = """
import std.graph: radius_graph
network R(pos: f32[N, 1]) -> (src: i64[N * min(N, 2)], there: bool[N * min(N, 2)]) {
    s, d, t = radius_graph[10.0, most=2](pos)
    src, there = (cast[i64](s), t)
}
"""
    src, there = netdsl.load(text)["R"].reference({"pos": np.array([[0.0], [1], [2], [4]], np.float32)}).values()
    assert there.all()
    assert src.reshape(4, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_edges_that_are_not_there_carry_nothing() -> None:
    torch.manual_seed(0)
    header = "import std.graph: EGNNConv\nnetwork E(g: graph[N, E], x: f32[N, 4], p: f32[N, 3]"
    body = ") -> (h: f32[N, 4], q: f32[N, 3]) {\n    h, q = EGNNConv[4, 8](x, p, g"
    with_mask = netdsl.load(f"{header}, there: bool[E]{body}, there)\n}}\n")["E"].torch(seed=0).double()
    without = netdsl.load(f"{header}{body})\n}}\n")["E"].torch(seed=0).double()
    src, dst = torch.randint(7, (2, 20))
    there = torch.rand(20) < 0.6
    x, p = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    some = without(netdsl.Graph(src[there], dst[there]), x, p)
    for one, other in zip(with_mask(netdsl.Graph(src, dst), x, p, there), some, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
