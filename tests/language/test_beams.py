"""R12: a beam search is that of plain Python, a wide one finds the best of all sequences, a narrow one is greedy."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from netdsl.api import Network
from netdsl.ir_text import print_graph
from tests.language.nets import Array, network, run

#: A memory of what was chosen, told apart by random numbers; 0 ends.
WORDS = """
order, score, h, n = decode {steps}[{options}] from (h=x, n=zeros[B, dtype=i64]) {until} {{
pick, score = decide(h @ w)
h = tanh(h @ v + take(u, pick))
n = n + 1
yield pick, score
}}
"""
HEADER = (
    "(x: f32[B, 4], v: f32[4, 4], w: f32[4, {n}], u: f32[{n}, 4]) -> "
    "(order: idx[{n}][B, {steps}], score: f32[B, {steps}], h: f32[B, 4], n: i64[B])"
)
ENDS = "until pick == 0"
MOVES = "until abs(h[:, 1] - before.h[:, 1]) < 0.3"
#: Whether a sequence ends, by its memory before a step and after it and by what it picked.
STOPS: dict[str, Callable[[Array, Array, int], bool]] = {
    ENDS: lambda before, h, pick: pick == 0,
    MOVES: lambda before, h, pick: bool(abs(h[1] - before[1]) < 0.3),
    "": lambda before, h, pick: False,
}


def words(width: int, steps: int = 5, choices: int = 4, until: str = ENDS, options: str = "") -> Network:
    body = WORDS.format(steps=steps, options=f"beam={width}{options}", until=until)
    return network(HEADER.format(n=choices, steps=steps), body)


def numbers(rows: int, seed: int, choices: int = 4) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    shapes = {"x": (rows, 4), "v": (4, 4), "w": (4, choices), "u": (choices, 4)}
    return {name: (1.5 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


class Found(NamedTuple):
    """One sequence: its log-probability, its choices with theirs, its memory, whether it has ended."""

    total: float
    picks: tuple[int, ...]
    scores: tuple[float, ...]
    h: Array
    ended: bool


def log_softmax(logits: Array) -> Array:
    most = logits.max()
    return logits - most - np.log(np.exp(logits - most).sum())


def searched(
    row: int, given: dict[str, Array], width: int, steps: int, until: str = ENDS, shifts: Array | None = None
) -> Found:
    """A beam search over one row. `shifts` are added to the logits of each step."""
    x, v, w, u = (given[name].astype(float) for name in "xvwu")
    beam = [Found(0.0, (), (), x[row], False)]
    for step in range(steps):
        shift = 0 if shifts is None else shifts[row, step]
        grown = []
        for one in beam:
            if one.ended:
                grown.append(one)
                continue
            for pick, score in enumerate(log_softmax(one.h @ w + shift)):
                h = np.tanh(one.h @ v + u[pick])
                picks, scores = (*one.picks, pick), (*one.scores, score)
                grown.append(Found(one.total + score, picks, scores, h, STOPS[until](one.h, h, pick)))
        beam = sorted(grown, key=lambda one: -one.total)[:width]
    return beam[0]


def best_of_all(row: int, given: dict[str, Array], choices: int, steps: int) -> float:
    """The largest log-probability of any sequence."""
    x, v, w, u = (given[name].astype(float) for name in "xvwu")
    found = []
    for picks in itertools.product(range(choices), repeat=steps):
        h, total = x[row], 0.0
        for pick in picks:
            total += log_softmax(h @ w)[pick]
            h = np.tanh(h @ v + u[pick])
            if pick == 0:
                break
        found.append(total)
    return max(found)


def expect(found: dict[str, Array], given: dict[str, Array], width: int, steps: int, until: str = ENDS) -> None:
    for row in range(len(given["x"])):
        best = searched(row, given, width, steps, until)
        made = len(best.picks)
        np.testing.assert_array_equal(found["order"][row], [*best.picks, *[0] * (steps - made)])
        np.testing.assert_allclose(found["score"][row], [*best.scores, *[0] * (steps - made)], atol=1e-5)
        np.testing.assert_allclose(found["h"][row], best.h, atol=1e-5)
        assert made == found["n"][row]


def session(net: Network, folder: Path) -> Callable[[dict[str, Array]], dict[str, Array]]:
    net.onnx(folder / "net.onnx")
    made = ort.InferenceSession(folder / "net.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in made.get_outputs()]
    return lambda given: dict(zip(names, made.run(None, given), strict=True))


@pytest.mark.parametrize("until", STOPS, ids=["ends", "moves", "endless"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
def test_a_search_is_that_of_plain_python(width: int, until: str, tmp_path: Path) -> None:
    net = words(width, until=until)
    in_onnx = session(net, tmp_path)
    for rows, seed in ((1, 0), (1, 1), (4, 2), (9, 3), (0, 4)):
        given = numbers(rows, seed)
        expect(run(net, **given), given, width, 5, until)
        expect(in_onnx(given), given, width, 5, until)


def test_one_sequence_is_the_greedy_one() -> None:
    greedy = network(HEADER.format(n=4, steps=5), WORDS.format(steps="5", options="axis=1", until=ENDS))
    assert print_graph(greedy.graph) == print_graph(words(1).graph)
    given = numbers(20, 0)
    assert not np.array_equal(run(words(3), **given)["order"], run(greedy, **given)["order"])


@pytest.mark.parametrize(("choices", "steps"), [(2, 5), (3, 3), (5, 2)])
def test_a_wide_beam_finds_the_best_of_all_sequences(choices: int, steps: int) -> None:
    net, given = words(choices ** (steps - 1), steps, choices), numbers(25, 5, choices)
    found = run(net, **given)["score"].sum(1)
    best = [best_of_all(row, given, choices, steps) for row in range(25)]
    np.testing.assert_allclose(found, best, atol=1e-5)
    narrow = run(words(2, steps, choices), **given)["score"].sum(1)
    assert (narrow <= found + 1e-5).all()


def test_any_number_of_steps_of_choices_and_of_rows(tmp_path: Path) -> None:
    header = (
        "(x: f32[B, 4], v: f32[4, 4], w: f32[4, N], u: f32[N, 4], t: f32[T]) -> "
        "(order: idx[N][B, T], score: f32[B, T], h: f32[B, 4], n: i64[B]) where N >= 1"
    )
    net = network(header, WORDS.format(steps="T", options="beam=4", until=ENDS))
    in_onnx = session(net, tmp_path)
    for rows, choices, steps in ((1, 1, 3), (2, 2, 1), (3, 7, 6), (5, 3, 0), (1, 40, 9)):
        given = numbers(rows, choices, choices)
        for found in (run(net, **given, t=np.zeros(steps)), in_onnx(given | {"t": np.zeros(steps, np.float32)})):
            expect(found, given, 4, steps)


def test_each_row_has_its_own_length() -> None:
    header = HEADER.format(n=4, steps=5).replace(") ->", ", length: i64[B]) ->", 1)
    given, lengths = numbers(5, 7), [0, 1, 3, 5, 9]
    for until in (ENDS, ""):
        body = WORDS.format(steps=5, options="beam=3, length=length", until=until)
        found = run(network(header, body), **given, length=lengths)
        for row, length in enumerate(lengths):
            steps = min(length, 5)
            one = {name: value[row : row + 1] for name, value in found.items()}
            assert not one["order"][:, steps:].any() and not one["score"][:, steps:].any()
            one |= {name: one[name][:, :steps] for name in ("order", "score")}
            expect(one, given | {"x": given["x"][row : row + 1]}, 3, steps, until)


@pytest.mark.parametrize("until", [ENDS, ""], ids=["ends", "endless"])
def test_rows_are_all_axes_but_the_last_and_steps_stand_where_the_loop_says(until: str) -> None:
    def found(x: str, order: str, score: str, h: Array, options: str) -> dict[str, Array]:
        body = "order, score, seen = decode 5[{}] from (h=x) {} {{\npick, score = decide(h @ w)\n"
        body += "h = tanh(h @ v + take(u, pick))\nyield pick, score, h\n}}"
        header = (
            f"(x: {x}, v: f32[4, 4], w: f32[4, 3], u: f32[3, 4]) -> (order: {order}, score: {score}, seen: f32[{{}}])"
        )
        seen = {"f32[4]": "4, 5", "f32[B, 4]": "B, 4, 5", "f32[A, B, 4]": "A, B, 5, 4"}[x]
        seen = "5, B, 4" if "axis=0" in options else seen
        net = network(header.format(seen), body.format(f"beam=3{options}", until))
        return run(net, **given | {"x": h})

    given = numbers(6, 8, 3)
    plain = found("f32[B, 4]", "idx[3][B, 5]", "f32[B, 5]", given["x"], ", axis=2")
    expected = searched(2, given, 3, 5, until)
    np.testing.assert_array_equal(plain["order"][2][: len(expected.picks)], expected.picks)
    np.testing.assert_allclose(plain["seen"][2][:, len(expected.picks) - 1], expected.h, atol=1e-5)
    first = found("f32[B, 4]", "idx[3][5, B]", "f32[5, B]", given["x"], ", axis=0")
    one = found("f32[4]", "idx[3][5]", "f32[5]", given["x"][2], "")
    two = found("f32[A, B, 4]", "idx[3][A, B, 5]", "f32[A, B, 5]", given["x"].reshape(2, 3, 4), ", axis=2")
    for name, value in plain.items():
        np.testing.assert_allclose(np.moveaxis(first[name], 0, -1), value, atol=1e-5)
        np.testing.assert_allclose(one[name], value[2], atol=1e-5)
        other = np.moveaxis(two[name], 2, -1) if name == "seen" else two[name]
        np.testing.assert_allclose(other.reshape(value.shape), value, atol=1e-5)


def test_what_all_sequences_share_has_no_sequences() -> None:
    body = """
