"""What a rule is given: the slots of its operands, and the means to emit nodes over all slices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from netdsl.dims import Dim, Facts
from netdsl.ir import Node, Region, Value, walk
from netdsl.ops.base import Op
from netdsl.ops.creation import Dropout
from netdsl.ops.shape import Broadcast, Reshape, Transpose, Unsqueeze
from netdsl.record import dataclass
from netdsl.source import NO_SPAN, Span


class NotVectorised(Exception):
    """An op that reads a mapped value has no rule.

    Args: node: the node of the body; reason: why, as the end of a sentence.
    """

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(f"`{node.op.name}` {reason}")
        self.node = node
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands for a value of the body: with all slices on a leading axis if mapped, else shared by them."""

    value: Value
    is_mapped: bool

    @property
    def rank(self) -> int:
        """Axes of one slice."""
        return self.value.type.rank - self.is_mapped

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """Sizes of one slice."""
        return self.value.type.sizes[self.is_mapped :]


@dataclass(frozen=True, slots=True, eq=False)
class Vectorised:
    """A body over all slices.

    Args:
        nodes:   in order; those that depend on no mapped value are the body's own.
        results: with a leading axis of the size of the map.
        values:  every value of the body outside loop regions.
    """

    nodes: tuple[Node, ...]
    results: tuple[Value, ...]
    values: Mapping[Value, Slot]


#: The results over all slices: each with a leading axis.
Rule = Callable[["Slices", Node, tuple[Slot, ...]], tuple[Value, ...]]

#: Ops whose slices differ also where their operands do not.
DRAWS: tuple[type[Op], ...] = (Dropout,)


class Slices:
    """Collects the nodes of one body over `size` slices."""

    def __init__(
        self, size: Dim, facts: Facts, rules: Mapping[type[Op], Rule], refused: Mapping[type[Op], str]
    ) -> None:
        self.size = size
        self.facts = facts
        self.nodes: list[Node] = []
        self._rules = rules
        self._refused = refused
        self._spans: tuple[Span, ...] = (NO_SPAN,)
        self._hint = ""

    def inner(self) -> "Slices":
        """An empty body with the same slices, for a region."""
        inner = Slices(self.size, self.facts, self._rules, self._refused)
        inner._spans, inner._hint = self._spans, self._hint
        return inner

    def stand(self, spans: tuple[Span, ...]) -> None:
        """New nodes come from these places."""
        self._spans = spans

    def translate(self, nodes: Sequence[Node], known: dict[Value, Slot]) -> None:
        """Append `nodes` over all slices; `known` gets the slots of their results.

        Raises: NotVectorised.
        """
        for node in nodes:
            slots = tuple([known.get(value) or Slot(value, False) for value in node.operands])
            self._spans, self._hint = node.spans, node.results[0].hint if node.results else ""
            if any(slot.is_mapped for slot in slots) or _draws(node):
                self._translate(node, slots, known)
                continue
            operands = tuple([slot.value for slot in slots])
            self.nodes.append(node if operands == node.operands else replace(node, operands=operands))
            known.update((value, Slot(value, False)) for value in node.results)

    def _translate(self, node: Node, slots: tuple[Slot, ...], known: dict[Value, Slot]) -> None:
        rule = self._rules.get(type(node.op))
        if rule is None:
            raise NotVectorised(node, self._refused[type(node.op)])
        values = rule(self, node, slots)
        known.update((old, Slot(new, True)) for old, new in zip(node.results, values, strict=True))

    def emit(self, op: Op, *operands: Value) -> Value:
        """The only result of a new node."""
        types = tuple([v.type for v in operands])
        op = op.normalised(types)
        (t,) = op.infer(types, self.facts)
        result = Value(t.without_names(), self._hint)
        self.append(op, operands, (result,))
        return result

    def results(self, node: Node, op: Op, *operands: Value) -> tuple[Value, ...]:
        """The results of a new node, which are those of `node` over all slices."""
        types = tuple([v.type for v in operands])
        op = op.normalised(types)
        found = op.infer(types, self.facts)
        results = tuple(
            [
                Value(t.without_names().with_dtype(old.type.dtype), old.hint)
                for t, old in zip(found, node.results, strict=True)
            ]
        )
        self.append(op, operands, results)
        return results

    def append(
        self, op: Op, operands: Sequence[Value], results: tuple[Value, ...], regions: tuple[Region, ...] = ()
    ) -> None:
        """A new node in the place of the one that is being translated."""
        self.nodes.append(Node(op, tuple(operands), results, self._spans, 0, regions))

    def lifted(self, slot: Slot) -> Value:
        """The value with a leading axis of all slices."""
        if slot.is_mapped:
            return slot.value
        return self.emit(Broadcast((self.size, *slot.sizes)), slot.value)

    def spread(self, slot: Slot, rank: int) -> Value:
        """The value for broadcasting among slices of `rank` axes: a mapped one gets axes of size 1 after its first."""
        value = slot.value
        for _ in range(rank - slot.rank if slot.is_mapped else 0):
            value = self.emit(Unsqueeze(1), value)
        return value

    def reshaped(self, value: Value, sizes: Sequence[Dim]) -> Value:
        """The same elements with axes of `sizes`."""
        return value if value.type.sizes == tuple(sizes) else self.emit(Reshape(tuple(sizes)), value)

    def transposed(self, value: Value, perm: Sequence[int]) -> Value:
        """The axes in the order of `perm`."""
        return value if list(perm) == list(range(value.type.rank)) else self.emit(Transpose(tuple(perm)), value)

    def moved(self, value: Value, source: int, target: int) -> Value:
        """The axis at `source` moved to `target`, the others in their order."""
        perm = [axis for axis in range(value.type.rank) if axis != source]
        perm.insert(target, source)
        return self.transposed(value, perm)

    def folded(self, slot: Slot) -> Value:
        """All slices on the first axis of a slice, one after another."""
        value = self.lifted(slot)
        first, second, *rest = value.type.sizes
        return self.reshaped(value, (first * second, *rest))

    def unfolded(self, value: Value, first: Dim) -> Value:
        """The inverse of `folded`, for slices with a first axis of size `first`."""
        return self.reshaped(value, (self.size, first, *value.type.sizes[1:]))


def _draws(node: Node) -> bool:
    """Whether its slices differ also where its operands do not."""
    return any(isinstance(inner.op, DRAWS) for inner in walk((node,)))
