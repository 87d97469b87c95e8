"""A layer of the library beside its peer in torch.nn, and how they are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

import netdsl

#: Relative to the largest magnitude, by element type.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
DTYPES = tuple(TOLERANCE)
Names = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One layer beside its peer.

    Args:
        text:   the network's inputs, result and body: `x: f32[B, 5] -> f32[B, 3] = x |> Linear[3]`; in f64 tests
                its f32 is f64.
        peer:   the module of torch.nn.
        shapes: of the float inputs.
        names:  our path of a peer's parameter; by default the block's path and the same name.
        call:   how the peer is called.
        extra:  inputs that are not float, after the others.
    """

    text: str
    peer: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    names: Names = field(default_factory=dict)
    call: Callable[..., Any] | None = None
    extra: tuple[Any, ...] = ()

    def module(self, dtype: torch.dtype = torch.float32) -> torch.fx.GraphModule:
        text = self.text if dtype == torch.float32 else self.text.replace("f32", "f64")
        return network(text).torch()


def network(text: str) -> Any:
    """`inputs -> result = body` as a network."""
    inputs, rest = text.split(" -> ", 1)
    result, body = rest.split(" = ", 1)
    source = f"import std.attention\nnetwork N({inputs}) -> {result} {{\n    {body}\n}}\n"
    return netdsl.load(source)["N"]


def paths(peer: nn.Module, module: nn.Module, names: Names) -> dict[str, str]:
    """Our path of each of the peer's floats: as `names` says, or under the one block's path."""
    ours = list(module.state_dict())
    inside = {path.split(".", 1)[-1]: path for path in ours}
    found = {}
    for name, tensor in peer.state_dict().items():
        if tensor.is_floating_point():
            target = names.get(name, name)
            found[name] = target if target in ours else inside[target]
    assert sorted(ours) == sorted(found.values())
    return found


def copy_weights(peer: nn.Module, module: nn.Module, names: Names) -> None:
    """The peer's parameters and buffers, made far from their initial values, in both."""
    generator = torch.Generator().manual_seed(1)
    theirs = peer.state_dict()
    where = paths(peer, module, names)
    with torch.no_grad():
        for name in where:
            noise = 0.3 * torch.randn(theirs[name].shape, generator=generator)
            theirs[name].add_(noise.abs() if "var" in name else noise)
    module.load_state_dict({path: theirs[name] for name, path in where.items()})


def flat(results: Any) -> list[torch.Tensor]:
    return list(results) if isinstance(results, (tuple, list)) else [results]


def assert_near(actual: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    assert actual.shape == expected.shape, what
    if not expected.numel():
        return
    scale = max(1.0, float(expected.detach().abs().max()))
    difference = float((actual - expected).detach().abs().max())
    assert difference <= TOLERANCE[expected.dtype] * scale, f"{what} differs by {difference:.3g} at size {scale:.3g}"


def compare(
    case: Case,
    dtype: torch.dtype,
    *,
    train: bool = False,
    module: nn.Module | None = None,
    peer: nn.Module | None = None,
) -> None:
    """Outputs, and gradients by the inputs and by every parameter, of a random linear function of the outputs."""
    torch.manual_seed(0)
    if module is None or peer is None:
        module, peer = case.module(dtype), case.peer().to(dtype)
        copy_weights(peer, module, case.names)
    module, peer = module.train(train), peer.train(train)
    module.zero_grad()
    peer.zero_grad()
    ours = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in case.shapes]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    actual = flat(module(*ours, *case.extra))
    expected = flat(case.call(peer, *theirs, *case.extra) if case.call else peer(*theirs, *case.extra))
    assert len(expected) == len(actual)
    for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_near(a, e, f"output {index}")
    weights = [torch.randn_like(e) for e in expected]
    for results in (actual, expected):
        torch.stack([(r * w).sum() for r, w in zip(results, weights, strict=True)]).sum().backward()
    for index, (a, e) in enumerate(zip(ours, theirs, strict=True)):
        assert a.grad is not None and e.grad is not None
        assert_near(a.grad, e.grad, f"the gradient of input {index}")
    where = paths(peer, module, case.names)
    for name, parameter in peer.named_parameters():
        gradient = module.get_parameter(where[name]).grad
        assert parameter.grad is not None and gradient is not None, name
        assert_near(gradient, parameter.grad, f"the gradient of `{name}`")
