"""A network in three ways: the float64 reference, the torch module in evaluation mode, ONNX Runtime."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from netdsl.api import Network
from netdsl.backends.onnx.model import build_model
from netdsl.backends.reference import run
from netdsl.backends.torch_fx import build_module
from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.ir import Graph
from netdsl.sampling import sample_inputs, storage_dtype
from netdsl.structs import arguments
from netdsl.tolerance import allowed_difference, largest_difference
from netdsl.weights import random_weights

Array = NDArray[Any]


def stored_weights(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Random, non-degenerate weights, rounded to the type in which they are stored."""
    drawn = random_weights(graph.params, seed)
    return {
        p.path: np.asarray(drawn[p.path]).astype(storage_dtype(p.value.type.dtype.storage.name)) for p in graph.params
    }


def session_of(graph: Graph, weights: Mapping[str, Array], opset: int = 21) -> onnxruntime.InferenceSession:
    """ONNX Runtime on the CPU, one thread, silent."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    model = build_model(graph, weights, opset=opset)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def call_module(module: torch.nn.Module, graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by name; floats as float64."""
    tensors = {n: torch.from_numpy(np.array(inputs[n])).to(torch_dtype(v.type.dtype)) for n, v in graph.inputs}
    with torch.no_grad():
        results = module(*arguments(tensors))
    flat = results if isinstance(results, tuple) else (results,)
    return {
        name: (t.double() if t.is_floating_point() else t).numpy()
        for (name, _), t in zip(graph.outputs, flat, strict=True)
    }


def assert_close(graph: Graph, expected: Mapping[str, Array], found: Mapping[str, Array], where: str) -> None:
    """Every output within the tolerance table."""
    for name, value in graph.outputs:
        dtype = value.type.dtype.storage.name
        assert expected[name].shape == found[name].shape, (name, where)
        difference = largest_difference(expected[name], found[name])
        allowed = allowed_difference(expected[name], dtype)
        assert difference <= allowed, f"`{name}` in {where}: differs by {difference:.3g}, {allowed:.3g} is allowed"


def assert_three_way(
    net: Network,
    sizes: Iterable[Mapping[str, int]],
    *,
    opsets: Iterable[int] = (21,),
    inputs: Mapping[str, Array] | None = None,
    seed: int = 0,
) -> None:
    """Reference = torch = ONNX Runtime at each of `sizes`, in each opset, under random weights.

    Args:   inputs: in place of sampled ones.
    """
    graph = net.graph
    weights = stored_weights(graph, seed)
    training = net.checked.train_graph
    module = build_module(graph, weights, training_graph=None if training is graph else training).eval()
    sessions = {opset: session_of(graph, weights, opset) for opset in opsets}
    names = [name for name, _ in graph.outputs]
    for at in sizes:
        given = {**sample_inputs(graph, at, seed), **(inputs or {})}
        expected = run(graph, given, weights).outputs
        assert_close(graph, expected, call_module(module, graph, given), f"torch at {dict(at)}")
        for opset, session in sessions.items():
            found = dict(zip(names, session.run(names, given), strict=True))
            assert_close(graph, expected, found, f"ONNX Runtime, opset {opset}, at {dict(at)}")


def assert_training_agrees(net: Network, sizes: Iterable[Mapping[str, int]], *, seed: int = 0) -> None:
    """Outputs and updated states of one call in training, in torch and in the reference."""
    graph, training = net.graph, net.checked.train_graph
    weights = stored_weights(graph, seed)
    for at in sizes:
        module = build_module(graph, weights, training_graph=training).train()
        inputs = sample_inputs(graph, at, seed)
        expected = run(training, inputs, weights)
        assert_close(graph, expected.outputs, call_module(module, graph, inputs), f"training at {dict(at)}")
        assert expected.updates
        for path, value in expected.updates.items():
            state = module.state_dict()[path].double().numpy()
            assert largest_difference(value, state) <= allowed_difference(value, "f32"), path
