"""A loop over a cell of the standard library is one recurrent operator, equal to the reference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from netdsl.api import load
from netdsl.backends.onnx.model import build
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Instance, Value
from netdsl.ops.activation import Sigmoid
from netdsl.ops.elementwise import Add, Mul, Sub
from netdsl.ops.pieces import Split
from netdsl.ops.product import Matmul
from netdsl.ops.shape import Transpose
from netdsl.ops.unary import Tanh
from netdsl.source import NO_SPAN
from netdsl.tensor_type import F16, F32, F64, I64, DType, tensor
from tests.backends.onnx_graphs import Array, Builder, compare, op_types
from tests.backends.test_onnx_loops import cases

B, T = Dim.of("B"), Dim.of("T")
FEATURES, HIDDEN = 3, 4
GATES = {"LstmCell": 4, "GruCell": 3, "RnnCell": 1}
OPERATORS = {"LstmCell": "LSTM", "GruCell": "GRU", "RnnCell": "RNN"}
NOT_EMPTY = Facts.EMPTY.with_bounds("T", 1, None).with_bounds("B", 1, None)


def lstm(b: Builder, x: Value, h: Value, c: Value, w: Sequence[Value]) -> tuple[Value, ...]:
    wide = b(Add(), b(Matmul(), x, b(Transpose((1, 0)), w[0], instance=1), instance=1), w[1], instance=1)
    inner = b(Matmul(), h, b(Transpose((1, 0)), w[2], instance=1), instance=1)
    gates = b(Add(), b(Add(), wide, inner, instance=1), w[3], instance=1)
    i, f, g, o = b.many(Split((Dim.of(HIDDEN),) * 4, -1), gates, instance=1)
    kept = b(Mul(), b(Sigmoid(), f, instance=1), c, instance=1)
    new = b(Mul(), b(Sigmoid(), i, instance=1), b(Tanh(), g, instance=1), instance=1)
    c = b(Add(), kept, new, instance=1)
    return b(Mul(), b(Sigmoid(), o, instance=1), b(Tanh(), c, instance=1), instance=1), c


def gru(b: Builder, x: Value, h: Value, w: Sequence[Value]) -> tuple[Value, ...]:
    wide = b(Add(), b(Matmul(), x, b(Transpose((1, 0)), w[0], instance=1), instance=1), w[1], instance=1)
    inner = b(Add(), b(Matmul(), h, b(Transpose((1, 0)), w[2], instance=1), instance=1), w[3], instance=1)
    xr, xz, xn = b.many(Split((Dim.of(HIDDEN),) * 3, -1), wide, instance=1)
    hr, hz, hn = b.many(Split((Dim.of(HIDDEN),) * 3, -1), inner, instance=1)
    r = b(Sigmoid(), b(Add(), xr, hr, instance=1), instance=1)
    z = b(Sigmoid(), b(Add(), xz, hz, instance=1), instance=1)
    n = b(Tanh(), b(Add(), xn, b(Mul(), r, hn, instance=1), instance=1), instance=1)
    # (1 - z) n + z h
    return (b(Add(), n, b(Mul(), z, b(Sub(), h, n, instance=1), instance=1), instance=1),)


def rnn(b: Builder, x: Value, h: Value, w: Sequence[Value]) -> tuple[Value, ...]:
    wide = b(Add(), b(Matmul(), x, b(Transpose((1, 0)), w[0], instance=1), instance=1), w[1], instance=1)
    inner = b(Matmul(), h, b(Transpose((1, 0)), w[2], instance=1), instance=1)
    return (b(Tanh(), b(Add(), b(Add(), wide, inner, instance=1), w[3], instance=1), instance=1),)


def layer(
    cell: str,
    *,
    axis: int = 1,
    reverse: bool = False,
    has_length: bool = False,
    facts: Facts = Facts.EMPTY,
    dtype: DType = F32,
    rows: tuple[Dim, ...] = (B,),
    generated: bool = False,
    intact: bool = True,
    yields: int = 1,
) -> tuple[Graph, dict[str, Array]]:
    main, body = Builder(facts), Builder(facts)
    gates = GATES[cell] * HIDDEN
    shapes = {"weight_ih": (gates, FEATURES), "bias_ih": (gates,), "weight_hh": (gates, HIDDEN), "bias_hh": (gates,)}
    weights = [main.param(f"lstm.{path}", tensor(dtype, *shape)) for path, shape in shapes.items()]
    rng = np.random.default_rng(1)
    params = {f"lstm.{path}": rng.normal(size=shape) * 0.5 for path, shape in shapes.items()}
    if generated:
        weights = [main(Tanh(), w, hint="generated") for w in weights]
    sizes = (*rows[:axis], T, *rows[axis:])
    x = Value(tensor(dtype, *sizes, FEATURES), "x")
    states = [Value(tensor(dtype, *rows, HIDDEN), n) for n in ("h0", "c0")[: 2 if cell == "LstmCell" else 1]]
    lengths = Value(tensor(I64, B), "lengths")
    xt = Value(tensor(dtype, *rows, FEATURES), "x")
    carried = [Value(s.type, s.hint) for s in states]
    inside = [Value(w.type, w.hint) for w in weights]
    if cell == "LstmCell":
        following = lstm(body, xt, carried[0], carried[1], inside)
    else:
        following = (gru if cell == "GruCell" else rnn)(body, xt, carried[0], inside)
    arguments = (xt, *carried)
    results = main.loop(
        body,
        (*arguments, *inside),
        (*following, *([following[0]] * yields)),
        (x, *([lengths] if has_length else []), *states, *weights),
        axis=axis,
        count=T,
        sequences=1,
        carries=len(states),
        reverse=reverse,
        has_length=has_length,
    )
    names = [f"y{i}" for i in range(yields)] + ["h", "c"][: len(states)]
    instance = Instance(0, f"std.recurrent.{cell}", (), "lstm", NO_SPAN, arguments, tuple(following), "", intact=intact)
    inputs = {"x": x} | {s.hint: s for s in states} | ({"lengths": lengths} if has_length else {})
    return main.graph(inputs, dict(zip(names, results, strict=True)), (instance,)), params


@pytest.mark.parametrize("cell", list(GATES))
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("has_length", [False, True])
def test_cell_is_one_operator_for_any_size(cell: str, reverse: bool, has_length: bool, tmp_path: Path) -> None:
    graph, params = layer(cell, reverse=reverse, has_length=has_length)
    model = compare(graph, cases(graph), params=params, folder=tmp_path)
    (guard,) = [node for node in model.frame.graph.node if node.op_type == "If"]
    assert OPERATORS[cell] in [n.op_type for a in guard.attribute for n in a.g.node]


@pytest.mark.parametrize("cell", list(GATES))
@pytest.mark.parametrize("axis", [0, 1])
def test_no_guard_where_nothing_is_empty(cell: str, axis: int, tmp_path: Path) -> None:
    graph, params = layer(cell, axis=axis, facts=NOT_EMPTY, has_length=True)
    not_empty = [c for c in cases(graph) if c["x"].size]
    model = compare(graph, not_empty, params=params, folder=tmp_path)
    assert OPERATORS[cell] in op_types(model)
    assert not {"If", "Loop", "Scan"} & set(op_types(model))


def test_plain_layer_takes_few_nodes() -> None:
    graph, params = layer("LstmCell", axis=0, facts=NOT_EMPTY)
    model = build(graph, params)
    assert op_types(model) == ["Unsqueeze", "Unsqueeze", "LSTM", "Squeeze", "Squeeze", "Squeeze"]
    weights = {t.name for t in model.initializers if t.name.startswith("lstm")}
    assert weights == {
        f"lstm.{n}" for n in ("weight_ih.onnx_lstm", "weight_hh.onnx_lstm", "bias_ih.onnx_lstm_with_bias_hh")
    }


@pytest.mark.parametrize("cell", list(GATES))
def test_generated_weights(cell: str, tmp_path: Path) -> None:
    graph, params = layer(cell, generated=True)
    model = compare(graph, cases(graph)[:3], params=params, folder=tmp_path)
    assert "If" in op_types(model)


@pytest.mark.parametrize("rows", [(), (B, Dim.of(2)), (Dim.of(2), Dim.of(2), B)])
def test_any_number_of_row_axes(rows: tuple[Dim, ...], tmp_path: Path) -> None:
    for axis in range(min(2, len(rows) + 1)):
        graph, params = layer("GruCell", rows=rows, axis=axis)
        compare(graph, cases(graph), params=params, folder=tmp_path)


@pytest.mark.parametrize("yields", [0, 2])
def test_number_of_yields(yields: int, tmp_path: Path) -> None:
    graph, params = layer("LstmCell", yields=yields)
    compare(graph, cases(graph), params=params, folder=tmp_path)


@pytest.mark.parametrize("cell", list(GATES))
def test_half_precision(cell: str, tmp_path: Path) -> None:
    graph, params = layer(cell, dtype=F16)
    compare(graph, cases(graph), params=params, folder=tmp_path, rtol=1e-2, atol=4e-3)


@pytest.mark.parametrize("cell", list(GATES))
def test_double_precision_is_a_loop(cell: str, tmp_path: Path) -> None:
    graph, params = layer(cell, dtype=F64)
    model = compare(graph, cases(graph), params=params, folder=tmp_path, rtol=1e-9, atol=1e-10)
    assert "Loop" in op_types(model)


def test_cell_that_was_cut_into_is_a_loop(tmp_path: Path) -> None:
    graph, params = layer("LstmCell", intact=False)
    model = compare(graph, cases(graph)[:3], params=params, folder=tmp_path)
    assert "Loop" in op_types(model)
    assert "If" not in op_types(model)


@pytest.mark.parametrize("block", ["Lstm", "Gru", "Rnn", "BiLstm", "BiGru", "BiRnn"])
def test_layers_of_the_library_are_operators(block: str, tmp_path: Path) -> None:
    text = f"""
import std.recurrent: {block}

network N(x: f32[B, T, 3], lengths: i64[B]) -> f32[B, T, {8 if block.startswith("Bi") else 4}] {{
    x |> {block}[4](lengths) as layer
}}
"""
    network = load(text)["N"]
    model = compare(network.graph, cases(network.graph), params=network.weights(seed=1), folder=tmp_path)
    inner = {n.op_type for node in model.frame.graph.node for a in node.attribute for n in a.g.node}
    assert block.removeprefix("Bi").upper() in inner
