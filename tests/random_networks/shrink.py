"""A failing network made small: outputs, samples and nodes go while it still fails in the same way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netdsl.backends.reference.execute import run
from netdsl.ir import Graph, Node, Param, Region, Value
from netdsl.sampling import storage_dtype
from tests.random_networks.draft import symbol_of
from tests.random_networks.generate import RandomNetwork, rooted

Fails = Callable[[RandomNetwork], bool]
ROUNDS = 3


def shrink(network: RandomNetwork, fails: Fails) -> RandomNetwork:
    """The smallest network found for which `fails` still says so. A node that goes becomes inputs with its values."""
    for _ in range(ROUNDS):
        before = network
        for step in (_fewer_samples, _without_training, _inlined, _fewer_outputs, _fewer_nodes, _fewer_inputs):
            network = _first_failing(network, step, fails)
        if network is before:
            break
    return network


def _first_failing(
    network: RandomNetwork, step: Callable[[RandomNetwork], Iterator[RandomNetwork]], fails: Fails
) -> RandomNetwork:
    """Takes the first smaller network that fails, and tries again from there."""
    while True:
        found = next((smaller for smaller in step(network) if fails(smaller)), None)
        if found is None:
            return network
        network = found


def _fewer_samples(network: RandomNetwork) -> Iterator[RandomNetwork]:
    if len(network.samples) > 1:
        yield from (replace(network, samples=(sample,)) for sample in network.samples)


def _without_training(network: RandomNetwork) -> Iterator[RandomNetwork]:
    if network.training is not None:
        yield replace(network, training=None)


def _inlined(network: RandomNetwork) -> Iterator[RandomNetwork]:
    """Every block written into the network."""
    graph = network.graph
    if len(graph.instances) > 1:
        moved = {p.path: p.path.replace(".", "_") for p in graph.params}
        params = tuple(replace(p, path=moved[p.path]) for p in graph.params)
        weights = {moved[path]: array for path, array in network.weights.items()}
        bare = replace(graph, params=params, nodes=_owned(graph.nodes), taps=(), instances=())
        yield replace(network, graph=rooted(bare), training=None, weights=weights)


def _owned(nodes: Sequence[Node]) -> tuple[Node, ...]:
    def inside(region: Region) -> Region:
        return replace(region, nodes=_owned(region.nodes))

    return tuple(replace(n, instance=0, regions=tuple(inside(r) for r in n.regions)) for n in nodes)


def _fewer_outputs(network: RandomNetwork) -> Iterator[RandomNetwork]:
    outputs = network.graph.outputs
    if len(outputs) > 1 and network.training is None:
        for kept in (*((o,) for o in outputs), outputs[: len(outputs) // 2], outputs[len(outputs) // 2 :]):
            yield _rebuilt(network, replace(network.graph, outputs=tuple(kept)))


def _fewer_nodes(network: RandomNetwork) -> Iterator[RandomNetwork]:
    """Each node in turn, the last first, is cut off: its results become inputs."""
    graph = network.graph
    if len(graph.instances) > 1 or network.training is not None or len(graph.nodes) < 2:
        return
    values = [run(graph, s.inputs, network.weights, keep=True).values for s in network.samples]
    for node in reversed(graph.nodes):
        if node.op.name in ("constant", "dim_value") or any(v in node.results for _, v in graph.outputs):
            continue
        named = [(f"c{len(graph.inputs) + at}", v) for at, v in enumerate(node.results)]
        samples = tuple(
            replace(s, inputs={**s.inputs, **{n: _stored(held[v], v) for n, v in named}})
            for s, held in zip(network.samples, values, strict=True)
        )
        nodes = tuple(n for n in graph.nodes if n is not node)
        cut = replace(graph, inputs=(*graph.inputs, *named), nodes=nodes)
        yield _rebuilt(replace(network, samples=samples), cut)


def _stored(array: Any, value: Value) -> Any:
    return np.asarray(array).astype(storage_dtype(value.type.dtype.storage.name))


def _fewer_inputs(network: RandomNetwork) -> Iterator[RandomNetwork]:
    """Inputs and parameters that nothing reads; an input may be needed for the size of an axis."""
    graph = network.graph
    if network.training is not None or len(graph.instances) > 1:
        return
    read = {v for n in graph.nodes for v in n.operands} | {v for _, v in graph.outputs}
    params = tuple(p for p in graph.params if p.value in read)
    if len(params) < len(graph.params):
        yield _rebuilt(network, replace(graph, params=params))
    for name, value in graph.inputs:
        if value not in read:
            samples = tuple(
                replace(s, inputs={k: a for k, a in s.inputs.items() if k != name}) for s in network.samples
            )
            inputs = tuple((n, v) for n, v in graph.inputs if n != name)
            if {symbol_of(d) for _, v in inputs for d in v.type.sizes} >= _needed(graph):
                yield _rebuilt(replace(network, samples=samples), replace(graph, inputs=inputs))


def _needed(graph: Graph) -> set[str]:
    sizes = [d for n in graph.nodes for d in (*n.op.dims(), *(d for v in n.results for d in v.type.sizes))]
    return {symbol for d in sizes for symbol in d.symbols} | set(graph.facts.symbols)


def _rebuilt(network: RandomNetwork, graph: Graph) -> RandomNetwork:
    """Without dead nodes and without weights that are gone."""
    wanted = {v for _, v in graph.outputs}
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if node.instance or not wanted.isdisjoint(node.results):
            nodes.append(node)
            wanted |= set(node.operands)
    params: dict[str, Param] = {p.path: p for p in graph.params}
    weights = {path: array for path, array in network.weights.items() if path in params}
    instances = graph.instances[1:] if graph.instances else ()
    bare = replace(graph, nodes=tuple(reversed(nodes)), instances=tuple(instances))
    return replace(network, graph=rooted(bare), weights=weights)
