"""Latency of ViT-Tiny in ONNX Runtime against torch's exporter and the optimizers that people run after it.

    python benchmarks/latency.py [--json] [--batch 1]

Each file runs alone in a process of its own; two processes take turns, so that no two sessions are alive at once.
Peers: torch.onnx.export(dynamo=True), the same + onnxslim, the same + onnxruntime.transformers.optimizer.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from build_speed import PEER, SPEC
from paired import Ratio, ratio_of, report

WORKER = """
import sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
shape = [int(sys.argv[2]), *map(int, sys.argv[4].split(","))]
x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
for _ in range(10):
    session.run(None, {name: x})
for _ in range(int(sys.argv[3])):
    started = time.perf_counter()
    session.run(None, {name: x})
    print(time.perf_counter() - started)
"""


IMAGE = (3, 224, 224)


def block(path: Path, batch: int, runs: int, shape: tuple[int, ...] = IMAGE) -> list[float]:
    """Seconds of each run in a fresh process; `shape` is that of one sample."""
    sizes = ",".join(map(str, shape))
    command = [sys.executable, "-c", WORKER, str(path), str(batch), str(runs), sizes]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def paired(ours: Path, theirs: Path, batch: int, blocks: int, runs: int, *, shape: tuple[int, ...] = IMAGE) -> Ratio:
    """Latency of two files, whose sessions are alive in turn."""
    a: list[float] = []
    b: list[float] = []
    for turn in range(blocks):
        sides = [(ours, a), (theirs, b)]
        for path, times in sides if turn % 2 == 0 else reversed(sides):
            times.extend(block(path, batch, runs, shape))
    return ratio_of(a, b)


def peers(folder: Path) -> dict[str, Path]:
    """The peers' files; an optimizer that fails is left out and named."""
    made: dict[str, Path] = {}
    plain = folder / "peer.onnx"
    subprocess.run(
        [sys.executable, "-c", PEER, str(Path(__file__).parent), str(plain)], check=True, capture_output=True
    )
    made["torch.onnx.export"] = plain
    try:
        import onnxslim

        slim = folder / "slim.onnx"
        onnxslim.slim(str(plain), str(slim))
        made["torch.onnx.export + onnxslim"] = slim
    except ImportError:
        print("onnxslim is not installed: left out", file=sys.stderr)
    optimized = folder / "optimized.onnx"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "onnxruntime.transformers.optimizer",
            "--input",
            str(plain),
            "--output",
            str(optimized),
            "--model_type",
            "vit",
            "--num_heads",
            "3",
            "--hidden_size",
            "192",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and optimized.exists():
        made["torch.onnx.export + onnxruntime.transformers.optimizer"] = optimized
    else:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        print(f"onnxruntime.transformers.optimizer failed, left out: {last}", file=sys.stderr)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    rows: list[tuple[str, str]] = []
    data: dict[str, object] = {}
    slower = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours: dict[int, Path] = {}
        for opset in (21, 23):
            ours[opset] = folder / f"ours{opset}.onnx"
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "netdsl",
                    "build",
                    str(SPEC),
                    "-o",
                    str(ours[opset]),
                    "--opset",
                    str(opset),
                    "--no-validate",
                ],
                check=True,
                capture_output=True,
            )
            rows.append((f"nodes, netdsl --opset {opset}", str(len(onnx.load(ours[opset]).graph.node))))
        for peer, path in peers(folder).items():
            rows.append((f"nodes, {peer}", str(len(onnx.load(path).graph.node))))
            ratio = paired(ours[21], path, options.batch, options.blocks, options.runs)
            data[peer] = ratio
            slower |= ratio.high > 1.05
            rows.append(
                (
                    f"netdsl against {peer}",
                    (
                        f"{ratio.a_ms:.1f} ms, {ratio.b_ms:.1f} ms, ratio {ratio.ratio:.2f} "
                        f"({ratio.low:.2f} to {ratio.high:.2f})"
                    ),
                )
            )
    report(f"ViT-Tiny in ONNX Runtime, batch {options.batch}", rows, data, options.json)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
