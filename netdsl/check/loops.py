"""`scan`, `decode`, `fixed_point`: one loop with a cell or with a body (rules R11, R12)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import calls
from netdsl.check.arguments import Argument
from netdsl.check.beams import search
from netdsl.check.builder import Builder, isolate
from netdsl.check.carried import Carried, carried_of, following_of, keep_type
from netdsl.check.loop_clauses import Clauses, clauses_of, step_of
from netdsl.check.loop_states import LoopStates
from netdsl.check.report import Silent, mistake
from netdsl.check.scope import Decision, Scope
from netdsl.check.values import BlockRef, CheckValue, InstanceRef, TensorValue, TupleValue, counted, describe
from netdsl.ir import Node, Value
from netdsl.ops.loop import Loop, has_rows, loop_results
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import BOOL, I64

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class _Step:
    """What a step makes: the carried values after it, what it yields, and whether rows stop after it.

    Args: places: of the carried values.
    """

    following: list[TensorValue]
    places: list[Span]
    yields: list[tuple[TensorValue, Span]]
    stop: TensorValue | None = None
    decisions: "Sequence[Decision]" = ()


def loop(body: "Body", expr: s.Loop) -> CheckValue:
    """Check a loop and append its node.

    Raises: Mistake E0357 to E0362, and what `search` raises.
    """
    if expr.kind == "fixed_point" and expr.until is None:
        help = "write `fixed_point n from (..) until COND { .. }`"
        raise mistake("E0362", "`fixed_point` needs the condition that it stops at", expr.span, help=help)
    clauses = clauses_of(body, expr)
    carried = carried_of(body, expr.start)
    carries = carried.tensors
    steps = [step_of(sequence, clauses.axis) for sequence in clauses.sequences]
    own = [Value(t.type.without_names(), "step") for t in (*steps, *carries)]
    states = LoopStates()
    inside = [TensorValue(v, t.type) for v, t in zip(own, (*steps, *carries), strict=True)]
    body.outer.update((v, t.value) for v, t in zip(own, (*steps, *carries), strict=True))
    around = list(_builders(body)) if body.checker.training else []
    for builder in around:
        builder.loops.append(states)
    body.builder.regions.append([])
    first_instance = len(body.builder.instances)
    try:
        if expr.cell is not None:
            made = _run_cell(body, expr, inside, len(steps), len(carries))
        else:
            made = _run_body(body, expr, clauses, inside, carried)
        ends = [
            keep_type(body, start, first, end, last, name)
            for start, (name, first), end, last in zip(
                carries, carried.places(), made.following, made.places, strict=True
            )
        ]
    finally:
        nodes = body.builder.regions.pop()
        for builder in around:
            builder.loops.pop()
    changed, left, read = states.close()
    yields = made.yields
    stops = [made.stop.value] if made.stop is not None else []
    results = [*(v.value for v in ends), *left, *(v.value for v, _ in yields), *stops]
    region, captured, moved = isolate(nodes, [*own, *(s.inside for s in changed)], results)
    _move_rows(body.builder, first_instance, moved)
    op = Loop(
        clauses.axis,
        clauses.count.dim,
        len(steps),
        len(carries) + len(changed),
        len(yields),
        clauses.reverse,
        clauses.length is not None,
        made.stop is not None,
        len(changed),
        clauses.cut,
        clauses.implicit,
    )
    operands = [sequence.value for sequence in clauses.sequences]
    if clauses.length is not None:
        _check_rows(body, "`length`", clauses.length, carries, yields, expr)
        operands.append(clauses.length)
    if made.stop is not None:
        _check_rows(body, "`until`", made.stop, carries, yields, expr)
    operands += carries
    types = [*(o.type for o in operands), *(s.start.type for s in changed)]
    values = [*(o.value for o in operands), *(s.start for s in changed), *(read.get(v, v) for v in captured)]
    ended = (*(t.type for t in ends), *(v.type for v in left), *(t.type for t, _ in yields))
    result_types = list(loop_results(op, tuple(types), ended))
    if clauses.count.name is not None:
        for at, (value, _) in enumerate(yields):
            result_types[at] = op.stacked(value.type, clauses.count.name)
    outputs = tuple(Value(t.without_names(), "loop") for t in result_types)
    whole = Node(op, tuple(values), outputs, (expr.span,), 0, (region,))
    replaced: tuple[Node, ...] = (whole,)
    if clauses.beam is not None and not body.generic:
        replaced, outputs = search(body, clauses.beam, whole, made.decisions, tuple(carried.places()), changed)
        del body.builder.instances[first_instance:]
    for node in replaced:
        body.builder.append(node)
    shown = len(outputs) - len(changed)
    for state, output in zip(changed, outputs[shown:], strict=True):
        state.owner.states[state.path] = output
    found = [TensorValue(v, t) for v, t in zip(outputs[:shown], result_types, strict=False)]
    items = (*found[: len(yields)], *carried.again(found[len(yields) :]))
    return TupleValue(items, (*(None for _ in yields), *carried.names), loop=True)


def _builders(body: "Body") -> Iterator[Builder]:
    """Of the body and of its callers, whose states its loops can change."""
    caller: Body | None = body
    while caller is not None:
        yield caller.builder
        caller = caller.caller


def _move_rows(builder: Builder, first: int, moved: dict[Value, Value]) -> None:
    """The rows of instances in a region name its own values."""
    rows = builder.instances
    for i in range(first, len(rows)) if moved else ():
        inputs, outputs = (tuple(moved.get(v, v) for v in values) for values in (rows[i].inputs, rows[i].outputs))
        rows[i] = replace(rows[i], inputs=inputs, outputs=outputs)


def _run_cell(body: "Body", expr: s.Loop, inside: list[TensorValue], steps: int, carries: int) -> _Step:
    """A cell takes (step, carries..) and returns the carries, the first being the output, or (output, carries..)."""
    assert expr.cell is not None
    span = expr.cell.span
    cell = body.evaluate(expr.cell)
    if not isinstance(cell, (BlockRef, InstanceRef)):
        raise mistake("E0359", f"`scan` needs a block as its cell, found {describe(cell)}", span)
    arguments = [Argument(None, v, expr.over.span if i < steps else expr.start.span) for i, v in enumerate(inside)]
    func = expr.cell.base if isinstance(expr.cell, s.Index) else expr.cell
    result = calls.call(body, cell, arguments, span, func, None)
    items = list(result.items) if isinstance(result, TupleValue) else [result]
    tensors = [body.tensor(v, span, what="a cell") for v in items]
    if len(tensors) not in (carries, carries + 1):
        raise mistake(
            "E0359",
            f"the cell returns {len(tensors)} values for {carries} carried ones",
            span,
            others=((expr.start.span, f"{carries} carried"),),
            help="a cell returns the carried values, or an output and then the carried values",
        )
    following = tensors[len(tensors) - carries :]
    return _Step(following, [span] * carries, [(tensors[0], span)])


def _run_body(body: "Body", expr: s.Loop, clauses: Clauses, inside: list[TensorValue], carried: Carried) -> _Step:
    assert expr.body is not None
    if None in carried.names:
        help = "write `from (h=..)`"
        raise mistake("E0358", "the carried values of a loop body need names", expr.start.span, help=help)
    sequences = clauses.sequences
    before = carried.again(inside[len(sequences) :])
    reporter = body.checker.reporter
    known = len(reporter.diagnostics)
    outer_loop = body.in_unlabelled_loop
    body.in_unlabelled_loop = None
    stop: TensorValue | None = None
    try:
        with body.nested(is_loop=True) as inner:
            _bind_states(body, inner)
            for sequence, step in zip(sequences, inside, strict=False):
                if sequence.name is not None:
                    inner.bind(sequence.name, step, "input", sequence.span)
            inner.targets = inside[len(sequences) - clauses.targets : len(sequences)]
            for name, value in zip(carried.names, before, strict=True):
                inner.bind(name or "", value, "local", expr.start.span)
            body.run(expr.body)
            if len(reporter.diagnostics) > known:
                raise Silent
            following: list[TensorValue] = []
            places: list[Span] = []
            for name, start in zip(carried.names, carried.starts, strict=True):
                binding = inner.names[name or ""]
                found = following_of(body, binding.value, start, name or "", binding.span)
                following += found
                places += [binding.span] * len(found)
            if expr.until is not None:
                inner.bind("before", TupleValue(before, carried.names), "local", expr.until.span)
                stop = _stop(body, expr.until)
    finally:
        body.in_unlabelled_loop = outer_loop
    _check_clauses(expr, clauses, inner)
    return _Step(following, places, inner.yields, stop, inner.decisions)


def _bind_states(body: "Body", inner: Scope) -> None:
    """In training, the name of a state stands for what a step reads of it."""
    if not body.checker.training:
        return
    for name, found in list(inner.states()):
        assert isinstance(found.value, TensorValue)
        start = found.value.value
        value = body.builder.loops[-1].meet(body.builder, body.builder.state_path(start), start)
        inner.bind(name, TensorValue(value, found.value.type), "state", found.span)


def _stop(body: "Body", until: s.Expr) -> TensorValue:
    """The condition after a step, in which the values before it are `before.name`.

    Raises: Mistake E0362: it is no bool.
    """
    stop = body.tensor(body.evaluate(until), until.span, what="`until`")
    if stop.type.dtype != BOOL:
        raise mistake("E0362", f"`until` needs a bool, found {stop.type}", until.span)
    return stop


def _check_clauses(expr: s.Loop, clauses: Clauses, inner: Scope) -> None:
    """Every target is decided once; `fixed_point` yields nothing.

    Raises: Mistake E0362.
    """
    if expr.given is not None and clauses.targets and len(inner.decisions) != clauses.targets:
        found = f"{counted(clauses.targets, 'target')} for {counted(len(inner.decisions), 'decision')}"
        help = "give one for each `decide`; a sequence for another use has a name: `given (u=noise)`"
        raise mistake("E0362", f"`given` has {found}", expr.given.span, help=help)
    if expr.kind == "fixed_point" and inner.yields:
        help = "for the values of every step: `scan n[axis=1] from (..) until COND { .. }`"
        raise mistake("E0362", "`fixed_point` yields nothing: it returns its carried values", expr.span, help=help)


def _check_rows(
    body: "Body",
    what: str,
    rows: TensorValue,
    carries: Sequence[TensorValue],
    yields: Sequence[tuple[TensorValue, Span]],
    expr: s.Loop,
) -> None:
    """`length` and `until` are shaped like the leading axes of every carry and of every yield.

    Raises: Mistake E0361.
    """
    place = expr.over.span if what == "`length`" or expr.until is None else expr.until.span
    if what == "`length`" and rows.type.dtype.storage != I64:
        raise mistake("E0361", f"`length` needs i64 elements, found {rows.type.dtype}", place)
    found = [("carried value", c, place, (expr.start.span, "carried from here")) for c in carries]
    found += [("yield", value, span, (place, f"its {what}")) for value, span in yields]
    for kind, value, span, other in found:
        if not body.generic and not has_rows(value.type, rows.type, body.builder.facts):
            raise mistake(
                "E0361", f"{what} is {rows.type}, and the {kind} {value.type} has other rows", span, others=(other,)
            )
