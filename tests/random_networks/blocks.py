"""Random blocks: bodies with parameters of their own, called once or shared by several calls."""

from dataclasses import replace

from netdsl.digest import digest
from netdsl.ir import Instance, Node, Region, Value
from netdsl.ops.elementwise import Neg
from netdsl.ops.shape import Flip
from netdsl.ops.unary import Sin, Tanh
from netdsl.source import NO_SPAN
from netdsl.tensor_type import Axis, TensorType
from tests.random_networks.chooser import step
from tests.random_networks.draft import Draft, Frame, Held, named, symbol_of
from tests.random_networks.loops import add_loop

Names = dict[str, str | None]


def add_block(d: Draft, taps: list[tuple[str, Value]]) -> bool:
    """A call of a new block, mostly followed by further calls of the same instance."""
    arguments = _arguments(d)
    if not arguments:
        return False
    number = len(d.instances) + 1
    is_shared = d.rng.random() < 0.75
    kind = "shared" if is_shared else d.rng.choice(("sub", "label"))
    block, path = f"<text>:Sub{number}", f"{kind}{number}"
    own = [Held(Value(h.type.without_names(), "a"), named(h.type), h.views) for h in arguments]
    frame = Frame(pool=list(own), is_open=False, instance=number, path=path)
    known = len(d.params), dict(d.arrays)
    d.frames.append(frame)
    wanted = d.rng.randint(2, 7)
    for _ in range(3 * wanted):
        if len(frame.nodes) >= wanted:
            break
        if d.rng.random() < 0.03:
            add_loop(d)
        else:
            step(d)
    d.frames.pop()
    made = [h for h in frame.pool if any(h.value in n.results for n in frame.nodes)]
    fresh = [h for h in made if h.value not in frame.used] or made
    results = d.rng.sample(fresh, min(len(fresh), d.rng.choice((1, 1, 2))))
    template = _Template(block, path, own, frame, results)
    # Rounding is drawn anew, so that even the first call may be declined.
    first = template.call(d, arguments) if len(frame.nodes) >= 2 else None
    if first is None:
        del d.params[known[0] :]
        d.arrays = known[1]
        return False
    if kind == "label" and len(results) == 1:
        taps.append((path, first[0].value))
    elif kind == "label":
        _rename(d, path, f"sub{number}")
    if is_shared:
        for _ in range(d.rng.choice((1, 1, 2))):
            again = _again(d, arguments)
            if again is not None:
                template.call(d, again)
        if len(d.instances) == number:
            _rename(d, path, f"sub{number}")
    return True


def _rename(d: Draft, old: str, new: str) -> None:
    """A block that is called once, without a label: its path comes from its name."""
    d.params = [replace(p, path=_moved(p.path, old, new)) for p in d.params]
    d.arrays = {_moved(path, old, new): array for path, array in d.arrays.items()}
    d.instances[-1] = replace(d.instances[-1], path=new)


def _moved(path: str, old: str, new: str) -> str:
    return path.replace(f"{old}.", f"{new}.", 1) if path.startswith(f"{old}.") else path


class _Template:
    """A block's body on arguments of its own, to be stamped at each call."""

    def __init__(self, block: str, path: str, own: list[Held], frame: Frame, results: list[Held]) -> None:
        self.block, self.path, self.own, self.nodes, self.results = block, path, own, frame.nodes, results
        self.held = {h.value: h for h in frame.pool}

    def call(self, d: Draft, arguments: list[Held]) -> list[Held] | None:
        """Nodes of a call in the current body; None (and nothing) where a number is declined."""
        row = len(d.instances) + 1
        start = len(d.frame.nodes), len(d.frame.pool)
        mapping: dict[Value, Held] = {own.value: h for own, h in zip(self.own, arguments, strict=True)}
        for node in self.nodes:
            operands = [mapping.get(v) or self.held.get(v) or _unmade(node, v) for v in node.operands]
            types = [self.held[v].type if v in self.held else v.type for v in node.results]
            values = tuple(Value(v.type, v.hint) for v in node.results)
            regions = tuple(_copied(r, row) for r in node.regions)
            copy = Node(node.op, tuple(h.value for h in operands), values, instance=row, regions=regions)
            made = d.append(copy, operands, types)
            if made is None:
                del d.frame.nodes[start[0] :], d.frame.pool[start[1] :]
                return None
            mapping.update(zip(node.results, made, strict=True))
        stamped = d.frame.nodes[start[0] :]
        del d.frame.pool[start[1] :]
        callers = _callers(arguments)
        found = [_outside(mapping[h.value], callers) for h in self.results]
        inputs, outputs = tuple(h.value for h in arguments), tuple(h.value for h in found)
        body = digest(stamped, inputs, outputs)
        d.instances.append(Instance(0, self.block, (), self.path, NO_SPAN, inputs, outputs, body))
        d.frame.pool += found
        return found


