"""A graph and its weights become an ONNX model."""

import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
import onnx

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.finish import finish
from netdsl.backends.onnx.refusals import refuse
from netdsl.backends.onnx.regions import lower_nodes
from netdsl.backends.onnx.serialize import IR_VERSIONS, OnnxModel, assemble
from netdsl.backends.onnx.storage import Array
from netdsl.collector import paused_collection
from netdsl.ir import Graph

OPSETS = tuple(IR_VERSIONS)


@paused_collection()
def build(
    graph: Graph, params: Mapping[str, Array], *, opset: int = 21, metadata: Mapping[str, str] | None = None
) -> OnnxModel:
    """The ONNX model of a network in evaluation mode.

    Args:
        params:   by path, in any float type; rounded to the stored type when written. Bound parameters may be left out.
        opset:    18 to 23.
        metadata: further `metadata_props`, such as the hash of the source.
    Raises:
        NetError: E0710, E0711: an op or an element type that ONNX lacks; E0712: a size that no input has.
        ValueError: the opset, the mode of the graph, or a parameter that is missing or of another shape.
    """
    if opset not in OPSETS:
        raise ValueError(f"the opset is one of {OPSETS}, not {opset}")
    if graph.training:
        raise ValueError("a model is exported in evaluation mode")
    refuse(graph)
    emitter = GraphEmitter(graph, opset)
    names = {}
    for name, value in graph.inputs:
        names[value] = emitter.unique(name)
        emitter.input(names[value], value.type)
    taken = [name for name, _ in graph.outputs if emitter.unique(name) != name and name not in emitter.root.inputs]
    if taken:
        raise ValueError(f"two outputs are called {taken[0]}")
    for param in graph.params:
        data = params.get(param.path, param.data)
        if data is None:
            raise ValueError(f"the parameter {param.path} has no value")
        array = np.asarray(data)
        if array.shape != tuple(d.value for d in param.value.type.sizes):
            raise ValueError(f"the parameter {param.path} is {param.value.type}, found the shape {array.shape}")
        names[param.value] = emitter.unique(param.path)
        emitter.initializer(names[param.value], param.value.type.dtype.storage, array)
    lower_nodes(emitter, graph.nodes, names, [value for _, value in graph.outputs])
    finish(emitter, [(name, names[value]) for name, value in graph.outputs])
    return assemble(emitter, {**_metadata(graph), **(metadata or {})}, version("netdsl"))


def _metadata(graph: Graph) -> dict[str, str]:
    """What a runtime needs to check at entry: facts about sizes, ranges of values, tables that indices point into."""
    found = {"netdsl.version": version("netdsl")}
    relations = [f"{left} {op} {right}" for op, left, right in graph.facts.items]
    tables = {name: str(v.type.dtype.table.size) for name, v in graph.inputs if v.type.dtype.table is not None}
    ranges = {r.name: [None if math.isinf(end) else end for end in (r.low, r.high)] for r in graph.ranges}
    if ranges:
        found["netdsl.ranges"] = json.dumps(ranges)
    if relations:
        found["netdsl.where"] = json.dumps(relations)
    if tables:
        found["netdsl.indices"] = json.dumps(tables)
    return found


def build_model(
    graph: Graph, params: Mapping[str, Array], *, opset: int = 21, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """Like `build`, as one protobuf message that holds a copy of the weights."""
    return build(graph, params, opset=opset, metadata=metadata).proto()


def node_count(model: OnnxModel) -> int:
    """Number of ONNX nodes, those in the bodies of loops included."""

    def count(nodes: Sequence[onnx.NodeProto]) -> int:
        return sum(1 + sum(count(a.g.node) for a in node.attribute if a.HasField("g")) for node in nodes)

    return count(model.frame.graph.node)
