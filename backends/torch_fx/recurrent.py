"""Loops over a standard recurrent cell, by torch's whole-sequence functions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from netdsl.backends.torch_fx.instances import are_inside
from netdsl.backends.torch_fx.recurrence import recurrence, recurrence_op
from netdsl.instances import ancestors
from netdsl.ir import Graph, Node
from netdsl.ops.loop import Loop

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_KINDS = {"std.recurrent.RnnCell": "rnn", "std.recurrent.GruCell": "gru", "std.recurrent.LstmCell": "lstm"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A body that is exactly one standard cell.

    Args:
        kind:    `rnn`, `gru` or `lstm`.
        weights: where the cell's weights and biases stand among the loop's captured values.
        yields:  how often the output is yielded.
    """

    kind: str
    weights: tuple[int, ...]
    yields: int


def find_cell(graph: Graph, node: Node) -> Cell | None:
    """The cell that the loop's body consists of, if its instance is intact and its weights are parameters."""
    op, (region,) = node.op, node.regions
    assert isinstance(op, Loop)
    if op.sequences != 1 or op.has_until or not region.nodes or not graph.instances:
        return None
    row = next(
        (r for r in ancestors(graph.instances, region.nodes[0].instance) if graph.instances[r].block in _KINDS),
        None,
    )
    if row is None or not graph.instances[row].intact or not are_inside(graph, region.nodes, row):
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
    return Cell(_KINDS[instance.block], tuple(weights), op.yields)


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
    run = recurrence_op if torch.compiler.is_compiling() else recurrence
    outputs, *states = run(cell.kind, reverse, flat, None if lengths is None else lengths.reshape(-1), states, weights)
    stacked = outputs.reshape(outputs.shape[0], *rows, outputs.shape[-1]).movedim(0, axis)
    return (*([stacked] * cell.yields), *(s.reshape(c.shape) for s, c in zip(states, carries, strict=True)))
