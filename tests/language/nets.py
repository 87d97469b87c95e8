"""Small networks for tests of the language: made from their parts, run in two ways, and looked into."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import netdsl
from netdsl.api import Network
from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.structs import arguments
from netdsl.tolerance import allowed_difference, largest_difference
from netdsl.verify import verify

Array = NDArray[Any]


def network(header: str, body: str, *, before: str = "", **statics: Any) -> Network:
    """`network N{header} { body }`, after the declarations `before`; its graphs are valid."""
    lines = "\n    ".join(line.strip() for line in body.strip().splitlines())
    net = netdsl.load(f"{before}\nnetwork N{header} {{\n    {lines}\n}}\n", **statics)["N"]
    for graph in {net.checked.eval_graph, net.checked.train_graph}:
        verify(graph)
    return net


def run(net: Network, weights: Any = None, /, **inputs: Any) -> Any:
    """The reference's output (a dict, where there are several); the torch module agrees with it."""
    given = {name: np.asarray(value) for name, value in inputs.items()}
    given = {n: given[n].astype(np.float32) if given[n].dtype == np.float64 else given[n] for n in given}
    expected = net.reference(given, weights=weights)
    module = net.torch(weights=weights).eval()
    with torch.no_grad():
        tensors = {n: torch.from_numpy(given[n]).to(torch_dtype(v.type.dtype)) for n, v in net.graph.inputs}
        found = module(*arguments(tensors))
    results = found if isinstance(found, tuple) else (found,)
    for (name, value), tensor in zip(net.graph.outputs, results, strict=True):
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        assert largest_difference(expected[name], array) <= allowed_difference(expected[name], value.type.dtype.name)
    return next(iter(expected.values())) if len(expected) == 1 else expected


def paths(net: Network) -> list[str]:
    """Parameters and states in graph order."""
    return [p.path for p in net.graph.params]


def taps(net: Network) -> list[str]:
    return [t.path for t in net.graph.taps]


def ops(net: Network) -> list[str]:
    """Names of the primitives, those of loop bodies included."""
    return [node.op.name for node in net.graph.walk()]


def output_type(net: Network) -> str:
    (_, value), *_ = net.graph.outputs
    return str(value.type)


def refused(header: str, body: str, *codes: str, before: str = "", **statics: Any) -> Diagnostic:
    """The first finding of a network that is refused with exactly these codes."""
    with pytest.raises(NetError) as caught:
        network(header, body, before=before, **statics)
    found = caught.value.diagnostics
    assert list(codes) == [d.code for d in found], [f"{d.code} {d.title}" for d in found]
    return found[0]
