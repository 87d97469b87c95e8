"""Sums of groups of rows in ONNX Runtime: the forms that do not race, side by side, and how the chosen ones grow.

python benchmarks/aggregate.py [--json] [--threads 1,2,8] [--largest 10000000] [--repeats 5]

Each form gives the sums of the reference. One form at a time has a live session, in turn, so that thread pools do not
fight. Growth is measured in a process of its own for each size: milliseconds and the peak of memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from paired import report

import netdsl
from netdsl.backends.onnx import segment
from netdsl.backends.onnx.model import build_model

Array = NDArray[Any]
CORA = (10_556, 2_708)
WIDTHS = (1, 16, 64, 256, 1_433)
LARGE = (1_000_000, 100_000, 64)
#: (rows, width) of what grows: the narrow form and the wide one.
GROWTH = tuple((10**k, width) for width in (16, 40) for k in (5, 6, 7))


def ours(width: int, most_scattered: int) -> bytes:
    """`aggregate[sum]`, in blocks where rows are wider than `most_scattered`."""
    header = f"(x: f32[E, {width}], by: idx[N][E], t: f32[N]) -> y: f32[N, {width}]"
    graph = netdsl.load(f"network T{header} {{\n    y = x |> aggregate[sum](by=by)\n}}\n")["T"].graph
    with mock.patch.object(segment, "_NARROW", most_scattered):
        return build_model(graph, {}).SerializeToString()


def by_hand(nodes: list[Any], initializers: dict[str, Array], width: int) -> bytes:
    """A model with the inputs of ours around some nodes."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "sums",
        [
            info("x", TensorProto.FLOAT, ["E", width]),
            info("by", TensorProto.INT64, ["E"]),
            info("t", TensorProto.FLOAT, ["N"]),
        ],
        [info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    opset = helper.make_opsetid("", 21)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


def by_rows(width: int) -> bytes:
    """ScatterElements over the first axis."""
    node = helper.make_node
    nodes = [
        node("Shape", ["t"], ["n"]),
        node("Concat", ["n", "d"], ["nd"], axis=0),
        node("Shape", ["x"], ["ed"]),
        node("Expand", ["zero", "nd"], ["table"]),
        node("Unsqueeze", ["by", "last"], ["column"]),
        node("Expand", ["column", "ed"], ["index"]),
        node("ScatterElements", ["table", "index", "x"], ["y"], axis=0, reduction="add"),
    ]
    return by_hand(nodes, {"d": np.array([width]), "last": np.array([1]), "zero": np.zeros((), np.float32)}, width)


def running(width: int) -> bytes:
    """Rows sorted by group, running sums in float64, and differences at the groups' ends."""
    node = helper.make_node
    nodes = [
        node("Shape", ["t"], ["n"]),
        node("Shape", ["by"], ["e"]),
        node("TopK", ["by", "e"], ["sorted", "order"], axis=0, largest=0, sorted=1),
        node("Expand", ["none", "n"], ["nothing"]),
        node("Expand", ["one", "e"], ["ones"]),
        node("ScatterElements", ["nothing", "by", "ones"], ["count"], axis=0, reduction="add"),
        node("CumSum", ["count", "none"], ["end"]),
        node("Sub", ["end", "count"], ["start"]),
        node("Gather", ["x", "order"], ["rows"], axis=0),
        node("Cast", ["rows"], ["wide"], to=TensorProto.DOUBLE),
        node("CumSum", ["wide", "none"], ["total"]),
        node("Concat", ["first", "total"], ["totals"], axis=0),
        node("Gather", ["totals", "end"], ["upper"], axis=0),
        node("Gather", ["totals", "start"], ["lower"], axis=0),
        node("Sub", ["upper", "lower"], ["sum"]),
        node("Cast", ["sum"], ["y"], to=TensorProto.FLOAT),
    ]
    initializers = {"none": np.zeros((), np.int64), "one": np.ones((), np.int64), "first": np.zeros((1, width))}
    return by_hand(nodes, initializers, width)


FORMS: dict[str, Callable[[int], bytes]] = {
    "scatter by rows": by_rows,
    "scatter by columns": lambda width: ours(width, 1 << 30),
    "sort, running sums in f64": running,
    "sort, blocks": lambda width: ours(width, 0),
}


def data(rows: int, groups: int, width: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, width), np.float32)
    return {"x": x, "by": rng.integers(0, groups, rows), "t": np.zeros(groups, np.float32)}


def session(model: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def timed(model: bytes, feeds: dict[str, Array], threads: int, repeats: int) -> tuple[float, Array]:
    """Median milliseconds of a run, and the result."""
    live = session(model, threads)
    found = live.run(None, feeds)[0]
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        live.run(None, feeds)
        times.append(1e3 * (time.perf_counter() - start))
    return median(times), found


def forms(threads: list[int], repeats: int, largest: int) -> Iterator[dict[str, Any]]:
    """Milliseconds of each form at each size."""
    sizes = [size for size in (*((*CORA, w) for w in WIDTHS), LARGE) if size[0] <= largest]
    for rows, groups, width in sizes:
        feeds = data(rows, groups, width)
        expected = np.zeros((groups, width))
        np.add.at(expected, feeds["by"], feeds["x"].astype(np.float64))
        for count in threads:
            row: dict[str, Any] = {"rows": rows, "width": width, "threads": count, "ms": {}}
            for name, make in FORMS.items():
                took, found = timed(make(width), feeds, count, repeats)
                np.testing.assert_allclose(found, expected, atol=1e-4)
                row["ms"][name] = took
            yield row


def grown(rows: int, width: int) -> dict[str, float]:
    """Milliseconds and peak memory of the chosen form, in this process."""
    feeds = data(rows, rows // 10, width)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
    took, _ = timed(ours(width, segment._NARROW), feeds, 2, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"rows": rows, "width": width, "ms": took, "megabytes": (peak - before) / 1024}


def growth(largest: int) -> Iterator[dict[str, float]]:
    for rows, width in GROWTH:
        if rows <= largest:
            command = [sys.executable, str(Path(__file__)), "--one", f"{rows},{width}"]
            yield json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", default="1,2,8")
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        rows, width = map(int, given.one.split(","))
        json.dump(grown(rows, width), sys.stdout)
        return
    compared = list(forms([int(n) for n in given.threads.split(",")], given.repeats, given.largest))
    scaled = list(growth(given.largest))
    table = [
        (
            f"{row['rows']:,} x {row['width']}, {row['threads']} threads",
            ", ".join(f"{name} {ms:.2f}" for name, ms in row["ms"].items()),
        )
        for row in compared
    ]
    table += [
        (f"{row['rows']:,.0f} x {row['width']:.0f}", f"{row['ms']:.1f} ms, {row['megabytes']:.0f} MB") for row in scaled
    ]
    report("sums of groups of rows, ms", table, {"forms": compared, "growth": scaled}, given.json)


if __name__ == "__main__":
    main()
