"""What a pass can compute ahead of a run: nodes whose values are fixed, by the float64 reference."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.execute import run
from netdsl.ir import Graph, Node, Value, walk
from netdsl.ops.creation import Dropout
from netdsl.ops.external import ExternCall
from netdsl.passes.base import Weights

Array = NDArray[np.generic]


def is_computable(node: Node) -> bool:
    """Whether fixed operands fix the results: no free size takes part, and every call gives the same."""
    if any(not value.type.is_static for value in node.results):
        return False
    return not any(isinstance(n.op, (Dropout, ExternCall)) or any(True for _ in n.op.dims()) for n in walk((node,)))


def evaluated(
    graph: Graph, nodes: Sequence[Node], wanted: Sequence[Value], inputs: Mapping[str, Array], weights: Weights
) -> dict[Value, Array]:
    """The wanted values, in float64 where they are floats, by running `nodes` alone.

    Args:   inputs: those that the nodes read; parameters are read from `weights`, or hold their data.
    """
    part = replace(
        graph,
        inputs=tuple((name, value) for name, value in graph.inputs if name in inputs),
        outputs=tuple((str(at), value) for at, value in enumerate(wanted)),
        nodes=tuple(nodes),
        updates=(),
        taps=(),
    )
    outputs = run(part, inputs, {p.path: weights[p.path] for p in graph.params if p.path in weights}).outputs
    return {value: outputs[str(at)] for at, value in enumerate(wanted)}


def free_path(path: str, taken: set[str]) -> str:
    """`path`, or the first of `PATH_2`, `PATH_3`, .. that is free. It is taken from then on."""
    found, count = path, 1
    while found in taken:
        count += 1
        found = f"{path}_{count}"
    taken.add(found)
    return found
