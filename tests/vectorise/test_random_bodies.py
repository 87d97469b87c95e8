"""Random networks as bodies: over slices they are the loop over them.

The parameters of all are mapped, and of the inputs a random choice. In the reference every slice has other numbers;
the backends get slices that are equal, whose values the generator found tame, so that rounding decides nothing.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from netdsl.dims import Dim
from netdsl.ir import Graph
from netdsl.ops.loop import Loop
from tests.ops.harness import _Case
from tests.random_networks.agree import check_graph, check_onnx, check_torch
from tests.random_networks.coverage import Coverage
from tests.random_networks.generate import RandomNetwork, Sample, generate
from tests.random_networks.onnx_worker import OnnxRuntime
from tests.vectorise.agreement import SLICES, Array, Mapped, check_reference, mapped_graph, run_looped
from tests.vectorise.bodies import as_inputs

BODIES, IN_THE_BACKENDS = 80, 24


@pytest.fixture(scope="module")
def runtime() -> Iterator[OnnxRuntime]:
    worker = OnnxRuntime()
    yield worker
    worker.close()


def drawn(seed: int) -> tuple[RandomNetwork, Graph, frozenset[int]]:
    """A network, its graph with parameters as inputs, and which of those are mapped."""
    network = generate(seed, Coverage())
    graph = as_inputs(network.graph)
    rng = random.Random(seed)
    own = len(network.graph.inputs)
    chosen = {at for at in range(own) if rng.random() < 0.4} | set(range(own, len(graph.inputs)))
    return network, graph, frozenset(chosen or {0})


def arrays_of(network: RandomNetwork, sample: Sample) -> list[Array]:
    """Inputs, then weights."""
    given = [sample.inputs[name] for name, _ in network.graph.inputs]
    return [np.asarray(a) for a in (*given, *(network.weights[p.path] for p in network.graph.params))]


def slices_of(m: Mapped, held: Sequence[Array], sizes: Mapping[str, int], count: int) -> list[list[Array]]:
    """Slices with the same numbers at other places; where an index then points outside of its table, as they were."""
    made = []
    for by in range(max(count, 1)):
        turned = [np.roll(a.ravel(), by).reshape(a.shape) if at in m.at else a for at, a in enumerate(held)]
        try:
            run_looped(m.single, [turned], sizes, 1)
        except IndexError:
            turned = list(held)
        made.append(turned)
    return made


def over_slices(m: Mapped, each: Sequence[Sequence[Array]], sizes: dict[str, int]) -> _Case:
    """The case of these slices: stacked inputs, and the results of a loop."""
    count = sizes[SLICES]
    inputs = [np.stack(a)[:count] if at in m.at else a[0] for at, a in enumerate(zip(*each, strict=True))]
    return _Case(sizes, tuple(inputs), run_looped(m.single, each, sizes, count))


@pytest.mark.parametrize("block", range(4))
def test_random_bodies_over_slices_are_the_loop_over_them(block: int) -> None:
    loops = 0
    for seed in range(block, BODIES, 4):
        network, graph, at = drawn(seed)
        loops += any(isinstance(node.op, Loop) for node in graph.nodes)
        made = mapped_graph(graph, at, Dim.of(SLICES))
        check_graph(made.whole)
        for sample in network.samples:
            held = arrays_of(network, sample)
            for count in (3, 1, 0):
                each = slices_of(made, held, sample.sizes, count)
                check_reference(made, over_slices(made, each, {**sample.sizes, SLICES: count}))
    assert loops


@pytest.mark.parametrize("block", range(4))
def test_backends_agree_on_random_bodies(block: int, runtime: OnnxRuntime) -> None:
    for seed in range(block, IN_THE_BACKENDS, 4):
        network, graph, at = drawn(seed)
        made = mapped_graph(graph, at, Dim.of(SLICES))
        samples, expected = [], []
        for sample, count in zip(network.samples, (2, 1, 3, 0, 2), strict=False):
            sizes = {**sample.sizes, SLICES: count}
            case = over_slices(made, [arrays_of(network, sample)] * max(count, 1), sizes)
            named = {name: a for (name, _), a in zip(made.whole.inputs, case.inputs, strict=True)}
            samples.append(Sample(sizes, named, sample.errors))
            expected.append({name: a for (name, _), a in zip(graph.outputs, case.expected, strict=True)})
        whole = replace(network, graph=made.whole, training=None, weights={}, samples=tuple(samples))
        check_torch(made.whole, made.whole, whole, expected)
        check_onnx(made.whole, whole, expected, runtime)
