"""One random network from one seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.digest import digest
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Instance, Node, Tap, Update, Value, walk
from netdsl.ir_source_ops import own_float
from netdsl.ops.creation import Dropout
from netdsl.ops.loop import Loop
from netdsl.sampling import storage_dtype
from netdsl.source import NO_SPAN
from netdsl.tensor_type import BOOL, F16, F32, F64, I64, Axis, DType, TensorType, idx
from tests.random_networks.blocks import add_block
from tests.random_networks.chooser import step
from tests.random_networks.coverage import Coverage
from tests.random_networks.draft import Draft, Held, case_of
from tests.random_networks.entries_index import index_sampler
from tests.random_networks.loops import add_loop, update_in_loop
from tests.random_networks.recurrent import add_recurrent
from tests.random_networks.worlds import error_of

Array = NDArray[Any]

#: Part of every seed: raise it when the same seed no longer makes the same network.
VERSION = 2
SYMBOLS = "BNTCHW"
MOST_OUTPUTS = 16
LEAST_NODES, MOST_NODES = 5, 60
#: How many networks begin with a recurrent layer or cell of the standard library.
RECURRENT = 0.09


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Inputs of one call by name, at these sizes.

    Args:   errors: by output, what rounding may make of it (estimated in noisy worlds); 0 where nothing rounds.
    """

    sizes: Mapping[str, int]
    inputs: Mapping[str, Array]
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class RandomNetwork:
    """A graph that was made for a seed, its weights, and inputs at several sizes for which all its values are tame.

    Args:
        training: the graph in training, where that differs: with dropout and updates of states.
        weights:  by path, in the stored types.
        samples:  the smallest sizes, 1, 3, distinct ones, and 0, as far as the facts and the ops allow.
    """

    seed: int
    graph: Graph
    training: Graph | None
    weights: Mapping[str, Array]
    samples: tuple[Sample, ...]
    opset: int
    declined: int = 0


def generate(seed: int, coverage: Coverage) -> RandomNetwork:
    """The network of a seed; it depends on the seed and on what `coverage` has counted, to which it is added."""
    for attempt in range(20):
        rng = random.Random(f"{VERSION}:{seed}:{attempt}")
        found = _attempt(seed, attempt, rng, coverage)
        if found is not None:
            return found
    raise AssertionError(f"seed {seed} makes no network")


def _attempt(seed: int, attempt: int, rng: random.Random, coverage: Coverage) -> RandomNetwork | None:
    symbols = tuple(rng.sample(SYMBOLS, rng.choices((0, 1, 2, 3), (8, 40, 35, 17))[0]))
    facts = _facts(rng, symbols)
    sizes = _all_sizes(rng, symbols, facts)
    if not sizes:
        return None
    cases = tuple(case_of(s, (VERSION, seed, attempt, at)) for at, s in enumerate(sizes))
    main = rng.choices((F32, F16, F64), (66, 17, 17))[0]
    d = Draft(rng, facts, symbols, cases, main, coverage.copy())
    _first_inputs(d)
    taps: list[tuple[str, Value]] = []
    wanted = max(round(rng.triangular(LEAST_NODES + 2, MOST_NODES - 3, MOST_NODES - 3)) for _ in range(3))
    if rng.random() < RECURRENT:
        add_recurrent(d, taps)
        wanted = MOST_NODES - 3
    loops = rng.choices((0, 1, 2), (70, 24, 6))[0]
    blocks = rng.choices((0, 1, 2), (68, 25, 7))[0]
    for _ in range(8 * wanted):
        if d.size >= wanted:
            break
        roll = rng.random() * wanted / 2
        if loops and roll < loops and add_loop(d):
            loops -= 1
        elif blocks and rng.random() * wanted / 2 < blocks and add_block(d, taps):
            blocks -= 1
        else:
            step(d)
    return _finished(d, seed, taps, coverage)


# --- sizes -------------------------------------------------------------------------------------------------------------


def _facts(rng: random.Random, symbols: tuple[str, ...]) -> Facts:
    facts = Facts.EMPTY
    may_be_zero = rng.random() < 0.4
    for name in symbols:
        roll = rng.random()
        if roll < 0.5:
            if not may_be_zero:
                facts = facts.with_bounds(name, rng.choice((1, 1, 2, 3)), None)
        elif roll < 0.65:
            facts = facts.with_bounds(name, 1, rng.randint(4, 9))
        elif roll < 0.8:
            facts = facts.with_fact("==", Dim.of(name) % rng.choice((2, 3)), 0)
            if not may_be_zero:
                facts = facts.with_bounds(name, 1, None)
        elif len(symbols) > 1:
            other = rng.choice([s for s in symbols if s != name])
            facts = facts.with_fact(rng.choice(("<=", "<")), Dim.of(name), Dim.of(other))
    return facts


