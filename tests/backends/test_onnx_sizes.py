"""Symbolic sizes in a model: their value, for every value of the free dimensions, and how few nodes they take."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.finish import finish
from netdsl.backends.onnx.serialize import OnnxModel, assemble, to_bytes
from netdsl.diagnostics import NetError
from netdsl.dims import Dim, Facts, dmax, dmin, parse_dim
from netdsl.ir import Graph, Value
from netdsl.tensor_type import F32, I64, TensorType, tensor
from tests.backends.onnx_graphs import check, op_types


def model_of(
    dims: Sequence[Dim], inputs: Mapping[str, TensorType], facts: Facts = Facts.EMPTY, *, scalar: bool = False
) -> OnnxModel:
    """A model whose output is the shape (or the scalar) that the dims say."""
    graph = Graph("sizes", tuple((n, Value(t, n)) for n, t in inputs.items()), (), facts=facts)
    emitter = GraphEmitter(graph, 21)
    for name, t in inputs.items():
        emitter.input(emitter.unique(name), t)
    value = emitter.dim(dims[0]) if scalar else emitter.shape(dims)
    emitter.types.setdefault(value, tensor(I64) if scalar else tensor(I64, len(dims)))
    finish(emitter, [("out", value)])
    return assemble(emitter, {}, "test")


def value_of(model: OnnxModel, inputs: Mapping[str, TensorType], env: Mapping[str, int]) -> list[int]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(to_bytes(model), options, providers=["CPUExecutionProvider"])
    feeds = {n: np.zeros([d.evaluate(env) for d in t.sizes], np.float32) for n, t in inputs.items()}
    (out,) = session.run(None, feeds)
    return [int(n) for n in np.atleast_1d(out)]


def plain(*symbols: str) -> dict[str, TensorType]:
    return {"x": tensor(F32, *symbols)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N", ["Shape"]),
        ("2 * N", ["Shape", "Mul"]),
        ("N + 1", ["Shape", "Add"]),
        ("N - M", ["Shape", "Shape", "Sub"]),
        ("N * M", ["Shape", "Shape", "Mul"]),
        ("N // 2", ["Shape", "Div"]),
        ("N % 2", ["Shape", "Mod"]),
        ("(N - 5) // (M + 1)", ["Shape", "Shape", "Add", "Sub", "Mod", "Sub", "Div"]),
        ("min(N, M)", ["Shape", "Shape", "Min"]),
        ("max(N, M, 3)", ["Shape", "Shape", "Max"]),
        ("N // M", ["Shape", "Shape", "Max", "Div"]),
        ("4", []),
    ],
)
def test_nodes_of_a_size(text: str, expected: list[str]) -> None:
    dim = parse_dim(text)
    inputs = plain("N", "M")
    model = model_of([dim], inputs)
    check(model)
    assert sorted(expected) == sorted(n for n in op_types(model) if n != "Identity")
    for env in ({"N": 9, "M": 4}, {"N": 1, "M": 1}, {"N": 0, "M": 3}, {"N": 4, "M": 9}):
        assert [dim.evaluate(env)] == value_of(model, inputs, env)


def test_positive_divisor_needs_no_guard() -> None:
    facts = Facts.EMPTY.with_bounds("M", 1, None)
    model = model_of([parse_dim("N // M")], plain("N", "M"), facts)
    assert "Max" not in op_types(model)


def test_division_by_an_empty_axis_ends_nothing() -> None:
    inputs = plain("N", "M")
    value_of(model_of([parse_dim("N // M"), parse_dim("N % M")], inputs), inputs, {"N": 3, "M": 0})


def test_scalar_has_no_axes() -> None:
    inputs = plain("N")
    model = model_of([parse_dim("N")], inputs, scalar=True)
    assert ["Shape", "Squeeze"] == op_types(model)
    assert [5] == value_of(model, inputs, {"N": 5})


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        (["B", "N", "8"], ["Shape"]),
        (["B", "N", "9"], ["Shape", "Concat"]),
        (["3", "B", "2", "2"], ["Shape", "Concat"]),
        (["B", "8", "N"], ["Shape", "Shape", "Concat"]),
        (["2", "3"], []),
        ([], []),
    ],
)
def test_shape_is_read_in_runs(dims: list[str], expected: list[str]) -> None:
    inputs = {"x": tensor(F32, "B", "N", 8)}
    wanted = [parse_dim(d) for d in dims]
    model = model_of(wanted, inputs)
    check(model)
    assert expected == [n for n in op_types(model) if n != "Identity"]
    env = {"B": 2, "N": 5}
    assert [d.evaluate(env) for d in wanted] == value_of(model, inputs, env)


@pytest.mark.parametrize(
    ("axes", "symbol"),
    [
        (["2 * N"], "N"),
        (["3 * N + 2"], "N"),
        (["N - 1"], "N"),
        (["M", "2 * N + M"], "N"),
        (["N + M", "2 * M + 1"], "N"),
        (["N * M", "M"], "N"),
    ],
)
def test_symbol_is_solved_from_an_axis(axes: list[str], symbol: str) -> None:
    inputs = {"x": TensorType(F32, tensor(F32, *map(parse_dim, axes)).axes)}
    model = model_of([Dim.of(symbol)], inputs)
    check(model)
    for env in ({"N": 4, "M": 3}, {"N": 1, "M": 1}, {"N": 7, "M": 2}):
        assert [env[symbol]] == value_of(model, inputs, env)


def test_symbol_is_solved_from_a_fact() -> None:
    inputs = plain("M")
    facts = Facts.EMPTY.with_fact("==", 2 * Dim.of("N") + 1, Dim.of("M"))
    assert [4] == value_of(model_of([Dim.of("N")], inputs, facts), inputs, {"M": 9})


@pytest.mark.parametrize("axes", [["N // 2"], ["N * N"], ["N + M"], ["min(N, 4)"], ["8"]])
def test_symbol_that_no_axis_shows_is_reported(axes: list[str]) -> None:
    inputs = {"x": tensor(F32, *map(parse_dim, axes))}
    with pytest.raises(NetError, match="E0712: the size `N` cannot be read from the inputs"):
        model_of([Dim.of("N")], inputs)


def _grown(children: st.SearchStrategy[Dim]) -> st.SearchStrategy[Dim]:
    divisor = st.integers(1, 5).map(Dim.of) | children.map(lambda d: dmax(d, 1))
    return st.one_of(
        st.tuples(children, children).map(lambda t: t[0] + t[1]),
        st.tuples(children, children).map(lambda t: t[0] - t[1]),
        st.tuples(children, children).map(lambda t: t[0] * t[1]),
        st.tuples(children, divisor).map(lambda t: t[0] // t[1]),
        st.tuples(children, divisor).map(lambda t: t[0] % t[1]),
        st.tuples(children, children).map(lambda t: dmin(*t)),
        st.tuples(children, children).map(lambda t: dmax(*t)),
    )


SIZES = st.recursive(st.sampled_from(["N", "M"]).map(Dim.of) | st.integers(-4, 6).map(Dim.of), _grown, max_leaves=6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(SIZES, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=3),
)
def test_sizes_are_what_they_evaluate_to(dims: list[Dim], values: list[tuple[int, int]]) -> None:
    inputs = plain("N", "M")
    model = model_of(dims, inputs)
    for n, m in values:
        env = {"N": n, "M": m}
        assert [d.evaluate(env) for d in dims] == value_of(model, inputs, env)
