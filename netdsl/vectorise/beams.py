"""Beam search: a loop that decides once a step, as a loop over its likeliest sequences of decisions (rule R12)."""

from collections.abc import Sequence
from dataclasses import replace

from netdsl.dims import Dim, Facts, product
from netdsl.ir import Node, Region, Value
from netdsl.ops.comparison import Eq, Gt, LogicalOr
from netdsl.ops.creation import DimValue, Full, Iota
from netdsl.ops.elementwise import Add, FloorDiv, Mod, Mul, Select, Sub
from netdsl.ops.indexing import Take, TakeAlong
from netdsl.ops.loop import Loop, has_rows, loop_results
from netdsl.ops.pieces import Pick
from netdsl.ops.reduction import ReduceAll
from netdsl.ops.shape import Broadcast, Unsqueeze
from netdsl.ops.sorting import TopK
from netdsl.record import dataclass
from netdsl.tensor_type import BOOL, I64, Axis, DType, TensorType
from netdsl.vectorise.slices import Slices, Slot
from netdsl.vectorise.tables import REFUSED, RULES

_FIRST = Dim.of(0)


@dataclass(eq=False)
class OtherRows(Exception):
    """`value` of the body differs from sequence to sequence, and does not begin with the rows of the decision."""

    value: Value


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """What one decision makes of the sequences, the best first, each value (k, rows..).

    Args:
        parent: the place of the sequence that each one continues, in its row.
        source: the same place among all rows.
        total:  log-probabilities of the whole sequences; -inf where there are fewer of them.
        ended:  those that had ended, where they end by themselves.
    """

    parent: Value
    source: Value
    pick: Value
    score: Value
    total: Value
    ended: Value | None