def _all_sizes(rng: random.Random, symbols: tuple[str, ...], facts: Facts) -> list[dict[str, int]]:
    """Distinct sizes first, then 3, 1, the smallest ones, and 0, as far as they are legal."""
    wanted = [dict(zip(symbols, rng.sample(range(2, 7), len(symbols)), strict=True))]
    wanted += [dict.fromkeys(symbols, size) for size in (3, 1)]
    if symbols:
        sampled = facts.sample(symbols, rng, 1, 5)
        smallest = facts.sample(symbols, random.Random(0), 0, 2)
        zero = dict.fromkeys(symbols, 3) | {rng.choice(symbols): 0}
        wanted += [s for s in (sampled, smallest, zero) if s is not None]
    found: list[dict[str, int]] = []
    for sizes in wanted:
        if facts.satisfies(sizes) and sizes not in found and max(sizes.values(), default=0) <= 9:
            found.append(sizes)
    return found[:5]


# --- first inputs ------------------------------------------------------------------------------------------------------


def _normal(rng: np.random.Generator, shape: tuple[int, ...], sizes: Any) -> Array:
    return rng.standard_normal(shape)


def _grid(rng: np.random.Generator, shape: tuple[int, ...], sizes: Any) -> Array:
    """Quarters from -3 to 3: exact in every float type, with ties and whole numbers among them."""
    return rng.integers(-12, 13, shape) / 4


def _first_inputs(d: Draft) -> None:
    """Inputs that give every symbol its size, and some more."""
    rng = d.rng
    symbols = [Dim.of(s) for s in d.symbols]
    rank = rng.choices((1, 2, 3, 4), (1, 4, 5, 3))[0]
    sizes: list[Dim] = [s * 2 if rng.random() < 0.08 else s for s in symbols[:rank]]
    while len(sizes) < rank:
        sizes.insert(rng.randint(0, len(sizes)), Dim.of(rng.choices((1, 2, 3, 4), (2, 3, 3, 3))[0]))
    d.new_input(_float(d, sizes), rng.choice((_normal, _normal, _grid)))
    if symbols[rank:]:
        d.new_input(_float(d, symbols[rank:]), rng.choice((_normal, _grid)))
    for _ in range(rng.choice((0, 1, 1, 2))):
        d.new_input(_float(d, [d.any_size() for _ in range(rng.randint(0, 4))]), rng.choice((_normal, _normal, _grid)))
    if rng.random() < 0.5:
        axes = tuple(Axis(None, d.any_size()) for _ in range(rng.randint(0, 2)))
        size = d.any_size()
        dtype = idx(Axis(None, size)) if rng.random() < 0.5 else I64
        d.new_input(TensorType(dtype, axes), index_sampler(size))
    if rng.random() < 0.4:
        d.new_input(_of(d, I64), lambda r, shape, sizes: r.integers(-4, 6, shape))
    if rng.random() < 0.4:
        d.new_input(_of(d, BOOL), lambda r, shape, sizes: r.random(shape) < 0.6)


def _float(d: Draft, sizes: list[Dim]) -> TensorType:
    return TensorType(d.any_float(), tuple(Axis(None, d.facts.simplify(s)) for s in sizes))


def _of(d: Draft, dtype: DType) -> TensorType:
    """Mostly axes that some value has, so that the two meet."""
    axes = d.rng.choice(d.visible()).type.axes if d.rng.random() < 0.6 else (Axis(None, d.any_size()),)
    return TensorType(dtype, axes)


# --- the finished network ----------------------------------------------------------------------------------------------


