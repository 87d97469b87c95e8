"""Monoids as aggregators: the rows of a group combined in pairs, level by level (rule R14).

The tree itself is written in `std/monoids.net`. Its block `_tree` works on lists of tensors, one for each field of what
the monoid carries, so it is no block that can be called: its body is run here, in the caller's graph.
"""

from collections.abc import Sequence
from dataclasses import replace

from netdsl import syntax as s
from netdsl.check.arguments import Argument, MacroCall
from netdsl.check.blocks import call_block, call_path, check_template, inner_body, under
from netdsl.check.body import Body
from netdsl.check.builder import join, stamp
from netdsl.check.labels import snake_case
from netdsl.check.origins import shape_mistake
from netdsl.check.report import Silent, mistake
from netdsl.check.scope import Scope
from netdsl.check.statements import run_result
from netdsl.check.struct_types import field_of, slots
from netdsl.check.structs import field_values
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    DimValue,
    InstanceRef,
    ListValue,
    Macro,
    MacroRef,
    TensorValue,
    TupleValue,
)
from netdsl.ops.segment import group_axis
from netdsl.ops.shape import Broadcast
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import Axis, ShapeError

#: Where the tree stands in the standard library.
MODULE, TREE = "monoids", "_tree"


@dataclass(frozen=True, slots=True)
class Carrier:
    """What a monoid combines: one tensor, or the named fields of a tuple.

    Args: params: the first input, field by field.
    """

    params: tuple[s.TensorParam, ...]

    @property
    def fields(self) -> tuple[str | None, ...]:
        return tuple(field_of(param.name) for param in self.params)

    def split(self, value: CheckValue, span: Span, what: str) -> list[CheckValue]:
        """The fields of an element.

        Raises: Mistake E0214.
        """
        names = [name for name in self.fields if name is not None]
        return field_values(value, names, span, what) if names else [value]

    def joined(self, tensors: Sequence[CheckValue]) -> CheckValue:
        return TupleValue(tuple(tensors), self.fields) if self.fields[0] is not None else tensors[0]


def is_monoid(ref: "BlockRef | InstanceRef") -> bool:
    decl = ref.ref.decl if isinstance(ref, InstanceRef) else ref.decl
    return isinstance(decl, s.Block) and decl.kind == "monoid"


def fold(call: MacroCall, target: "BlockRef | InstanceRef", label: "s.Labelled | None") -> CheckValue:
    """The combined rows of each group; the value of `identity` for a group without rows.

    Raises: Mistake E0323: other arguments than rows and `by`; E0336: no identity, or not two inputs; E0214.
    """
    body, span = call.body, call.span
    ref = target.ref if isinstance(target, InstanceRef) else target
    carrier = _carrier(ref)
    rows, by = _arguments(call, carrier)
    if isinstance(target, InstanceRef):
        instance = target
    else:
        path = call_path(body, snake_case(ref.name), label)
        instance = InstanceRef(ref, body.builder, path, span)
    empty = [_row(body, t, e, span) for t, e in zip(rows, _identity(body, instance, carrier, rows, span), strict=True)]
    found = _tree(call, instance, carrier, rows, by, empty)
    table = by.type.dtype.table
    name = table.name if table is not None else None
    seen = [
        TensorValue(v.value, v.type.with_axes((Axis(name, v.type.axes[0].size), *t.type.axes[1:])))
        for v, t in zip(found, rows, strict=True)
    ]
    return carrier.joined(seen)


def _carrier(ref: BlockRef) -> Carrier:
    header = ref.decl.header
    inputs = list(slots(header).values())
    if len(inputs) != 2 or [field_of(p.name) for p in inputs[0]] != [field_of(p.name) for p in inputs[1]]:
        raise mistake("E0336", f"the monoid `{header.name}` needs two inputs of one type", header.name_span)
    return Carrier(tuple(inputs[0]))


