"""Loops: `Scan` where at least one step is sure and none may stop early, else `Loop`.

`Scan` is cheaper by the step, but ONNX Runtime refuses a `Scan` over no steps, and ends the process
when `Scan` itself transposes an empty tensor: the steps are always the leading axis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netdsl.backends.onnx.element_types import through
from netdsl.backends.onnx.emitter import GraphEmitter, Scope
from netdsl.dims import Dim
from netdsl.ir import Node, Region, Value
from netdsl.ops.loop import Loop
from netdsl.tensor_type import BOOL, I16, I32, I64, DType, TensorType

#: (emitter, nodes, names of what is in scope, values that are read outside): enters the names of the results.
LowerNodes = Callable[[GraphEmitter, Sequence[Node], dict[Value, str], Sequence[Value]], None]
#: The name of a mask of rows that are active in this step, for a value of the given rank.
Mask = Callable[[int], str]

_LOWEST = -(1 << 63)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The operands of a loop by what they are for."""

    op: Loop
    region: Region
    sequences: tuple[str, ...]
    lengths: str | None
    lengths_rank: int
    carries: tuple[str, ...]
    captured: tuple[str, ...]

    @property
    def steps(self) -> tuple[Value, ...]:
        return self.region.arguments[: self.op.sequences]

    @property
    def carried(self) -> tuple[Value, ...]:
        return self.region.arguments[self.op.sequences : self.op.sequences + self.op.carries]

    @property
    def yields(self) -> tuple[Value, ...]:
        return self.region.results[self.op.carries : self.op.carries + self.op.yields]


def parts_of(node: Node, operands: tuple[str, ...]) -> Parts:
    op = node.op
    assert isinstance(op, Loop)
    first = op.sequences + op.has_length
    return Parts(
        op,
        node.regions[0],
        operands[: op.sequences],
        operands[op.sequences] if op.has_length else None,
        node.operands[op.sequences].type.rank if op.has_length else 0,
        operands[first : first + op.carries],
        operands[first + op.carries :],
    )


def may_be_empty(emitter: GraphEmitter, dim: Dim) -> bool:
    low, _ = emitter.facts.bounds(dim)
    return low is None or low < 1


def lower_loop(emitter: GraphEmitter, parts: Parts, lower: LowerNodes) -> tuple[str, ...]:
    """Names of the stacked yields, then of the final carries."""
    if parts.sequences and not parts.op.has_until and not may_be_empty(emitter, parts.op.count):
        return _scan(emitter, parts, lower)
    return _loop(emitter, parts, lower)


def _scan(e: GraphEmitter, parts: Parts, lower: LowerNodes) -> tuple[str, ...]:
    op = parts.op
    masks = _masks_of_steps(e, parts)
    with e.subgraph("body") as scope:
        carries = [e.argument(scope, v.hint, v.type) for v in parts.carried]
        steps = [e.argument(scope, v.hint, v.type) for v in parts.steps]
        active = {rank: e.argument(scope, "active", None) for rank in masks}
        following, yields, _ = _step(e, parts, lower, steps, carries, active.__getitem__ if active else None)
        _results(e, scope, parts, following, yields)
    inputs = op.sequences + len(masks)
    sequences = [
        leading(e, name, op.axis, v.type.rank + 1) for name, v in zip(parts.sequences, parts.steps, strict=True)
    ]
    outputs = e.node_with_bodies(
        "Scan",
        *parts.carries,
        *sequences,
        *masks.values(),
        outputs=op.carries + op.yields,
        bodies={"body": scope},
        num_scan_inputs=inputs,
        scan_input_directions=[int(op.reverse)] * inputs,
        scan_output_directions=[int(op.reverse)] * op.yields,
    )
    stacked = zip(outputs[op.carries :], parts.yields, strict=True)
    return (*(_along(e, op, name, v.type.rank) for name, v in stacked), *outputs[: op.carries])