def _finished(d: Draft, seed: int, taps: list[tuple[str, Value]], coverage: Coverage) -> RandomNetwork | None:
    frame = d.frame
    unread = [h for h in frame.pool if h.producer and h.value not in frame.used]
    outputs = unread if len(unread) <= MOST_OUTPUTS else d.rng.sample(unread, MOST_OUTPUTS)
    if d.rng.random() < 0.1:
        outputs = [*outputs, d.rng.choice(frame.pool)]
    if not outputs:
        return None
    keep_dead = d.rng.random() < 0.1
    given = {v for row in d.instances for v in row.inputs} | d.kept
    nodes = frame.nodes if keep_dead else _alive(frame.nodes, given | {h.value for h in outputs})
    if len(nodes) < LEAST_NODES or sum(1 for _ in walk(nodes)) > MOST_NODES:
        return None
    if d.needs_f32 and own_float(h.type for h in (*outputs, *(h for _, h in d.inputs))) != F32:
        return None
    named = tuple((f"y{at}", h.value) for at, h in enumerate(outputs))
    inputs = tuple((name, h.value) for name, h in d.inputs)
    graph = Graph(
        "Random",
        inputs,
        named,
        tuple(d.params),
        tuple(nodes),
        taps=tuple(Tap(path, value) for path, value in taps),
        instances=tuple(d.instances),
        facts=d.facts,
    )
    training = _training(d, graph)
    graph = rooted(graph)
    training = rooted(training) if training is not None else None
    coverage.add(training or graph)
    samples = tuple(
        Sample(
            case.sizes,
            {name: _stored(h, at) for name, h in d.inputs},
            {f"y{number}": _error(h, at) for number, h in enumerate(outputs)},
        )
        for at, case in enumerate(d.cases)
    )
    opset = d.rng.choices((21, 18, 23), (70, 15, 15))[0]
    return RandomNetwork(seed, graph, training, d.arrays, samples, opset, d.declined)


def _stored(h: Held, at: int) -> Array:
    views = h.views[at]
    assert views is not None
    return views[0].astype(storage_dtype(h.type.dtype.storage.name))


def _error(h: Held, at: int) -> float:
    views = h.views[at]
    assert views is not None
    return error_of(views) if h.type.dtype.is_float else 0.0


def _alive(nodes: list[Node], wanted: set[Value]) -> list[Node]:
    """Nodes that an output needs; those of blocks stay, used or not."""
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.instance or not wanted.isdisjoint(node.results):
            kept.append(node)
            wanted |= set(node.operands)
    return kept[::-1]


def rooted(graph: Graph) -> Graph:
    """The graph with the row of the network itself."""
    inputs, outputs = tuple(v for _, v in graph.inputs), tuple(v for _, v in graph.outputs)
    root = Instance(-1, graph.name, (), "", NO_SPAN, inputs, outputs, digest(graph.nodes, inputs, outputs))
    return replace(graph, instances=(root, *graph.instances))


def _training(d: Draft, graph: Graph) -> Graph | None:
    """With dropout before some readers, and new values for some states; None if it would be the same."""
    states = {p.value for p in graph.params if p.kind == "state"}
    looped = any(isinstance(n.op, Loop) and not states.isdisjoint(n.operands) for n in graph.nodes)
    if d.rng.random() < (0.2 if looped else 0.75):
        return None
    nodes = list(graph.nodes)
    numbers = {n.result for n in nodes if n.op.name in ("constant", "dim_value")}
    inner = {p.value for p in graph.params if "." in p.path}
    for _ in range(d.rng.choice((0, 1, 2))):
        places = [
            (at, position)
            for at, node in enumerate(nodes)
            for position, value in enumerate(node.operands)
            if node.instance == 0
            and value not in inner
            and value.type.dtype.is_float
            and numbers.isdisjoint(node.operands)
        ]
        if not places:
            break
        at, position = d.rng.choice(places)
        node = nodes[at]
        value = node.operands[position]
        dropped = Node(Dropout(d.rng.choice((0.1, 0.25, 0.5))), (value,), (Value(value.type, "dropout"),))
        operands = (*node.operands[:position], dropped.result, *node.operands[position + 1 :])
        nodes[at : at + 1] = [dropped, replace(node, operands=operands)]
    made = [v for n in nodes for v in n.results if n.instance == 0 and v not in numbers]
    made += [v for _, v in graph.inputs]
    updates = []
    for param in graph.params if d.rng.random() < 0.7 else ():
        found = update_in_loop(d, nodes, param) if param.kind == "state" else None
        if found is not None:
            updates.append(found)
    made_in_loops = {u.path for u in updates}
    for param in graph.params:
        if param.path in made_in_loops:
            continue
        fitting = [v for v in made if v.type == param.value.type]
        if param.kind == "state" and fitting:
            updates.append(Update(param.path, d.rng.choice(fitting)))
    if len(nodes) == len(graph.nodes) and not updates:
        return None
    return replace(graph, nodes=tuple(nodes), updates=tuple(updates), training=True)
