"""Kolmogorov-Arnold networks of `specs/kan/feynman.net` beside pykan on formulas of physics: RMSE on test data.

    python benchmarks/feynman.py [--json] [--seeds 3] [--steps 50] [--formulas NAME ..] [--pykan-python PYTHON]

Both sides have the shape [n, 5, 1], cubic splines on 5 intervals, the same 1,000 samples for training and 1,000 for
testing (inputs from -1 to 1, outputs in units of their deviation), full batches, L-BFGS with a strong Wolfe line search
(20 evaluations a step), and a grid update every 5 steps before step 50, which is pykan's default. A seed gives data and
start of both. pykan runs in a process of its own; where PYTHON does not have it, its column says so.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from paired import report

import netdsl
from netdsl.kan import update_grid

SPEC = Path(__file__).parents[1] / "specs" / "kan" / "feynman.net"
#: How many of the numbers each formula takes.
FORMULAS = {
    "gaussian": 2,
    "friction": 2,
    "spring": 2,
    "shifted_gaussian": 3,
    "moving_mass": 3,
    "added_velocities": 3,
    "focal_length": 3,
    "gas_energy": 3,
    "distance": 4,
    "coulomb": 4,
    "centre_of_mass": 4,
    "interference": 4,
    "torque": 3,
    "refraction": 2,
    "wave_number": 2,
    "doppler": 3,
    "two_waves": 3,
    "speed_of_sound": 3,
    "permittivity": 2,
    "oscillator": 4,
}
SAMPLES, HIDDEN, GRID, UPDATE_EVERY, UPDATE_BEFORE = 1000, 5, 5, 5, 50
#: pykan on the arrays of a file; prints the RMSE on the test data.
PEER = """
import sys, tempfile
import numpy as np, torch
from kan import KAN
path, hidden, grid, steps, seed = sys.argv[1:]
data = {k: torch.from_numpy(v) for k, v in np.load(path).items()}
torch.set_num_threads(1)
model = KAN([data["train_input"].shape[1], int(hidden), 1], grid=int(grid), k=3, seed=int(seed), auto_save=False)
model = model.speed()
model.fit(data, opt="LBFGS", steps=int(steps), log=10**6)
with torch.no_grad():
    print("rmse", float((model(data["test_input"]) - data["test_label"]).square().mean().sqrt()))
"""
Data = dict[str, np.ndarray]


def samples(formula: str, seed: int) -> Data:
    """Inputs from -1 to 1 and outputs of deviation 1, for training and for testing."""
    count = FORMULAS[formula]
    x = np.random.default_rng(seed).uniform(-1, 1, (2 * SAMPLES, 4)).astype(np.float32)
    y = np.asarray(netdsl.load(SPEC)["Formulas"].reference({"x": x})[formula])[:, None]
    y = ((y - y[:SAMPLES].mean()) / y[:SAMPLES].std()).astype(np.float32)
    parts = {"input": x[:, :count], "label": y}
    return {f"train_{k}": v[:SAMPLES] for k, v in parts.items()} | {f"test_{k}": v[SAMPLES:] for k, v in parts.items()}


def own_rmse(data: Data, steps: int, seed: int) -> float:
    """Train the network of the spec through its compiled module."""
    torch.set_num_threads(1)
    tensors = {name: torch.from_numpy(value) for name, value in data.items()}
    net = netdsl.load(SPEC, inputs=data["train_input"].shape[1], hidden=HIDDEN, grid=GRID)["FormulaKan"]
    model = net.torch(seed=seed)
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        lr=1,
        history_size=10,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-32,
        tolerance_change=1e-32,
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(tensors["train_input"]), tensors["train_label"])
        loss.backward()
        return loss

    for step in range(steps):
        if step % UPDATE_EVERY == 0 and step < UPDATE_BEFORE:
            update_grid(model, tensors["train_input"])
        optimizer.step(closure)
    with torch.no_grad():
        return float((model(tensors["test_input"]) - tensors["test_label"]).square().mean().sqrt())


def peer_rmse(python: str, data: Data, steps: int, seed: int) -> float:
    """Train pykan on the same data in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, **data)
        arguments = [python, "-c", PEER, str(path), str(HIDDEN), str(GRID), str(steps), str(seed)]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pykan stopped:\n{done.stderr[-2000:]}")
    return float(done.stdout.rpartition("rmse ")[2])


def has_pykan(python: str) -> bool:
    return subprocess.run([python, "-c", "import kan"], capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--formulas", nargs="*", choices=FORMULAS, default=list(FORMULAS))
    parser.add_argument("--pykan-python", default=sys.executable)
    options = parser.parse_args()
    is_paired = has_pykan(options.pykan_python)
    found: dict[str, dict[str, list[float]]] = {}
    rows = []
    for formula in options.formulas:
        own, peer = [], []
        for seed in range(options.seeds):
            data = samples(formula, seed)
            own.append(own_rmse(data, options.steps, seed))
            if is_paired:
                peer.append(peer_rmse(options.pykan_python, data, options.steps, seed))
        found[formula] = {"netdsl": own, "pykan": peer}
        text = f"RMSE {np.median(own):.2e}"
        if is_paired:
            wins = sum(a <= b for a, b in zip(own, peer, strict=True))
            text += f", pykan {np.median(peer):.2e}; no worse in {wins} of {len(own)} seeds"
        rows.append((formula, text))
        print(formula, text, file=sys.stderr, flush=True)
    if is_paired:
        better = [np.median(r["netdsl"]) <= np.median(r["pykan"]) for r in found.values()]
        rows.append(("formulas no worse than pykan", f"{sum(better)} of {len(better)} (medians)"))
    else:
        rows.append(("pykan", f"not installed in {options.pykan_python}: nothing to compare with"))
    title = f"Formulas of physics, {options.steps} steps, {options.seeds} seeds"
    report(title, rows, {"steps": options.steps, "rmse": json.loads(json.dumps(found))}, options.json)


if __name__ == "__main__":
    main()
