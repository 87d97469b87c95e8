"""One module that computes one graph in training and another in evaluation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from netdsl.backends.torch_fx.emitter import Lowerings, ModuleEmitter, Network
from netdsl.ir import Graph, Node, Value
from netdsl.tensor_type import DType


class Modes(nn.Module):
    """Dispatches on `training` between two functional modules; arguments are the inputs, then every parameter.

    In training the states are written after everything is computed, so that a call reads them as they were.
    """

    def __init__(self, graph: Graph, training_graph: Graph, lowerings: Lowerings, own: DType | None) -> None:
        super().__init__()
        self.eval_graph = _functional(graph, (), lowerings, own)
        self.train_graph = _functional(training_graph, [u.value for u in training_graph.updates], lowerings, own)
        slots = {p.path: len(graph.inputs) + i for i, p in enumerate(training_graph.params)}
        self._states = tuple(slots[u.path] for u in training_graph.updates)
        self._outputs = len(graph.outputs)
        order = {p.path: i for i, p in enumerate(graph.params)}
        inputs = tuple(range(len(graph.inputs)))
        self._train_order = inputs + tuple(len(inputs) + order[p.path] for p in training_graph.params)

    def forward(self, *tensors: torch.Tensor) -> Any:
        if not self.training:
            return self.eval_graph(*tensors)
        tensors = tuple(tensors[i] for i in self._train_order)
        results = self.train_graph(*[t.clone() if i in self._states else t for i, t in enumerate(tensors)])
        with torch.no_grad():
            for slot, value in zip(self._states, results[self._outputs :], strict=True):
                tensors[slot].copy_(value)
        return results[0] if self._outputs == 1 else results[: self._outputs]


def _functional(graph: Graph, updates: Sequence[Value], lowerings: Lowerings, own: DType | None) -> fx.GraphModule:
    """The graph as a function of its inputs and parameters; in training a tuple with the new states at its end."""
    emitter = ModuleEmitter(Network(graph, lowerings, own))
    emitter.bind((v for _, v in graph.inputs), [emitter.placeholder(name) for name, _ in graph.inputs])
    emitter.bind((p.value for p in graph.params), [emitter.placeholder(p.path.replace(".", "_")) for p in graph.params])
    wanted = [*(v for _, v in graph.outputs), *updates]
    emitter.run(graph.nodes, wanted)
    results = tuple(emitter.values[v].node for v in wanted)
    emitter.fx_graph.output(results if graph.training or len(results) > 1 else results[0])
    module = fx.GraphModule(nn.Module(), fx.Graph(), class_name=f"{graph.name}_{'train' if graph.training else 'eval'}")
    emitter.store.install(module)
    module.graph = emitter.fx_graph
    return module


def same_computation(left: Graph, right: Graph) -> bool:
    """Whether two graphs with the same inputs and parameters compute the same by the same nodes, with no updates."""
    if left.updates or right.updates:
        return False
    paths = {p.path: p.value for p in right.params}
    if {p.path for p in left.params} != paths.keys() or len(left.inputs) != len(right.inputs):
        return False
    same = {v: w for (_, v), (_, w) in zip(left.inputs, right.inputs, strict=True)}
    same |= {p.value: paths[p.path] for p in left.params}
    if not _same_nodes(left.nodes, right.nodes, same):
        return False
    return len(left.outputs) == len(right.outputs) and all(
        same[v] is w for (_, v), (_, w) in zip(left.outputs, right.outputs, strict=True)
    )


def _same_nodes(left: Sequence[Node], right: Sequence[Node], same: dict[Value, Value]) -> bool:
    if len(left) != len(right):
        return False
    for a, b in zip(left, right, strict=True):
        if a.op != b.op or len(a.operands) != len(b.operands) or len(a.results) != len(b.results):
            return False
        if any(same.get(v) is not w for v, w in zip(a.operands, b.operands, strict=True)):
            return False
        if len(a.regions) != len(b.regions):
            return False
        for inner, other in zip(a.regions, b.regions, strict=True):
            mapped = dict(zip(inner.arguments, other.arguments, strict=True))
            if not _same_nodes(inner.nodes, other.nodes, mapped):
                return False
            if any(mapped.get(v) is not w for v, w in zip(inner.results, other.results, strict=True)):
                return False
        same.update(zip(a.results, b.results, strict=True))
    return True
