"""The model as a file: names, types, metadata, weights, and the same bytes every time."""

import io
import subprocess
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from netdsl.api import load
from netdsl.backends.onnx.model import OPSETS, build, build_model
from netdsl.backends.onnx.serialize import ALIGNMENT, to_bytes, to_files
from netdsl.backends.onnx.tables import DTYPE_REFUSED, TABLE, UNSUPPORTED
from netdsl.diagnostics import NetError
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Value
from netdsl.ops import OPS
from netdsl.ops.creation import Dropout
from netdsl.ops.elementwise import Add, Mul
from netdsl.ops.loop import Loop
from netdsl.ops.product import Matmul
from netdsl.ops.shape import Transpose
from netdsl.tensor_type import BF16, F16, F32, F64, DType, tensor
from tests.backends.onnx_graphs import Array, Builder, check, check_shapes_at_run_time, compare, op_types

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*/*.net"))


def linear(dtype: DType = F32) -> tuple[Graph, dict[str, Array]]:
    """y = x Wᵀ + b, and x + x."""
    b = Builder()
    x = Value(tensor(dtype, "B", 4), "x")
    weight, bias = b.param("fc.weight", tensor(dtype, 3, 4)), b.param("fc.bias", tensor(dtype, 3))
    y = b(Add(), b(Matmul(), x, b(Transpose((1, 0)), weight)), bias, hint="shifted")
    rng = np.random.default_rng(0)
    params = {"fc.weight": rng.normal(size=(3, 4)), "fc.bias": rng.normal(size=3)}
    return b.graph({"x": x}, {"y": y, "double": b(Add(), x, x)}), params


def test_every_op_is_lowered_or_says_why_not() -> None:
    assert [] == [name for name, op in OPS.items() if op is not Loop and (op in TABLE) == (op in UNSUPPORTED)]
    assert all(UNSUPPORTED.values())


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
@pytest.mark.parametrize("opset", [18, 21, 23])
def test_specs_pass_the_checker_and_strict_inference(spec: Path, opset: int) -> None:
    for network in load(spec).values():
        zeros = {p.path: np.broadcast_to(0.0, [d.value for d in p.value.type.sizes]) for p in network.graph.params}
        check(build(network.graph, zeros, opset=opset))


def test_stated_shapes_hold_at_run_time() -> None:
    text = """
import std.attention: SelfAttention
import std.recurrent: BiLstm

network N(x: f32[B, T, 8]) -> f32[B, 2 * T, 8] {
    x = x |> LayerNorm |> SelfAttention[2, causal=true] as attention |> BiLstm[4] as lstm
    concat[axis=1](x, flip[1](x)) |> gelu
}
"""
    network = load(text)["N"]
    for opset in (18, 21, 23):
        model = build(network.graph, network.weights(seed=0), opset=opset)
        for rows, steps in ((2, 3), (1, 1), (3, 7)):
            case = {"x": np.ones((rows, steps, 8), np.float32)}
            check_shapes_at_run_time(model, case, {"B": rows, "T": steps})


@pytest.mark.parametrize("opset", OPSETS)
def test_versions_are_the_lowest_that_are_legal(opset: int) -> None:
    model = build_model(*linear(), opset=opset)
    table = {row[2]: row[1] for row in reversed(onnx.helper.VERSION_TABLE)}
    assert opset == model.opset_import[0].version
    assert table[opset] == model.ir_version
    onnx.checker.check_model(model, full_check=True)


def test_names_and_types_are_those_of_the_source() -> None:
    graph, params = linear()
    model = build_model(graph, params)
    assert ["x"] == [i.name for i in model.graph.input]
    assert ["y", "double"] == [o.name for o in model.graph.output]
    assert ["B", 4] == [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert {"fc.weight.transposed", "fc.bias"} == {t.name for t in model.graph.initializer}
    assert len({n.name for n in model.graph.node}) == len(model.graph.node)


def test_sizes_are_printed_as_expressions() -> None:
    network = load("network N(x: f32[B, N]) -> f32[B, 2 * N] {\n    concat[axis=1](x, x)\n}\n")["N"]
    model = build_model(network.graph, {})
    assert ["B", "2 * N"] == [d.dim_param for d in model.graph.output[0].type.tensor_type.shape.dim]


def test_every_node_names_its_line() -> None:
    for opset in (18, 21):
        model = build_model(*linear(), opset=opset)
        assert all(
            [("netdsl.source", "net.net:2")] == [(p.key, p.value) for p in n.metadata_props] for n in model.graph.node
        )


def test_source_does_not_depend_on_folders() -> None:
    absolute = str(SPECS[0].resolve())
    relative = load(absolute).values()
    for network in relative:
        model = build(network.graph, network.weights(seed=0))
        sources = {p.value for n in model.frame.graph.node for p in n.metadata_props}
        assert sources
        assert not any("/" in s and not s.startswith("std/") for s in sources)


def test_metadata_is_sorted_and_complete() -> None:
    graph, params = linear()
    model = build_model(replace(graph, facts=Facts.EMPTY.with_fact("<=", Dim.of("B"), 9)), params, metadata={"a": "1"})
    assert ["a", "netdsl.version", "netdsl.where"] == [p.key for p in model.metadata_props]
    assert "netdsl" == model.producer_name


def test_same_input_gives_the_same_bytes() -> None:
    assert to_bytes(build(*linear())) == to_bytes(build(*linear()))


@pytest.mark.parametrize("dtype", [F64, F32, F16, BF16])
def test_pieces_are_what_protobuf_writes(dtype: DType) -> None:
    graph, params = linear(dtype)
    model = build(graph, params)
    assert model.proto().SerializeToString(deterministic=True) == to_bytes(model)
    (files,) = to_files(model, "m.onnx").values()
    stream = io.BytesIO()
    files.write(stream)
    assert to_bytes(model) == stream.getvalue()
    assert files.size_bytes == len(stream.getvalue())


def test_weights_are_rounded_once() -> None:
    graph, params = linear(F16)
    by_name = {t.name: t for t in build_model(graph, params).graph.initializer}
    np.testing.assert_array_equal(
        params["fc.weight"].T.astype(np.float16), onnx.numpy_helper.to_array(by_name["fc.weight.transposed"])
    )


def test_weights_of_the_stored_type_are_not_copied() -> None:
    graph, params = linear()
    params["fc.bias"] = params["fc.bias"].astype(np.float32)
    (bias,) = [t for t in build(graph, params).initializers if t.name == "fc.bias"]
    assert bias.is_raw
    assert np.shares_memory(params["fc.bias"], np.asarray(bias.raw(bytearray())))


def test_large_weight_that_is_read_both_ways_is_stored_once() -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 200), "x")
    weight = b.param("w", tensor(F32, 200, 200))
    y = b(Matmul(), b(Matmul(), x, weight), b(Transpose((1, 0)), weight))
    model = build(b.graph({"x": x}, {"y": y}), {"w": np.ones((200, 200))})
    assert ["w"] == [t.name for t in model.initializers]
    assert "Transpose" in op_types(model)


def test_a_turned_tensor_times_a_vector_survives_optimization(tmp_path: Path) -> None:
    b = Builder()
    x, v = Value(tensor(F32, 3, "N", "B"), "x"), Value(tensor(F32, "N"), "v")
    graph = b.graph({"x": x, "v": v}, {"y": b(Matmul(), b(Transpose((0, 2, 1)), x), v)})
    rng = np.random.default_rng(0)
    sizes = [(5, 6), (1, 2), (2, 1)]
    compare(graph, [{"x": _f32(rng, 3, n, m), "v": _f32(rng, n)} for n, m in sizes], folder=tmp_path)


def test_a_cast_between_transposes_survives_optimization(tmp_path: Path) -> None:
    text = """
network Spectrum(x: f16[1, 1]) -> y: f16[1, 1, 1, 2] {
    steps, last = scan 1[axis=1] from (h=x) {
        h = sin(h)
        yield h
    }
    y = rfft[axis=1](steps)
}
"""
    graph = load(text)["Spectrum"].graph
    compare(graph, [{"x": np.ones((1, 1), np.float16)}], rtol=2e-3, folder=tmp_path)


@pytest.mark.parametrize("perm", list(permutations(range(3))))
def test_a_half_precision_product_of_a_transpose_survives_optimization(
    perm: tuple[int, int, int], tmp_path: Path
) -> None:
    """Another half-precision node reads an initializer: without it the fusion that ends the process does not run."""
    sizes = ["3", "N", "3"]
    first, rows, columns = (sizes[axis] for axis in perm)
    text = f"""
network Turned(x: f16[3, N, 3], a: f16[5, {rows}], b: f16[{columns}, 5])
    -> (y: f16[{first}, 5, {columns}], z: f16[{first}, {rows}, 5], w: f16[5]) {{
    t = transpose[{", ".join(map(str, perm))}](x)
    y = a @ t
    z = t @ b
    w = 0.25 - iota[5, dtype=f16]
}}
"""
    graph = load(text)["Turned"].graph
    rng = np.random.default_rng(0)
    feeds = []
    for n in (4, 1):
        of = {"N": n, "3": 3}
        shapes = {"x": (3, n, 3), "a": (5, of[rows]), "b": (of[columns], 5)}
        feeds.append({name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()})
    compare(graph, feeds, rtol=4e-3, folder=tmp_path)


def _f32(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def test_unused_parameters_and_dead_nodes_are_left_out() -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 4), "x")
    b(Mul(), x, b.param("unused", tensor(F32, 4)))
    model = build(
        b.graph({"x": x, "other": Value(tensor(F32, 3), "other")}, {"y": b(Add(), x, x)}), {"unused": np.ones(4)}
    )
    assert ["Add"] == op_types(model)
    assert () == model.initializers
    assert ["x", "other"] == [i.name for i in model.frame.graph.input]


def test_equal_nodes_are_one() -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 4), "x")
    y = b(Mul(), b(Add(), x, x), b(Add(), x, x))
    assert ["Add", "Mul"] == op_types(build(b.graph({"x": x}, {"y": y}), {}))


def test_outputs_that_no_node_makes(tmp_path: Path) -> None:
    """An input, a parameter, and one value under two names."""
    b = Builder()
    x, w = Value(tensor(F32, "B", 4), "x"), b.param("w", tensor(F32, 4))
    y = b(Add(), x, w)
    graph = b.graph({"x": x}, {"same": x, "x": x, "weight": w, "y": y, "again": y})
    case = {"x": np.ones((2, 4), np.float32)}
    model = compare(graph, [case], params={"w": np.arange(4.0)}, folder=tmp_path)
    assert ["same", "x", "weight", "y", "again"] == [o.name for o in model.frame.graph.output]


def test_name_of_an_inner_value_never_clashes(tmp_path: Path) -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 4), "x")
    y = b(Mul(), b(Add(), x, x, hint="y"), b(Mul(), x, x, hint="Mul"), hint="x")
    compare(b.graph({"x": x}, {"y": y}), [{"x": np.ones((2, 4), np.float32)}], folder=tmp_path)


def test_large_models_keep_their_weights_beside_them(tmp_path: Path) -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 300), "x")
    weights = [b.param(f"layers.{i}", tensor(F32, 300, 300)) for i in range(3)]
    small = b.param("small", tensor(F32, 300))
    y = x
    for weight in weights:
        y = b(Add(), b(Matmul(), y, b(Transpose((1, 0)), weight)), small)
    rng = np.random.default_rng(0)
    params = {f"layers.{i}": rng.normal(size=(300, 300)) / 20 for i in range(3)} | {"small": rng.normal(size=300)}
    model = build(b.graph({"x": x}, {"y": y}), params)

    files = to_files(model, "big.onnx", external_bytes=1000)
    assert ["big.data", "big.onnx"] == list(files)
    for name, chunks in files.items():
        with (tmp_path / name).open("wb") as file:
            chunks.write(file)
        assert chunks.size_bytes == (tmp_path / name).stat().st_size
    onnx.checker.check_model(tmp_path / "big.onnx", full_check=True)
    bare = onnx.load(tmp_path / "big.onnx", load_external_data=False)
    placed = [{e.key: e.value for e in t.external_data} for t in bare.graph.initializer if t.external_data]
    assert 3 == len(placed)
    assert all(int(p["offset"]) % ALIGNMENT == 0 and p["location"] == "big.data" for p in placed)
    feeds = {"x": rng.normal(size=(2, 300)).astype(np.float32)}
    inside = ort.InferenceSession(to_bytes(model), providers=["CPUExecutionProvider"]).run(None, feeds)
    beside = ort.InferenceSession(tmp_path / "big.onnx", providers=["CPUExecutionProvider"]).run(None, feeds)
    np.testing.assert_array_equal(inside, beside)
    assert ["big.onnx"] == list(to_files(model, "big.onnx"))


def test_ops_that_cannot_be_exported_are_all_listed() -> None:
    b = Builder()
    x = Value(tensor(F32, "B", 4), "x")
    graph = b.graph({"x": x}, {"y": b(Dropout(0.5), b(Dropout(0.5), x))})
    with pytest.raises(
        NetError, match="E0710: `dropout` cannot be exported to ONNX: it acts in training only"
    ) as error:
        build(graph, {})
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.primary is not None
    assert 2 == diagnostic.primary.span.line


@pytest.mark.parametrize("opset", [17, 24])
def test_opset_out_of_range(opset: int) -> None:
    with pytest.raises(ValueError, match="the opset is one of"):
        build(*linear(), opset=opset)


def test_parameters_are_checked() -> None:
    graph, params = linear()
    with pytest.raises(ValueError, match=r"the parameter fc\.bias has no value"):
        build(graph, {"fc.weight": params["fc.weight"]})
    with pytest.raises(ValueError, match=r"the parameter fc\.bias is f32\[3\], found the shape \(4,\)"):
        build(graph, {**params, "fc.bias": np.ones(4)})


def test_building_does_not_import_torch() -> None:
    code = "import sys, netdsl.backends.onnx.model, netdsl.backends.onnx.runtime; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_element_type_without_a_kernel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DTYPE_REFUSED, Add, {"f64": "there is no kernel"})
    with pytest.raises(NetError, match="E0711: `add` of f64 cannot run in ONNX Runtime: there is no kernel"):
        build(*linear(F64))
    build(*linear(F32))