@dataclass(frozen=True, slots=True, eq=False)
class BeamSearch:
    """A loop that keeps the `width` likeliest sequences of decisions, in the place of `node`, which has one.

    The best `width` continuations of all sequences go on; of equal ones those of the better sequence, then those of the
    lower choice. A sequence that has ended continues as itself, and a search ends when its best sequence has.

    Args:
        node:   the loop; a condition that it stops by has the rows of the decision, and lengths have the first of them.
        scores: in its body, the log-probabilities of the choices, (rows.., n), n at least 1.
        pick:   the index of the choice, (rows..).
        score:  its log-probability, (rows..).
    """

    node: Node
    scores: Value
    pick: Value
    score: Value
    width: Dim
    facts: Facts

    def run(self) -> tuple[tuple[Node, ...], tuple[Value, ...]]:
        """New nodes, and each result of the loop as the best sequence has it.

        Raises: NotVectorised; OtherRows.
        """
        op, operands = self._op, self.node.operands
        s = Slices(self.width, self.facts, RULES, REFUSED)
        s.stand(self.node.spans)
        region, are_mapped = self._region(s)
        first = op.sequences + op.has_length
        starts = zip(operands[first : first + op.carries], are_mapped, strict=False)
        standing = self._first_standing(s)
        inner = (
            *(s.moved(value, op.axis, 0) for value in operands[: op.sequences]),
            *(s.lifted(Slot(value, False)) for value in operands[op.sequences : first]),
            *(s.lifted(Slot(value, False)) if is_mapped else value for value, is_mapped in starts),
            *standing,
            *operands[first + op.carries :],
        )
        whole = replace(op, axis=0, carries=op.carries + len(standing), yields=op.yields + 1)
        found = _loop(s, whole, inner, region)
        yields, shifts, ends = found[: op.yields], found[op.yields], found[whole.yields :]
        results = self._path(s, whole, yields, are_mapped[op.carries :], shifts)
        for value, is_mapped in zip(ends, are_mapped[: op.carries], strict=False):
            results.append(s.emit(Pick(0, _FIRST), value) if is_mapped else value)
        return tuple(s.nodes), tuple(results)

    @property
    def _op(self) -> Loop:
        assert isinstance(self.node.op, Loop)
        return self.node.op

    @property
    def _rows(self) -> tuple[Dim, ...]:
        return self.scores.type.sizes[:-1]

    def _type(self, dtype: DType) -> TensorType:
        """One element for each sequence of each row."""
        return TensorType(dtype, tuple(Axis(None, size) for size in (self.width, *self._rows)))

    def _first_standing(self, s: Slices) -> list[Value]:
        """Log-probabilities, and which have ended: there is one sequence to begin with, of no steps."""
        is_first = s.emit(Eq(), self._places(s), _number(s, 0, I64))
        zero, least = (_number(s, value, self.scores.type.dtype) for value in (0.0, -float("inf")))
        total = s.emit(Broadcast(self._type(BOOL).sizes), s.emit(Select(), is_first, zero, least))
        return [total, *([s.emit(Full(self._type(BOOL).sizes, False, BOOL))] if self._op.has_until else [])]

    # --- one step --------------------------------------------------------------------------------

    def _region(self, s: Slices) -> tuple[Region, list[bool]]:
        """The body over all sequences, and which of its carries and yields differ among them."""
        op, old = self._op, self.node.regions[0]
        last = op.sequences + op.carries
        carries = old.arguments[op.sequences : last]
        are_mapped = [op.has_length or op.has_until] * (op.carries + op.yields)
        while True:
            body = s.inner()
            known = {v: Slot(_led(v, self.width) if m else v, m) for v, m in zip(carries, are_mapped, strict=False)}
            before = [known[value].value for value in carries]
            total = Value(self._type(self.scores.type.dtype), "total")
            ended = Value(self._type(BOOL), "ended") if op.has_until else None
            chosen = self._translate(body, known, total, ended)
            ends = [known.get(value) or Slot(value, False) for value in old.results]
            was = are_mapped[: op.carries]
            are_mapped = [is_mapped or end.is_mapped for is_mapped, end in zip(are_mapped, ends, strict=False)]
            if was == are_mapped[: op.carries]:
                break
        results = []
        for at, (value, end, is_mapped) in enumerate(zip(old.results, ends, are_mapped, strict=False)):
            if is_mapped:
                self._require_rows(value, end)
                frozen = known[carries[at]].value if at < op.carries else None
                results.append(_unless(body, chosen.ended, frozen, body.lifted(end)))
            else:
                results.append(end.value)
        standing, stop = [chosen.total], []
        if chosen.ended is not None:
            standing.append(body.emit(LogicalOr(), chosen.ended, body.lifted(ends[-1])))
            stop.append(body.emit(ReduceAll(), body.emit(Pick(0, _FIRST), standing[-1])))
        results[op.carries : op.carries] = standing
        # How far the parents stood behind, not where they stood: past a row's length yields are 0.
        results += [body.emit(Sub(), chosen.parent, self._places(body)), *stop]
        arguments = (*old.arguments[: op.sequences], *before, total, *([] if ended is None else [ended]))
        return Region((*arguments, *old.arguments[last:]), tuple(body.nodes), tuple(results)), are_mapped

    def _translate(self, s: Slices, known: dict[Value, Slot], total: Value, ended: Value | None) -> _Chosen:
        """The body's nodes over all sequences. Those that the decision does not need go on from the ones chosen."""
        region, op = self.node.regions[0], self._op
        before = _needed(region.nodes, self.scores)
        decided = {self.pick, self.score}
        after = [node for node in region.nodes if node not in before and decided.isdisjoint(node.results)]
        s.translate([node for node in region.nodes if node in before], known)
        s.stand(self.node.spans)
        scores = s.lifted(known.get(self.scores) or Slot(self.scores, False))
        chosen = self._choose(s, scores, total, ended)
        read = [*(value for node in after for value in node.operands), *region.results]
        if ended is not None:
            read += region.arguments[op.sequences : op.sequences + op.carries]
        for value in dict.fromkeys(read):
            slot = known.get(value)
            if slot is not None and slot.is_mapped:
                self._require_rows(value, slot)
                known[value] = Slot(self._of(s, slot.value, chosen.source), True)
        known |= {self.pick: Slot(chosen.pick, True), self.score: Slot(chosen.score, True)}
        s.translate(after, known)
        s.stand(self.node.spans)
        return chosen

    def _choose(self, s: Slices, scores: Value, total: Value, ended: Value | None) -> _Chosen:
        count, last = scores.type.sizes[-1], len(self._rows)
        least = _number(s, -float("inf"), scores.type.dtype)
        gains = scores
        if ended is not None:
            is_first = s.emit(Eq(), s.emit(Iota(count)), _number(s, 0, I64))
            itself = s.emit(Select(), is_first, _number(s, 0.0, scores.type.dtype), least)
            gains = s.emit(Select(), s.emit(Unsqueeze(-1), ended), itself, scores)
        before = s.emit(Unsqueeze(-1), total)
        # A sequence that is not there may have reached what is no number.
        grown = s.emit(Select(), s.emit(Gt(), before, least), s.emit(Add(), before, gains), least)
        flat = (*self._rows, self.width * count)
        grown, scores = (s.reshaped(s.moved(value, 0, last), flat) for value in (grown, scores))
        op = TopK(self.width, last)
        best, at = (Value(t, "beam") for t in op.infer((grown.type,), self.facts))
        s.append(op, (grown,), (best, at))
        size = s.emit(DimValue(count))
        found = (s.emit(FloorDiv(), at, size), s.emit(Mod(), at, size), s.emit(TakeAlong(last), scores, at), best)
        parent, pick, score, total = (s.moved(value, last, 0) for value in found)
        source = self._among_rows(s, parent)
        return _Chosen(parent, source, pick, score, total, None if ended is None else self._of(s, ended, source))

    def _require_rows(self, value: Value, slot: Slot) -> None:
        """Raises: OtherRows."""
        t = slot.value.type
        if not has_rows(t.with_axes(t.axes[slot.is_mapped :]), self.score.type, self.facts):
            raise OtherRows(value)

    def _places(self, s: Slices) -> Value:
        """0, 1, .. k - 1, in front of axes of size 1 for the rows."""
        place = s.emit(Iota(self.width))
        for _ in self._rows:
            place = s.emit(Unsqueeze(-1), place)
        return place

    def _among_rows(self, s: Slices, place: Value) -> Value:
        """Of places of sequences in their rows, the places among the sequences of all rows.

        Shapes: place (i.., rows..) -> the same.
        """
        if not self._rows:
            return place
        count = product(self._rows)
        row = s.reshaped(s.emit(Iota(count)), self._rows)
        return s.emit(Add(), s.emit(Mul(), place, s.emit(DimValue(count))), row)

    def _of(self, s: Slices, x: Value, sources: Value) -> Value:
        """What of `x` belongs to the sequences at these places among all rows.

        Shapes: x (k, rows.., a..), sources (i.., rows..) -> (i.., rows.., a..).
        """
        lead = 1 + len(self._rows)
        table = s.reshaped(x, (product(x.type.sizes[:lead]), *x.type.sizes[lead:]))
        return s.emit(Take(0), table, sources)

    # --- from what stood at each place to what the best sequence was ------------------------------

    def _path(
        self, s: Slices, whole: Loop, yields: Sequence[Value], are_mapped: Sequence[bool], shifts: Value
    ) -> list[Value]:
        """What the best sequence yielded: a walk back from its end, over the places where it stood.

        Shapes: shifts (m, k, rows..), each yield (m, a..) or (m, k, rows.., a..) -> m at the axis of the loop.
        """
        body, rows = s.inner(), tuple(Axis(None, size) for size in self._rows)
        found = [value for value, is_mapped in zip(yields, are_mapped, strict=True) if is_mapped]
        steps = [Value(v.type.with_axes(v.type.axes[1:]), v.hint) for v in (shifts, *found)]
        place = Value(TensorType(I64, rows), "place")
        source = self._among_rows(body, place)
        shift, *stood = (self._of(body, step, source) for step in steps)
        results = (body.emit(Add(), place, shift), *stood)
        op = Loop(0, whole.count, len(steps), 1, len(found), reverse=True)
        operands = (shifts, *found, s.emit(Full(self._rows, 0, I64)))
        chosen = iter(_loop(s, op, operands, Region((*steps, place), tuple(body.nodes), results)) if found else ())
        stacked = [next(chosen) if is_mapped else value for value, is_mapped in zip(yields, are_mapped, strict=True)]
        return [s.moved(value, 0, min(self._op.axis, value.type.rank - 1)) for value in stacked]


