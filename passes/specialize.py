"""Inputs that are fixed when building: what depends on them alone is computed once, and its generator is gone."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.reference.execute import run
from netdsl.backends.reference.sizes import bind_sizes
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.did_you_mean import suggest
from netdsl.dims import DimError
from netdsl.instances import ancestors, refresh, settled
from netdsl.ir import Graph, Node, Param, Value
from netdsl.ops.shape import Transpose
from netdsl.passes.base import EXACT, Weights
from netdsl.passes.evaluation import evaluated, free_path, is_computable
from netdsl.passes.pipeline import Row
from netdsl.passes.validation import relative_error
from netdsl.sampling import sample_inputs, sample_sizes
from netdsl.source import NO_SPAN
from netdsl.substitute import with_sizes
from netdsl.verify import verify

Array = NDArray[np.generic]


def specialize(graph: Graph, weights: Weights, bound: Mapping[str, Array]) -> tuple[Graph, dict[str, Array]]:
    """The network with some inputs fixed, and its weights.

    Values that fixed inputs and parameters alone determine become constants, computed in float64 and named after the
    parameters that they stand for; inputs, nodes and parameters that nothing needs any more are gone. Dimensions that
    only the fixed inputs have become sizes.

    Raises: NetError: E0602: an input that is unknown, or an array that does not fit it; E0603: nothing becomes
            constant, because other inputs take part, or an output would be.
    """
    graph = with_sizes(graph, _sizes(graph, bound))
    _check_values(graph, bound)
    arrays = {name: np.asarray(array) for name, array in bound.items()}
    fixed = _Fixed(graph, bound)
    frontier = fixed.frontier()
    _refuse(graph, bound, fixed, frontier)
    values = evaluated(graph, fixed.nodes, frontier, arrays, weights)
    made = _without(graph, bound, fixed, values)
    kept = {param.path for param in made.params}
    return made, {path: np.asarray(array) for path, array in weights.items() if path in kept}


def _sizes(graph: Graph, bound: Mapping[str, Array]) -> dict[str, int]:
    """The dimensions that the bound inputs determine."""
    names = [name for name, _ in graph.inputs]
    for name in bound:
        if name not in names:
            near = suggest(name, names)
            help = f"did you mean `{near}`?" if near else f"its inputs are {', '.join(names)}"
            raise NetError(Diagnostic("E0602", f"`{graph.name}` has no input `{name}`", help=help))
    chosen = tuple((name, value) for name, value in graph.inputs if name in bound)
    try:
        found = bind_sizes(replace(graph, inputs=chosen), bound)
    except (ValueError, DimError) as error:
        raise NetError(Diagnostic("E0602", f"a bound input does not fit: {error}")) from None
    for name, value in chosen:
        kind = np.asarray(bound[name]).dtype.kind
        wanted = {"float": "fiu", "int": "iu", "bool": "b"}[value.type.dtype.kind]
        if kind not in wanted:
            title = f"`{name}` is {value.type}, found an array of {np.asarray(bound[name]).dtype}"
            raise NetError(Diagnostic("E0602", title))
    return {name: size for name, size in found.items() if name in graph.free_dims}


def _check_values(graph: Graph, bound: Mapping[str, Array]) -> None:
    """Raises: NetError: E0602: a value outside its range, an index outside its table, or a table of any size."""
    for r in graph.ranges:
        array = np.asarray(bound.get(r.name, []))
        if array.size and not (r.low <= array.min() and array.max() <= r.high):
            found = f"{array.min():g} to {array.max():g}"
            raise NetError(Diagnostic("E0602", f"`{r.name}` lies in {r.low:g}..{r.high:g}, found {found}"))
    for name, value in graph.inputs:
        table = value.type.dtype.table
        if table is None or name not in bound:
            continue
        if not table.size.is_const:
            size = ", ".join(sorted(table.size.symbols))
            title = f"`{name}` points into {table.size}, and what is bound does not say how much that is"
            raise NetError(Diagnostic("E0602", title, help=f"fix it too: `--size {size}=..`"))
        array = np.asarray(bound[name])
        if array.size == 0:
            continue
        for index in (int(array.min()), int(array.max())):
            if not 0 <= index < table.size.value:
                title = f"`{name}` holds indices below {table.size}, found {index}"
                raise NetError(Diagnostic("E0602", title))


class _Fixed:
    """Which values bound inputs and parameters determine.

    `given` hang on a bound input, `held` on parameters at most; all others hang on a free input or are drawn.
    """

    def __init__(self, graph: Graph, bound: Iterable[str]) -> None:
        self.graph = graph
        self.given: set[Value] = {value for name, value in graph.inputs if name in bound}
        self.held: set[Value] = {p.value for p in graph.params if p.kind != "state" or not graph.training}
        self.nodes: list[Node] = []
        for node in graph.nodes:
            if not self._is_fixed(node):
                continue
            self.nodes.append(node)
            home = self.given if any(v in self.given for v in node.operands) else self.held
            home.update(node.results)

    def _is_fixed(self, node: Node) -> bool:
        return all(value in self.given or value in self.held for value in node.operands) and is_computable(node)

    def frontier(self) -> list[Value]:
        """Values to compute: those that the rest of the network reads. A layer keeps the transpose of its weight."""
        fixed = set(self.nodes)
        rest = [node for node in self.graph.nodes if node not in fixed]
        read = {value for node in rest for value in node.operands}
        kept = [
            node
            for node in self.nodes
            if isinstance(node.op, Transpose)
            and node.results[0] in read
            and node.operands[0] in self.given
            and any(r.instance == node.instance and node.results[0] in r.operands for r in rest)
        ]
        for node in kept:
            read.discard(node.results[0])
            read.add(node.operands[0])
            self.nodes.remove(node)
        read |= {value for _, value in self.graph.outputs}
        made = [value for node in self.nodes for value in node.results]
        inputs = [value for _, value in self.graph.inputs]
        return [value for value in (*inputs, *made) if value in read and value in self.given]


def _refuse(graph: Graph, bound: Mapping[str, Array], fixed: _Fixed, frontier: Sequence[Value]) -> None:
    names = {value: name for name, value in graph.inputs}
    for name, value in graph.outputs:
        if value in fixed.given:
            raise NetError(
                Diagnostic("E0603", f"the output `{name}` would be a constant: every input it needs is bound")
            )
    readers = _readers(graph)
    makes_weights = any(tap.is_weight and tap.value in fixed.given for tap in graph.taps)
    for tap in () if makes_weights else graph.taps:
        by = readers.get(tap.value, frozenset())
        if tap.is_weight and by & bound.keys() and by - bound.keys():
            others = ", ".join(f"`{name}`" for name in sorted(by - bound.keys()))
            raise NetError(
                Diagnostic(
                    "E0603",
                    f"the weights `{tap.path}` are made from the data: they hang on {others} beside what is bound",
                    help="bind those inputs too, or leave the generator in the file",
                )
            )
    if any(value not in names or value.type.dtype.table is not None for value in frontier):
        return  # indices that are known say how rows are grouped, before any value is
    listed = ", ".join(f"`{name}`" for name in bound)
    for node in graph.nodes:
        free = [names[v] for v in node.operands if v in names and names[v] not in bound]
        if any(v in fixed.given for v in node.operands) and any(
            v not in fixed.given and v not in fixed.held for v in node.operands
        ):
            other = f"the input `{free[0]}`" if free else "inputs that are not bound"
            raise NetError(
                Diagnostic(
                    "E0603",
                    f"binding {listed} fixes nothing: it meets {other} before anything is computed from it alone",
                    Label(node.spans[0], "here") if node.spans else None,
                    help="bind the other inputs too, or leave the generator in the file",
                )
            )
    raise NetError(Diagnostic("E0603", f"binding {listed} fixes nothing: the network does not read it"))


def _readers(graph: Graph) -> dict[Value, frozenset[str]]:
    """The inputs that each value hangs on."""
    found = {value: frozenset((name,)) for name, value in graph.inputs}
    for node in graph.nodes:
        by = frozenset[str]().union(*(found.get(value, frozenset()) for value in node.operands))
        found.update((value, by) for value in node.results)
    return found


def _without(graph: Graph, bound: Mapping[str, Array], fixed: _Fixed, values: Mapping[Value, Array]) -> Graph:
    """The graph with the computed values as constants, and without what only they needed."""
    taken = {param.path for param in graph.params}
    named = {tap.value: tap.path for tap in graph.taps}
    gone = {value for node in fixed.nodes if node.results[0] in fixed.given for value in node.results}
    consts: list[Param] = []
    for value, array in values.items():
        path = free_path(named.get(value) or f"specialized.{len(consts)}", taken)
        consts.append(Param(path, "const", value, None, array, NO_SPAN))
    nodes = [node for node in graph.nodes if gone.isdisjoint(node.results)]
    inputs = tuple((name, value) for name, value in graph.inputs if name not in bound)
    gone |= {value for name, value in graph.inputs if name in bound}
    taps = tuple(tap for tap in graph.taps if tap.value not in gone or tap.value in values)
    before = _read(graph.nodes)
    live = {v for _, v in graph.outputs} | {u.value for u in graph.updates} | {tap.value for tap in taps}
    kept: list[Node] = []
    for node in reversed(nodes):
        if live.isdisjoint(node.results) and not _was_dead(node, before, graph):
            continue
        kept.append(node)
        live.update(node.operands)
    kept.reverse()
    read = _read(kept) | live
    params = tuple(p for p in graph.params if p.value in read or p.value not in before)
    ranges = tuple(r for r in graph.ranges if r.name not in bound)
    made = replace(graph, inputs=inputs, nodes=tuple(kept), params=(*params, *consts), taps=taps, ranges=ranges)
    stay = set(kept)
    touched = {node.instance for node in graph.nodes if node not in stay}
    changed = frozenset(row for index in touched for row in ancestors(graph.instances, index))
    return settled(refresh(made, changed), changed)


def _read(nodes: Iterable[Node]) -> set[Value]:
    return {value for node in nodes for value in node.operands}


def _was_dead(node: Node, before: set[Value], graph: Graph) -> bool:
    """Whether nothing needed the node in the first place: other passes deal with it."""
    return before.isdisjoint(node.results) and not any(v in node.results for _, v in graph.outputs)


def specialized(
    graph: Graph, weights: Weights, bound: Mapping[str, Array], *, validate: bool
) -> tuple[Graph, dict[str, Array], Row]:
    """`specialize`, compared with the network before at several sizes, and its row in the ledger.

    Raises: NetError: E0601: the two differ; E0602, E0603.
    """
    started = time.perf_counter()
    made, left = specialize(graph, weights, bound)
    seconds = time.perf_counter() - started
    verify(made, instances=validate)
    error = _largest_error(graph, weights, bound, made, left) if validate else None
    before, after = (sum(1 for _ in g.walk()) for g in (graph, made))
    consts = sum(param.kind == "const" for param in made.params) - sum(param.kind == "const" for param in graph.params)
    return made, left, Row("specialize", EXACT.kind, consts, before, after, seconds, error)


def _largest_error(before: Graph, weights: Weights, bound: Mapping[str, Array], after: Graph, left: Weights) -> float:
    """The largest relative difference of the two networks on sampled inputs, at the smallest sizes, 3 and 7."""
    worst = 0.0
    chosen: list[dict[str, int]] = []
    for want in (1, 3, 7):
        sizes = sample_sizes(after, want)
        if sizes in chosen:
            continue
        chosen.append(sizes)
        inputs = sample_inputs(after, sizes, want)
        expected = run(before, {**inputs, **bound}, weights).outputs
        found = run(after, inputs, left).outputs
        for name, array in expected.items():
            error = relative_error(array, found[name])
            if not error <= EXACT.rtol:
                title = (
                    f"`specialize` changes `{name}` by {error:.3g} (relative), and promises at most {EXACT.rtol:.3g}"
                )
                raise NetError(Diagnostic("E0601", title, notes=("nothing was written",)))
            worst = max(worst, error)
    return worst
