"""Which op comes next, and on what: rare ops and rare pairs first."""

from math import inf

from netdsl.ir_source_ops import takes_numbers
from netdsl.ops import OPS
from netdsl.ops.creation import Constant, DimValue
from netdsl.tensor_type import BOOL, F32, I64
from tests.random_networks.draft import Draft, Held
from tests.random_networks.entries import Entry, Place, any_number, letter
from tests.random_networks.entries_bases import BASES
from tests.random_networks.entries_elementwise import ELEMENTWISE
from tests.random_networks.entries_index import INDEX
from tests.random_networks.entries_layers import LAYERS
from tests.random_networks.entries_shape import SHAPES

ENTRIES: dict[str, Entry] = {e.name: e for e in (*ELEMENTWISE, *SHAPES, *INDEX, *LAYERS, *BASES)}
#: Ops that stand in the text as numbers of their readers.
NUMBERS = (Constant.name, DimValue.name)
#: What a loop takes: steps and carries of any type; what it gives.
LOOP_TAKES: tuple[Place, ...] = (("fib", 0, 5),)


def accepts(places: tuple[Place, ...], held: Held) -> bool:
    return any(letter(held.type.dtype) in kinds and low <= held.type.rank <= high for kinds, low, high in places)


def possible_pairs() -> set[tuple[str, str]]:
    """(producer, consumer) where a place of the consumer takes some result of the producer: its kind and its rank.

    A number is taken only where the text lets one stand. Dropout acts in training graphs, on floats of any rank.
    """
    gives = {name: e.gives for name, e in ENTRIES.items()} | {"loop": LOOP_TAKES, "dropout": (("f", 0, 5),)}
    takes = {name: e.takes for name, e in ENTRIES.items()} | {"loop": LOOP_TAKES, "dropout": (("f", 0, 5),)}
    return {
        (producer, consumer)
        for producer, results in gives.items()
        for consumer, places in takes.items()
        if any(_meet(a, b) for a in results for b in places)
        and not (producer in NUMBERS and (consumer == "loop" or not takes_numbers(OPS[consumer])))
    }


def _meet(result: Place, place: Place) -> bool:
    return bool(set(result[0]) & set(place[0])) and max(result[1], place[1]) <= min(result[2], place[2])


#: Where functions of floats have a value.
DOMAINS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("sqrt", "rsqrt", "reciprocal", "log"), (0.01, inf)),
    "log1p": (-0.95, inf),
    **dict.fromkeys(("asin", "acos"), (-0.98, 0.98)),
    **dict.fromkeys(("sinh", "cosh", "exp", "expm1"), (-6.0, 6.0)),
    "tan": (-1.4, 1.4),
}


def step(d: Draft) -> bool:
    """Try to append one op."""
    d.forced = None
    roll = d.rng.random()
    if roll < 0.72:
        held = _number(d, 0.4) if d.rng.random() < 0.06 else _value(d)
        if held is not None:
            return _read(d, held)
    names = list(ENTRIES)
    name = d.rng.choices(names, [d.coverage.rarity(n) for n in names])[0]
    if name in NUMBERS:
        return _read(d, _number(d, 1.0 if name == DimValue.name else 0.0))
    return bool(ENTRIES[name].make(d))


def _value(d: Draft) -> Held | None:
    """A value to read next: mostly one of this body that nothing reads yet."""
    own = [h for h in d.frame.pool if h.value not in d.frame.used]
    pool = own if own and d.rng.random() < 0.75 else d.visible()
    return d.rng.choice(pool) if pool else None


def _number(d: Draft, sizes: float) -> Held:
    """A constant, or with the given probability a size."""
    size = d.any_size()
    if d.rng.random() < sizes and not size.is_const:
        return d.dim_number(size)
    return any_number(d, d.rng.choice((F32, I64, BOOL)))


def _read(d: Draft, held: Held) -> bool:
    """Apply an op that was seldom applied, and seldom to a result of this producer, to `held`."""
    fitting = [e for e in ENTRIES.values() if accepts(e.takes, held)]
    if held.number is not None:
        fitting = [e for e in fitting if takes_numbers(e.op)]
    if not fitting:
        return False
    weights = [d.coverage.rarity(e.name) ** 0.4 / (1 + 8 * d.coverage.seen(held.producer, e.name)) for e in fitting]
    d.forced = held
    made = d.rng.choices(fitting, weights)[0].make(d)
    d.forced = None
    return bool(made)


def _suits(domain: tuple[float, float] | None, low: float, high: float) -> float:
    """Values that lie in the domain of a function are few: it is preferred for them."""
    if domain is None:
        return 1.0
    return 3.0 if domain[0] <= low and high <= domain[1] else 0.05
