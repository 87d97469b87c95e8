"""Loops over one of the cells of `std.recurrent`, as the operators `LSTM`, `GRU` and `RNN`.

ONNX Runtime ends the process when `LSTM` or `GRU` meets an empty batch or `GRU` no step, and returns zeros in place of
the initial state after no step: where a size may be 0, the operator stands in the branch of an `If`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.loops import Parts, leading, may_be_empty, select, trailing
from netdsl.dims import Dim, product
from netdsl.ir import Instance, Node, Value
from netdsl.tensor_type import F16, F32, I32, I64, DType


@dataclass(frozen=True, slots=True)
class Cell:
    """An ONNX operator for a cell.

    Args: gates: for each ONNX gate, which of the cell's gates it is; has_memory: it carries a second state.
    """

    op_type: str
    gates: tuple[int, ...]
    has_memory: bool = False


#: Cells hold their gates in the order of torch: i f g o, and r z n. ONNX: i o f c, and z r h.
CELLS: dict[str, Cell] = {
    "std.recurrent.LstmCell": Cell("LSTM", (0, 3, 1, 2), has_memory=True),
    "std.recurrent.GruCell": Cell("GRU", (1, 0, 2)),
    "std.recurrent.RnnCell": Cell("RNN", (0,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A loop that is a recurrent operator.

    Args: weights: names of W [G * H, I], its bias, U [G * H, H], its bias; rows: the axes of a batch.
    """

    cell: Cell
    parts: Parts
    weights: tuple[str, ...]
    rows: tuple[Dim, ...]
    features: int
    hidden: int
    dtype: DType

    @property
    def count(self) -> Dim:
        return self.parts.op.count

    @property
    def batch(self) -> Dim:
        return product(self.rows)


def lower_recurrent(e: GraphEmitter, parts: Parts) -> tuple[str, ...] | None:
    """Names of the loop's results, or None if it is not just a cell that an operator computes."""
    plan = _plan(e, parts)
    if plan is None:
        return None
    if not may_be_empty(e, plan.count) and not may_be_empty(e, plan.batch):
        return _operator(e, plan)
    (size,) = e.node("Size", parts.sequences[0])
    (is_empty,) = e.node("Equal", size, e.constant(0, I64, ()))
    types = [*(parts.op.stacked(v.type) for v in parts.yields), *(v.type for v in parts.carried)]
    bodies = {}
    branches: tuple[tuple[str, Callable[[GraphEmitter, Plan], tuple[str, ...]]], ...] = (
        ("then_branch", _nothing),
        ("else_branch", _operator),
    )
    for key, branch in branches:
        with e.subgraph(key) as bodies[key]:
            for name, t in zip(branch(e, plan), types, strict=True):
                e.result(bodies[key], name, t)
    return e.node_with_bodies("If", is_empty, outputs=len(types), bodies=bodies)


def _plan(e: GraphEmitter, parts: Parts) -> Plan | None:
    op, region = parts.op, parts.region
    found = _only_instance(e, region.nodes)
    if found is None or op.sequences != 1 or op.has_until or (parts.lengths and parts.lengths_rank != 1):
        return None
    cell = CELLS[found.block]
    hidden_state = region.results[0]
    fits = (
        op.carries == 1 + cell.has_memory
        and found.inputs == region.arguments[: 1 + op.carries]
        and found.outputs == region.results[: op.carries]
        and all(v is hidden_state for v in parts.yields)
    )
    step, state = region.arguments[0].type, region.arguments[1].type
    weights = _weights(region.nodes, region.arguments[: 1 + op.carries])
    if not fits or len(weights) != 4 or state.dtype not in (F32, F16) or step.rank == 0:
        return None
    features, hidden = step.sizes[-1], state.sizes[-1]
    if not (features.is_const and hidden.is_const) or min(features.value, hidden.value) < 1:
        return None
    if parts.lengths is not None and state.rank != 2:
        return None
    gates = len(cell.gates) * hidden.value
    shapes = ((gates, features.value), (gates,), (gates, hidden.value), (gates,))
    if any(v.type.sizes != tuple(map(Dim.of, shape)) for v, shape in zip(weights, shapes, strict=True)):
        return None
    names = dict(zip(region.arguments[1 + op.carries :], parts.captured, strict=True))
    if any(v not in names for v in weights):
        return None
    rows = state.sizes[:-1]
    return Plan(cell, parts, tuple(names[v] for v in weights), rows, features.value, hidden.value, state.dtype)


def _only_instance(e: GraphEmitter, nodes: Sequence[Node]) -> Instance | None:
    """The intact instance of a known cell that all nodes belong to."""
    rows = {node.instance for node in nodes}
    if len(rows) != 1:
        return None
    (row,) = rows
    instance = e.graph.instances[row] if row < len(e.graph.instances) else None
    return instance if instance is not None and instance.intact and instance.block in CELLS else None


def _weights(nodes: Sequence[Node], arguments: Sequence[Value]) -> list[Value]:
    """What the cell reads besides its arguments, in the order in which the block names it."""
    known = set(arguments)
    found: dict[Value, None] = {}
    for node in nodes:
        for value in node.operands:
            if value not in known:
                found.setdefault(value)
        known.update(node.results)
    return list(found)


def _nothing(e: GraphEmitter, plan: Plan) -> tuple[str, ...]:
    """After no step, or for no row: no yields, and the initial state."""
    parts = plan.parts
    zero = e.constant(0, plan.dtype, ())
    yields = [e.node("Expand", zero, e.shape(parts.op.stacked(v.type).sizes))[0] for v in parts.yields]
    return (*yields, *parts.carries)


