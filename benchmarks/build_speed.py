"""ViT-Tiny from text to ONNX, whole process against whole process.

    python benchmarks/build_speed.py [--json] [--runs 30]

Ours: `netdsl build specs/vision/vit_tiny.net`. The peer: Python importing torch, building the same module and running
`torch.onnx.export(dynamo=True)`. Processes alternate. Also: `netdsl check` as a whole process.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import ratio_of, report

#: Runs of one side in a row.
BLOCK = 10
ROOT = Path(__file__).parents[1]
SPEC = ROOT / "specs" / "vision" / "vit_tiny.net"
PEER = """
import sys, warnings
warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
import torch
from vit_twin import ViTTiny
model = ViTTiny().eval()
batch = torch.export.Dim("B", min=1, max=1024)
torch.onnx.export(
    model, (torch.zeros(2, 3, 224, 224),), sys.argv[2], dynamo=True, dynamic_shapes=({0: batch},), external_data=False,
    verbose=False,
)
"""


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=30, help="of each side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "vit.onnx")
        netdsl = [sys.executable, "-m", "netdsl"]
        plain = [*netdsl, "build", str(SPEC), "-o", out, "--no-validate"]
        validated = [*netdsl, "build", str(SPEC), "-o", out]
        check = [*netdsl, "check", str(SPEC)]
        peer = [sys.executable, "-c", PEER, str(Path(__file__).parent), str(Path(folder) / "peer.onnx")]
        seconds(plain)
        seconds(check)
        times: dict[str, list[float]] = {"plain": [], "validated": [], "check": [], "peer": []}
        for _ in range(max(options.runs // BLOCK, 1)):
            for command, name in ((plain, "plain"), (peer, "peer"), (check, "check"), (validated, "validated")):
                times[name].extend(seconds(command) for _ in range(BLOCK))
    ratio = ratio_of(times["peer"], times["plain"])
    medians = {k: statistics.median(v) for k, v in times.items()}
    rows = [
        ("netdsl build --no-validate", f"{medians['plain']:.2f} s"),
        ("netdsl build (validated)", f"{medians['validated']:.2f} s"),
        ("torch.onnx.export(dynamo=True)", f"{medians['peer']:.2f} s"),
        ("the peer takes", f"{ratio.ratio:.1f} times as long (95 % interval {ratio.low:.1f} to {ratio.high:.1f})"),
        ("netdsl check", f"{1e3 * medians['check']:.0f} ms"),
    ]
    report("ViT-Tiny, whole processes", rows, {"seconds": times, "ratio": ratio}, options.json)
    return 0 if ratio.low >= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
