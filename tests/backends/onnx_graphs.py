"""Graphs built by hand, and what ONNX Runtime makes of them next to the reference."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from netdsl.backends.onnx.model import build
from netdsl.backends.onnx.serialize import OnnxModel, to_bytes
from netdsl.backends.onnx.storage import code
from netdsl.backends.reference import run
from netdsl.dims import Dim, Facts, parse_dim
from netdsl.ir import Graph, Instance, Node, Param, Region, Value
from netdsl.ops.base import Op
from netdsl.ops.loop import Loop, loop_results
from netdsl.source import NO_SPAN, Source, Span
from netdsl.tensor_type import TensorType

Array = NDArray[Any]

SOURCE = Source("net.net", "network N\nbody\nmore\n")
LINE_2 = Span(SOURCE, 10, 14)


class Builder:
    """Appends nodes whose types follow from the ops."""

    def __init__(self, facts: Facts = Facts.EMPTY) -> None:
        self.facts = facts
        self.nodes: list[Node] = []
        self.params: list[Param] = []

    def __call__(self, op: Op, *values: Value, instance: int = 0, hint: str = "") -> Value:
        (only,) = self.many(op, *values, instance=instance, hint=hint)
        return only

    def many(self, op: Op, *values: Value, instance: int = 0, hint: str = "") -> tuple[Value, ...]:
        types = tuple(v.type for v in values)
        op = op.normalised(types)
        results = tuple(Value(t, hint) for t in op.infer(types, self.facts))
        self.nodes.append(Node(op, values, results, (LINE_2,), instance))
        return results

    def param(self, path: str, t: TensorType) -> Value:
        value = Value(t, path.rsplit(".", 1)[-1])
        self.params.append(Param(path, "param", value))
        return value

    def loop(
        self,
        body: "Builder",
        arguments: Sequence[Value],
        results: Sequence[Value],
        operands: Sequence[Value],
        *,
        axis: int,
        count: Dim,
        sequences: int,
        carries: int,
        reverse: bool = False,
        has_length: bool = False,
        has_until: bool = False,
    ) -> tuple[Value, ...]:
        yields = len(results) - carries - has_until
        op = Loop(axis, count, sequences, carries, yields, reverse, has_length, has_until)
        types = loop_results(op, tuple(v.type for v in operands), tuple(v.type for v in results))
        made = tuple(Value(t, "loop") for t in types)
        region = Region(tuple(arguments), tuple(body.nodes), tuple(results))
        self.nodes.append(Node(op, tuple(operands), made, (LINE_2,), 0, (region,)))
        return made

    def graph(
        self,
        inputs: Mapping[str, Value],
        outputs: Mapping[str, Value],
        instances: Iterable[Instance] = (),
        name: str = "N",
    ) -> Graph:
        root = Instance(-1, "N", (), "", NO_SPAN, tuple(inputs.values()), tuple(outputs.values()), "")
        return Graph(
            name,
            tuple(inputs.items()),
            tuple(outputs.items()),
            tuple(self.params),
            tuple(self.nodes),
            instances=(root, *instances),
            facts=self.facts,
        )


def op_types(model: OnnxModel | onnx.ModelProto) -> list[str]:
    """The operators of the model's own graph, in order."""
    frame = model.frame if isinstance(model, OnnxModel) else model
    return [node.op_type for node in frame.graph.node]


def check(model: OnnxModel) -> None:
    """Assert that the checker and strict shape inference pass, and that what ONNX infers is what we say."""
    proto = _with_large_tensors_as_inputs(model)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    ours = {v.name: v for v in (*proto.graph.value_info, *proto.graph.output)}
    for theirs in (*inferred.graph.value_info, *inferred.graph.output):
        if theirs.name in ours:
            _assert_same_type(ours[theirs.name], theirs)


def _with_large_tensors_as_inputs(model: OnnxModel) -> onnx.ModelProto:
    """Types alone matter to the checker, so that large weights need not be written."""
    small = tuple(t for t in model.initializers if t.size_bytes <= 4096)
    proto = OnnxModel(model.frame, small).proto()
    for tensor in model.initializers:
        if tensor.size_bytes > 4096:
            proto.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, code(tensor.dtype), tensor.shape))
    return proto


