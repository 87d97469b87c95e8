"""Spline KAN layers against the efficient-kan formulation, pykan, and plain matrix layers of the same widths.

    python benchmarks/kan.py [--json] [--blocks 4] [--runs 10] [--pykan-python PYTHON] [--one-core] [--edge Rbf]

Ours is what users write, `edges[width, BSpline](x)` of `std.edges`, built as `netdsl build` does. Every side runs in
processes of its own, which take turns and warm up for 5 runs and half a second; `--one-core` counts the CPU time of one
thread, for a machine with other work.
Peers: the Cox-de Boor recursion on `[B, in, splines]` with the same weights (the formulation of efficient-kan, written
anew) by torch.onnx.export(dynamo=True) and in eager torch; pykan's forward without its symbolic branch. `--edge` puts
another edge of `std.edges` in the place of ours; its values are then its own.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from paired import Ratio, ratio_of, report

Case = tuple[int, tuple[int, ...]]
CASES: dict[str, Case] = {"784-64-10, batch 256": (256, (784, 64, 10)), "64-64-64, batch 4096": (4096, (64, 64, 64))}
PLAIN = "Linear[{}, bias=false]"
#: Seconds of each run of the side that `argv` names.
WORKER = """
import sys, time
import numpy as np
kind, path, batch, widths, runs, folder, cores = sys.argv[1:]
clock = time.thread_time if cores == "one" else time.perf_counter
batch, widths = int(batch), [int(w) for w in widths.split(",")]
rng = np.random.default_rng(0)
x = rng.uniform(-1.5, 1.5, (batch, widths[0])).astype(np.float32)
y = rng.standard_normal((batch, widths[-1])).astype(np.float32)
if kind == "onnx":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if cores == "one" else 0
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    run = lambda: session.run(None, {session.get_inputs()[0].name: x})
elif kind == "pykan":
    import torch
    from kan import KAN
    model = KAN(list(widths), grid=5, k=3, symbolic_enabled=False, save_act=False, auto_save=False)
    images = torch.from_numpy(x)
    def run():
        with torch.no_grad():
            model(images)
else:
    import torch
    sys.path.insert(0, folder)
    import kan as sides
    model = sides.modules(tuple(widths))[kind]
    images, targets = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.AdamW(model.parameters())
    def run():
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(images), targets).backward()
        optimizer.step()
if kind != "onnx" and cores == "one":
    torch.set_num_threads(1)
warm, count = time.perf_counter() + 0.5, 0
while count < 5 or time.perf_counter() < warm:
    run()
    count += 1
for _ in range(int(runs)):
    started = clock()
    run()
    print("seconds", clock() - started)
