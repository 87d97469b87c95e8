"""Bodies mapped over leading axes: given parameters with extra axes, `each` and `edges` are this one transform."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.arguments import Argument
from netdsl.check.builder import ParamEntry, Template, tensors_in
from netdsl.check.records import stacked
from netdsl.check.report import mistake
from netdsl.check.types import written_axes
from netdsl.check.values import CheckValue, RecordValue, TensorValue, TupleValue
from netdsl.digest import digest
from netdsl.dims import Facts
from netdsl.instances import renumbered
from netdsl.ir import Init, Node, Value
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import Axis, TensorType

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class Level:
    """One leading axis and the inputs, given parameters and own parameters of a body that have it."""

    axis: Axis
    mapped: frozenset[Value]


def over(template: Template, levels: Sequence[Level], facts: Facts, span: Span) -> Template:
    """The template of a body that runs for every index of each level; the first level is the outermost axis.

    Raises: Mistake E0367: the body has a state; E0369: an op of it cannot be mapped.
    """
    check_no_state(template, span)
    results = [*tensors_in(template.result), *(tap.value for tap in template.taps)]
    nodes, results, now = over_levels(template.nodes, results, levels, facts, span)
    params = own_copies(template, levels, now)
    inputs = tuple(now.get(value, value) for value in template.inputs)
    lead = tuple(level.axis for level in levels if level.mapped)
    count = len(list(tensors_in(template.result)))
    result = _lifted(template.result, iter(results[:count]), lead)
    return replace(
        template,
        block=f"each {template.block}",
        inputs=inputs,
        given=tuple((name, now.get(value, value)) for name, value in template.given),
        params=params,
        nodes=nodes,
        instances=(),
        taps=tuple(replace(tap, value=value) for tap, value in zip(template.taps, results[count:], strict=True)),
        result=result,
        digest=digest(nodes, inputs, tuple(tensors_in(result))),
        size=max(template.size, len(nodes)),
    )


def check_no_state(template: Template, span: Span) -> None:
    """Raises: Mistake E0367."""
    state = next((entry for entry in template.params if entry.kind == "state"), None)
    if state is not None:
        raise mistake(
            "E0367",
            f"`{state.path}` is a state, and the slices of a mapped call would share it",
            span,
            others=((state.span, "declared here"),),
        )


def over_levels(
    nodes: Sequence[Node], results: Sequence[Value], levels: Sequence[Level], facts: Facts, span: Span
) -> tuple[tuple[Node, ...], list[Value], dict[Value, Value]]:
    """Nodes and results over every level, and what stands for each mapped value outside.

    Raises: Mistake E0369.
    """
    from netdsl.vectorise import NotVectorised, vectorise  # only some networks need it

    now: dict[Value, Value] = {}
    for level in reversed(levels):
        if not level.mapped:
            continue
        inner = {value: now.get(value, value) for value in level.mapped}
        outer = {i: Value(led_by(level.axis, i.type), i.hint) for i in inner.values()}
        try:
            done = vectorise(nodes, outer, level.axis.size, results, facts)
        except NotVectorised as error:
            raise mistake(
                "E0369",
                f"`{error.node.op.name}` cannot be mapped over an axis: it {error.reason}",
                span,
                others=tuple((place, "this value") for place in error.node.spans[:1]),
            ) from None
        nodes, results = done.nodes, list(done.results)
        now.update({value: outer[i] for value, i in inner.items()})
    return renumbered(nodes, lambda _: 0), list(results), now


def own_copies(
    template: Template,
    levels: Sequence[Level],
    now: dict[Value, Value],
    start: Callable[[Init, int], Init] = stacked,
) -> tuple[ParamEntry, ...]:
    """The body's parameters, each with the axes of the levels that it has copies along.

    Args: start: the initialiser of so many copies, given that of one.
    """
    params = []
    for entry in template.params:
        copies = tuple(level.axis for level in levels if entry.value in level.mapped)
        type = TensorType(entry.type.dtype, (*copies, *entry.type.axes))
        value = now.get(entry.value, entry.value)
        params.append(replace(entry, value=value, type=type, init=start(entry.init, len(copies))))
    return tuple(params)


def led_by(axis: Axis, type: TensorType) -> TensorType:
    """The type with one axis more in front; the IR's types carry no names."""
    return TensorType(type.dtype, (replace(axis, name=None), *type.axes))


def _lifted(result: CheckValue, values: "Iterable[Value]", lead: tuple[Axis, ...]) -> CheckValue:
    values = iter(values)
    if isinstance(result, TensorValue):
        return TensorValue(next(values), result.type.with_axes((*lead, *result.type.axes)))
    if isinstance(result, RecordValue):
        tensors = tuple(
            TensorValue(value, t.type.with_axes((*lead, *t.type.axes)))
            for t, value in zip(result.tensors, values, strict=False)
        )
        return RecordValue(result.block, result.leaves, tensors, (*lead, *result.leading))
    assert isinstance(result, TupleValue)
    return replace(result, items=tuple(_lifted(item, values, lead) for item in result.items))


def lead_result(
    seen: CheckValue, mapped: CheckValue, mapping: dict[Value, Value], lead: tuple[Axis, ...]
) -> CheckValue:
    """A result as the caller sees it: the types of one slice in the caller's words, led by the mapped axes."""
    values = [mapping.get(value, value) for value in tensors_in(mapped)]
    return _lifted(seen, values, lead)


# --- which axes of a call are mapped --------------------------------------------------------------


def leading_axes(
    body: "Body",
    declared: dict[str, s.ParamDecl],
    given: dict[str, TensorValue],
    records: Sequence[RecordValue],
    span: Span,
) -> tuple[Axis, ...]:
    """The axes that given parameters have beyond the declared ones, outermost first.

    Raises: Mistake E0368: they disagree.
    """
    found: list[tuple[Axis, ...]] = [record.leading for record in records]
    for path, tensor in given.items():
        found.append(tensor.type.axes[: extra_axes(declared, path, tensor)])
    longest = max(found, key=len, default=())
    for axes in found:
        for axis, wanted in zip(axes, longest, strict=False):
            if axis.name != wanted.name or body.builder.facts.prove_eq(axis.size, wanted.size) is not True:
                raise mistake("E0368", f"given parameters are led by {axis} and by {wanted}", span)
    return longest


def extra_axes(declared: dict[str, s.ParamDecl], path: str, tensor: TensorValue) -> int:
    """How many axes more a given parameter has than its declaration, which the call is mapped over."""
    statement = declared.get(path)
    if statement is None:
        return 0
    axes = written_axes(statement.type)
    if any(isinstance(e, s.Dots) for e in axes):
        return 0
    return max(tensor.type.rank - len(axes), 0)


def without_leading(tensor: TensorValue, count: int) -> TensorValue:
    """One slice of a tensor, as the body sees it."""
    if not count:
        return tensor
    type = tensor.type.with_axes(tensor.type.axes[count:])
    return TensorValue(Value(type.without_names(), tensor.value.hint), type)


def strip_argument(argument: Argument, levels: Sequence[Axis]) -> tuple[Argument, tuple[bool, ...]]:
    """An input without the leading axes that bear the name of a mapped axis, and which of them it had."""
    value = argument.value
    if not isinstance(value, TensorValue):
        return argument, (False,) * len(levels)
    had: list[bool] = []
    count = 0
    for level in levels:
        is_mapped = level.name is not None and count < value.type.rank and value.type.axes[count].name == level.name
        had.append(is_mapped)
        count += is_mapped
    return Argument(argument.name, without_leading(value, count), argument.span), tuple(had)
