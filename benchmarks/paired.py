"""Paired timing: two sides alternate in blocks, and the ratio of their medians gets a bootstrap interval."""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of side A over median of side B, with its 95 % bootstrap interval; times in ms."""

    a_ms: float
    b_ms: float
    ratio: float
    low: float
    high: float
    runs: int


def compare(
    a: Callable[[], float], b: Callable[[], float], *, blocks: int = 4, runs: int = 10, warm_up: int = 1
) -> Ratio:
    """Time both sides in turn.

    Args: a, b: run a block and return seconds of one run; blocks of `runs` alternate, `blocks` a side.
    """
    for _ in range(warm_up):
        a()
        b()
    times_a: list[float] = []
    times_b: list[float] = []
    for block in range(blocks):
        first, second = ((a, times_a), (b, times_b)) if block % 2 == 0 else ((b, times_b), (a, times_a))
        for call, times in (first, second):
            times.extend(call() for _ in range(runs))
    return ratio_of(times_a, times_b)


def ratio_of(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Ratio:
    """The ratio of medians of two samples of seconds."""
    rng = np.random.default_rng(seed)
    x, y = np.asarray(a), np.asarray(b)
    resampled = np.median(rng.choice(x, (2000, len(x))), axis=1) / np.median(rng.choice(y, (2000, len(y))), axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Ratio(
        1e3 * statistics.median(a),
        1e3 * statistics.median(b),
        statistics.median(a) / statistics.median(b),
        float(low),
        float(high),
        len(a),
    )


def report(title: str, rows: Sequence[tuple[str, str]], data: dict[str, object], as_json: bool) -> None:
    """Print a table, or the same figures as JSON."""
    if as_json:
        json.dump(data, sys.stdout, indent=2, default=lambda o: asdict(o))
        print()
        return
    print(title)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