def _arguments(call: MacroCall, carrier: Carrier) -> tuple[list[TensorValue], TensorValue]:
    """The rows field by field, and their groups, which one index for each row names."""
    body, span = call.body, call.span
    given = {a.name: a for a in call.arguments if a.name is not None}
    rest = [a for a in call.arguments if a.name is None]
    if "by" not in given and len(rest) == 2:
        given["by"] = rest.pop()
    if len(rest) != 1 or set(given) != {"by"}:
        raise mistake("E0323", "a monoid is folded over rows `by` their groups", span, help="write `(x, by=i)`")
    value = rest[0].value
    parts = carrier.split(value, rest[0].span, "the rows of a monoid")
    rows = [body.tensor(part, rest[0].span, what="`aggregate`") for part in parts]
    by = body.tensor(given["by"].value, given["by"].span, what="`by`")
    table = by.type.dtype.table
    facts, what = body.builder.facts, "`aggregate`"
    for row in rows:
        try:
            group_axis(row.type, by.type, table.size if table is not None else None, facts, what=what)
        except ShapeError as error:
            raise shape_mistake(body, error, (row, by), span, (rest[0].span, given["by"].span)) from None
    return rows, by


def _tree(
    call: MacroCall,
    instance: InstanceRef,
    carrier: Carrier,
    rows: Sequence[TensorValue],
    by: TensorValue,
    empty: Sequence[TensorValue],
) -> list[TensorValue]:
    """Run the body of the library's tree, in which `combine` calls the monoid."""
    body, span = call.body, call.span
    library = body.checker.library.std(MODULE)
    assert library is not None
    decl = library.own[TREE]
    assert isinstance(decl, s.Block)

    def combine(inner: MacroCall) -> CheckValue:
        sides = [a.value for a in inner.arguments]
        assert all(isinstance(side, ListValue) for side in sides)
        arguments = [Argument(None, carrier.joined(side.items), span) for side in sides if isinstance(side, ListValue)]
        result = call_block(body, instance, arguments, span, instance.path, None)
        made = carrier.split(result, span, f"the result of `{instance.ref.name}`")
        tensors = [body.tensor(v, span, what=f"`{instance.ref.name}`") for v in made]
        for tensor, row in zip(tensors, rows, strict=True):
            if tensor.type.without_names().axes[1:] != row.type.without_names().axes[1:]:
                raise mistake("E0214", f"`{instance.ref.name}` makes {tensor.type} of rows {row.type}", span)
        return ListValue(tuple(tensors))

    bare = TensorValue(by.value, by.type.without_names())
    table = bare.type.dtype.table
    assert table is not None
    inner = Body(body.checker, body.builder, Scope(), library, caller=body.caller, path=body.path, generic=body.generic)
    bound: dict[str, CheckValue] = {
        "by": bare,
        "rows": ListValue(tuple(TensorValue(r.value, r.type.without_names()) for r in rows)),
        "empty": ListValue(tuple(empty)),
        "combine": MacroRef(Macro("combine", combine, "combine(a, b)", "The monoid on two lists of fields.")),
        "N": DimValue(table.size),
        "E": DimValue(bare.type.axes[0].size),
    }
    for name, value in bound.items():
        inner.scope.bind(name, value, "input", span)
    before = dict(body.builder.states)
    found, _ = run_result(inner, decl.body)
    if found is POISON:
        raise Silent
    if before != body.builder.states:
        raise mistake("E0367", f"the monoid `{instance.ref.name}` has a state", span)
    assert isinstance(found, ListValue)
    return [body.tensor(v, span) for v in found.items]


def _row(body: Body, rows: TensorValue, value: TensorValue, span: Span) -> TensorValue:
    """The identity as a row like the others."""
    sizes = rows.type.sizes[1:]
    own = value.type.sizes
    if own and own != sizes[len(sizes) - len(own) :]:
        raise mistake("E0202", f"the identity is {value.type}, and this is combined with rows {rows.type}", span)
    return value if value.type.sizes == sizes else body.apply1(Broadcast(sizes), (value,), span)


# --- the identity --------------------------------------------------------------------------------