order, at, t = decode 4[beam=3] from (h=x, t=10) given (s=s) {
pick, _ = decide(h @ w + s)
h = tanh(h @ v + take(u, pick))
t = t + 1
yield pick, t
}
"""
    header = "(x: f32[B, 4], v: f32[4, 4], w: f32[4, 3], u: f32[3, 4], s: f32[B, 4, 3]) -> "
    net = network(header + "(order: idx[3][B, 4], at: i64[4], t: i64)", body.replace("at, t =", "at, _, t ="))
    given, s = numbers(5, 9, 3), np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    found = run(net, **given, s=s)
    best = [searched(row, given, 3, 4, "", s).picks for row in range(5)]
    np.testing.assert_array_equal(found["order"], best)
    np.testing.assert_array_equal(found["at"], [11, 12, 13, 14])
    assert 14 == found["t"]


@pytest.mark.parametrize("until", [ENDS, pytest.param("", marks=pytest.mark.long)], ids=["ends", "endless"])
def test_a_search_compiles_once_and_exports_with_every_length(until: str) -> None:
    header = (
        "(x: f32[B, 4], v: f32[4, 4], w: f32[4, N], u: f32[N, 4], t: f32[T]) -> "
        "(order: idx[N][B, T], score: f32[B, T], h: f32[B, 4], n: i64[B]) where N >= 1, T >= 1"
    )
    module = network(header, WORDS.format(steps="T", options="beam=3", until=until)).torch()
    counter = CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend=counter, dynamic=True)

    def given(rows: int, choices: int, steps: int) -> list[torch.Tensor]:
        arrays = [*numbers(rows, steps, choices).values(), np.zeros(steps, np.float32)]
        return [torch.from_numpy(a).requires_grad_() for a in arrays]

    auto = torch.export.Dim.AUTO
    free = ({0: auto}, None, {1: auto}, {0: auto}, {0: auto})
    exported = torch.export.export(module, tuple(given(3, 6, 8)), dynamic_shapes=free).module()
    for rows, choices, steps in ((3, 6, 8), (5, 7, 9), (7, 8, 3)):
        leaves = [given(rows, choices, steps) for _ in range(2)]
        results = [call(*values) for call, values in zip((module, compiled), leaves, strict=True)]
        for found in (results[1], exported(*leaves[0])):
            assert torch.equal(results[0][0], found[0]) and torch.equal(results[0][3], found[3])
            torch.testing.assert_close(found[1], results[0][1], rtol=1e-5, atol=1e-5)
        for result in results:
            (result[1].sum() + result[2].square().sum()).backward()
        for a, b in zip(*(values[:4] for values in leaves), strict=True):
            assert a.grad is not None and a.grad.abs().sum() > 0
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-4)
    assert 1 == counter.frame_count
    torch._dynamo.reset()


def test_excluded_choices_never_come_back(tmp_path: Path) -> None:
    """Sequences of a beam that is too wide reach states in which nothing may be chosen, and no number is left."""
    body = """
