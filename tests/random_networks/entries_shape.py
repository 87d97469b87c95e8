"""Entries of the ops that make, move, join and cut axes, and of those that make tensors from nothing."""

from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.ops.creation import Eye, Full, Iota
from netdsl.ops.masks import LengthMask, Tril, TriMask, Triu
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split, Stack, Unstack
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.tensor_type import BOOL, I64, Axis, TensorType
from tests.random_networks.draft import Draft, Held
from tests.random_networks.entries import HIGHEST, Entry, any_number, axes_of, entry, like

_ANY, _AXES = ("fib", 0, HIGHEST), ("fib", 1, HIGHEST)


def _reshape(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib"), op.name)
    if x is None:
        return None
    sizes = list(x.type.sizes)
    for _ in range(d.rng.randint(1, 2)):
        roll = d.rng.random()
        if len(sizes) >= 2 and roll < 0.5:
            at = d.rng.randrange(len(sizes) - 1)
            sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
        elif roll < 0.75 and len(sizes) < HIGHEST:
            sizes.insert(d.rng.randint(0, len(sizes)), Dim.of(1))
        else:
            at = d.rng.randrange(len(sizes)) if sizes else 0
            factor = d.rng.choice((2, 3))
            if sizes and len(sizes) < HIGHEST and d.facts.prove_eq(sizes[at] % factor, 0):
                sizes[at : at + 1] = [sizes[at] // factor, Dim.of(factor)]
            elif Dim.of(1) in sizes:
                sizes.remove(Dim.of(1))
    sizes = [d.facts.simplify(s) for s in sizes]
    if sizes and d.rng.random() < 0.3:
        at = d.rng.randrange(len(sizes))
        if all(s != 0 for s in sizes):
            sizes[at] = Dim.of(-1)
    return d.emit(Reshape(tuple(sizes)), x)


def _transpose(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name)
    if x is None:
        return None
    perm = list(range(x.type.rank))
    d.rng.shuffle(perm)
    return d.emit(Transpose(tuple(perm)), x)


def _broadcast(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib"), op.name)
    if x is None:
        return None
    shape = [d.any_size() if a.name is None and a.size == 1 and d.rng.random() < 0.7 else a.size for a in x.type.axes]
    while len(shape) < HIGHEST and (d.rng.random() < 0.5 or not shape):
        shape.insert(0, d.any_size())
    return d.emit(Broadcast(tuple(shape)), x)


def _unsqueeze(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 0, HIGHEST - 1), op.name)
    return x and d.emit(Unsqueeze(d.rng.randint(-x.type.rank - 1, x.type.rank)), x)


def _squeeze(d: Draft, op: type[Op]) -> object:
    def has_one(t: TensorType) -> bool:
        return any(s == 1 for s in t.sizes)

    x = d.take(has_one, op.name)
    if x is None:
        return None
    return d.emit(Squeeze(d.rng.choice([at for at, s in enumerate(x.type.sizes) if s == 1])), x)


def _flip(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name)
    return x and d.emit(Flip(axes_of(d, x.type)), x)


def _concat(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)

    def fits(t: TensorType) -> bool:
        if t.dtype.storage != x.type.dtype.storage or t.rank != x.type.rank:
            return False
        return all(a == b for at, (a, b) in enumerate(zip(t.sizes, x.type.sizes, strict=True)) if at != axis)

    parts: list[Held | None] = [x]
    for _ in range(d.rng.choice((1, 1, 2))):
        parts.append(x if d.rng.random() < 0.1 else d.take(fits, op.name, numbers=False))
    d.rng.shuffle(parts)
    return d.emit(Concat(axis if d.rng.random() < 0.7 else axis - x.type.rank), *parts)


def _stack(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 0, HIGHEST - 1), op.name)
    if x is None:
        return None
    parts: list[Held | None] = [x]
    for _ in range(d.rng.choice((1, 1, 2))):
        if x.type.rank == 0 and d.rng.random() < 0.3:
            parts.append(any_number(d, x.type.dtype))
        elif d.rng.random() < 0.15 and x.number is None:
            parts.append(x)
        else:
            parts.append(d.take(lambda t: t.dtype.storage == x.type.dtype.storage and t.sizes == x.type.sizes, op.name))
    return d.emit(Stack(d.rng.randint(-x.type.rank - 1, x.type.rank)), *parts)


def _split(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)
    size = x.type.sizes[axis]
    if size.is_const:
        first = d.rng.randint(0, size.value)
        rest = size.value - first
        parts = [first, rest] if rest < 2 or d.rng.random() < 0.6 else [first, 1, rest - 1]
        if size.value == 4 and d.rng.random() < 0.5:
            parts = [2, 2]
        sizes = [Dim.of(p) for p in parts]
    elif d.facts.prove_eq(size % 2, 0) and d.rng.random() < 0.7:
        sizes = [d.facts.simplify(size // 2)] * 2
    elif d.facts.prove(">=", size, 1):
        sizes = [Dim.of(1), d.facts.simplify(size - 1)]
    else:
        sizes = [size]
    return d.emit(Split(tuple(sizes), axis), x)


def _unstack(d: Draft, op: type[Op]) -> object:
    x = d.take(lambda t: any(s.is_const and 1 <= s.value <= 4 for s in t.sizes), op.name, numbers=False)
    if x is None:
        return None
    return d.emit(
        Unstack(d.rng.choice([at for at, s in enumerate(x.type.sizes) if s.is_const and 1 <= s.value <= 4])), x
    )


def _slice(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)
    size = x.type.sizes[axis]
    start, stop = Dim.of(0), size
    low = max(d.facts.bounds(size)[0] or 0, 0)
    if low:
        start = Dim.of(d.rng.randint(0, low))
    if d.rng.random() < 0.5:
        stop = d.facts.simplify(size - d.rng.randint(0, max(low - start.value, 0)))
    elif size.is_const:
        stop = Dim.of(d.rng.randint(start.value, size.value))
    elif d.rng.random() < 0.4:
        stop = d.facts.simplify((size + 1) // 2)
    step = d.rng.choice((1, 1, 2, 3))
    if start == 0 and stop == size and step == 1:
        return None
    return d.emit(Slice(axis, start, stop, step), x)


def _pick(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    axis = d.rng.randrange(x.type.rank)
    size = x.type.sizes[axis]
    index = d.rng.choice((Dim.of(0), Dim.of(1), d.facts.simplify(size - 1)))
    return d.emit(Pick(axis, index), x)


def _pad(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 1), op.name, numbers=False)
    if x is None:
        return None
    mode = d.rng.choice(("constant", "constant", "reflect", "replicate", "circular"))
    value = 0.0 if x.type.dtype.kind == "bool" and mode == "constant" else d.rng.choice((0.0, 0.0, 1.0, -2.0))
    pairs = tuple(
        (Dim.of(d.rng.randint(0, 2)), Dim.of(d.rng.randint(0, 2))) for _ in range(d.rng.randint(1, min(x.type.rank, 3)))
    )
    if mode == "constant" and d.symbols and d.rng.random() < 0.1:
        pairs = ((Dim.of(0), Dim.of(d.rng.choice(d.symbols))), *pairs[1:])
    return d.emit(Pad(pairs, mode, value if mode == "constant" else 0.0), x)


def _triangle(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib", 2), op.name)
    return x and d.emit(op(d.rng.randint(-2, 2)), x)  # type: ignore[call-arg]


def _full(d: Draft, op: type[Op]) -> object:
    dtype = d.rng.choice((d.any_float(), d.any_float(), I64, BOOL))
    value: int | float | bool = d.rng.choice((0, 1, 2))
    if dtype.is_float and d.rng.random() < 0.6:
        value = d.rng.choice((0.5, -1.25, 0.3))
    if dtype is BOOL:
        value = d.rng.random() < 0.5
    return d.emit(Full(tuple(d.any_size() for _ in range(d.rng.randint(0, 3))), value, dtype))


def _iota(d: Draft, op: type[Op]) -> object:
    return d.emit(Iota(d.any_size(), d.rng.choice((I64, I64, d.any_float()))))


def _eye(d: Draft, op: type[Op]) -> object:
    return d.emit(Eye(d.any_size(), d.rng.choice((d.any_float(), d.any_float(), I64, BOOL))))


def _tri_mask(d: Draft, op: type[Op]) -> object:
    return d.emit(TriMask(d.any_size(), d.any_size(), d.rng.randint(-1, 1)))


def _length_mask(d: Draft, op: type[Op]) -> object:
    x = d.take(like("i", 0, HIGHEST - 1), op.name, numbers=False)
    if x is None:
        x = d.new_input(
            TensorType(I64, (Axis(None, d.any_size()),)), lambda rng, shape, sizes: rng.integers(0, 5, shape)
        )
    return d.emit(LengthMask(d.any_size()), x)


SHAPES: tuple[Entry, ...] = (
    entry(Reshape, _reshape, [_ANY], [_ANY]),
    entry(Transpose, _transpose, [_AXES], [_AXES]),
    entry(Broadcast, _broadcast, [_ANY], [_AXES]),
    entry(Squeeze, _squeeze, [_AXES], [("fib", 0, HIGHEST - 1)]),
    entry(Unsqueeze, _unsqueeze, [("fib", 0, HIGHEST - 1)], [_AXES]),
    entry(Flip, _flip, [_AXES], [_AXES]),
    entry(Concat, _concat, [_AXES], [_AXES]),
    entry(Stack, _stack, [("fib", 0, HIGHEST - 1)], [_AXES]),
    entry(Split, _split, [_AXES], [_AXES]),
    entry(Unstack, _unstack, [_AXES], [("fib", 0, HIGHEST - 1)]),
    entry(Slice, _slice, [_AXES], [_AXES]),
    entry(Pick, _pick, [_AXES], [("fib", 0, HIGHEST - 1)]),
    entry(Pad, _pad, [_AXES], [_AXES]),
    *(entry(op, _triangle, [("fib", 2, HIGHEST)], [("fib", 2, HIGHEST)]) for op in (Tril, Triu)),
    entry(Full, _full, [], [("fib", 0, 3)]),
    entry(Iota, _iota, [], [("fi", 1, 1)]),
    entry(Eye, _eye, [], [("fib", 2, 2)]),
    entry(TriMask, _tri_mask, [], [("b", 2, 2)]),
    entry(LengthMask, _length_mask, [("i", 0, HIGHEST - 1)], [("b", 1, HIGHEST)]),
)
