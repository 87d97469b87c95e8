"""Recurrent layers and cells of the standard library: what the checker makes of one call, copied into a draft."""

from dataclasses import replace

from netdsl.api import load
from netdsl.dims import Dim
from netdsl.ir import Graph, Instance, Node, Param, Region, Value, walk
from netdsl.ir_source_ops import write_type
from netdsl.sampling import storage_dtype
from netdsl.tensor_type import F32, I64, Axis, TensorType
from tests.random_networks.draft import Draft, Held
from tests.random_networks.worlds import NOISY

#: How many states each kind carries.
KINDS = {"Rnn": 1, "Gru": 1, "Lstm": 2}


def add_recurrent(d: Draft, taps: list[tuple[str, Value]]) -> bool:
    """A layer, one in each direction, or a scan with a cell; mostly with lengths. Only in the network's own body."""
    x = _sequence(d)
    if x is None:
        return False
    kind, hidden = d.rng.choice(list(KINDS)), d.rng.randint(1, 4)
    rows, steps, _ = x.type.axes
    inputs = {"x": x}
    length = _rows(d, x, TensorType(I64, (rows,)), steps.size) if d.rng.random() < 0.6 else None
    if length is not None:
        inputs["n"] = length
    form = d.rng.choices(("layer", "both", "cell"), (4, 1, 3))[0]
    reverse = "true" if d.rng.random() < 0.5 else "false"
    wide = replace(x.type, axes=(rows, steps, Axis(None, Dim.of(hidden * (1 + (form == "both"))))))
    outputs = {"y": wide}
    if form == "cell":
        state = replace(x.type, axes=(rows, Axis(None, Dim.of(hidden))))
        for at in range(KINDS[kind]):
            start = _rows(d, x, state, None)
            if start is None:
                return False
            inputs[f"s{at}"], outputs[f"h{at}"] = start, state
        options = f"axis=1, reverse={reverse}" + (", length=n" if length is not None else "")
        starts = ", ".join(name for name in inputs if name.startswith("s"))
        call = f"scan {kind}Cell[{hidden}] over x[{options}] from ({starts})"
    else:
        statics = f"{hidden}, reverse={reverse}" if form == "layer" else str(hidden)
        call = f"{'Bi' if form == 'both' else ''}{kind}[{statics}]({', '.join(inputs)})"
    return _copy(d, taps, _checked(d, call, inputs, outputs), inputs, outputs)


def _sequence(d: Draft) -> Held | None:
    """Floats [B, T, I] that are there, or a new input."""
    fitting = [
        h
        for h in d.frame.pool
        if h.number is None
        and h.type.rank == 3
        and h.type.dtype.is_float
        and h.type.sizes[2] in map(Dim.of, range(1, 7))
    ]
    if fitting and d.rng.random() < 0.6:
        return d.rng.choice(fitting)
    sizes = (d.any_size(), d.any_size(), Dim.of(d.rng.randint(1, 4)))
    dtype = d.main if d.rng.random() < 0.4 else F32
    t = TensorType(dtype, tuple(Axis(None, size) for size in sizes))
    return d.new_input(t, lambda rng, shape, sizes: rng.standard_normal(shape))


def _rows(d: Draft, x: Held, t: TensorType, most: Dim | None) -> Held | None:
    """A new input with the rows of `x`: lengths up to `most`, or a first state."""
    if most is None:
        found = d.new_input(t, lambda rng, shape, sizes: rng.standard_normal(shape) / 2)
    else:
        found = d.new_input(t, lambda rng, shape, sizes: rng.integers(0, most.evaluate(sizes) + 1, shape))
    return found if found is not None and found.type.axes[0].name == x.type.axes[0].name else None


def _checked(d: Draft, call: str, inputs: dict[str, Held], outputs: dict[str, TensorType]) -> Graph:
    """The graph of a call, in a network whose further inputs give the symbols their sizes."""
    sizes = [f"size_{symbol}: f32[{symbol}]" for symbol in d.symbols]
    header = ", ".join([*sizes, *(f"{name}: {write_type(h.type)}" for name, h in inputs.items())])
    results = ", ".join(f"{name}: {write_type(t)}" for name, t in outputs.items())
    facts = ", ".join(f"{left} {op} {right}" for op, left, right in d.facts.items)
    where = f" where {facts}" if facts else ""
    results = results if len(outputs) == 1 else f"({results})"
    text = f"network One({header}) -> {results}{where} {{\n    {', '.join(outputs)} = {call}\n}}\n"
    return load(text)["One"].graph