def _identity(
    body: Body, instance: InstanceRef, carrier: Carrier, rows: Sequence[TensorValue], span: Span
) -> list[TensorValue]:
    """The value of `identity` field by field: a body of its own, with the parameters of the monoid.

    Raises: Mistake E0336: the monoid has none.
    """
    ref = instance.ref
    decl = ref.decl
    assert isinstance(decl, s.Block)
    given = [x for x in decl.body.statements if isinstance(x, s.Identity)]
    if len(given) != 1:
        raise mistake(
            "E0336",
            f"the monoid `{ref.name}` needs one identity, found {len(given)}",
            decl.header.name_span,
            help="write `identity: zeros`, the value of a group without rows",
        )
    written = [_stripped(param.type) for param in carrier.params]
    items = _items(given[0].value)
    if len(items) != len(written):
        raise mistake("E0214", f"the identity has {len(items)} fields, and the monoid {len(written)}", given[0].span)
    values = [_filled(item, t, row) for item, t, row in zip(items, written, rows, strict=True)]
    at = given[0].span
    value = values[0] if len(values) == 1 else s.TupleExpr(at, tuple(s.Arg(at, None, v) for v in values))
    result = (
        written[0]
        if len(written) == 1
        else s.TupleType(at, tuple(s.Field(at, f"_{i}", t) for i, t in enumerate(written)))
    )
    kept = tuple(x for x in decl.body.statements if isinstance(x, (s.ParamDecl, s.Let, s.Const)))
    header = replace(decl.header, params=(), where=(), result=result, result_name=None)
    alone = replace(
        decl, kind="block", header=header, body=replace(decl.body, statements=(*kept, s.ExprStatement(at, value)))
    )
    statics = dict(ref.statics)
    statics |= {name: size for name, size in _dims(carrier, rows).items() if name not in statics}
    own = BlockRef(alone, ref.scope, tuple(statics.items()))
    inner = inner_body(body.checker, own, body, span)
    inner.builder.prefix = join(instance.owner.prefix, instance.path)
    inner.decisions = under(body.decisions, instance.path)
    for param, row in zip(carrier.params, rows, strict=True):
        if isinstance(param.type, s.NamedType) and param.type.name in ("float", "int", "num"):
            inner.dtypes[param.type.name] = row.type.dtype
    prefix = instance.path + "."
    weights = {name.removeprefix(prefix): t for name, t in body.given.items() if name.startswith(prefix)}
    template = check_template(own, inner, {}, weights)
    body.builder.used.update(join(instance.path, name) for name in template.used)
    taken = [t.value for t in weights.values()]
    mapping = stamp(template, body.builder, [], taken, instance.path, span, instance.params, instance.owner)
    found = template.result.items if isinstance(template.result, TupleValue) else (template.result,)
    tensors = [body.tensor(v, span) for v in found]
    return [TensorValue(mapping.get(t.value, t.value), t.type) for t in tensors]


def _stripped(written: s.TypeExpr) -> s.NamedType:
    """The type of one row: without its leading axes."""
    assert isinstance(written, s.NamedType)
    return replace(written, groups=tuple(tuple(e for e in g if not isinstance(e, s.Dots)) for g in written.groups))


def _items(expr: s.Expr) -> list[s.Expr]:
    while isinstance(expr, s.Paren):
        expr = expr.inner
    return [item.value for item in expr.items] if isinstance(expr, s.TupleExpr) else [expr]


def _filled(expr: s.Expr, written: s.NamedType, row: TensorValue) -> s.Expr:
    """`zeros`, `ones` and numbers are rows of them."""
    at = expr.span
    dtype = s.Arg(at, "dtype", s.Name(at, row.type.dtype.storage.name))
    axes = written.groups[-1] if written.groups else ()
    sizes = tuple(s.Arg(at, None, e) for e in axes)
    if isinstance(expr, s.Name) and expr.id in ("zeros", "ones"):
        return s.Index(at, expr, (*sizes, dtype))
    inner = expr
    while isinstance(inner, (s.Unary, s.Paren)):
        inner = inner.operand if isinstance(inner, s.Unary) else inner.inner
    if isinstance(inner, s.Literal) or (isinstance(inner, s.Name) and inner.id == "inf"):
        return s.Index(at, s.Name(at, "full"), (*sizes, s.Arg(at, "value", expr), dtype))
    return expr


def _dims(carrier: Carrier, rows: Sequence[TensorValue]) -> dict[str, CheckValue]:
    """The dimensions of the header that the rows say."""
    found: dict[str, CheckValue] = {}
    for param, row in zip(carrier.params, rows, strict=True):
        written = _stripped(param.type)
        axes = written.groups[-1] if written.groups else ()
        tail = row.type.axes[len(row.type.axes) - len(axes) :]
        for e, axis in zip(axes, tail, strict=False):
            if isinstance(e, s.Name):
                found.setdefault(e.id, DimValue(axis.size, axis.name))
    return found
