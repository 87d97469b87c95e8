"""A hypernetwork whose task is fixed when building, against the plain network of the same layers, in ONNX Runtime.

python benchmarks/specialize.py [--json] [--batch 256]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from latency import paired
from paired import report

import netdsl

TEXT = """
block Target(x: float[.., 784]) -> float[.., 10] {
    x |> Linear[512] |> relu |> Linear[512] |> relu |> Linear[10]
}

network TaskNet(x: f32[B, 784], task: f32[8]) -> f32[B, 10] {
    param base: params[Target] ~ init_of[Target]
    delta = task |> Linear[64] |> relu |> Linear[numel[Target], bias=false] as heads
    Target(x, **(base + unpack[Target](delta)))
}

network Plain(x: f32[B, 784]) -> f32[B, 10] { Target(x) as target }
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    nets = netdsl.load(TEXT)
    task = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bound, plain = folder / "bound.onnx", folder / "plain.onnx"
        nets["TaskNet"].onnx(bound, bind={"task": task})
        nets["Plain"].onnx(plain)
        nodes = {path.stem: len(onnx.load(path).graph.node) for path in (bound, plain)}
        ratio = paired(bound, plain, options.batch, options.blocks, options.runs, shape=(784,))
    rows = [
        ("nodes, bound and plain", f"{nodes['bound']}, {nodes['plain']}"),
        ("bound", f"{ratio.a_ms:.3f} ms"),
        ("plain", f"{ratio.b_ms:.3f} ms"),
        ("ratio", f"{ratio.ratio:.3f} (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"),
    ]
    report("A bound hypernetwork against its plain target", rows, {"nodes": nodes, "ratio": ratio}, options.json)
    return 0 if ratio.high <= 1.05 and nodes["bound"] == nodes["plain"] else 1


if __name__ == "__main__":
    sys.exit(main())
