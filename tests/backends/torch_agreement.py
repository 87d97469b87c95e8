"""A torch module next to the reference, and what the tests of the torch backend share."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netdsl.api import load
from netdsl.backends.reference import run
from netdsl.ir import Graph

Array = NDArray[Any]

#: Relative and absolute error of float32 against the float64 reference.
RTOL, ATOL = 1e-4, 1e-5


def sample(graph: Graph, sizes: Mapping[str, int], seed: int = 0) -> dict[str, Array]:
    """Inputs of these sizes: normal floats, booleans, and integers from 0 to the largest size."""
    rng = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for name, value in graph.inputs:
        shape = tuple(d.evaluate(sizes) for d in value.type.sizes)
        dtype = value.type.dtype
        if dtype.is_float:
            made[name] = rng.normal(size=shape).astype({"f64": "f8", "f16": "f2"}.get(dtype.name, "f4"))
        elif dtype.is_int:
            made[name] = rng.integers(0, max(sizes.values()) + 1, shape)
        else:
            made[name] = rng.random(shape) < 0.7
    return made


def call(function: Callable[..., Any], inputs: Mapping[str, Array]) -> tuple[torch.Tensor, ...]:
    """The results as a tuple, also where there is one."""
    results = function(*(torch.tensor(a) for a in inputs.values()))
    return results if isinstance(results, tuple) else (results,)


def assert_equals_reference(
    function: Callable[..., Any], graph: Graph, inputs: Mapping[str, Array], params: Mapping[str, Array]
) -> None:
    wanted = run(graph, inputs, params).outputs
    with torch.no_grad():
        found = call(function, inputs)
    assert len(wanted) == len(found)
    for (name, expected), actual in zip(wanted.items(), found, strict=True):
        assert expected.shape == tuple(actual.shape), name
        scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
        np.testing.assert_allclose(actual.double().numpy(), expected, rtol=RTOL, atol=ATOL * scale, err_msg=name)


def gradients(
    function: Callable[..., Any], module: torch.nn.Module, inputs: Mapping[str, Array]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Results, and gradients of the sum of their squares by the float inputs and the parameters (0 where unused)."""
    tensors = [torch.tensor(a).requires_grad_(a.dtype.kind == "f") for a in inputs.values()]
    results = function(*tensors)
    flat = results if isinstance(results, tuple) else (results,)
    leaves = [t for t in (*tensors, *module.parameters()) if t.requires_grad]
    loss = torch.stack([(r * r).sum() for r in flat if r.is_floating_point()]).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return [r.detach() for r in flat], list(found)


def assert_same_gradients(compiled: Callable[..., Any], module: torch.nn.Module, inputs: Mapping[str, Array]) -> None:
    """The compiled module gives the results and gradients of the module itself."""
    for actual, expected in zip(gradients(compiled, module, inputs), gradients(module, module, inputs), strict=True):
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e, rtol=1e-4, atol=1e-4)


def network(text: str, name: str = "N", **statics: Any) -> Any:
    """The network of a text."""
    return load(text, **statics)[name]
