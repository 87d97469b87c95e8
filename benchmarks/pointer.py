"""Pointer networks: hulls of five points learnt on the CPU, and greedy decoding in ONNX Runtime against eager torch.

python benchmarks/pointer.py [--json] [--minutes 9] [--hidden 128] [--save hull.npz] [--weights hull.npz] [--threads 1]

The first 1,000 hulls of the original test file are read from the folder that NETDSL_DATA names.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from paired import Ratio, compare, report

import netdsl

SPEC = Path(__file__).parents[1] / "specs" / "time" / "pointers.net"
POINTS = 5
WANTED_ACCURACY = 0.9
WANTED_SPEED = 3.0

Array = NDArray[np.generic]


def hulls(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Corners of each row's hull, counter-clockwise from the lowest index, one higher, then 0 to the end.

    Shapes: points (B, N, 2) -> (B, N + 1).
    """
    rows, count, _ = points.shape
    to = points[:, None] - points[:, :, None]
    # Every other point lies to the left of an edge of the hull.
    side = to[:, :, :, None, 0] * to[:, :, None, :, 1] - to[:, :, :, None, 1] * to[:, :, None, :, 0]
    own = np.eye(count, dtype=bool)
    free = (side > 0) | own[None, :, None, :] | own[None, None, :, :]
    is_edge = free.all(3) & ~own
    following = is_edge.argmax(2)
    first = is_edge.any(2).argmax(1)
    order = np.zeros((rows, count + 1), np.int64)
    at, is_open = first.copy(), np.ones(rows, bool)
    for step in range(count):
        order[:, step] = np.where(is_open, at + 1, 0)
        at = following[np.arange(rows), at]
        is_open &= at != first
    return order


def train(hidden: int, minutes: float, batch: int, threads: int) -> tuple[dict[str, Array], int, float]:
    """Weights, steps and the last loss, after teacher forcing on generated points.

    Args: minutes: of processor time for each thread; with nothing else to do these are minutes of the clock.
    """
    torch.set_num_threads(threads)
    module = netdsl.load(SPEC)["ConvexHullTaught"].set(hidden=hidden).torch(seed=0)
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
    rng = np.random.default_rng(0)
    length = torch.full((batch,), POINTS)
    begun, steps, loss = time.process_time(), 0, torch.zeros(())
    while (spent := (time.process_time() - begun) / (60 * minutes * threads)) < 1:
        points = rng.random((batch, POINTS, 2))
        target = hulls(points)
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.5 * (1 + np.cos(np.pi * spent))
        score = module(torch.from_numpy(points).float(), length, torch.from_numpy(target))
        loss = -score.sum() / batch
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 2.0)
        optimiser.step()
        steps += 1
        if steps % 500 == 0:
            print(f"{spent:5.0%} {steps:6d} steps, loss {loss.item():.4f}", file=sys.stderr, flush=True)
    weights = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    return weights, steps, float(loss.detach())


def session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def exact(run: ort.InferenceSession, points: Array, order: Array) -> float:
    """The share of rows whose whole sequence is right."""
    length = np.full(len(points), points.shape[1])
    (found,) = run.run(None, {"x": points.astype(np.float32), "length": length})
    return float((found == order).all(1).mean())


def original(count: int) -> tuple[Array, Array] | None:
    """Points and sequences of the original test file."""
    folder = os.environ.get("NETDSL_DATA")
    path = Path(folder or ".") / "convexhull5" / "convexhull5_test.npz"
    if folder is None or not path.exists():
        return None
    with np.load(path) as data:
        points, target = data["points"][:count], data["target"][:count].astype(int)
    # The file repeats the first corner at the end; here place 0 ends the sequence.
    corners = np.concatenate([target, np.full((len(target), 1), -1)], 1)
    last = (corners >= 0).sum(1) - 1
    corners[np.arange(len(target)), last] = -1
    return points, corners[:, :6] + 1


def speed(run: ort.InferenceSession, module: torch.nn.Module, batch: int, count: int) -> tuple[Ratio, float]:
    """Eager torch's time over ONNX Runtime's for one greedy decode, and the share of equal places."""
    rng = np.random.default_rng(count)
    inputs = {"x": rng.random((batch, count, 2)).astype(np.float32), "length": np.full(batch, count)}
    tensors = [torch.from_numpy(v) for v in inputs.values()]

    def by_torch() -> float:
        begun = time.perf_counter()
        with torch.inference_mode():
            module(*tensors)
        return time.perf_counter() - begun

    def by_onnx() -> float:
        begun = time.perf_counter()
        run.run(None, inputs)
        return time.perf_counter() - begun

    with torch.inference_mode():
        same = float((module(*tensors).numpy() == run.run(None, inputs)[0]).mean())
    return compare(by_torch, by_onnx, blocks=6, runs=30 if batch == 1 else 4, warm_up=3), same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    nets = netdsl.load(SPEC)
    rows: list[tuple[str, str]] = []
    data: dict[str, object] = {}
    if options.weights is not None:
        with np.load(options.weights) as file:
            weights = dict(file)
        options.hidden = len(weights["sequence.head.v"])
    else:
        weights, steps, loss = train(options.hidden, options.minutes, options.batch, options.threads)
        rows.append(
            (
                "training",
                f"{options.minutes:g} minutes of {options.threads} thread, {steps} steps of {options.batch}",
            )
        )
        data |= {"steps": steps, "loss": loss}
    if options.save is not None:
        np.savez(options.save, **weights)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hull.onnx"
        net = nets["ConvexHull"].set(hidden=options.hidden)
        net.onnx(path, weights=weights)
        run = session(path, options.threads)
        points = np.random.default_rng(1).random((10_000, POINTS, 2))
        data["generated"] = exact(run, points, hulls(points))
        rows.append(("exact, 10,000 generated cases", f"{data['generated']:.1%}"))
        cases = original(1_000)
        if cases is None:
            rows.append(("exact, original test file", "skipped: NETDSL_DATA names no folder with convexhull5"))
        else:
            data["original"] = accuracy = exact(run, *cases)
            rows.append(("exact, first 1,000 of the original test file", f"{accuracy:.1%}"))
            good = accuracy >= WANTED_ACCURACY
        torch.set_num_threads(options.threads)
        # Tours take every place; a hull would stop by itself.
        tours = nets["Tsp"].set(hidden=options.hidden)
        tours.onnx(path)
        run, module = session(path, options.threads), tours.torch().eval()
        for batch, count in ((1, 10), (1, 50), (256, 10), (256, 50)):
            ratio, same = speed(run, module, batch, count)
            data[f"batch {batch}, N = {count}"] = ratio
            interval = f"{ratio.ratio:.2f} times ({ratio.low:.2f} to {ratio.high:.2f})"
            times = f"torch {ratio.a_ms:.2f} ms, ONNX Runtime {ratio.b_ms:.2f} ms, {same:.1%} equal places"
            rows.append((f"greedy decode, batch {batch}, N = {count}", f"{interval}; {times}"))
            good = good and (batch > 1 or ratio.low >= WANTED_SPEED)
    report("Pointer networks", rows, data, options.json)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