order, score = decode N[beam=40] from (h=x[:, 0], free=full[B, N, value=true, dtype=bool]) {
pick, score = decide(select(free, sum[axis=-1](x * h[:, none]), -inf))
h = h + take_each(x, pick)
free = free & ~one_hot[N, dtype=bool](pick)
yield pick, score
}
"""
    net = network("(x: f32[B, N, 2]) -> (order: idx[N][B, N], score: f32[B, N]) where N >= 1", body)
    x = np.random.default_rng(0).normal(size=(6, 4, 2)).astype(np.float32)
    for found in (run(net, x=x), session(net, tmp_path)({"x": x})):
        for row in range(6):
            totals = []
            for order in itertools.permutations(range(4)):
                h, free, total = x[row, 0].astype(float), np.ones(4, bool), 0.0
                for pick in order:
                    total += log_softmax(np.where(free, x[row] @ h, -np.inf))[pick]
                    h, free[pick] = h + x[row, pick], False
                totals.append((total, order))
            np.testing.assert_allclose(found["score"][row].sum(), max(totals)[0], atol=1e-5)
            assert tuple(found["order"][row]) == max(totals)[1]


def test_a_search_stands_in_a_loop_and_loops_stand_in_a_search(tmp_path: Path) -> None:
    header = "(x: f32[B, T, 4], v: f32[4, 4], w: f32[4, 3], u: f32[3, 4]) -> (order: idx[3][B, T, 4], h: f32[B, 4])"
    outer = "order, h = scan x[axis=1] from (h=zeros[B, 4]) {{\no, g = decode 4[beam=2] from (g=h + x) {until} {{\n"
    inner = "pick, _ = decide(g @ w)\n{turns}\nyield pick\n}}\nh = g\nyield o\n}}"
    turns = "_, g = scan 1[axis=1] from (g=g) {\ng = tanh(g @ v + take(u, pick))\nyield g\n}"
    given = numbers(3, 1, 3) | {"x": np.random.default_rng(3).normal(size=(3, 5, 4)).astype(np.float32)}
    for until in (ENDS, ""):
        net = network(header, (outer + inner).format(until=until, turns=turns))
        for found in (run(net, **given), session(net, tmp_path)(given)):
            for row in range(3):
                h = np.zeros(4)
                for step in range(5):
                    start = h + given["x"][:, step].astype(float)
                    best = searched(row, given | {"x": start}, 2, 4, until)
                    np.testing.assert_array_equal(found["order"][row, step][: len(best.picks)], best.picks)
                    h = best.h
                np.testing.assert_allclose(found["h"][row], h, atol=1e-5)


@pytest.mark.parametrize("until", [ENDS, ""], ids=["ends", "endless"])
def test_gradients_are_those_of_the_sequence_that_was_found(until: str) -> None:
    header = HEADER.format(n=4, steps=5).replace(") ->", ", target: idx[4][B, 5]) ->", 1)
    body = WORDS.format(steps=5, options="axis=1", until=f"{until} given target")
    taught, free = network(header, body).torch(), words(4, until=until).torch()
    leaves = [[torch.from_numpy(v).requires_grad_() for v in numbers(7, 2).values()] for _ in range(2)]
    order, score, h, _ = free(*leaves[0])
    _, same, other, _ = taught(*leaves[1], order)
    torch.testing.assert_close(score, same)
    for made in ((score, h), (same, other)):
        (made[0].sum() + made[1].square().sum()).backward()
    for a, b in zip(*leaves, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