def _copy(
    d: Draft,
    taps: list[tuple[str, Value]],
    graph: Graph,
    inputs: dict[str, Held],
    outputs: dict[str, TensorType],
) -> bool:
    """Append the nodes, rows and parameters of a checked call; nothing where a number is declined."""
    start = len(d.frame.nodes), len(d.frame.pool), len(d.params), dict(d.arrays)
    mapping = {value: inputs[name] for name, value in graph.inputs if name in inputs}
    # The name of the call: `lstm`, or `lstm_2` where `lstm` is taken.
    name = graph.params[0].path.partition(".")[0]
    taken = {row.path for row in d.instances}
    path = next(p for p in (name, *(f"{name}_{i}" for i in range(2, 99))) if p not in taken)
    for param in graph.params:
        mapping[param.value] = _param(d, replace(param, path=path + param.path.removeprefix(name)))
    first = len(d.instances)
    for node in graph.nodes:
        copied = _node(node, {v: h.value for v, h in mapping.items()}, first)
        made = d.append(copied, [mapping[v] for v in node.operands], [v.type for v in node.results])
        if made is None:
            del d.frame.nodes[start[0] :], d.frame.pool[start[1] :], d.params[start[2] :]
            d.arrays = start[3]
            return False
        mapping.update(zip(node.results, made, strict=True))
    del d.frame.pool[start[1] :]
    known = {v: h.value for v, h in mapping.items()} | _inside(graph, d.frame.nodes[start[0] :])
    for row in graph.instances[1:]:
        d.instances.append(
            Instance(
                row.parent and row.parent + first,
                row.block,
                row.statics,
                path + row.path.removeprefix(name),
                row.span,
                tuple(known[v] for v in row.inputs),
                tuple(known[v] for v in row.outputs),
                row.digest,
            )
        )
    taps += [(path + tap.path.removeprefix(name), known[tap.value]) for tap in graph.taps]
    for (_, value), t in zip(graph.outputs, outputs.values(), strict=True):
        d.frame.pool.append(replace(mapping[value], type=t))
        d.kept.add(mapping[value].value)
    return True


def _param(d: Draft, param: Param) -> Held:
    shape = tuple(size.value for size in param.value.type.sizes)
    dtype = param.value.type.dtype
    d.arrays[param.path] = d.cases[0].rng.normal(0, 0.5, shape).astype(storage_dtype(dtype.name))
    value = Value(param.value.type, param.path)
    d.params.append(replace(param, value=value))
    exact = d.arrays[param.path].astype("float64")
    return Held(value, value.type, ((exact,) * (1 + NOISY),) * len(d.cases))


def _node(node: Node, outer: dict[Value, Value], first: int) -> Node:
    """The node on other operands, its results and regions made anew."""
    known = dict(outer)
    regions = []
    for region in node.regions:
        arguments = tuple(Value(v.type, v.hint) for v in region.arguments)
        known.update(zip(region.arguments, arguments, strict=True))
        nodes = []
        for inside in region.nodes:
            nodes.append(_node(inside, known, first))
            known.update(zip(inside.results, nodes[-1].results, strict=True))
        regions.append(Region(arguments, tuple(nodes), tuple(known[v] for v in region.results)))
    return replace(
        node,
        operands=tuple(known[v] for v in node.operands),
        results=tuple(Value(v.type, v.hint) for v in node.results),
        instance=node.instance and node.instance + first,
        regions=tuple(regions),
    )


def _inside(graph: Graph, nodes: list[Node]) -> dict[Value, Value]:
    """The values inside loops, by those of the checked call."""
    known: dict[Value, Value] = {}
    for old, new in zip(walk(graph.nodes), walk(nodes), strict=True):
        known.update(zip(old.results, new.results, strict=True))
        for a, b in zip(old.regions, new.regions, strict=True):
            known.update(zip(a.arguments, b.arguments, strict=True))
    return known
