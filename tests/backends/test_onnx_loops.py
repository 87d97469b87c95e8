"""Loops in ONNX Runtime do what the reference does: T = 0 and 1, no rows, both directions, lengths, early stops."""

from pathlib import Path

import numpy as np
import pytest

from netdsl.backends.onnx.storage import stored
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Value
from netdsl.ops.activation import Sigmoid
from netdsl.ops.comparison import Gt
from netdsl.ops.elementwise import Add, Mul
from netdsl.ops.product import Matmul
from netdsl.ops.unary import Tanh
from netdsl.tensor_type import BOOL, F16, F32, F64, I8, I16, I32, I64, U8, DType, tensor
from tests.backends.onnx_graphs import Array, Builder, compare, op_types

B, T = Dim.of("B"), Dim.of("T")
AT_LEAST_ONE_STEP = Facts.EMPTY.with_bounds("T", 1, None)


def scan(
    *,
    axis: int,
    facts: Facts = Facts.EMPTY,
    reverse: bool = False,
    has_length: bool = False,
    has_until: bool = False,
    dtype: DType = F32,
    steps: Dim = T,
    sequences: int = 2,
) -> Graph:
    """Two carries of different rank, a captured generated weight, two sequences, three yields of different rank."""
    main, body = Builder(facts), Builder(facts)
    sizes = {0: (steps, B), 1: (B, steps)}[axis]
    x, u = Value(tensor(dtype, *sizes, 3), "x"), Value(tensor(dtype, *sizes), "u")
    h0, c0 = Value(tensor(dtype, B, 3), "h0"), Value(tensor(dtype, B), "c0")
    seed = Value(tensor(dtype, 3, 3), "seed")
    lengths = Value(tensor(I64, B), "lengths")
    weight = main(Tanh(), seed, hint="weight")

    xt, ut = Value(tensor(dtype, B, 3), "x"), Value(tensor(dtype, B), "u")
    h, c, w = Value(h0.type, "h"), Value(c0.type, "c"), Value(seed.type, "w")
    mixed = body(Tanh(), body(Add(), body(Matmul(), h, w), xt if sequences else h))
    more = body(Add(), c, body(Sigmoid(), ut if sequences else c))
    stop = [body(Gt(), more, body(Sigmoid(), more))] if has_until else []
    results = main.loop(
        body,
        (*((xt, ut) if sequences else ()), h, c, w),
        (mixed, more, mixed, more, c, *stop),
        (*((x, u) if sequences else ()), *([lengths] if has_length else []), h0, c0, weight),
        axis=axis,
        count=steps,
        sequences=sequences,
        carries=2,
        reverse=reverse,
        has_length=has_length,
        has_until=has_until,
    )
    inputs = {"x": x, "u": u, "seed": seed, "h0": h0, "c0": c0} | ({"lengths": lengths} if has_length else {})
    outputs = dict(zip(("ys", "ms", "cs", "h", "c"), results, strict=True))
    return main.graph(inputs, outputs)


