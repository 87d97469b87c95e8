"""Time and memory of check, passes and build over the number of layers, 10 to 1,000: the log-log slope.

python benchmarks/scaling.py [--json]
"""

import argparse
import math
import statistics
import sys
import time
import tracemalloc

import numpy as np
from paired import report

import netdsl
from netdsl.backends.onnx.model import build_model
from netdsl.passes.pipeline import run_pipeline

TEXT = """
import std.attention: SelfAttention

block Encoder[heads: int](x: float[B, N, D]) -> float[B, N, D] where D % heads == 0 {
    x = x + (x |> LayerNorm as norm1 |> SelfAttention[heads] as attention)
    x + (x |> LayerNorm as norm2 |> FeedForward[4 * D] as mlp)
}

network Deep[depth: int, D: int = 8](x: f32[B, N, D]) -> f32[B, N, D] {
    repeat depth as blocks { x = Encoder[2](x) }
    x
}
"""
LAYERS = (10, 32, 100, 320, 1000)


def slope(sizes: tuple[int, ...], values: list[float]) -> float:
    """Slope of the line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, list[float]] = {"check": [], "passes": [], "onnx": [], "memory of check": []}
    for depth in LAYERS:
        times: dict[str, list[float]] = {"check": [], "passes": [], "onnx": []}
        for _ in range(3 if depth < 1000 else 2):
            started = time.perf_counter()
            net = netdsl.load(TEXT, depth=depth)["Deep"]
            times["check"].append(time.perf_counter() - started)
            started = time.perf_counter()
            graph = run_pipeline(net.graph, {}, validate=False).graph
            times["passes"].append(time.perf_counter() - started)
            weights = net.weights(seed=0)
            started = time.perf_counter()
            build_model(graph, weights)
            times["onnx"].append(time.perf_counter() - started)
        tracemalloc.start()
        netdsl.load(TEXT, depth=depth)["Deep"]
        figures["memory of check"].append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
        for name, values in times.items():
            figures[name].append(statistics.median(values))
    slopes = {name: slope(LAYERS, values) for name, values in figures.items()}
    rows = [
        (name, "  ".join(f"{v:8.3f}" for v in values) + f"   slope {slopes[name]:.2f}")
        for name, values in figures.items()
    ]
    rows.insert(0, ("layers", "  ".join(f"{n:8}" for n in LAYERS)))
    report(
        "Growth with depth (seconds; memory in MiB)",
        rows,
        {"layers": LAYERS, "figures": figures, "slopes": slopes},
        options.json,
    )
    return 0 if all(math.isfinite(s) and s <= 1.15 for s in slopes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