def _assert_same_type(ours: onnx.ValueInfoProto, theirs: onnx.ValueInfoProto) -> None:
    mine, other = ours.type.tensor_type, theirs.type.tensor_type
    assert mine.elem_type == other.elem_type, ours.name
    if not other.HasField("shape"):
        return
    assert len(mine.shape.dim) == len(other.shape.dim), f"{ours.name}: the rank differs"
    for a, b in zip(mine.shape.dim, other.shape.dim, strict=True):
        if b.HasField("dim_value"):
            assert a.dim_value == b.dim_value or a.dim_param, f"{ours.name}: {a} and {b}"


def check_shapes_at_run_time(model: OnnxModel, case: Mapping[str, Array], env: Mapping[str, int]) -> None:
    """Assert that every value whose type the model states has that element type and shape when it runs."""
    proto = model.proto()
    stated = {v.name: v.type.tensor_type for v in (*proto.graph.output, *proto.graph.value_info)}
    named = {v.name for v in proto.graph.output}
    proto.graph.output.extend(v for v in proto.graph.value_info if v.name not in named)
    del proto.graph.value_info[:]
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    for name, value in zip(names, session.run(None, dict(case)), strict=True):
        t = stated[name]
        shape = tuple(parse_dim(d.dim_param).evaluate(env) if d.dim_param else d.dim_value for d in t.shape.dim)
        assert shape == value.shape, name
        assert onnx.helper.tensor_dtype_to_np_dtype(t.elem_type) == value.dtype, name


def compare(
    graph: Graph,
    cases: Sequence[Mapping[str, Array]],
    *,
    params: Mapping[str, Array] | None = None,
    opset: int = 21,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    folder: Path,
    expect: OnnxModel | None = None,
) -> OnnxModel:
    """Assert that ONNX Runtime, plain and optimized, gives the reference's outputs in every case.

    It runs in a child process: some operators end it on empty tensors.
    """
    model = expect or build(graph, params or {}, opset=opset)
    check(model)
    results = run_in_child(model, cases, folder)
    for case, (label, got) in ((c, r) for c, group in zip(cases, results, strict=True) for r in group.items()):
        wanted = run(graph, case, params or {}).outputs
        for (name, expected), actual in zip(wanted.items(), got, strict=True):
            place = f"{label}: {name} at { ({k: v.shape for k, v in case.items()}) }"
            assert expected.shape == actual.shape, f"{place}: {expected.shape} and {actual.shape}"
            scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
            np.testing.assert_allclose(
                actual.astype(np.float64), expected.astype(np.float64), rtol=rtol, atol=atol * scale, err_msg=place
            )
    return model


def run_in_child(model: OnnxModel, cases: Sequence[Mapping[str, Array]], folder: Path) -> list[dict[str, list[Array]]]:
    """For each case the outputs, plain and optimized."""
    (folder / "model.onnx").write_bytes(to_bytes(model))
    for index, case in enumerate(cases):
        np.savez(folder / f"case_{index}.npz", **case)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), json.dumps(len(cases))],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = []
    for index in range(len(cases)):
        group = {}
        for label in ("plain", "optimized"):
            with np.load(folder / f"result_{index}_{label}.npz") as loaded:
                group[label] = [loaded[f"arr_{i}"] for i in range(len(loaded.files))]
        results.append(group)
    return results


_CHILD = """
import json, sys
import numpy as np
import onnxruntime as ort
folder, count = sys.argv[1], json.loads(sys.argv[2])
for label, level in (
    ("plain", ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
    ("optimized", ort.GraphOptimizationLevel.ORT_ENABLE_ALL),
):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(folder + "/model.onnx", options, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}
    for index in range(count):
        with np.load(f"{folder}/case_{index}.npz") as case:
            feeds = {name: case[name] for name in case.files}
        assert names == set(feeds), (names, set(feeds))
        np.savez(f"{folder}/result_{index}_{label}.npz", *session.run(None, feeds))
"""
