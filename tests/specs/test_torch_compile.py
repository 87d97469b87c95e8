"""Modules of the specs compile as one graph, in few compilations, and export with free sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import netdsl
from netdsl.api import Network
from netdsl.structs import arguments
from netdsl.tolerance import allowed_difference
from tests.specs.catalogue import CATALOGUE, reduced
from tests.specs.torch_calls import flat, module_of, tensors

AUTO = torch.export.Dim.AUTO
LEAKY = """network Leaky(x: f32[B, T, 3], length: i64[B]) -> (y: f32[B, T, 4], last: f32[B, 4]) {
    param decay: f32[4] ~ normal
    y, h, n = scan x[axis=1, length=length] from (h=zeros[B, 4], n=zeros[B]) {
        h = sigmoid(decay) * h + (x |> Linear[4] as input |> tanh)
        n = n + 1.0
        yield h / n[:, none]
    }
    last = h
}
"""


def network(name: str) -> Network:
    if name == "Leaky":
        return netdsl.load(LEAKY)["Leaky"]
    if name == "DigitsCnn":  # compilers draw other numbers
        return netdsl.load(CATALOGUE[name].path.read_text("utf-8").replace("Dropout[0.3]", "Dropout[0.0]"))[name]
    return reduced(name)


def assert_near(expected: torch.Tensor, actual: torch.Tensor) -> None:
    wanted = expected.detach().double().numpy()
    assert wanted.shape == tuple(actual.shape)
    difference = np.abs(wanted - actual.detach().double().numpy()).max(initial=0.0)
    assert difference <= allowed_difference(wanted, "f32")


def backward(function: Callable[..., Any], module: torch.nn.Module, given: list[torch.Tensor]) -> list[torch.Tensor]:
    """Results, then gradients of their squares by the float inputs and the parameters."""
    inputs = [t.clone().requires_grad_(t.is_floating_point()) for t in given]
    results = flat(function(*inputs))
    leaves = [t for t in (*inputs, *module.parameters()) if t.requires_grad]
    loss = torch.stack([r.square().mean() for r in results]).sum()
    return [*results, *torch.autograd.grad(loss, leaves, materialize_grads=True, allow_unused=True)]


#: Network -> sizes of the calls; no two sizes of one call are equal, compilers would take them for one.
CALLS = {
    "Classifier": [{"B": 4}, {"B": 7}, {"B": 5}],
    "NeuralField": [{"N": 4}, {"N": 7}, {"N": 5}],
    "DigitsCnn": [{"B": 4}, {"B": 7}, {"B": 5}],
    "ViTTiny": [{"B": 2}, {"B": 3}],
    "Gpt2": [{"B": 2, "T": 5}, {"B": 3, "T": 9}, {"B": 4, "T": 7}],
    "Bert": [{"B": 2, "T": 5}, {"B": 3, "T": 9}, {"B": 4, "T": 7}],
    "Tagger": [{"B": 2, "T": 5}, {"B": 3, "T": 9}, {"B": 4, "T": 7}],
    "Leaky": [{"B": 2, "T": 5}, {"B": 3, "T": 9}, {"B": 4, "T": 7}],
    "ResNet18": [{"B": 2, "H": 33, "W": 40}, {"B": 3, "H": 48, "W": 35}],
    "UNet": [{"B": 2, "H": 16, "W": 32}, {"B": 3, "H": 48, "W": 32}],
}


def run_compiled(name: str, backend: str, *, train: bool) -> int:
    """Compare forward and backward at every size; the count of compilations."""
    torch._dynamo.reset()
    net = network(name)
    module, twin = module_of(net).train(train), module_of(net).train(train)
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    for sizes in CALLS[name]:
        given = tensors(net, sizes)
        torch.manual_seed(0)
        actual = backward(compiled, module, given)
        torch.manual_seed(0)
        for a, e in zip(actual, backward(twin, twin, given), strict=True):
            assert_near(e, a)
    for path, value in twin.state_dict().items():
        assert_near(value, module.state_dict()[path])
    return counter.frame_count


SLOW = ("ResNet18", "UNet")


@pytest.mark.parametrize("name", [n if n not in SLOW else pytest.param(n, marks=pytest.mark.long) for n in CALLS])
def test_a_compiled_module_trains_as_the_eager_one_in_two_compilations(name: str) -> None:
    assert run_compiled(name, "aot_eager", train=True) <= 2


@pytest.mark.parametrize("name", ["DigitsCnn", "Tagger"])
def test_a_compiled_module_evaluates_as_the_eager_one(name: str) -> None:
    assert run_compiled(name, "aot_eager", train=False) <= 2


EXPORTS = {
    "Classifier": [{"B": 4}, {"B": 1}, {"B": 9}],
    "ViTTiny": [{"B": 4}, {"B": 1}, {"B": 3}],
    "Gpt2": [{"B": 3, "T": 6}, {"B": 1, "T": 9}, {"B": 5, "T": 1}],
    "Bert": [{"B": 3, "T": 6}, {"B": 1, "T": 9}, {"B": 5, "T": 2}],
    "Tagger": [{"B": 3, "T": 6}, {"B": 1, "T": 9}, {"B": 5, "T": 1}],
    "Leaky": [{"B": 3, "T": 6}, {"B": 1, "T": 9}, {"B": 5, "T": 1}],
    "ResNet18": [{"B": 2, "H": 33, "W": 40}, {"B": 1, "H": 64, "W": 35}],
}


@pytest.mark.parametrize("name", EXPORTS)
def test_an_exported_program_takes_other_batches_and_lengths(name: str) -> None:
    net = network(name)
    module = module_of(net).eval()
    traced, *others = EXPORTS[name]
    free = {n: {i: AUTO for i, d in enumerate(v.type.sizes) if not d.is_const} for n, v in net.graph.inputs}
    shapes = tuple(arguments(free))
    program = torch.export.export(module, tuple(tensors(net, traced)), dynamic_shapes=shapes)
    for sizes in (traced, *others):
        given = tensors(net, sizes, seed=1)
        for a, e in zip(flat(program.module()(*given)), flat(module(*given)), strict=True):
            assert_near(e, a)


@pytest.mark.long
@pytest.mark.parametrize("name", ["DigitsCnn", "Tagger", "Gpt2"])
def test_the_default_compiler_agrees(name: str) -> None:
    assert run_compiled(name, "inductor", train=True) <= 2
