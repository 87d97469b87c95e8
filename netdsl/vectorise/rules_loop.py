"""The loop: its body over slices, in which a carry is mapped as soon as its start or its next value is."""

from dataclasses import replace

from netdsl.dims import Dim
from netdsl.ir import Node, Region, Value
from netdsl.ops.base import Op
from netdsl.ops.loop import Loop, loop_results
from netdsl.ops.shape import Squeeze, Unsqueeze
from netdsl.tensor_type import Axis
from netdsl.vectorise.slices import Rule, Slices, Slot


def _loop(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """One loop over all slices. Where rows stop by themselves all carries and yields are mapped: so is their mask."""
    op = node.op
    assert isinstance(op, Loop)
    first = op.sequences + op.has_length
    sequences, lengths = slots[: op.sequences], slots[op.sequences : first]
    starts, captured = slots[first : first + op.carries], slots[first + op.carries :]
    are_rows = [(op.has_length or op.has_until) and at < op.carries - op.states for at in range(op.carries)]
    are_mapped = [is_row or start.is_mapped for is_row, start in zip(are_rows, starts, strict=True)]
    region = _body(s, op, node.regions[0], slots, are_mapped)
    starts = tuple(
        Slot(s.lifted(start), True) if is_mapped else start for start, is_mapped in zip(starts, are_mapped, strict=True)
    )
    operands = (
        *(_with_slices_in_front(s, sequence) for sequence in sequences),
        *map(s.lifted, lengths),
        *(slot.value for slot in (*starts, *captured)),
    )
    whole = replace(op, axis=op.axis + 1)
    types = loop_results(whole, tuple(v.type for v in operands), tuple(v.type for v in region.results))
    results = tuple(Value(t.without_names(), old.hint) for t, old in zip(types, node.results, strict=True))
    s.append(whole, operands, results, (region,))
    are_lifted = [True] * op.yields + are_mapped
    return tuple(s.lifted(Slot(v, is_mapped)) for v, is_mapped in zip(results, are_lifted, strict=True))


def _body(s: Slices, op: Loop, region: Region, slots: tuple[Slot, ...], are_mapped: list[bool]) -> Region:
    """The region over all slices. `are_mapped` says which carries are known to be mapped, and gets those found."""
    given = [slot.is_mapped for slot in slots]
    captured = given[op.sequences + op.has_length + op.carries :]
    while True:
        body, known = s.inner(), dict[Value, Slot]()
        arguments = []
        has_slices = (*given[: op.sequences], *are_mapped, *captured)
        for at, (old, is_mapped) in enumerate(zip(region.arguments, has_slices, strict=True)):
            is_shared_step = at < op.sequences and not is_mapped
            sizes = [s.size] if is_mapped else [Dim.of(1)] if is_shared_step else []
            new = Value(old.type.with_axes((*(Axis(None, size) for size in sizes), *old.type.axes)), old.hint)
            arguments.append(new)
            known[old] = Slot(body.emit(Squeeze(0), new), False) if is_shared_step else Slot(new, is_mapped)
        body.translate(region.nodes, known)
        ends = [known[value] for value in region.results]
        found = [was or end.is_mapped for was, end in zip(are_mapped, ends, strict=False)]
        if found == are_mapped:
            break
        are_mapped[:] = found
    results = [end.value if at < op.carries and not are_mapped[at] else body.lifted(end) for at, end in enumerate(ends)]
    return Region(tuple(arguments), tuple(body.nodes), tuple(results))


def _with_slices_in_front(s: Slices, sequence: Slot) -> Value:
    """A sequence that all slices share gets an axis of size 1, so that the steps stand on one axis of all."""
    return sequence.value if sequence.is_mapped else s.emit(Unsqueeze(0), sequence.value)


RULES: dict[type[Op], Rule] = {Loop: _loop}
