"""A whole sequence through one recurrent layer, by torch's fused functions; also as an operator for compilers.

Compilers take torch's functions apart into one copy of the cell for each step, so that each length is compiled anew;
an operator stays one node.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._C import DispatchKey, _SetExcludeDispatchKeyGuard

_FUNCTIONS: dict[str, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}


def recurrence(
    kind: str,
    reverse: bool,
    steps: torch.Tensor,
    lengths: torch.Tensor | None,
    states: Sequence[torch.Tensor],
    weights: Sequence[torch.Tensor],
) -> list[torch.Tensor]:
    """The output of every step, zero past a row's length, and the states after the last step of each row.

    Shapes: steps (T, B, I), T >= 1; lengths (B,); states each (B, H); weights (G H, I), (G H, H), (G H,), (G H,)
            -> (T, B, H), then (B, H) for each state.
    Source: torch.rnn_tanh, torch.gru, torch.lstm.
    """
    function = _FUNCTIONS[kind]
    weights = list(weights)
    steps = steps.to(weights[0].dtype)
    states = [s.to(weights[0].dtype) for s in states]
    if lengths is not None:
        return _packed(function, reverse, steps, lengths, states, weights)
    steps = steps.flip(0) if reverse else steps
    outputs, *finals = function(steps, _hidden(states), weights, True, 1, 0.0, False, False, False)
    return [outputs.flip(0) if reverse else outputs, *(f[0] for f in finals)]


def _packed(
    function: Callable[..., Any],
    reverse: bool,
    steps: torch.Tensor,
    lengths: torch.Tensor,
    states: Sequence[torch.Tensor],
    weights: list[torch.Tensor],
) -> list[torch.Tensor]:
    """Rows are sorted by length and laid end to end step by step; rows of no steps are left out."""
    count = steps.shape[0]
    lengths = lengths.clamp(0, count)
    index = torch.arange(count, device=steps.device)[:, None]
    mirror = torch.where(index < lengths, lengths - 1 - index, index)[..., None]
    if reverse:
        steps = steps.take_along_dim(mirror, 0)
    order = lengths.argsort(descending=True)
    back = order.argsort()
    active = index < lengths[order]
    sizes = active.sum(1).cpu()
    used = int(sizes[0])
    states = [s[order] for s in states]
    outputs = states[0].new_zeros(count, *states[0].shape)
    if used:
        hidden = _hidden([s[:used] for s in states])
        packed = steps[:, order][active]
        made, *finals = function(packed, sizes[sizes > 0], hidden, weights, True, 1, 0.0, False, False)
        outputs = outputs.masked_scatter(active[..., None], made)
        states = [torch.cat([f[0], s[used:]]) for f, s in zip(finals, states, strict=True)]
    outputs = outputs[:, back]
    return [outputs.take_along_dim(mirror, 0) if reverse else outputs, *(s[back] for s in states)]


def _hidden(states: Sequence[torch.Tensor]) -> Any:
    """The initial state as torch's functions take it: one tensor, or the pair of an LSTM."""
    layers = tuple(s[None] for s in states)
    return layers if len(layers) > 1 else layers[0]


@torch.library.custom_op("netdsl::recurrence", mutates_args=())
def recurrence_op(
    kind: str,
    reverse: bool,
    steps: torch.Tensor,
    lengths: torch.Tensor | None,
    states: list[torch.Tensor],
    weights: list[torch.Tensor],
) -> list[torch.Tensor]:
    """`recurrence` as one node of a compiled graph."""
    return [t.contiguous() for t in recurrence(kind, reverse, steps, lengths, states, weights)]


@recurrence_op.register_fake
def _recurrence_shapes(
    kind: str,
    reverse: bool,
    steps: torch.Tensor,
    lengths: torch.Tensor | None,
    states: list[torch.Tensor],
    weights: list[torch.Tensor],
) -> list[torch.Tensor]:
    rows = (steps.shape[1], weights[1].shape[1])
    return [weights[0].new_empty(steps.shape[0], *rows), *(weights[0].new_empty(rows) for _ in states)]


@torch.library.custom_op("netdsl::recurrence_backward", mutates_args=())
def _gradients_op(
    kind: str,
    reverse: bool,
    steps: torch.Tensor,
    lengths: torch.Tensor | None,
    states: list[torch.Tensor],
    weights: list[torch.Tensor],
    gradients: list[torch.Tensor],
) -> list[torch.Tensor]:
    """Gradients of steps, states and weights; the forward pass is run again.

    An operator runs below autograd: the guard lets it in again, as torch's own checkpointing does.
    """
    inputs = [t.detach().requires_grad_() for t in (steps, *states, *weights)]
    with torch.enable_grad(), _SetExcludeDispatchKeyGuard(DispatchKey.AutogradFunctionality, False):
        states, weights = inputs[1 : 1 + len(states)], inputs[1 + len(states) :]
        results = recurrence(kind, reverse, inputs[0], lengths, states, weights)
        found = torch.autograd.grad(results, inputs, gradients, materialize_grads=True)
    return [g.clone(memory_format=torch.contiguous_format) for g in found]


@_gradients_op.register_fake
def _gradient_shapes(
    kind: str,
    reverse: bool,
    steps: torch.Tensor,
    lengths: torch.Tensor | None,
    states: list[torch.Tensor],
    weights: list[torch.Tensor],
    gradients: list[torch.Tensor],
) -> list[torch.Tensor]:
    return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (steps, *states, *weights)]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[torch.Tensor]) -> None:
    kind, reverse, steps, lengths, states, weights = inputs
    ctx.kind, ctx.reverse, ctx.count = kind, reverse, len(states)
    ctx.save_for_backward(steps, lengths, *states, *weights)


def _backward(ctx: Any, gradients: list[torch.Tensor]) -> tuple[Any, ...]:
    steps, lengths, *rest = ctx.saved_tensors
    states, weights = rest[: ctx.count], rest[ctx.count :]
    found = _gradients_op(ctx.kind, ctx.reverse, steps, lengths, states, weights, list(gradients))
    return None, None, found[0], None, found[1 : 1 + ctx.count], found[1 + ctx.count :]


recurrence_op.register_autograd(_backward, setup_context=_keep)
