"""The typed graph: values in SSA form, parameters as operands, isolated loop regions, instances kept through passes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.source import NO_SPAN, Span
from netdsl.tensor_type import TensorType


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One SSA value. Equality is identity; `hint` is a name for people, not unique."""

    type: TensorType
    hint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A loop body: block arguments, nodes, results. It reads nothing but its arguments and the graph's sizes."""

    arguments: tuple[Value, ...]
    nodes: tuple["Node", ...]
    results: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One application of an op. Operands are ordered and may repeat.

    Args:
        spans:    where it was written; several after fusion.
        instance: row of the graph's instance table that the node belongs to.
    """

    op: Op
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    spans: tuple[Span, ...] = (NO_SPAN,)
    instance: int = 0
    regions: tuple[Region, ...] = ()

    @property
    def result(self) -> Value:
        (only,) = self.results
        return only

    @property
    def operand_types(self) -> tuple[TensorType, ...]:
        return tuple(v.type for v in self.operands)


@dataclass(frozen=True, slots=True)
class Init:
    """An initialiser by name with its numbers, e.g. `normal(std=0.02)`; see `netdsl.initialisers`."""

    name: str
    args: tuple[tuple[str, float | int | bool], ...] = ()

    def __str__(self) -> str:
        return self.name + (f"[{', '.join(f'{k}={v!r}' for k, v in self.args)}]" if self.args else "")


@dataclass(frozen=True, slots=True, eq=False)
class Param:
    """A parameter, a state (running statistics), or a constant tensor that a pass made.

    Args:
        path: the key in state dicts, safetensors files and ONNX initializers.
        kind: `param` is trained, `state` is written by `update`, `const` is neither.
        init: how it starts; None for `const`.
        data: a numpy array (kept in float64 by passes) or None while unbound.
    """

    path: str
    kind: str
    value: Value
    init: Init | None = None
    data: object | None = None
    span: Span = NO_SPAN


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One call of a block, kept so that passes can ask for "the attention here" by name.

    Args:
        parent: row of the enclosing instance, -1 for the network.
        block:  qualified name, `std.attention.SelfAttention` or `FILE:Name`.
        statics: (name, printed value) pairs.
        path:   the call's parameter path; empty for the network.
        inputs, outputs: boundary values (tensor arguments, then results).
        digest: hash of the body as checked; `intact` says that the nodes still hash to it.
    """

    parent: int
    block: str
    statics: tuple[tuple[str, str], ...]
    path: str
    span: Span
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    digest: str
    intact: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """A value that can be asked for: a labelled one, `blocks.3.encoder.attention`, or a parameter that a call gives."""

    path: str
    value: Value
    is_weight: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """In training, the state at `path` holds `value` after the call."""

    path: str
    value: Value


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice among blocks or numbers, `choose[A, B]`.

    Args:
        path:    of the call; the scores of a soft choice are the parameter `path.scores`.
        options: as written.
        per:     what has a decision of its own: `out` or `layer` (the whole).
        decided: the option that it was built with; None while it is open. A graph holds the open ones.
    """

    path: str
    options: tuple[str, ...]
    per: str
    is_soft: bool
    decided: int | None = None


#: Decided options by the choice's path: one for all or one for each output; each its number, or as it is written.
Decisions: TypeAlias = Mapping[str, tuple[int | str, ...]]


@dataclass(frozen=True, slots=True)
class Range:
    """What the elements of an input lie between, ends included; an infinite end is none."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A whole network in one mode. Frozen: passes make a new one through `netdsl.edit`.

    Args:
        inputs:  (name, value) in header order; outputs likewise.
        facts:   what holds of the free dimensions (the network's `where`).
        training: the mode it was checked in.
        choices:  those that are open.
        ranges:   of the values of inputs, at most one of each.
    """

    name: str
    inputs: tuple[tuple[str, Value], ...]
    outputs: tuple[tuple[str, Value], ...]
    params: tuple[Param, ...] = ()
    nodes: tuple[Node, ...] = ()
    updates: tuple[Update, ...] = ()
    taps: tuple[Tap, ...] = ()
    instances: tuple[Instance, ...] = ()
    facts: Facts = field(default=Facts.EMPTY)
    training: bool = False
    choices: tuple[Choice, ...] = ()
    ranges: tuple[Range, ...] = ()

    @property
    def free_dims(self) -> tuple[str, ...]:
        """Names of the dimensions left free, in order of first appearance in the inputs."""
        seen: dict[str, None] = {}
        for _, value in self.inputs:
            for axis in value.type.axes:
                for symbol in sorted(axis.size.symbols):
                    seen.setdefault(symbol)
        return tuple(seen)

    def walk(self) -> Iterator[Node]:
        """Every node, descending into regions, a loop before its body."""
        return walk(self.nodes)


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Every node in `nodes` and in their regions, in program order."""
    stack: list[Iterator[Node]] = [iter(nodes)]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        yield node
        for region in reversed(node.regions):
            stack.append(iter(region.nodes))