def _needed(nodes: Sequence[Node], value: Value) -> set[Node]:
    """The nodes that `value` depends on."""
    wanted, found = {value}, set[Node]()
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.results):
            found.add(node)
            wanted.update(node.operands)
    return found


def _unless(s: Slices, ended: Value | None, old: Value | None, new: Value) -> Value:
    """`new`, but for the sequences that had ended: there it is `old`, or 0."""
    if ended is None:
        return new
    for _ in range(new.type.rank - ended.type.rank):
        ended = s.emit(Unsqueeze(-1), ended)
    dtype = new.type.dtype.storage
    zero = False if dtype.kind == "bool" else 0.0 if dtype.is_float else 0
    return s.emit(Select(), ended, _number(s, zero, dtype) if old is None else old, new)


def _led(value: Value, width: Dim) -> Value:
    return Value(value.type.with_axes((Axis(None, width), *value.type.axes)), value.hint)


def _number(s: Slices, value: float | bool, dtype: DType) -> Value:
    return s.emit(Full((), value, dtype))


def _loop(s: Slices, op: Loop, operands: tuple[Value, ...], region: Region) -> tuple[Value, ...]:
    types = loop_results(op, tuple(v.type for v in operands), tuple(v.type for v in region.results))
    results = tuple(Value(t.without_names(), "beam") for t in types)
    s.append(op, operands, results, (region,))
    return results
