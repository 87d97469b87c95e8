"""A network with its inputs and outputs opened: parameters stand between them and the rest, so that channels are free."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.dims import Dim
from netdsl.ir import Graph, Init, Node, Param, Value
from netdsl.ops.base import Op
from netdsl.ops.elementwise import Cast, Mul
from netdsl.ops.reduction import ReduceSum
from netdsl.tensor_type import F32, Axis, TensorType
from tests.random_networks.generate import rooted


def nudged(weights: Mapping[str, NDArray[Any]], seed: int) -> dict[str, NDArray[Any]]:
    """The weights, each a few roundings off: what changes under these is chaos, such as the cosine of 1e17."""
    rng = np.random.default_rng(seed)
    floats = {path: w for path, w in weights.items() if w.dtype.kind == "f"}
    return {**weights, **{path: w * (1 + 2.0**-50 * rng.standard_normal(w.shape)) for path, w in floats.items()}}


def opened(graph: Graph, rng: np.random.Generator) -> tuple[Graph, dict[str, NDArray[np.float64]]]:
    """The graph, and the new parameters.

    Of a float input the sum over its axes of constant size goes in, times a parameter; of each output comes out the
    sum, over its axes of constant size, of its product with a parameter.
    """
    weights: dict[str, NDArray[np.float64]] = {}
    params, inputs, outputs, before, after = [], [], [], [], []

    def beside(value: Value, path: str) -> Value:
        """A parameter that has the value's axes of constant size."""
        sizes = [size if size.is_const else Dim.of(1) for size in value.type.sizes]
        found = Value(TensorType(value.type.dtype, tuple(Axis(None, size) for size in sizes)))
        params.append(Param(path, "param", found, Init("normal", (("mean", 0.0), ("std", 1.0)))))
        weights[path] = rng.standard_normal([size.value for size in sizes])
        return found

    def apply(op: Op, *operands: Value) -> Node:
        return Node(op, operands, tuple(map(Value, op.infer(tuple(v.type for v in operands), graph.facts))))

    for name, value in graph.inputs:
        whole = tuple(at for at, size in enumerate(value.type.sizes) if size.is_const)
        if not (whole and value.type.dtype.is_float):
            inputs.append((name, value))
            continue
        inputs.append((name, Value(value.type)))
        summed = apply(ReduceSum(whole, True), inputs[-1][1])
        before += [summed, Node(Mul(), (summed.result, beside(value, f"in.{name}")), (value,))]
    for name, value in graph.outputs:
        whole = tuple(at for at, size in enumerate(value.type.sizes) if size.is_const)
        if not value.type.dtype.is_float:
            after.append(apply(Cast(F32), value))
            value = after[-1].result
        after.append(apply(Mul(), value, beside(value, f"out.{name}")))
        if whole:
            after.append(apply(ReduceSum(whole), after[-1].result))
        outputs.append((name, after[-1].result))
    made = replace(
        graph,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        params=(*graph.params, *params),
        nodes=(*before, *graph.nodes, *after),
        instances=graph.instances[1:],
    )
    return rooted(made), weights