def _masks_of_steps(e: GraphEmitter, parts: Parts) -> dict[int, str]:
    """For each rank of a masked value, which rows are active, with the steps as the leading axis."""
    if parts.lengths is None:
        return {}
    rows = parts.lengths_rank
    count = parts.op.count
    steps = (
        e.constant(list(range(count.value)), I64)
        if count.is_const
        else e.node("Range", e.constant(0, I64), e.dim(count), e.constant(1, I64))[0]
    )
    if rows:
        (steps,) = e.node("Unsqueeze", steps, e.constant(list(range(1, 1 + rows)), I64))
    (active,) = e.node("Less", steps, parts.lengths)
    ranks = dict.fromkeys(v.type.rank for v in (*parts.carried, *parts.yields))
    return {rank: _with_rank(e, active, rows + 1, rank + 1) for rank in ranks}


def _loop(e: GraphEmitter, parts: Parts, lower: LowerNodes) -> tuple[str, ...]:
    op = parts.op
    until = parts.region.results[-1].type if op.has_until else None
    with e.subgraph("body") as scope:
        turn = e.argument(scope, "turn", TensorType(I64))
        keep_on = e.argument(scope, "keep_on", TensorType(BOOL))
        carries = [e.argument(scope, v.hint, v.type) for v in parts.carried]
        running = e.argument(scope, "running", None) if until else ""
        at = e.node("Sub", e.dim(op.count - 1), turn)[0] if op.reverse else turn
        steps = [e.node("Gather", sequence, at, axis=op.axis)[0] for sequence in parts.sequences]
        active, rows = _active_rows(e, parts, at, running, until)
        mask = (lambda rank: _with_rank(e, active, rows, rank)) if active else None
        following, yields, done = _step(e, parts, lower, steps, carries, mask)
        if until is not None:
            stops = e.node("And", active, done)[0] if parts.lengths else done
            (still,) = e.node("And", running, e.node("Not", stops)[0])
            keep_on, running = _any(e, still, rows), still
        e.result(scope, keep_on)
        _results(e, scope, parts, following, yields, running)
    start = [_all_rows(e, parts, until)] if until is not None else []
    outputs = e.node_with_bodies(
        "Loop",
        e.sizes_vector(op.count),
        "",
        *parts.carries,
        *start,
        outputs=op.carries + len(start) + op.yields,
        bodies={"body": scope},
    )
    stacked = outputs[op.carries + len(start) :]
    whole = [_placed(e, op, name, v.type) for name, v in zip(stacked, parts.yields, strict=True)]
    return (*whole, *outputs[: op.carries])


def _step(
    e: GraphEmitter,
    parts: Parts,
    lower: LowerNodes,
    steps: Sequence[str],
    carries: Sequence[str],
    mask: Mask | None,
) -> tuple[list[str], list[str], str]:
    """Next carries, yields, and the value of `until`; rows that the mask leaves out keep carries and yield zeros."""
    op, region = parts.op, parts.region
    names = dict(zip(region.arguments, (*steps, *carries, *parts.captured), strict=True))
    lower(e, region.nodes, names, region.results)
    results = [names[v] for v in region.results]
    following, yields = results[: op.carries], results[op.carries : op.carries + op.yields]
    if mask is not None:
        following = [
            name if name == old else select(e, mask(v.type.rank), name, old, v.type.dtype)
            for name, old, v in zip(following, carries, parts.carried, strict=True)
        ]
        yields = [
            select(e, mask(v.type.rank), name, e.constant(0, v.type.dtype, ()), v.type.dtype)
            for name, v in zip(yields, parts.yields, strict=True)
        ]
    return following, yields, results[-1] if op.has_until else ""


def _results(
    e: GraphEmitter, scope: Scope, parts: Parts, following: Sequence[str], yields: Sequence[str], running: str = ""
) -> None:
    for name, value in zip(following, parts.carried, strict=True):
        e.result(scope, name, value.type)
    if running:
        e.result(scope, running)
    for name, value in zip(yields, parts.yields, strict=True):
        e.result(scope, name, value.type)


