"""Loops over a standard recurrent cell, by torch's whole-sequence functions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from netdsl.backends.torch_fx.instances import nodes_inside
from netdsl.ir import Graph, Node
from netdsl.ops.loop import Loop

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "std.recurrent.RnnCell": torch.rnn_tanh,
    "std.recurrent.GruCell": torch.gru,
    "std.recurrent.LstmCell": torch.lstm,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A body that is exactly one standard cell.

    Args:
        function: torch's function for the whole sequence.
        weights:  where the cell's weights and biases stand among the loop's captured values.
        yields:   how often the output is yielded.
    """

    function: Callable[..., Any]
    weights: tuple[int, ...]
    yields: int


def find_cell(graph: Graph, node: Node) -> Cell | None:
    """The cell that the loop's body consists of, if its instance is intact and its weights are parameters."""
    op, (region,) = node.op, node.regions
    assert isinstance(op, Loop)
    if op.sequences != 1 or op.has_until or not region.nodes:
        return None
    row = next((r for r in _ancestors(graph, region.nodes[0].instance) if graph.instances[r].block in _FUNCTIONS), None)
    if row is None or not graph.instances[row].intact or not nodes_inside(graph, region.nodes, row):
        return None
    instance = graph.instances[row]
    wanted = (*instance.outputs, *([instance.outputs[0]] * op.yields))
    if instance.inputs != region.arguments[: 1 + op.carries] or wanted != region.results:
        return None
    captured = node.operands[op.sequences + op.has_length + op.carries :]
    values = {p.path: p.value for p in graph.params}
    weights = []
    for name in _WEIGHTS:
        value = values.get(f"{instance.path}.{name}")
        if value is None or value not in captured:
            return None
        weights.append(captured.index(value))
    return Cell(_FUNCTIONS[instance.block], tuple(weights), op.yields)


def run_cell(
    cell: Cell,
    axis: int,
    reverse: bool,
    sequence: torch.Tensor,
    lengths: torch.Tensor | None,
    carries: Sequence[torch.Tensor],
    captured: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, ...]:
    """Stacked outputs (as often as yielded), then the final carries.

    Shapes: sequence (.., I) with at least one step at `axis`; carries (.., H); lengths (..).
    """
    steps = sequence.movedim(axis, 0)
    rows = steps.shape[1:-1]
    flat = steps.reshape(steps.shape[0], math.prod(rows), steps.shape[-1])
    states = [c.reshape(flat.shape[1], c.shape[-1]) for c in carries]
    weights = [captured[i] for i in cell.weights]
    if lengths is None:
        flat = flat.flip(0) if reverse else flat
        outputs, *finals = cell.function(flat, _hidden(states), weights, True, 1, 0.0, False, False, False)
        outputs = outputs.flip(0) if reverse else outputs
        states = [f[0] for f in finals]
    else:
        outputs, states = _run_packed(cell, flat, lengths.reshape(-1), states, weights, reverse)
    stacked = outputs.unflatten(1, rows).movedim(0, axis)
    return (*([stacked] * cell.yields), *(s.reshape(c.shape) for s, c in zip(states, carries, strict=True)))


def _run_packed(
    cell: Cell,
    flat: torch.Tensor,
    lengths: torch.Tensor,
    states: Sequence[torch.Tensor],
    weights: Sequence[torch.Tensor],
    reverse: bool,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Rows sorted by length and laid end to end step by step, without the rows of no steps."""
    count = flat.shape[0]
    lengths = lengths.clamp(0, count)
    order = lengths.argsort(descending=True)
    back = order.argsort()
    index = torch.arange(count, device=flat.device)[:, None]
    if reverse:
        mirror = torch.where(index < lengths, lengths - 1 - index, index)[..., None]
        flat = flat.take_along_dim(mirror, 0)
    active = index < lengths[order]
    sizes = active.sum(1).cpu()
    used = int(sizes[0])
    states = [s[order] for s in states]
    outputs = states[0].new_zeros(count, *states[0].shape)
    if used:
        packed = flat[:, order][active]
        sizes = sizes[: int((sizes > 0).sum())]
        hidden = _hidden([s[:used] for s in states])
        made, *finals = cell.function(packed, sizes, hidden, weights, True, 1, 0.0, False, False)
        outputs = outputs.masked_scatter(active[..., None], made)
        states = [torch.cat([f[0], s[used:]]) for f, s in zip(finals, states, strict=True)]
    outputs = outputs[:, back]
    if reverse:
        outputs = outputs.take_along_dim(mirror, 0)
    return outputs, [s[back] for s in states]


def _hidden(states: Sequence[torch.Tensor]) -> Any:
    """The initial state as torch's functions take it: one tensor, or the pair of an LSTM."""
    layers = tuple(s[None] for s in states)
    return layers if len(layers) > 1 else layers[0]


def _ancestors(graph: Graph, row: int) -> list[int]:
    """The row and those around it, from inside out."""
    rows = []
    while 0 <= row < len(graph.instances):
        rows.append(row)
        row = graph.instances[row].parent
    return rows
