"""Row 14, pointer networks that keep several sequences: a search by log-probabilities of the networks that are taught."""

from itertools import permutations
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tests.catalogue.test_pointer import TIE, net, points, spread

Arrays = dict[str, np.ndarray]


def log_probabilities(task: str, weights: Arrays, given: Arrays, row: int, sequences: np.ndarray) -> np.ndarray:
    """Of each step of sequences of one row."""
    rows = {name: np.repeat(value[row : row + 1], len(sequences), 0) for name, value in given.items()}
    return net(f"{task}Taught").reference(rows | {"target": sequences}, weights=weights)["score"]


def searched(task: str, weights: Arrays, given: Arrays, row: int, width: int) -> tuple[list[int], float]:
    """The best sequence of a beam search, and how far it is from being another one."""
    points, length = given["x"].shape[1], int(given["length"][row])
    choices, steps = (points, length) if task == "Tsp" else (points + 1, points + 1)
    beam: list[tuple[float, list[int]]] = [(0.0, [])]
    gap = np.inf
    for step in range(steps):
        ended = [one for one in beam if task != "Tsp" and 0 in one[1]]
        live = [one for one in beam if one not in ended]
        grown = list(ended)
        if live:
            tails = [0] * ((points if task == "Tsp" else steps) - step - 1)
            sequences = np.array([[*picks, pick, *tails] for _, picks in live for pick in range(choices)])
            scores = log_probabilities(task, weights, given, row, sequences)[:, step].reshape(len(live), choices)
            grown += [
                (t + s, [*picks, k]) for (t, picks), by in zip(live, scores, strict=True) for k, s in enumerate(by)
            ]
        grown.sort(key=lambda one: -one[0])
        beam = grown[:width]
        if len(grown) > width:
            gap = min(gap, beam[-1][0] - grown[width][0])
    return beam[0][1], min(gap, beam[0][0] - beam[1][0]) if width > 1 else gap


@pytest.mark.parametrize("task", ["ConvexHull", "Tsp"])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_search_is_that_of_plain_python(task: str, width: int, tmp_path: Path) -> None:
    network = net(task).set(beam=width)
    weights = spread(network)
    network.onnx(tmp_path / "pointer.onnx", weights=weights)
    session = ort.InferenceSession(tmp_path / "pointer.onnx", providers=["CPUExecutionProvider"])
    module = network.torch(weights=weights).eval()
    told, parted = 0, 0
    for rows, count in ((1, 5), (6, 4), (3, 9)):
        given = points(rows, count)
        with torch.no_grad():
            by_torch = module(*(torch.from_numpy(v) for v in given.values())).numpy()
        (by_onnx,) = session.run(None, given)
        expected = network.reference(given, weights=weights)["order"]
        greedy = net(task).reference(given, weights=weights)["order"]
        for row in range(rows):
            best, gap = searched(task, weights, given, row, width)
            np.testing.assert_array_equal(expected[row][: len(best)], best)
            assert not expected[row][len(best) :].any()
            parted += bool((expected[row] != greedy[row]).any())
            if gap > TIE:
                told += 1
                np.testing.assert_array_equal(by_torch[row], expected[row])
                np.testing.assert_array_equal(by_onnx[row], expected[row])
    assert told >= 8
    assert bool(parted) is (width > 1)


def test_a_wide_search_finds_the_best_tour_of_all() -> None:
    wide = net("Tsp").set(beam=24)
    weights = spread(wide)
    given = points(8, 4) | {"length": np.full(8, 4)}
    every = np.array(list(permutations(range(4))))
    found = wide.reference(given, weights=weights)["order"]
    for row in range(8):
        best = log_probabilities("Tsp", weights, given, row, every).sum(1).argmax()
        np.testing.assert_array_equal(found[row], every[best])


def test_padding_changes_nothing() -> None:
    for task in ("ConvexHull", "Tsp"):
        network = net(task).set(beam=3)
        module, given = network.torch(weights=spread(network)), points(8, 7)
        padded = np.arange(7) >= given["length"][:, None]
        other = given | {"x": np.where(padded[..., None], np.float32(40), given["x"])}
        results = [module(*(torch.from_numpy(v) for v in values.values())) for values in (given, other)]
        assert torch.equal(*results)