def select(e: GraphEmitter, condition: str, yes: str, no: str, dtype: DType) -> str:
    """`Where`, also for bool and i16, for which ONNX Runtime has no kernel."""
    if dtype.kind == "bool":
        (chosen,) = e.node("And", condition, yes)
        return e.node("Or", chosen, e.node("And", e.node("Not", condition)[0], no)[0])[0]
    if dtype == I16:
        return through(e, I32, I16, lambda *wide: e.node("Where", condition, *wide)[0], yes, no)
    return e.node("Where", condition, yes, no)[0]


def _active_rows(e: GraphEmitter, parts: Parts, at: str, running: str, until: TensorType | None) -> tuple[str, int]:
    """A bool for each row, and the number of its axes; no name if every row is always active."""
    if parts.lengths is None:
        return running, until.rank if until is not None else 0
    (active,) = e.node("Less", at, parts.lengths)
    if until is None:
        return active, parts.lengths_rank
    return e.node("And", active, running)[0], max(parts.lengths_rank, until.rank)


def _all_rows(e: GraphEmitter, parts: Parts, until: TensorType) -> str:
    """True for every row that lengths or `until` know."""
    yes = e.constant(True, BOOL, ())
    sizes = until.sizes
    if parts.lengths_rank > until.rank:
        sizes = parts.carried[0].type.sizes[: parts.lengths_rank]
    return e.node("Expand", yes, e.shape(sizes))[0] if sizes else yes


def _any(e: GraphEmitter, rows: str, rank: int) -> str:
    """Whether one of the rows is true; false if there are none."""
    if rank == 0:
        return rows
    (counted,) = e.node("Cast", rows, to=e.tensor_dtype(I32))
    (total,) = e.node("ReduceSum", counted, keepdims=0)
    return e.node("Cast", total, to=e.tensor_dtype(BOOL))[0]


def _with_rank(e: GraphEmitter, rows: str, have: int, rank: int) -> str:
    """`rows` with axes of size 1 behind them."""
    return rows if rank <= have else e.node("Unsqueeze", rows, e.constant(list(range(have, rank)), I64))[0]


def _placed(e: GraphEmitter, op: Loop, stacked: str, step: TensorType) -> str:
    """The yields of the steps that `Loop` made, in order of the steps and along the axis that the op says."""
    is_known = all(d.is_const for d in step.sizes)
    if op.has_until:
        stacked = _filled_up(e, op, stacked, step)
    elif may_be_empty(e, op.count) and not is_known:
        # After no step, `Loop` takes every size that it does not know for 0.
        (stacked,) = e.node("Reshape", stacked, e.shape([op.count, *step.sizes]), allowzero=1)
    if op.reverse:
        backwards = (e.constant([n], I64) for n in (-1, _LOWEST, 0, -1))
        (stacked,) = e.node("Slice", stacked, *backwards)
    return _along(e, op, stacked, step.rank)


def _along(e: GraphEmitter, op: Loop, stacked: str, step_rank: int) -> str:
    """Yields that are stacked along their leading axis, stacked along the loop's axis."""
    return trailing(e, stacked, min(op.axis, step_rank), step_rank + 1)


def leading(e: GraphEmitter, x: str, axis: int, rank: int) -> str:
    """`x` with `axis` moved to the front."""
    return e.node("Transpose", x, perm=[axis, *(a for a in range(rank) if a != axis)])[0] if axis else x


def trailing(e: GraphEmitter, x: str, axis: int, rank: int) -> str:
    """`x` with its leading axis moved to `axis`."""
    return e.node("Transpose", x, perm=[*range(1, axis + 1), 0, *range(axis + 1, rank)])[0] if axis else x


def _filled_up(e: GraphEmitter, op: Loop, stacked: str, step: TensorType) -> str:
    """Zeros for the steps after the last row stopped."""
    (taken,) = e.node("Shape", stacked, start=0, end=1)
    rest = e.shape(step.sizes)
    (shape,) = e.node("Concat", taken, rest, axis=0)
    (stacked,) = e.node("Reshape", stacked, shape, allowzero=1)
    (missing,) = e.node("Sub", e.sizes_vector(op.count), taken)
    (shape,) = e.node("Concat", missing, rest, axis=0)
    (zeros,) = e.node("Expand", e.constant(0, step.dtype, ()), shape)
    return e.node("Concat", stacked, zeros, axis=0)[0]
