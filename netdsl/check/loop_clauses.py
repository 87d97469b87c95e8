"""What a loop says before its body: its sequences or its count, its options, what it is given (rules R11, R12)."""

from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.beams import Beam, beam_of
from netdsl.check.report import mistake
from netdsl.check.values import DimValue, TensorValue, describe
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
class Clauses:
    """A loop without its carried values and its body.

    Args:
        sequences: each with a step in the body.
        targets:   how many of them, the last ones, are what `decide` picks.
        cut:       after how many steps gradients are cut; 0 for never.
        implicit:  the gradient is that of the fixed point, not of the steps to it.
        beam:      none where one sequence of decisions is kept.
    """

    axis: int
    count: DimValue
    sequences: tuple[Scanned, ...]
    targets: int
    reverse: bool
    length: TensorValue | None
    cut: int
    implicit: bool
    beam: Beam | None


#: The options of each kind of loop.
_OPTIONS = {
    "scan": ("axis", "length", "reverse", "truncate"),
    "decode": ("axis", "length", "truncate", "beam"),
    "fixed_point": ("gradient",),
}


def clauses_of(body: "Body", expr: s.Loop) -> Clauses:
    """The sequences, the count and the options of a loop.

    Raises: Mistake E0202, E0206, E0207, E0303, E0324, E0357, E0362.
    """
    over, options = _options(expr)
    sequences, count = _sequences(body, over, expr.kind)
    given = _given(body, expr)
    axis = _axis(body, options, sequences, expr)
    rank_axis = _place(axis, [*sequences, *given], expr) if sequences or given else _counted(axis, expr)
    sequences += sorted(given, key=lambda sequence: sequence.name is None)
    for sequence in sequences:
        found = sequence.value.type.axes[rank_axis]
        count = count or DimValue(found.size, found.name)
        try:
            unify_axis(Axis(count.name, count.dim), found, body.builder.facts, what=f"`{expr.kind}`")
        except ShapeError as error:
            if body.generic and error.code == "E0208":
                continue
            raise mistake(
                error.code, error.title, sequence.span, f"this is {sequence.value.type}", help=error.help
            ) from None
    assert count is not None
    length = options.get("length")
    lengths = body.evaluate(length.value) if length is not None else None
    cut = body.static_int(options["truncate"].value, what="`truncate`") if "truncate" in options else 0
    if "truncate" in options and cut < 1:
        raise mistake("E0324", f"`truncate` needs at least 1 step, found {cut}", options["truncate"].span)
    targets = [sequence.span for sequence in given if sequence.name is None]
    return Clauses(
        rank_axis,
        count,
        tuple(sequences),
        len(targets),
        _reverse(body, options),
        None if length is None or lengths is None else body.tensor(lengths, length.span, like=I64, what="`length`"),
        cut,
        _is_implicit(options),
        beam_of(body, options.get("beam"), targets),
    )


def _options(expr: s.Loop) -> tuple[s.Expr, dict[str, s.Arg]]:
    """The scanned expression and its bracket options."""
    over, known = expr.over, _OPTIONS[expr.kind]
    every = {name for names in _OPTIONS.values() for name in names}
    if not isinstance(over, s.Index) or not over.args:
        return over, {}
    if not all(a.name in every if expr.kind == "scan" else a.name for a in over.args):
        return over, {}
    for arg in over.args:
        if arg.name not in known:
            raise mistake(
                "E0362", f"`{expr.kind}` has no option `{arg.name}`", arg.span, help=f"it has {', '.join(known)}"
            )
    return over.base, {arg.name or "": arg for arg in over.args}


def _sequences(body: "Body", over: s.Expr, kind: str) -> tuple[list[Scanned], DimValue | None]:
    inner = over.inner if isinstance(over, s.Paren) and isinstance(over.inner, s.TupleExpr) else over
    if isinstance(inner, s.TupleExpr) and kind == "scan":
        return [_named(body, item, kind) for item in inner.items], None
    value = body.evaluate(inner)
    if kind != "scan" or (isinstance(value, (DimValue, int)) and not isinstance(value, bool)):
        return [], body.dim(value, inner.span, what=f"the count of `{kind}`")
    name = inner.id if isinstance(inner, s.Name) else None
    return [Scanned(name, body.tensor(value, inner.span, what=f"`{kind}`"), inner.span)], None


def _named(body: "Body", item: s.Arg, kind: str) -> Scanned:
    name = item.name or (item.value.id if isinstance(item.value, s.Name) else None)
    return Scanned(name, body.tensor(body.evaluate(item.value), item.span, what=f"`{kind}`"), item.span)


def _given(body: "Body", expr: s.Loop) -> list[Scanned]:
    """What `given` gives each step: unnamed, what `decide` picks; with a name, a value of the body."""
    if expr.given is None:
        return []
    if expr.kind == "fixed_point":
        raise mistake("E0362", "`fixed_point` has no `given`: it decides nothing", expr.given.span)
    inner = expr.given.inner if isinstance(expr.given, s.Paren) else expr.given
    items = [(i.name, i.value, i.span) for i in inner.items] if isinstance(inner, s.TupleExpr) else []
    found = []
    for name, item, span in items or [(None, inner, inner.span)]:
        value = body.evaluate(item)
        if value is not None:
            found.append(Scanned(name, body.tensor(value, span, what="`given`"), span))
    return found


def _axis(body: "Body", options: dict[str, s.Arg], sequences: list[Scanned], expr: s.Loop) -> int:
    if "axis" in options:
        return body.static_int(options["axis"].value, what="`axis`")
    if expr.kind == "scan":
        text = body.text(expr.over)
        raise mistake("E0357", "`scan` needs the axis it runs over", expr.over.span, help=f"write `{text}[axis=1]`")
    return 1


def _counted(axis: int, expr: s.Loop) -> int:
    if axis < 0:
        help = "name the axis of the results from 0"
        raise mistake("E0206", f"a count has no axis {axis}", expr.over.span, help=help)
    return axis


def _place(axis: int, sequences: list[Scanned], expr: s.Loop) -> int:
    ranks = {q.value.type.rank for q in sequences}
    least = min(ranks)
    if axis < 0 and len(ranks) == 1:
        axis += least
    if not 0 <= axis < least:
        raise mistake("E0206", f"`{expr.kind}` has no axis {axis}: its sequence has {least} axes", expr.over.span)
    return axis


def _reverse(body: "Body", options: dict[str, s.Arg]) -> bool:
    if "reverse" not in options:
        return False
    value = body.evaluate(options["reverse"].value)
    if not isinstance(value, bool):
        raise mistake("E0324", f"`reverse` needs a bool, found {describe(value)}", options["reverse"].span)
    return value


def _is_implicit(options: dict[str, s.Arg]) -> bool:
    """`gradient=implicit` or `gradient=steps`."""
    if "gradient" not in options:
        return False
    value = options["gradient"].value
    word = value.id if isinstance(value, s.Name) else None
    if word not in ("implicit", "steps"):
        raise mistake("E0324", "`gradient` is `steps` or `implicit`", options["gradient"].span)
    return word == "implicit"


def step_of(sequence: Scanned, axis: int) -> TensorValue:
    """What a sequence is in one step, by its type."""
    t = sequence.value.type
    return TensorValue(sequence.value.value, t.with_axes(t.axes[:axis] + t.axes[axis + 1 :]))