"""


def modules(widths: tuple[int, ...]):
    """Torch modules: ours, plain layers, and the recursion with the weights of ours."""
    import torch
    from torch.nn import functional

    import netdsl

    class Recursion(torch.nn.Module):
        """Bases by the recursion of Cox and de Boor on a grid for each input; base and spline branch, and a scale."""

        def __init__(self, base: torch.Tensor, weight: torch.Tensor) -> None:
            super().__init__()
            outputs, count = base.shape
            knots = torch.arange(-3, 9, dtype=torch.float32) * 0.4 - 1
            self.register_buffer("grid", knots.expand(count, -1).contiguous())
            self.base, self.weight = torch.nn.Parameter(base), torch.nn.Parameter(weight)
            self.scale = torch.nn.Parameter(torch.ones(outputs, count))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            grid, y = self.grid, x.unsqueeze(-1)
            bases = ((y >= grid[:, :-1]) & (y < grid[:, 1:])).to(x.dtype)
            for k in range(1, 4):
                left = (y - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)]) * bases[..., :-1]
                right = (grid[:, k + 1 :] - y) / (grid[:, k + 1 :] - grid[:, 1:-k]) * bases[..., 1:]
                bases = left + right
            spline = functional.linear(bases.flatten(1), (self.weight * self.scale.unsqueeze(-1)).flatten(1))
            return functional.linear(functional.silu(x), self.base) + spline

    ours = netdsl.load(text("edges[{}, BSpline]", widths))["Net"].torch()
    held = {path: p.detach().clone() for path, p in ours.named_parameters()}
    layers = [Recursion(held[f"l{at}.base"], held[f"l{at}.coef"]) for at in range(len(widths) - 1)]
    plain = netdsl.load(text(PLAIN, widths))["Net"].torch()
    return {"ours": ours.train(), "recursion": torch.nn.Sequential(*layers), "plain": plain.train()}


def text(layer: str, widths: tuple[int, ...]) -> str:
    """A network of layers of the given widths."""
    edge = layer.partition(", ")[2].rstrip("]")
    calls = " |> ".join(f"{layer.format(width)} as l{at}" for at, width in enumerate(widths[1:]))
    known = f"import std.edges: {edge}\n" if layer.startswith("edges") else ""
    return f"{known}network Net(x: f32[B, {widths[0]}]) -> f32[B, {widths[-1]}] {{ x |> {calls} }}\n"


def files(edge: str, widths: tuple[int, ...], batch: int, folder: Path) -> dict[str, Path]:
    """The ONNX files of the sides; that of the recursion gives what ours gives, if ours are B-splines."""
    import numpy as np
    import onnxruntime
    import torch

    import netdsl

    made = {name: folder / f"{name}.onnx" for name in ("ours", "recursion", "plain")}
    for name, layer in (("ours", f"edges[{{}}, {edge}]"), ("plain", PLAIN)):
        netdsl.load(text(layer, widths))["Net"].onnx(made[name])
    x = torch.empty(batch, widths[0]).uniform_(-1.5, 1.5)
    torch.onnx.export(modules(widths)["recursion"].eval(), (x,), str(made["recursion"]), dynamo=True, verbose=False)
    if edge != "BSpline":
        return made
    results = []
    for name in ("ours", "recursion"):
        session = onnxruntime.InferenceSession(made[name], providers=["CPUExecutionProvider"])
        results.append(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-3, atol=1e-3 * np.abs(results[1]).max())
    return made


def seconds(python: str, kind: str, path: Path | str, case: Case, cores: str, runs: int) -> list[float]:
    batch, widths = case
    folder = str(Path(__file__).parent)
    arguments = [kind, str(path), str(batch), ",".join(map(str, widths)), str(runs), folder, cores]
    done = subprocess.run([python, "-P", "-c", WORKER, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("seconds ")]


def paired(
    a: tuple[str, str, Path | str], b: tuple[str, str, Path | str], case: Case, options: argparse.Namespace
) -> Ratio:
    """Sides are (python, kind, file); the ratio is how often A fits in B."""
    cores = "one" if options.one_core else "all"
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(options.blocks):
        for at in (0, 1) if turn % 2 == 0 else (1, 0):
            times[at].extend(seconds(*(a, b)[at], case, cores, options.runs))
    return ratio_of(times[1], times[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--one-core", action="store_true", help="CPU time of one thread")
    parser.add_argument("--case", choices=CASES, help="one case alone")
    parser.add_argument("--edge", default="BSpline", help="an edge of std.edges")
    parser.add_argument("--pykan-python", default=sys.executable, help="an interpreter that has pykan and torch")
    options = parser.parse_args()
    has_pykan = (
        subprocess.run([options.pykan_python, "-P", "-c", "import kan.MultKAN"], capture_output=True).returncode == 0
    )
    if not has_pykan:
        print("pykan is not installed: left out", file=sys.stderr)
    rows: list[tuple[str, str]] = []
    data: dict[str, object] = {}
    is_short = False
    for title, case in CASES.items() if options.case is None else [(options.case, CASES[options.case])]:
        with tempfile.TemporaryDirectory() as name:
            made = files(options.edge, case[1], case[0], Path(name))
            here = sys.executable
            ours = (here, "onnx", made["ours"])
            wanted = 5.0 if case[0] == 256 else 8.0
            pairs = [
                ("recursion in ONNX Runtime", ours, (here, "onnx", made["recursion"]), wanted),
                ("plain layers in ONNX Runtime", ours, (here, "onnx", made["plain"]), 0.0),
                ("training step, recursion in eager torch", (here, "ours", ""), (here, "recursion", ""), 2.0),
                ("training step, plain layers", (here, "ours", ""), (here, "plain", ""), 0.0),
            ]
            if has_pykan:
                pairs.append(("pykan in eager torch", ours, (options.pykan_python, "pykan", ""), 40.0))
            for label, a, b, least in pairs:
                found = paired(a, b, case, options)
                data[f"{title}: {label}"] = found
                is_short |= found.ratio < least
                goal = f", goal {least:g}" if least else ""
                figures = f"{found.b_ms:.2f} ms against {found.a_ms:.2f} ms: {found.ratio:.2f} times as fast"
                rows.append((f"{title}: {label}", f"{figures} ({found.low:.2f} to {found.high:.2f}{goal})"))
                print(*rows[-1], file=sys.stderr, flush=True)
    report(f"Layers of {options.edge}, splines of grid 5 and order 3", rows, data, options.json)
    return 1 if is_short else 0


if __name__ == "__main__":
    sys.exit(main())
