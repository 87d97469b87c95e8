"""Building the graph of one block body, and stamping a checked body out at a call."""

from collections.abc import Iterable, Sequence
from dataclasses import field, replace

from netdsl.check.loop_states import LoopStates
from netdsl.check.values import CheckValue, ListValue, RecordValue, TensorValue, TupleValue
from netdsl.digest import digest
from netdsl.dims import Facts
from netdsl.instances import current_digests
from netdsl.ir import Choice, Graph, Init, Instance, Node, Region, Tap, Value
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import TensorType


@dataclass(slots=True)
class ParamEntry:
    """A parameter or state of a body; `path` is relative to the body."""

    path: str
    kind: str
    value: Value
    type: TensorType
    init: Init
    span: Span
    #: In an edge: it has a copy `per` out, in or layer, else one per pair of them (rule R13).
    per: str | None = None


@dataclass(eq=False, slots=True)
class Template:
    """A block body checked once for its statics, input types, facts and mode (rule R8), to be stamped at calls.

    Args: size: its nodes, those in regions too, and its calls.
    """

    block: str
    statics: tuple[tuple[str, str], ...]
    inputs: tuple[Value, ...]
    given: tuple[tuple[str, Value], ...]
    params: tuple[ParamEntry, ...]
    nodes: tuple[Node, ...]
    instances: tuple[Instance, ...]
    taps: tuple[Tap, ...]
    updates: tuple[tuple[str, Value], ...]
    result: CheckValue
    digest: str
    depends_on_mode: bool
    size: int
    #: Paths of the given parameters that the body took.
    used: frozenset[str] = frozenset()
    choices: tuple[Choice, ...] = ()


@dataclass(eq=False)
class Builder:
    """Collects what one body makes. Nodes go to the innermost open region.

    Args: prefix: the path of the call for which the body is checked, from the network on; for messages.
    """

    facts: Facts
    block: str
    span: Span
    prefix: str = ""
    nodes: list[Node] = field(default_factory=list)
    params: dict[str, ParamEntry] = field(default_factory=dict)
    states: dict[str, Value] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    taps: dict[str, Tap] = field(default_factory=dict)
    used_names: dict[tuple[str, str], int] = field(default_factory=dict)
    #: Paths of the given parameters that were met.
    used: set[str] = field(default_factory=set)
    choices: dict[str, Choice] = field(default_factory=dict)
    labels: dict[tuple[str, str], Span] = field(default_factory=dict)
    depends_on_mode: bool = False
    size: int = 0
    regions: list[list[Node]] = field(default_factory=list)
    #: Loops that are open here or in the blocks called from here, outside in; in training only.
    loops: list[LoopStates] = field(default_factory=list)

    def emit(
        self, op: Op, operands: Sequence[Value], types: Sequence[TensorType], span: Span, hint: str = ""
    ) -> tuple[Value, ...]:
        """Append one node; its IR results carry no axis names."""
        results = tuple(Value(t.without_names(), hint) for t in types)
        self.append(Node(op, tuple(operands), results, (span,), 0))
        return results

    def append(self, node: Node) -> None:
        (self.regions[-1] if self.regions else self.nodes).append(node)
        self.size += 1

    def unique(self, scope: str, name: str) -> str:
        """`name`, or `name_2` at its second use in the same path scope (rule R6)."""
        count = self.used_names.get((scope, name), 0) + 1
        self.used_names[(scope, name)] = count
        return join(scope, name if count == 1 else f"{name}_{count}")

    def add_param(self, entry: ParamEntry) -> None:
        self.params[entry.path] = entry
        if entry.kind == "state":
            self.states[entry.path] = entry.value

    def state(self, path: str) -> Value:
        """What a call reads of a state here: what the call before it left, in a loop the step before."""
        for loop in self.loops:
            loop.meet(self, path)
        return self.states[path]

    def state_path(self, value: Value) -> str:
        """The path of the own state that `value` stands for."""
        for loop in reversed(self.loops):
            value = loop.outside(value)
        return next(path for path, entry in self.params.items() if entry.value is value)

    def tap(self, path: str, value: Value, *, is_weight: bool = False) -> None:
        self.taps[path] = Tap(path, value, is_weight)

    def choose(self, choice: Choice) -> None:
        """Note a choice, which is one however often its instance is called."""
        self.choices.setdefault(choice.path, choice)

    def finish(
        self,
        statics: tuple[tuple[str, str], ...],
        inputs: tuple[Value, ...],
        given: tuple[tuple[str, Value], ...],
        result: CheckValue,
    ) -> Template:
        updates = tuple((p, v) for p, v in self.states.items() if v is not self.params[p].value)
        outputs = tuple(tensors_in(result))
        return Template(
            self.block,
            statics,
            inputs,
            given,
            tuple(self.params.values()),
            tuple(self.nodes),
            tuple(self.instances),
            tuple(self.taps.values()),
            updates,
            result,
            digest(self.nodes, inputs, outputs),
            self.depends_on_mode,
            self.size,
            frozenset(self.used),
            tuple(self.choices.values()),
        )


