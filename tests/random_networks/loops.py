"""Random loops: several sequences and carries, lengths, conditions, both directions, captured values."""

from dataclasses import replace

from netdsl.check.builder import isolate
from netdsl.dims import Dim
from netdsl.ir import Node, Param, Region, Update, Value
from netdsl.ops.activation import Sigmoid
from netdsl.ops.comparison import Gt, LogicalXor, Lt
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
    state = _state(d, own) if len(d.frames) == 1 and d.rng.random() < 0.6 else None
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
    if state is not None:
        alike = [h for h in d.frame.pool if h.type.dtype == state.type.dtype and h.type.rank and h.number is None]
        d.emit(Mul(), d.rng.choice(alike), state)
        d.emit(Sin(), state)
    made = [h for h in d.frame.pool if h not in own]
    ends = [_next(d, own[op.sequences + at], made) for at in range(len(carries))]
    rows = length.type.sizes if length is not None else ()
    candidates = [h for h in d.frame.pool if h not in own] or list(own)
    candidates = [h for h in candidates if h.type.sizes[: len(rows)] == rows]
    yields = d.rng.sample(candidates, min(len(candidates), d.rng.choice((0, 1, 1, 1, 2))))
    stop = _stop(d, own, [*ends, *yields], rows) if state is None and d.rng.random() < 0.4 else None
    nodes = d.frames.pop().nodes
    if not yields and all(e.value is own[op.sequences + at].value for at, e in enumerate(ends)):
        return False
    stops = [stop] if stop is not None else []
    region, captured, _ = isolate(nodes, [h.value for h in own], [h.value for h in (*ends, *yields, *stops)])
    op = replace(op, yields=len(yields), has_until=stop is not None, truncate=d.rng.choice((0, 0, 0, 2)))
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


def _stop(d: Draft, own: list[Held], rows: list[Held], length: tuple[Dim, ...]) -> Held | None:
    """A bool for each row of all that is carried and yielded, or one for all of them; with lengths, for the same rows."""
    rank = len(length) if length else min(h.type.rank for h in rows)
    shared = 0
    while shared < rank and len({h.type.sizes[shared] for h in rows}) == 1:
        shared += 1
    sizes = rows[0].type.sizes[:shared]
    pool = [h for h in (*own, *d.frame.pool) if h.number is None]
    found = [h for h in pool if h.type.dtype.kind == "bool" and h.type.sizes == sizes[: h.type.rank]]
    if found and d.rng.random() < 0.6:
        return d.rng.choice(found)
    numbers = [h for h in pool if h.type.dtype.kind != "bool" and h.type.sizes == sizes[: h.type.rank]]
    if not numbers:
        return d.rng.choice(found) if found else None
    value = d.rng.choice(numbers)
    tested = d.emit(d.rng.choice((Gt, Lt))(), value, any_number(d, value.type.dtype))
    return tested[0] if tested is not None else None


def _state(d: Draft, own: list[Held]) -> Held | None:
    """A state of one element, for a body that has values to multiply by it."""
    floats = [h.type.dtype for h in own if h.type.dtype.is_float and h.type.rank]
    return d.new_param(TensorType(floats[0], (Axis(None, Dim.of(1)),)), is_state=True) if floats else None


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


def update_in_loop(d: Draft, nodes: list[Node], state: Param) -> Update | None:
    """Let the body of a loop that reads the state update it: by a value as tame as without the update, or by its sine."""
    for at, node in enumerate(nodes):
        op = node.op
        first = op.sequences + op.has_length + op.carries if isinstance(op, Loop) else 0
        if not isinstance(op, Loop) or node.instance or state.value not in node.operands[first:]:
            continue
        place = node.operands.index(state.value, first)
        region = node.regions[0]
        shown = op.sequences + op.carries
        inside = region.arguments[shown + place - first]
        tame = _independent(op, region, inside)
        fitting = [v for v in tame if v.type == state.value.type]
        sines = [n.result for n in region.nodes if isinstance(n.op, Sin) and n.operands == (inside,)]
        if not fitting and not sines:
            continue
        end, result = d.rng.choice(fitting or sines), Value(inside.type, "loop")
        body = Region(
            _moved(region.arguments, shown + place - first, shown),
            region.nodes,
            (*region.results[: op.carries], end, *region.results[op.carries :]),
        )
        changed = replace(op, carries=op.carries + 1, states=op.states + 1)
        operands = _moved(node.operands, place, first)
        nodes[at] = Node(changed, operands, (*node.results, result), node.spans, node.instance, (body,))
        return Update(state.path, result)
    return None


def _moved(values: tuple[Value, ...], old: int, new: int) -> tuple[Value, ...]:
    """The value at `old` comes to stand at `new`, before it."""
    return (*values[:new], values[old], *values[new:old], *values[old + 1 :])


def _independent(op: Loop, region: Region, state: Value) -> list[Value]:
    """Values of a body that no step's value of the state reaches, its steps and carries among them."""
    carries = region.arguments[op.sequences : op.sequences + op.carries]
    reached = {state}
    before = 0
    while before < len(reached):
        before = len(reached)
        for node in region.nodes:
            if not reached.isdisjoint(node.operands):
                reached.update(node.results)
        reached.update(c for c, end in zip(carries, region.results, strict=False) if end in reached)
    own = [
        *region.arguments[: op.sequences + op.carries],
        *(v for n in region.nodes for v in n.results if not n.instance),
    ]
    return [v for v in own if v not in reached]
