"""What a body returns: its last expression, or its named outputs; and how a caller sees it."""

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.declared import check_result
from netdsl.check.report import Silent, mistake
from netdsl.check.statements import run_result
from netdsl.check.values import POISON, CheckValue, TensorValue, TupleValue, describe
from netdsl.ir import Value
from netdsl.tensor_type import Axis, TensorType


def result_fields(header: s.Header) -> tuple[tuple[str | None, s.TypeExpr], ...]:
    """(name, type) of each declared result."""
    if isinstance(header.result, s.TupleType):
        return tuple((f.name, f.type) for f in header.result.fields)
    return ((header.result_name, header.result),)


def body_result(body: Body, decl: s.Block) -> CheckValue:
    """Run a body and match its result with the header (rule R10: the last expression, or every named output).

    Raises: Mistake E0214, E0341, E0342, E0343.
    """
    header = decl.header
    fields = result_fields(header)
    value, place = run_result(body, decl.body)
    if value is POISON:
        raise Silent
    named = [n for n, _ in fields if n is not None]
    if value is None and place is None:
        missing = [n for n in named if not _assigned(body, n)] if len(named) == len(fields) else []
        if missing or len(named) < len(fields):
            why = f"`{missing[0]}` is not assigned" if missing else "its last line is no expression"
            statements = decl.body.statements
            raise mistake(
                "E0341",
                f"`{header.name}` has no result: {why}",
                statements[-1].span if statements else decl.body.span,
                "the last line" if statements else "this body is empty",
                others=((header.result.span, "declared here"),),
                help=f"assign `{missing[0]}`" if missing else "end with an expression",
            )
        bindings = [b for b in (body.scope.find(n) for n in named) if b is not None]
        values, spans = [b.value for b in bindings], [b.span for b in bindings]
    else:
        assert place is not None
        if len(fields) == 1:
            values, spans = [value], [place]
        elif isinstance(value, TupleValue) and len(value.items) == len(fields):
            values, spans = list(value.items), [place] * len(fields)
        else:
            raise mistake(
                "E0214",
                f"`{header.name}` returns {len(fields)} values, found {describe(value)}",
                place,
                others=((header.result.span, "declared here"),),
            )
    results = []
    for (name, written), v, span in zip(fields, values, spans, strict=True):
        if v is POISON:
            raise Silent
        what = f"`{name}`" if name else f"the result of `{header.name}`"
        if isinstance(written, s.TupleType):
            raise mistake("E0304", "a tuple inside a tuple of results is not supported here", written.span)
        results.append(check_result(body, written, v, span, what))
    if len(results) == 1:
        return results[0]
    return TupleValue(tuple(results), tuple(n for n, _ in fields))


def _assigned(body: Body, name: str) -> bool:
    binding = body.scope.find(name)
    return binding is not None and binding.kind == "local"


def map_result(inner: Body, result: CheckValue, header: s.Header, mapping: dict[Value, Value]) -> CheckValue:
    """The result as the caller sees it: new values, and the caller's axis names (rule R3)."""
    fields = result_fields(header)
    values = result.items if isinstance(result, TupleValue) else (result,)
    seen: list[CheckValue] = []
    for (_, written), value in zip(fields, values, strict=True):
        assert isinstance(value, TensorValue) and isinstance(written, s.NamedType)
        names = _caller_names(inner, written, value.type)
        axes = tuple(Axis(n, a.size, a.structure) for n, a in zip(names, value.type.axes, strict=True))
        dtype = value.type.dtype
        if dtype.table is not None:
            local = dtype.table.name
            outer = inner.callers.get(local) if local is not None else None
            dtype = type(dtype)(dtype.name, dtype.kind, dtype.bits, Axis(outer, dtype.table.size))
        seen.append(TensorValue(mapping.get(value.value, value.value), TensorType(dtype, axes)))
    if len(seen) == 1 and not isinstance(result, TupleValue):
        return seen[0]
    return TupleValue(tuple(seen), tuple(n for n, _ in fields))


def _caller_names(inner: Body, written: s.NamedType, found: TensorType) -> list[str | None]:
    if written.name == "idx":
        exprs = written.groups[1] if len(written.groups) > 1 else ()
    else:
        exprs = written.groups[0] if written.groups else ()
    names: list[str | None] = []
    fixed = sum(1 for e in exprs if not isinstance(e, s.Dots))
    for e in exprs:
        if isinstance(e, s.Dots):
            count = found.rank - fixed
            names.extend((list(inner.leading_names) + [None] * count)[:count])
        elif isinstance(e, s.Name):
            names.append(inner.callers.get(e.id))
        else:
            names.append(None)
    return names
