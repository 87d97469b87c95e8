"""Recurrent layers on the CPU: ours against torch's own, and inputs that are multiplied once for all steps.

    python benchmarks/recurrent.py [--json] [--threads 1]

`LSTM`: `Lstm[64]` of the standard library beside torch.nn.LSTM, forward and a training step. `heads`: the LSTM of
specs/time/flashrnn.net with one head of 64, whose cell is written out, beside torch.nn.LSTM. `inputs`: the same network
with 1,024 inputs, one row, in ONNX Runtime, beside one whose cell multiplies its inputs step by step.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from paired import compare, report

import netdsl

SPEC = Path(__file__).parents[1] / "specs" / "time" / "flashrnn.net"
ROWS, STEPS, WIDTH, INPUTS = 16, 256, 64, 1024
LAYER = f"network Layer(x: f32[B, T, {WIDTH}]) -> f32[B, T, {WIDTH}] {{ x |> Lstm[{WIDTH}] }}\n"
STEPWISE = f"""
import "flashrnn.net": LstmCell

block Cell(x: float[B, I], h: float[B, H, D], c: float[B, H, D]) -> (h: float[B, H, D], c: float[B, H, D]) {{
    gates = x |> Linear[4 * H * D, bias=false] |> rearrange["b (g h d) -> b g h d", g=4, h=H]
    h, c = LstmCell(gates, h, c)
}}

network Stepwise(x: f32[B, T, {INPUTS}]) -> f32[B, T, 1, {WIDTH}] {{
    let start = zeros[B, 1, {WIDTH}]
    y = scan Cell over x[axis=1] from (start, start)
    y
}}
"""


def seconds(call: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun

    return run


def forward(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return module(x)

    return run


def step(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        module.zero_grad()
        found = module(x)
        (found[0] if isinstance(found, tuple) else found).square().mean().backward()
        return None

    return run


def session(network: netdsl.Network, folder: Path, threads: int) -> Callable[[torch.Tensor], object]:
    path = folder / f"{network.name}.onnx"
    network.onnx(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    held = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: held.run(None, {"x": x.numpy()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x = torch.randn(ROWS, STEPS, WIDTH)
    peer = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True)
    layer = netdsl.load(LAYER)["Layer"].torch(seed=0)
    one_head = netdsl.load(SPEC)["Lstm"].set(I=WIDTH, heads=1, size=WIDTH)
    heads = one_head.torch(seed=0)
    pairs = {
        "LSTM, forward": (forward(layer, x), forward(peer, x), 1.2),
        "LSTM, training step": (step(layer, x), step(peer, x), 1.2),
        "heads, forward": (forward(heads, x), forward(peer, x), 0.0),
        "heads, training step": (step(heads, x), step(peer, x), 0.0),
    }
    rows: list[tuple[str, str]] = []
    data: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wide = torch.randn(1, STEPS, INPUTS)
        hoisted = session(netdsl.load(SPEC)["Lstm"].set(I=INPUTS, heads=1, size=WIDTH), folder, options.threads)
        (folder / "flashrnn.net").write_text(SPEC.read_text("utf-8"), "utf-8")
        (folder / "stepwise.net").write_text(STEPWISE, "utf-8")
        inside = session(netdsl.load(folder / "stepwise.net")["Stepwise"], folder, options.threads)
        pairs["inputs step by step over at once, ONNX Runtime"] = (
            lambda: inside(wide),
            lambda: hoisted(wide),
            -1.2,
        )
        is_short = False
        for title, (a, b, most) in pairs.items():
            found = compare(seconds(a), seconds(b), blocks=6, runs=10, warm_up=3)
            data[title] = found
            is_short |= found.high > most > 0 or found.low < -most
            goal = f", at most {most:g}" if most > 0 else f", at least {-most:g}" if most else ""
            figures = f"{found.a_ms:.2f} ms against {found.b_ms:.2f} ms: {found.ratio:.2f}"
            rows.append((title, f"{figures} ({found.low:.2f} to {found.high:.2f}{goal})"))
    report(f"{ROWS} rows of {STEPS} steps, width {WIDTH}, threads: {options.threads}", rows, data, options.json)
    return int(is_short)


if __name__ == "__main__":
    sys.exit(main())