def case(graph: Graph, *, rows: int, steps: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    env = {"B": rows, "T": steps}
    made: dict[str, Array] = {}
    for name, value in graph.inputs:
        shape = tuple(d.evaluate(env) for d in value.type.sizes)
        if value.type.dtype == I64:
            made[name] = rng.integers(0, steps + 2, shape)
        else:
            kind = {"f16": np.float16, "f32": np.float32, "f64": np.float64}[value.type.dtype.name]
            made[name] = rng.normal(size=shape).astype(kind)
    return made


def cases(graph: Graph, *, least: int = 0) -> list[dict[str, Array]]:
    sizes = [(rows, steps) for rows in (2, 1, 0) for steps in (5, 1, 0) if steps >= least]
    return [case(graph, rows=rows, steps=steps) for rows, steps in sizes]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("has_length", [False, True])
def test_loop_takes_any_number_of_steps_and_rows(axis: int, reverse: bool, has_length: bool, tmp_path: Path) -> None:
    graph = scan(axis=axis, reverse=reverse, has_length=has_length)
    model = compare(graph, cases(graph), folder=tmp_path)
    assert "Loop" in op_types(model)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("has_length", [False, True])
def test_scan_is_used_where_a_step_is_sure(axis: int, reverse: bool, has_length: bool, tmp_path: Path) -> None:
    graph = scan(axis=axis, reverse=reverse, has_length=has_length, facts=AT_LEAST_ONE_STEP)
    model = compare(graph, cases(graph, least=1), folder=tmp_path)
    assert "Scan" in op_types(model)
    assert "Loop" not in op_types(model)


@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_until_freezes_rows_and_ends_the_loop_early(has_length: bool, reverse: bool, tmp_path: Path) -> None:
    graph = scan(axis=1, reverse=reverse, has_length=has_length, has_until=True)
    compare(graph, cases(graph), folder=tmp_path)


def test_loop_counts_without_a_sequence(tmp_path: Path) -> None:
    graph = scan(axis=1, sequences=0, has_until=True)
    compare(graph, cases(graph), folder=tmp_path)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_constant_number_of_steps(count: int, tmp_path: Path) -> None:
    graph = scan(axis=1, steps=Dim.of(count), has_length=True)
    model = compare(graph, [case(graph, rows=2, steps=count), case(graph, rows=0, steps=count)], folder=tmp_path)
    assert ("Scan" in op_types(model)) == (count > 0)


@pytest.mark.parametrize(("dtype", "rtol"), [(F16, 1e-2), (F64, 1e-9)])
def test_loop_in_other_floats(dtype: DType, rtol: float, tmp_path: Path) -> None:
    for facts in (Facts.EMPTY, AT_LEAST_ONE_STEP):
        graph = scan(axis=1, dtype=dtype, has_length=True, facts=facts)
        compare(graph, cases(graph, least=1), folder=tmp_path, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("opset", [18, 19, 20, 22, 23])
def test_loop_at_every_opset(opset: int, tmp_path: Path) -> None:
    graph = scan(axis=1, has_length=True, has_until=True)
    compare(graph, cases(graph)[:3], folder=tmp_path, opset=opset)


def test_loop_in_a_loop_sees_outer_values(tmp_path: Path) -> None:
    main, outer, inner = Builder(), Builder(), Builder()
    x, w = Value(tensor(F32, B, T, 2), "x"), Value(tensor(F32, 2, 2), "w")
    start = Value(tensor(F32, B, 2), "start")
    h, w_in = Value(start.type, "h"), Value(w.type, "w")
    next_h = inner(Tanh(), inner(Matmul(), h, w_in))
    xt, g, w_out = Value(start.type, "x"), Value(start.type, "g"), Value(w.type, "w")
    (polished,) = outer.loop(inner, (h, w_in), (next_h,), (g, w_out), axis=0, count=Dim.of(3), sequences=0, carries=1)
    next_g = outer(Mul(), outer(Add(), polished, xt), xt)
    ys, last = main.loop(outer, (xt, g, w_out), (next_g, g), (x, start, w), axis=1, count=T, sequences=1, carries=1)
    graph = main.graph({"x": x, "w": w, "start": start}, {"ys": ys, "last": last})
    compare(graph, cases(graph), folder=tmp_path)


@pytest.mark.parametrize("dtype", [I64, I32, I16, I8, U8, BOOL, F16, F64], ids=str)
@pytest.mark.parametrize("facts", [Facts.EMPTY, AT_LEAST_ONE_STEP], ids=["loop", "scan"])
def test_masked_values_of_every_type(dtype: DType, facts: Facts, tmp_path: Path) -> None:
    """The body has no node: the step is the next carry and the yield, and a bool step says which rows stop."""
    main = Builder(facts)
    x, stop = Value(tensor(dtype, B, T, 2), "x"), Value(tensor(BOOL, B, T), "stop")
    start, lengths = Value(tensor(dtype, B, 2), "start"), Value(tensor(I64, B), "lengths")
    xt, stop_t, carry = Value(start.type, "x"), Value(tensor(BOOL, B), "stop"), Value(start.type, "h")
    has_until = facts == Facts.EMPTY
    results = main.loop(
        Builder(facts),
        (xt, stop_t, carry),
        (xt, xt, carry, *([stop_t] if has_until else [])),
        (x, stop, lengths, start),
        axis=1,
        count=T,
        sequences=2,
        carries=1,
        has_length=True,
        has_until=has_until,
    )
    graph = main.graph(
        {"x": x, "stop": stop, "start": start, "lengths": lengths}, dict(zip(("y", "z", "h"), results, strict=True))
    )
    rng = np.random.default_rng(0)
    kind = stored(dtype)
    made = [
        {
            "x": rng.integers(0, 2 if dtype == BOOL else 9, (rows, steps, 2)).astype(kind),
            "stop": rng.random((rows, steps)) < 0.3,
            "start": rng.integers(0, 2, (rows, 2)).astype(kind),
            "lengths": rng.integers(0, steps + 2, rows),
        }
        for rows, steps in ((4, 5), (1, 1), (0, 2))
    ]
    compare(graph, made, folder=tmp_path, rtol=0, atol=0)


def test_until_of_the_whole_loop(tmp_path: Path) -> None:
    """A scalar stops every row at once."""
    main, body = Builder(), Builder()
    x, limit = Value(tensor(F32, B, 3), "x"), Value(tensor(F32), "limit")
    count, h, c, inner_limit = (
        Value(tensor(F32), "n"),
        Value(x.type, "h"),
        Value(tensor(F32), "c"),
        Value(limit.type, "l"),
    )
    following = (body(Mul(), h, h), body(Add(), c, inner_limit))
    stop = body(Gt(), following[1], body(Sigmoid(), following[1]))
    results = main.loop(
        body,
        (h, c, inner_limit),
        (*following, *following, stop),
        (x, count, limit),
        axis=0,
        count=Dim.of(6),
        sequences=0,
        carries=2,
        has_until=True,
    )
    graph = main.graph({"x": x, "n": count, "limit": limit}, dict(zip(("hs", "cs", "h", "c"), results, strict=True)))
    made = [
        {"x": np.full((rows, 3), 0.9, np.float32), "n": np.float32(0), "limit": np.float32(limit)}
        for rows, limit in ((2, 0.3), (1, 2.0), (0, 0.3), (2, -1.0))
    ]
    compare(graph, made, folder=tmp_path)
