"""Products: the slices are one more batch axis of `matmul`, one more letter of `einsum`."""

from string import ascii_letters

from netdsl.dims import product
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.einsum_pattern import ELLIPSIS, Pattern, Place, parse_pattern
from netdsl.ops.product import Einsum, Matmul
from netdsl.ops.shape import Squeeze, Unsqueeze
from netdsl.vectorise.slices import Rule, Slices, Slot


def _matmul(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    """One product with a batch axis; rows that meet one matrix a slice are one axis of rows."""
    a, b = slots
    if not b.is_mapped and b.rank <= 2:
        return (s.emit(Matmul(), a.value, b.value),)
    gone = []
    if a.is_mapped and a.rank == 1:
        a = Slot(s.emit(Unsqueeze(1), a.value), True)
        gone.append(-2)
    if b.is_mapped and b.rank == 1:
        b = Slot(s.emit(Unsqueeze(2), b.value), True)
        gone.append(-1)
    if b.rank == 2 and a.rank > 2:
        product = s.emit(Matmul(), _with_rows_merged(s, a), b.value)
        return (s.reshaped(product, (s.size, *node.result.type.sizes)),)
    rank = max(a.rank, b.rank)
    y = s.emit(Matmul(), s.spread(a, rank), s.spread(b, rank))
    for axis in gone:
        y = s.emit(Squeeze(axis), y)
    return (y,)


def _with_rows_merged(s: Slices, a: Slot) -> Value:
    """All axes of a slice but the last as one."""
    leading = (s.size,) if a.is_mapped else ()
    return s.reshaped(a.value, (*leading, product(a.sizes[:-1]), a.sizes[-1]))


def _einsum(s: Slices, node: Node, slots: tuple[Slot, ...]) -> tuple[Value, ...]:
    op = node.op
    assert isinstance(op, Einsum)
    pattern = parse_pattern(op.pattern)
    letter = _unused_name(pattern)
    terms = [
        (letter, *places) if slot.is_mapped else places for slot, places in zip(slots, pattern.operands, strict=True)
    ]
    text = f"{', '.join(map(_written, terms))} -> {_written((letter, *pattern.result))}"
    return (s.emit(Einsum(text, op.sizes), *(slot.value for slot in slots)),)


def _unused_name(pattern: Pattern) -> Place:
    """A letter of its own for the slices."""
    known = {name for places in pattern.operands for place in places for name in place}
    return (next(name for name in (*ascii_letters, "slices") if name not in known),)


def _written(places: tuple[Place, ...]) -> str:
    """A term as patterns spell it. A longer name stands in brackets, which no pattern reads as single letters."""
    return " ".join(
        place[0] if place == ELLIPSIS or (len(place) == 1 and len(place[0]) == 1) else f"({' '.join(place)})"
        for place in places
    )


RULES: dict[type[Op], Rule] = {Matmul: _matmul, Einsum: _einsum}
