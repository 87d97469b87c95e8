"""A graph as a `torch.fx.GraphModule`."""

import operator
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.backends.torch_fx.emitter import ModuleEmitter, Network
from netdsl.backends.torch_fx.entry_checks import EntryChecks
from netdsl.backends.torch_fx.modes import Modes, same_computation
from netdsl.backends.torch_fx.paths import attribute_path, keep_keys, register
from netdsl.backends.torch_fx.structs import placeholders
from netdsl.backends.torch_fx.tables import LOWERINGS
from netdsl.ir import Graph, Param
from netdsl.passes.hoist_from_loops import HoistFromLoops
from netdsl.tensor_type import DType

#: Kept by torch.fx when a module is copied or transformed.
_PRESERVED = "_user_preserved_attributes"


def build_module(
    graph: Graph, params: Mapping[str, np.ndarray], *, training_graph: Graph | None = None
) -> fx.GraphModule:
    """The network as a trainable module; its arguments and results are those of the header, in order.

    Its `state_dict` keys are the parameter paths, its attribute `output_names` the names of the results. Where
    training computes something else (dropout, running statistics) the module holds both graphs and follows
    `train()` and `eval()`.

    Args:
        params: an array for each parameter and state; constants may be left out where the graph holds their data.
        training_graph: the same network checked for training.
    Raises: KeyError: a parameter has no array. ValueError: it has another shape. NetError: E0712: a size that no input
            shows. NotImplementedError: an op has no torch form.
    """
    if training_graph is not None and same_computation(graph, training_graph):
        training_graph = None
    graph = HoistFromLoops().run(graph).graph
    training_graph = training_graph and HoistFromLoops().run(training_graph).graph
    own = own_float(graph)
    tensors = {p.path: _tensor(p, params) for p in graph.params}
    emitter = ModuleEmitter(Network(graph, LOWERINGS, own), {attribute_path(path).split(".")[0] for path in tensors})
    inputs = placeholders(emitter, graph)
    checks = emitter.add_module("checks", EntryChecks(graph, own))
    if inputs:
        emitter.call_module(checks, *inputs)
    read = [_read(emitter, p, tensors[p.path]) for p in graph.params]
    if training_graph is None:
        emitter.bind((v for _, v in graph.inputs), inputs)
        emitter.bind((p.value for p in graph.params), read)
        emitter.run(graph.nodes, [v for _, v in graph.outputs])
        results = [emitter.values[v] for _, v in graph.outputs]
    else:
        modes = Modes(graph, training_graph, LOWERINGS, own)
        called = emitter.call_module(emitter.add_module("modes", modes), *inputs, *read)
        results = [called]
        if len(graph.outputs) > 1:
            results = [emitter.call(operator.getitem, called, i) for i in range(len(graph.outputs))]
    emitter.output(results)
    module = fx.GraphModule(nn.Module(), fx.Graph(), class_name=graph.name or "GraphModule")
    emitter.store.install(module)
    for param in graph.params:
        if param.kind != "const":
            register(module, attribute_path(param.path), tensors[param.path])
    keep_keys(module, (p.path for p in graph.params if p.kind != "const"))
    names: Any = tuple(name for name, _ in graph.outputs)
    module.output_names = names
    module.meta[_PRESERVED] = {"output_names": names}
    module.graph = emitter.fx_graph
    return module


def own_float(graph: Graph) -> DType | None:
    """The float type that `.to(dtype)` changes: of most parameters, else of the first float input or output."""
    counts = Counter(p.value.type.dtype for p in graph.params if p.value.type.dtype.is_float and p.kind != "const")
    if counts:
        return counts.most_common(1)[0][0]
    values = [v for _, v in (*graph.inputs, *graph.outputs)] + [p.value for p in graph.params]
    return next((v.type.dtype for v in values if v.type.dtype.is_float), None)


def _read(emitter: ModuleEmitter, param: Param, tensor: torch.Tensor) -> fx.Proxy:
    if param.kind == "const":
        return emitter.constant_tensor(tensor, param.value.type.dtype)
    proxy = emitter.attribute(attribute_path(param.path))
    return emitter.typed(proxy, param.value.type.dtype)


def _tensor(param: Param, params: Mapping[str, np.ndarray]) -> torch.Tensor:
    data = params.get(param.path, param.data)
    if data is None:
        raise KeyError(f"no array for `{param.path}`")
    tensor = torch.tensor(data, dtype=torch_dtype(param.value.type.dtype))
    sizes = tuple(size.value for size in param.value.type.sizes)
    if tuple(tensor.shape) != sizes:
        raise ValueError(f"`{param.path}` is {param.value.type}, found shape {list(tensor.shape)}")
    if param.kind == "param" and param.value.type.dtype.is_float:
        return nn.Parameter(tensor)
    return tensor