def _operator(e: GraphEmitter, plan: Plan) -> tuple[str, ...]:
    cell, parts, op = plan.cell, plan.parts, plan.parts.op
    batch, hidden = plan.batch, Dim.of(plan.hidden)
    one = e.constant([0], I64)
    x = _steps_first(e, plan)
    lengths = _clipped(e, plan) if parts.lengths is not None else ""
    states = [_reshaped(e, name, (Dim.of(1), batch, hidden), plan.rows, one) for name in parts.carries]
    y, *ends = e.node(
        cell.op_type,
        x,
        *_packed_weights(e, plan),
        lengths,
        *states,
        outputs=2 + cell.has_memory,
        hidden_size=plan.hidden,
        direction="reverse" if op.reverse else "forward",
        **({"linear_before_reset": 1} if cell.op_type == "GRU" else {}),
    )
    stacked = _yields(e, plan, y)
    finals = []
    for name, start in zip(ends, parts.carries, strict=True):
        final = _from_rows(e, name, plan, one)
        if parts.lengths is not None:
            # Rows of length 0 keep their initial state; ONNX Runtime returns zeros for them.
            (is_absent,) = e.node("LessOrEqual", parts.lengths, e.constant(0, I64, ()))
            (is_absent,) = e.node("Unsqueeze", is_absent, e.constant([1], I64))
            final = select(e, is_absent, start, final, plan.dtype)
        finals.append(final)
    return (*([stacked] * op.yields), *finals)


def _steps_first(e: GraphEmitter, plan: Plan) -> str:
    """The sequence as [T, rows, I]."""
    parts = plan.parts
    (x,) = parts.sequences
    rank, axis = len(plan.rows) + 2, parts.op.axis
    x = leading(e, x, axis, rank)
    if len(plan.rows) == 1:
        return x
    return e.node("Reshape", x, e.shape([plan.count, plan.batch, Dim.of(plan.features)]), allowzero=1)[0]


def _yields(e: GraphEmitter, plan: Plan, y: str) -> str:
    """[T, 1, rows, H] with the steps along the loop's axis."""
    rank, axis = len(plan.rows) + 2, min(plan.parts.op.axis, len(plan.rows) + 1)
    if len(plan.rows) == 1:
        (y,) = e.node("Squeeze", y, e.constant([1], I64))
    else:
        (y,) = e.node("Reshape", y, e.shape([plan.count, *plan.rows, Dim.of(plan.hidden)]), allowzero=1)
    return trailing(e, y, axis, rank)


def _reshaped(e: GraphEmitter, state: str, sizes: Sequence[Dim], rows: Sequence[Dim], first: str) -> str:
    """A state as [1, rows, H]."""
    if len(rows) == 1:
        return e.node("Unsqueeze", state, first)[0]
    return e.node("Reshape", state, e.shape(sizes), allowzero=1)[0]


def _from_rows(e: GraphEmitter, state: str, plan: Plan, first: str) -> str:
    if len(plan.rows) == 1:
        return e.node("Squeeze", state, first)[0]
    return e.node("Reshape", state, e.shape([*plan.rows, Dim.of(plan.hidden)]), allowzero=1)[0]


def _clipped(e: GraphEmitter, plan: Plan) -> str:
    """Lengths as ONNX takes them: i32, from 0 to the number of steps."""
    assert plan.parts.lengths is not None
    (clipped,) = e.node("Clip", plan.parts.lengths, e.constant(0, I64, ()), e.dim(plan.count))
    return e.node("Cast", clipped, to=e.tensor_dtype(I32))[0]


def _packed_weights(e: GraphEmitter, plan: Plan) -> tuple[str, str, str]:
    """W [1, G * H, I], R [1, G * H, H] and B [1, 2 * G * H] with ONNX's order of gates."""
    w, w_bias, u, u_bias = plan.weights
    key = "onnx_" + plan.cell.op_type.lower()
    if all(name in e.initializers for name in plan.weights):
        gates = plan.cell.gates
        packed = [_gates_of(e, name, gates) for name in (w, u, w_bias, u_bias)]
        bias = np.concatenate(packed[2:])
        return (
            e.derived(w, key, packed[0][None]),
            e.derived(u, key, packed[1][None]),
            e.derived(w_bias, f"{key}_with_{u_bias.rsplit('.', 1)[-1]}", bias[None]),
        )
    first = e.constant([0], I64)
    ordered = [_reordered(e, name, plan) for name in (w, u, w_bias, u_bias)]
    (bias_name,) = e.node("Concat", *ordered[2:], axis=0)
    w, u, b = (e.node("Unsqueeze", name, first)[0] for name in (*ordered[:2], bias_name))
    return w, u, b


def _gates_of(e: GraphEmitter, name: str, gates: Sequence[int]) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    blocks = np.split(e.initializers[name].source, len(gates))
    return np.concatenate([blocks[gate] for gate in gates])


def _reordered(e: GraphEmitter, name: str, plan: Plan) -> str:
    """A computed weight with its gates in ONNX's order."""
    gates = plan.cell.gates
    if len(gates) == 1:
        return name
    sizes = e.constant([plan.hidden] * len(gates), I64)
    blocks = e.node("Split", name, sizes, outputs=len(gates), axis=0)
    return e.node("Concat", *(blocks[gate] for gate in gates), axis=0)[0]