def join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def tensors_in(value: CheckValue) -> Iterable[Value]:
    """The IR values in a check-time value, in order."""
    if isinstance(value, TensorValue):
        yield value.value
    elif isinstance(value, (TupleValue, ListValue)):
        for item in value.items:
            yield from tensors_in(item)
    elif isinstance(value, RecordValue):
        yield from (tensor.value for tensor in value.tensors)


def stamp(
    template: Template,
    into: Builder,
    arguments: Sequence[Value],
    given: Sequence[Value],
    path: str,
    span: Span,
    shared: dict[str, TensorValue] | None = None,
    owner: Builder | None = None,
) -> dict[Value, Value]:
    """Copy a template's nodes into `into` and return the map from its values to the new ones.

    Args:
        path:   parameter path of the call in `into`.
        shared: parameters of a `let` instance by relative path; those made here are added.
        owner:  where parameters and states live; `into` but for a `let` instance that was given to a block.
    """
    owner = owner or into
    mapping: dict[Value, Value] = dict(zip(template.inputs, arguments, strict=True))
    mapping.update(zip((v for _, v in template.given), given, strict=True))
    for entry in template.params:
        full = join(path, entry.path)
        known = owner.params.get(full)
        if known is None:
            known = replace(entry, path=full, value=Value(entry.value.type, full))
            owner.add_param(known)
            if shared is not None:
                shared[entry.path] = TensorValue(known.value, entry.type)
        mapping[entry.value] = owner.state(full) if entry.kind == "state" else known.value
    base = len(into.instances) + 1
    made = [_copy(node, mapping, base) for node in template.nodes]
    for node in made:
        into.append(node)
    into.size += template.size - len(template.nodes) + 1
    rows = [
        Instance(
            0,
            template.block,
            template.statics,
            path,
            span,
            tuple(arguments),
            tuple(mapping.get(v, v) for v in tensors_in(template.result)),
            template.digest,
        ),
        *(
            Instance(
                row.parent + base,
                row.block,
                row.statics,
                join(path, row.path),
                row.span,
                tuple([mapping.get(v, v) for v in row.inputs]),
                tuple([mapping.get(v, v) for v in row.outputs]),
                row.digest,
                row.intact,
            )
            for row in template.instances
        ),
    ]
    outside = [*arguments, *given, *(mapping[entry.value] for entry in template.params)]
    if len(set(outside)) < len(outside):
        rows = _rehashed(rows, made, base)
    into.instances.extend(rows)
    for tap in template.taps if not into.regions else ():
        into.tap(join(path, tap.path), mapping.get(tap.value, tap.value), is_weight=tap.is_weight)
    for choice in template.choices:
        into.choose(replace(choice, path=join(path, choice.path)))
    for name, value in template.updates:
        owner.states[join(path, name)] = mapping.get(value, value)
    into.depends_on_mode |= template.depends_on_mode
    return mapping


def _rehashed(rows: list[Instance], nodes: Sequence[Node], base: int) -> list[Instance]:
    """Rows of a call that was given one value twice: their digests say which operands are the same."""
    above = [replace(rows[0], parent=-1)] * base
    graph = Graph("", (), (), nodes=tuple(nodes), instances=(*above, *rows))
    now = current_digests(graph, frozenset(range(base, base + len(rows))))
    return [replace(row, digest=now[base + at]) for at, row in enumerate(rows)]


def _copy(node: Node, mapping: dict[Value, Value], base: int) -> Node:
    results = []
    for old in node.results:
        new = Value(old.type, old.hint)
        mapping[old] = new
        results.append(new)
    regions = tuple(_copy_region(r, mapping, base) for r in node.regions) if node.regions else ()
    return Node(
        node.op,
        tuple([mapping.get(v, v) for v in node.operands]),
        tuple(results),
        node.spans,
        node.instance + base,
        regions,
    )


def _copy_region(region: Region, mapping: dict[Value, Value], base: int) -> Region:
    for argument in region.arguments:
        mapping[argument] = Value(argument.type, argument.hint)
    nodes = tuple(_copy(n, mapping, base) for n in region.nodes)
    return Region(tuple(mapping[a] for a in region.arguments), nodes, tuple(mapping.get(v, v) for v in region.results))


def isolate(
    nodes: list[Node], own: Sequence[Value], results: Sequence[Value]
) -> tuple[Region, tuple[Value, ...], dict[Value, Value]]:
    """Close a region: every value it reads from outside becomes an argument after `own`.

    Returns the region, the captured outer values in order of first use, and the substitution made.
    """
    inside = set(own)
    for node in nodes:
        inside.update(node.results)
    captured: dict[Value, Value] = {}
    for value in (*(v for n in nodes for v in n.operands), *results):
        if value not in inside and value not in captured:
            captured[value] = Value(value.type, value.hint)
    if captured:
        nodes = [replace(n, operands=tuple(captured.get(v, v) for v in n.operands)) for n in nodes]
    region = Region((*own, *captured.values()), tuple(nodes), tuple(captured.get(v, v) for v in results))
    return region, tuple(captured), captured
