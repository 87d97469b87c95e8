"""Random scans: several sequences and carries, lengths, both directions, captured values."""

from dataclasses import replace

from netdsl.check.builder import isolate
from netdsl.dims import Dim
from netdsl.ir import Node, Value
from netdsl.ops.activation import Sigmoid
from netdsl.ops.comparison import LogicalXor
from netdsl.ops.elementwise import Add, Mul, Sub
from netdsl.ops.loop import Loop, loop_results
from netdsl.ops.unary import Sin, Tanh
from netdsl.tensor_type import I64, Axis, TensorType
from tests.random_networks.chooser import step
from tests.random_networks.draft import Draft, Frame, Held, symbol_of
from tests.random_networks.entries import any_number, broadcasts_with
from tests.random_networks.worlds import Views, step_views


def add_loop(d: Draft) -> bool:
    """A scan over one or two sequences, or over a count."""
    sequences, axis, count = _sequences(d)
    carries = _carries(d)
    if not carries:
        return False
    length = _length(d, carries, count) if d.rng.random() < 0.35 else None
    op = Loop(axis, count, len(sequences), len(carries), 0, d.rng.random() < 0.4, length is not None)
    outer = [*sequences, *([length] if length is not None else []), *carries]
    own = _arguments(d, op, outer)
    d.frames.append(Frame(pool=list(own), instance=d.frame.instance, path=d.frame.path))
    depth = len(d.frames)
    wanted = d.rng.randint(1, 6)
    for _ in range(3 * wanted):
        if len(d.frame.nodes) >= wanted:
            break
        if depth == 2 and d.rng.random() < 0.02:
            add_loop(d)
        else:
            step(d)
    made = [h for h in d.frame.pool if h not in own]
    ends = [_next(d, own[op.sequences + at], made) for at in range(len(carries))]
    rows = length.type.sizes if length is not None else ()
    candidates = [h for h in d.frame.pool if h not in own] or list(own)
    candidates = [h for h in candidates if h.type.sizes[: len(rows)] == rows]
    yields = d.rng.sample(candidates, min(len(candidates), d.rng.choice((0, 1, 1, 1, 2))))
    nodes = d.frames.pop().nodes
    if not yields and all(e.value is own[op.sequences + at].value for at, e in enumerate(ends)):
        return False
    region, captured, _ = isolate(nodes, [h.value for h in own], [h.value for h in (*ends, *yields)])
    op = replace(op, yields=len(yields))
    known = {h.value: h for h in d.visible()}
    operands = [*outer, *(known[v] for v in captured)]
    starts = [h.type for h in carries]
    types = loop_results(op, tuple(h.type for h in outer), (*starts, *(h.type for h in yields)))
    if not sequences:
        types = tuple(op.stacked(h.type, symbol_of(count)) for h in yields) + types[len(yields) :]
    if any(d.elements(t.sizes) > 1500 for t in types):
        return False
    results = tuple(Value(t.without_names(), "loop") for t in types)
    node = Node(op, tuple(h.value for h in operands), results, instance=d.frame.instance, regions=(region,))
    return d.append(node, operands, types) is not None


def _sequences(d: Draft) -> tuple[list[Held], int, Dim]:
    fitting = [h for h in d.visible() if 1 <= h.type.rank <= 4 and h.number is None]
    if not fitting or d.rng.random() < 0.15:
        return [], d.rng.randint(0, 2), d.any_size()
    fresh = [h for h in fitting if h.value not in d.frame.used]
    first = d.rng.choice(fresh if fresh and d.rng.random() < 0.5 else fitting)
    axis = d.rng.randrange(first.type.rank)
    count = first.type.sizes[axis]
    also = [h for h in fitting if h.type.rank > axis and h.type.axes[axis] == first.type.axes[axis]]
    sequences = [first, *([d.rng.choice(also)] if d.rng.random() < 0.4 else [])]
    return sequences, axis, count


def _carries(d: Draft) -> list[Held]:
    fitting = [h for h in d.visible() if h.type.rank <= 3 and h.number is None]
    return d.rng.sample(fitting, min(len(fitting), d.rng.choice((1, 1, 2, 2, 3))))


def _length(d: Draft, carries: list[Held], count: Dim) -> Held | None:
    """i64 lengths of rows, shaped like the first axis of every carry; 0 to `count`."""
    first = carries[0].type
    if not first.axes or any(h.type.rank == 0 or h.type.sizes[0] != first.sizes[0] for h in carries):
        return None
    t = TensorType(I64, (Axis(None, first.sizes[0]),))
    return d.new_input(t, lambda rng, shape, sizes: rng.integers(0, count.evaluate(sizes) + 1, shape))


def _arguments(d: Draft, op: Loop, outer: list[Held]) -> list[Held]:
    """What the body is given at its first step: steps, then carries."""
    columns: list[list[Views] | None] = []
    for at, case in enumerate(d.cases):
        views = [h.views[at] for h in outer]
        held = [v for v in views if v is not None]
        columns.append(step_views(op, held, case) if len(held) == len(views) else None)
    kept = [*outer[: op.sequences], *outer[op.sequences + op.has_length :]]
    found = []
    for at, h in enumerate(kept):
        axes = h.type.axes
        t = h.type.with_axes(axes[: op.axis] + axes[op.axis + 1 :]) if at < op.sequences else h.type
        views = tuple(None if c is None else c[at] for c in columns)
        found.append(Held(Value(t.without_names(), "step"), t, views))
    return found


def _next(d: Draft, carry: Held, made: list[Held]) -> Held:
    """The carry after a step, of the same type: something that the body made, or the old one with a step's value."""

    def fits(h: Held) -> bool:
        return h.type.dtype.storage == carry.type.dtype.storage and h.type.sizes == carry.type.sizes

    found = [h for h in made if fits(h)]
    if found and d.rng.random() < 0.7:
        return d.rng.choice(found)
    partner = d.take(broadcasts_with(d, carry.type), "add", numbers=False) or any_number(d, carry.type.dtype)
    ops = [LogicalXor()] if carry.type.dtype.kind == "bool" else [Add(), Sub(), Mul()]
    changed = d.emit(d.rng.choice(ops), carry, partner)
    if changed is None or not fits(changed[0]):
        return carry
    if carry.type.dtype.is_float:
        bounded = d.emit(d.rng.choice((Tanh, Sin, Sigmoid))(), changed[0])
        return bounded[0] if bounded is not None else changed[0]
    return changed[0]