def _unmade(node: Node, value: Value) -> Held:
    raise AssertionError(f"`{node.op.name}` reads a value that is neither of the block nor given to it")


def _copied(region: Region, row: int) -> Region:
    """A region with values of its own, whose nodes belong to another instance."""
    mapping = {v: Value(v.type, v.hint) for v in region.arguments}
    nodes = []
    for node in region.nodes:
        results = tuple(Value(v.type, v.hint) for v in node.results)
        operands = tuple(mapping[v] for v in node.operands)
        mapping.update(zip(node.results, results, strict=True))
        regions = tuple(_copied(r, row) for r in node.regions)
        nodes.append(replace(node, operands=operands, results=results, instance=row, regions=regions))
    arguments = tuple(mapping[v] for v in region.arguments)
    return Region(arguments, tuple(nodes), tuple(mapping[v] for v in region.results))


def _arguments(d: Draft) -> list[Held]:
    fitting = [h for h in d.visible() if h.type.rank <= 4 and h.number is None]
    fresh = [h for h in fitting if h.value not in d.frame.used]
    pool = fresh if len(fresh) > 2 and d.rng.random() < 0.7 else fitting
    return d.rng.sample(pool, min(len(pool), d.rng.choice((1, 1, 2, 3))))


def _again(d: Draft, arguments: list[Held]) -> list[Held] | None:
    """Other arguments of the same types; one that has no like is changed, or given again."""
    found: list[Held] = []
    for h in arguments:
        alike = [o for o in d.visible() if o.type == h.type and o not in found and o.number is None]
        other = d.rng.choice(alike)
        if other is h and d.rng.random() < 0.8:
            changed = None
            if h.type.dtype.is_float:
                changed = d.emit(d.rng.choice((Neg, Tanh, Sin))(), h)
            elif h.type.rank:
                changed = d.emit(Flip((0,)), h)
            other = changed[0] if changed is not None and changed[0].type == h.type else other
        if other in found:
            return None
        found.append(other)
    return None if all(a is b for a, b in zip(found, arguments, strict=True)) and d.rng.random() < 0.7 else found


def _callers(arguments: list[Held]) -> Names:
    """The caller's name of each axis that the header names; a size that is first met in another is in brackets."""
    callers: Names = {}
    bracketed: set[str] = set()
    for h in arguments:
        table = (h.type.dtype.table,) if h.type.dtype.table is not None else ()
        for axis in (*h.type.axes, *table):
            symbol = symbol_of(axis.size)
            if symbol is not None:
                callers[symbol] = callers.get(symbol) or axis.name
            else:
                bracketed |= axis.size.symbols - callers.keys()
    return callers | {symbol: symbol for symbol in bracketed}


def _outside(h: Held, callers: Names) -> Held:
    """A result as the caller sees it: an axis of the header keeps the caller's name, one from brackets its own."""

    def axis(a: Axis) -> Axis:
        symbol = symbol_of(a.size)
        return Axis(None if symbol is None else callers.get(symbol, symbol), a.size)

    dtype = h.type.dtype
    if dtype.table is not None:
        dtype = replace(dtype, table=axis(dtype.table))
    return replace(h, type=TensorType(dtype, tuple(axis(a) for a in h.type.axes)))
