"""Graphs and hypergraphs as values: named tuples of tensors, given to blocks and bound to names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.declared import check_result
from netdsl.check.report import Silent, mistake
from netdsl.check.struct_types import field_of, fields_of, slots
from netdsl.check.values import POISON, CheckValue, TupleValue, describe
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


def field_values(value: CheckValue, names: Sequence[str], span: Span, what: str) -> list[CheckValue]:
    """The fields of a struct, in the order of `names`.

    Raises: Mistake E0214: it is no struct, or lacks a field.
    """
    if value is POISON:
        raise Silent
    if not isinstance(value, TupleValue) or not set(names) <= set(value.names):
        wanted = ", ".join(f"`{name}`" for name in names)
        raise mistake("E0214", f"{what} needs the fields {wanted}, found {describe(value)}", span)
    return [value.items[value.names.index(name)] for name in names]


def bind_structs(body: "Body", header: s.Header) -> None:
    """Give each struct of a header its name in the body, once its fields have their values."""
    for name, params in slots(header).items():
        if field_of(params[0].name) is None:
            continue
        items: list[CheckValue] = []
        for param in params:
            found = body.scope.find(param.name)
            assert found is not None
            items.append(found.value)
        fields = tuple(field_of(param.name) for param in params)
        value = None if all(item is None for item in items) else TupleValue(tuple(items), fields)
        body.scope.bind(name, value, "input", params[0].span)


def check_struct(body: "Body", written: s.TypeExpr, value: CheckValue, place: Span, what: str) -> TupleValue:
    """Match a struct with its declared type, field by field.

    Raises: Mistake E0214: it does not fit.
    """
    fields = fields_of(written)
    assert fields is not None
    items = field_values(value, [f.name for f in fields if f.name], place, what)
    made: list[CheckValue] = []
    for field, item in zip(fields, items, strict=True):
        assert isinstance(field.type, s.NamedType)
        made.append(check_result(body, field.type, item, place, f"`{field.name}` of {what}"))
    return TupleValue(tuple(made), tuple(f.name for f in fields))
