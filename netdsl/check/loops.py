"""`scan`: a recurrence over an axis, with a cell or with a body (rule R11)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import calls
from netdsl.check.arguments import Argument
from netdsl.check.builder import Builder, isolate
from netdsl.check.loop_states import LoopStates
from netdsl.check.report import Silent, mistake
from netdsl.check.scope import Scope
from netdsl.check.values import POISON, BlockRef, CheckValue, DimValue, InstanceRef, TensorValue, TupleValue, describe
from netdsl.ir import Node, Value
from netdsl.ops.loop import Loop, has_rows, loop_results
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import I64, Axis, ShapeError, unify_axis

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class Scanned:
    """One scanned tensor: `name` stands for its step in a body (None: it has no step name)."""

    name: str | None
    value: TensorValue
    span: Span


@dataclass(frozen=True, slots=True)
class Options:
    axis: int
    reverse: bool
    length: TensorValue | None


def scan(body: "Body", expr: s.Loop) -> CheckValue:
    """Check a `scan` and append its loop node.

    Raises: Mistake E0357 to E0361.
    """
    if expr.kind != "scan":
        raise mistake("E0362", f"`{expr.kind}` is not part of this version of the language", expr.span)
    if expr.until is not None or expr.given is not None:
        raise mistake("E0362", "`until` and `given` are not part of `scan`", expr.span)
    over, args = _options(expr.over)
    sequences, count = _sequences(body, over)
    options = _evaluate_options(body, args, expr)
    rank_axis = _axis(options.axis, sequences, expr)
    for sequence in sequences:
        size = sequence.value.type.axes[rank_axis].size
        if count is None:
            count = DimValue(size, sequence.value.type.axes[rank_axis].name)
            continue
        try:
            unify_axis(
                Axis(count.name, count.dim), sequence.value.type.axes[rank_axis], body.builder.facts, what="`scan`"
            )
        except ShapeError as error:
            raise mistake(
                error.code, error.title, sequence.span, f"this is {sequence.value.type}", help=error.help
            ) from None
    assert count is not None
    carries, names = _carries(body, expr.start)
    op = Loop(rank_axis, count.dim, len(sequences), len(carries), 0, options.reverse, options.length is not None)
    steps = [_step(sequence, rank_axis) for sequence in sequences]
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
            following, outputs = _run_cell(body, expr, inside, len(steps), carries)
            places = [expr.cell.span] * len(following)
            yields = [(output, expr.cell.span) for output in outputs]
        else:
            following, yields, places = _run_body(body, expr, sequences, inside, len(steps), names)
        ends = [
            _carried(body, (c, start), (f, end), n)
            for c, start, f, end, n in zip(carries, _starts(expr, len(carries)), following, places, names, strict=True)
        ]
    finally:
        nodes = body.builder.regions.pop()
        for builder in around:
            builder.loops.pop()
    changed, left, read = states.close()
    ended, yielded = [v.value for v in ends], [v.value for v, _ in yields]
    region, captured, moved = isolate(nodes, [*own, *(s.inside for s in changed)], [*ended, *left, *yielded])
    rows = body.builder.instances
    for i in range(first_instance, len(rows)) if moved else ():
        row = rows[i]
        rows[i] = replace(
            row, inputs=tuple(moved.get(v, v) for v in row.inputs), outputs=tuple(moved.get(v, v) for v in row.outputs)
        )
    op = replace(op, carries=len(carries) + len(changed), yields=len(yields), states=len(changed))
    operands = [sequence.value.value for sequence in sequences]
    types = [sequence.value.type for sequence in sequences]
    if options.length is not None:
        _check_length(body, options.length, carries, yields, expr)
        operands.append(options.length.value)
        types.append(options.length.type)
    operands += [*(c.value for c in carries), *(s.start for s in changed), *(read.get(v, v) for v in captured)]
    types += [*(c.type for c in carries), *(s.start.type for s in changed)]
    made = (*(t.type for t in ends), *(v.type for v in left), *(t.type for t, _ in yields))
    result_types = list(loop_results(op, tuple(types), made))
    if not sequences and count.name is not None:
        for i in range(len(yields)):
            result_types[i] = op.stacked(yields[i][0].type, count.name)
    results = tuple(Value(t.without_names(), "loop") for t in result_types)
    body.builder.append(Node(op, tuple(operands), results, (expr.span,), 0, (region,)))
    shown = len(results) - len(changed)
    for state, value in zip(changed, results[shown:], strict=True):
        state.owner.states[state.path] = value
    values = tuple(TensorValue(v, t) for v, t in zip(results[:shown], result_types, strict=False))
    return TupleValue(values, (*(None for _ in yields), *names), loop=True)


def _builders(body: "Body") -> Iterator[Builder]:
    """Of the body and of its callers, whose states its loops can change."""
    caller: Body | None = body
    while caller is not None:
        yield caller.builder
        caller = caller.caller


def _options(over: s.Expr) -> tuple[s.Expr, tuple[s.Arg, ...]]:
    """The scanned expression and its bracket options."""
    if isinstance(over, s.Index) and over.args and all(a.name in _OPTIONS for a in over.args):
        return over.base, over.args
    return over, ()


_OPTIONS = ("axis", "reverse", "length")


def _sequences(body: "Body", over: s.Expr) -> tuple[list[Scanned], DimValue | None]:
    inner = over
    if isinstance(inner, s.Name):
        value = body.evaluate(inner)
        if isinstance(value, (DimValue, int)) and not isinstance(value, bool):
            return [], body.dim(value, inner.span)
        return [Scanned(inner.id, body.tensor(value, inner.span, what="`scan`"), inner.span)], None
    if isinstance(inner, s.Paren) and isinstance(inner.inner, s.TupleExpr):
        inner = inner.inner
    if isinstance(inner, s.TupleExpr):
        found = []
        for item in inner.items:
            name = item.name or (item.value.id if isinstance(item.value, s.Name) else None)
            found.append(Scanned(name, body.tensor(body.evaluate(item.value), item.span, what="`scan`"), item.span))
        return found, None
    value = body.evaluate(inner)
    if isinstance(value, (DimValue, int)) and not isinstance(value, bool):
        return [], body.dim(value, inner.span)
    return [Scanned(None, body.tensor(value, inner.span, what="`scan`"), inner.span)], None


def _evaluate_options(body: "Body", args: tuple[s.Arg, ...], expr: s.Loop) -> Options:
    axis: int | None = None
    reverse = False
    length: TensorValue | None = None
    for arg in args:
        if arg.name == "axis":
            axis = body.static_int(arg.value, what="`axis`")
        elif arg.name == "reverse":
            value = body.evaluate(arg.value)
            if not isinstance(value, bool):
                raise mistake("E0324", f"`reverse` needs a bool, found {describe(value)}", arg.span)
            reverse = value
        else:
            given = body.evaluate(arg.value)
            if given is not None:
                length = body.tensor(given, arg.span, like=I64, what="`length`")
    if axis is None:
        raise mistake(
            "E0357",
            "`scan` needs the axis it runs over",
            expr.over.span,
            help=f"write `{body.text(expr.over)}[axis=1]`",
        )
    return Options(axis, reverse, length)


def _axis(axis: int, sequences: list[Scanned], expr: s.Loop) -> int:
    if not sequences:
        if axis < 0:
            raise mistake(
                "E0206", f"a count has no axis {axis}", expr.over.span, help="name the axis of the results from 0"
            )
        return axis
    ranks = {q.value.type.rank for q in sequences}
    least = min(ranks)
    if axis < 0 and len(ranks) == 1:
        axis += least
    if not 0 <= axis < least:
        raise mistake("E0206", f"`scan` has no axis {axis}: its sequence has {least} axes", expr.over.span)
    return axis


def _step(sequence: Scanned, axis: int) -> TensorValue:
    t = sequence.value.type
    return TensorValue(sequence.value.value, t.with_axes(t.axes[:axis] + t.axes[axis + 1 :]))


def _carries(body: "Body", start: s.Expr) -> tuple[list[TensorValue], list[str | None]]:
    """Initial carried values and their names."""
    if isinstance(start, s.Paren):
        value: CheckValue = body.evaluate(start.inner)
        if not isinstance(value, TupleValue):
            value = TupleValue((value,), (None,))
    else:
        value = body.evaluate(start)
        if isinstance(value, TensorValue):
            value = TupleValue((value,), (None,))
    if value is POISON:
        raise Silent
    if not isinstance(value, TupleValue):
        raise mistake("E0358", f"`from` needs the carried values in parentheses, found {describe(value)}", start.span)
    carries = [body.tensor(v, start.span, what="`from`") for v in value.items]
    return carries, list(value.names)


def _run_cell(
    body: "Body", expr: s.Loop, inside: list[TensorValue], steps: int, carries: list[TensorValue]
) -> tuple[list[TensorValue], list[TensorValue]]:
    """A cell takes (step, carries..) and returns the carries, the first being the output, or (output, carries..)."""
    assert expr.cell is not None
    cell = body.evaluate(expr.cell)
    if not isinstance(cell, (BlockRef, InstanceRef)):
        raise mistake("E0359", f"`scan` needs a block as its cell, found {describe(cell)}", expr.cell.span)
    arguments = [Argument(None, v, expr.over.span if i < steps else expr.start.span) for i, v in enumerate(inside)]
    func = expr.cell.base if isinstance(expr.cell, s.Index) else expr.cell
    result = calls.call(body, cell, arguments, expr.cell.span, func, None)
    items = list(result.items) if isinstance(result, TupleValue) else [result]
    tensors = [body.tensor(v, expr.cell.span, what="a cell") for v in items]
    if len(tensors) == len(carries):
        return tensors, tensors[:1]
    if len(tensors) == len(carries) + 1:
        return tensors[1:], tensors[:1]
    raise mistake(
        "E0359",
        f"the cell returns {len(tensors)} values for {len(carries)} carried ones",
        expr.cell.span,
        others=((expr.start.span, f"{len(carries)} carried"),),
        help="a cell returns the carried values, or an output and then the carried values",
    )


def _run_body(
    body: "Body",
    expr: s.Loop,
    sequences: list[Scanned],
    inside: list[TensorValue],
    steps: int,
    names: list[str | None],
) -> tuple[list[TensorValue], list[tuple[TensorValue, Span]], list[Span]]:
    """The carried values after a step, what the step yields with its places, and the places of the former."""
    assert expr.body is not None
    if None in names:
        raise mistake(
            "E0358", "the carried values of a loop body need names", expr.start.span, help="write `from (h=..)`"
        )
    reporter = body.checker.reporter
    before = len(reporter.diagnostics)
    outer_loop = body.in_unlabelled_loop
    body.in_unlabelled_loop = None
    try:
        with body.nested(is_loop=True) as inner:
            _bind_states(body, inner)
            for sequence, value in zip(sequences, inside[:steps], strict=True):
                if sequence.name is not None:
                    inner.bind(sequence.name, value, "input", sequence.span)
            for name, value in zip(names, inside[steps:], strict=True):
                inner.bind(name or "", value, "local", expr.start.span)
            body.run(expr.body)
            if len(reporter.diagnostics) > before:
                raise Silent
            following = []
            places = []
            for name, old in zip(names, inside[steps:], strict=True):
                binding = inner.names[name or ""]
                if binding.value is POISON:
                    raise Silent
                following.append(body.tensor(binding.value, binding.span, like=old.type.dtype, what=f"`{name}`"))
                places.append(binding.span)
    finally:
        body.in_unlabelled_loop = outer_loop
    return following, inner.yields, places


def _bind_states(body: "Body", inner: Scope) -> None:
    """In training, the name of a state stands for what a step reads of it."""
    if not body.checker.training:
        return
    for name, found in list(inner.states()):
        assert isinstance(found.value, TensorValue)
        start = found.value.value
        value = body.builder.loops[-1].meet(body.builder, body.builder.state_path(start), start)
        inner.bind(name, TensorValue(value, found.value.type), "state", found.span)


def _starts(expr: s.Loop, count: int) -> list[Span]:
    """The places of the initial carried values."""
    start = expr.start.inner if isinstance(expr.start, s.Paren) else expr.start
    items = start.items if isinstance(start, s.TupleExpr) else ()
    return [item.span for item in items] if len(items) == count else [expr.start.span] * count


def _carried(
    body: "Body", before: tuple[TensorValue, Span], after: tuple[TensorValue, Span], name: str | None
) -> TensorValue:
    """A carry keeps its exact type.

    Raises: Mistake E0360.
    """
    (start, first), (end, last) = before, after
    what = f"`{name}`" if name else "a carried value"
    same = start.type.rank == end.type.rank and start.type.dtype.storage == end.type.dtype.storage
    if same:
        for a, b in zip(start.type.axes, end.type.axes, strict=True):
            answer = a.size == b.size or body.builder.facts.prove_eq(a.size, b.size)
            same = same and (answer is True or (answer is None and body.generic))
    if not same:
        raise mistake(
            "E0360",
            f"{what} keeps its type through the loop: it starts as {start.type} and becomes {end.type}",
            last,
            f"{end.type} after a step",
            others=((first, f"{start.type} before"),),
        )
    return TensorValue(end.value, start.type)


def _check_length(
    body: "Body",
    length: TensorValue,
    carries: list[TensorValue],
    yields: list[tuple[TensorValue, Span]],
    expr: s.Loop,
) -> None:
    """Lengths are i64 and shaped like the leading axes of every carry and of every yield.

    Raises: Mistake E0361.
    """
    if length.type.dtype.storage != I64:
        raise mistake("E0361", f"`length` needs i64 elements, found {length.type.dtype}", expr.over.span)
    rows = [("carried value", c, expr.over.span, (expr.start.span, "carried from here")) for c in carries]
    rows += [("yield", value, span, (expr.over.span, "its `length`")) for value, span in yields]
    for what, value, span, other in rows:
        if not body.generic and not has_rows(value.type, length.type, body.builder.facts):
            raise mistake(
                "E0361",
                f"`length` is {length.type}, and the {what} {value.type} has other rows",
                span,
                others=(other,),
            )
