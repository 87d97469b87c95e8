"""Statements that name a value: assignment, `let`, `const` (rules R6, R10)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.declared import check_result
from netdsl.check.records import check_record
from netdsl.check.report import mistake
from netdsl.check.scope import FIXED, Binding
from netdsl.check.struct_types import fields_of
from netdsl.check.structs import check_struct
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    ConstFunction,
    InstanceRef,
    ListValue,
    TupleValue,
    describe,
)
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body

STATIC_ANNOTATIONS = ("int", "dim", "bool", "str", "dtype", "block", "list", "tuple", "any")


def run_assign(body: "Body", statement: s.Assign) -> None:
    """`a, b = value`.

    Raises: Mistake E0347: another number of values than of names; those of `assign`.
    """
    value = body.evaluate(statement.value)
    targets = statement.targets
    if isinstance(value, TupleValue) and value.loop:
        if len(targets) > len(value.items):
            raise mistake(
                "E0347",
                f"the loop returns {len(value.items)} values, and {len(targets)} names are given",
                statement.span,
            )
        values: Sequence[CheckValue] = value.items[: len(targets)]
    elif len(targets) == 1:
        values = (value,)
    elif value is POISON:
        values = (POISON,) * len(targets)
    elif isinstance(value, (TupleValue, ListValue)):
        if len(value.items) != len(targets):
            raise mistake(
                "E0347",
                f"{len(value.items)} values for {len(targets)} names",
                statement.span,
                others=((statement.value.span, describe(value)),),
            )
        values = value.items
    else:
        raise mistake(
            "E0347", f"{len(targets)} names need {len(targets)} values, found {describe(value)}", statement.span
        )
    for target, item in zip(targets, values, strict=True):
        if target.type is not None and item is not POISON:
            if (
                isinstance(target.type, s.NamedType)
                and target.type.name in STATIC_ANNOTATIONS
                and not target.type.groups
            ):
                item = statics.convert(body, item, target.type, target.span, f"`{target.name}`")
            elif isinstance(target.type, s.NamedType) and target.type.name == "params":
                item = check_record(body, target.type, item, target.span, f"`{target.name}`")
            elif fields_of(target.type) is not None:
                item = check_struct(body, target.type, item, target.span, f"`{target.name}`")
            elif isinstance(target.type, s.NamedType):
                item = check_result(body, target.type, item, target.span, f"`{target.name}`")
        assign(body, target.name, item, target.span)


def assign(body: "Body", name: str, value: CheckValue, span: Span) -> None:
    """Assignment updates the nearest binding, else makes a local (rule R10).

    Raises: Mistake E0345: the name cannot be assigned; E0346: it belongs outside the loop body.
    """
    if name == "_":
        return
    if isinstance(value, BlockRef):
        raise mistake(
            "E0348", f"`{name}` would stand for {describe(value)}", span, help=f"name it with `let {name} = ..`"
        )
    owner, crossed = body.scope.owner(name)
    if owner is not None:
        binding = owner.names[name]
        if binding.kind in FIXED:
            raise mistake(
                "E0345",
                f"`{name}` is {FIXED[binding.kind]} and cannot be assigned",
                span,
                others=((binding.span, "declared here"),),
            )
        if crossed:
            raise mistake(
                "E0346",
                f"`{name}` belongs outside this loop and is not carried",
                span,
                others=((binding.span, "defined here"),),
                help=f"carry it: `from ({name}={name}, ..)`",
            )
        owner.names[name] = Binding(value, "local", span)
        return
    body.scope.bind(name, value, "local", span)


def run_let(body: "Body", statement: s.Let) -> None:
    """`let name = value`; a block becomes an instance, whose uses share its parameters (rule R6).

    Raises: Mistake E0311: declared twice; E0337: an instance in a loop without a label.
    """
    value = body.evaluate(statement.value)
    check_fresh(body, statement.name, statement.name_span)
    if isinstance(value, BlockRef):
        path = body.builder.unique(body.path, statement.name)
        statics.require(value, statement.value.span)
        value = InstanceRef(value, body.builder, path, statement.value.span)
        if body.in_unlabelled_loop is not None:
            raise mistake(
                "E0337",
                f"this loop makes the instance `{statement.name}`, so it needs a label",
                statement.name_span,
                others=((body.in_unlabelled_loop, "this loop"),),
                help="label it: `repeat n as blocks { .. }`",
            )
    body.scope.bind(statement.name, value, "let", statement.name_span)


def check_fresh(body: "Body", name: str, span: Span) -> None:
    """Raises: Mistake E0311: the name is taken."""
    found = body.scope.find(name)
    if found is not None:
        raise mistake(
            "E0311",
            f"`{name}` is declared twice",
            span,
            "second declaration",
            others=((found.span, "first declaration"),),
        )


def run_const(body: "Body", statement: s.Const) -> None:
    """`const name = value`, or a function of statics.

    Raises: Mistake E0311: declared twice.
    """
    check_fresh(body, statement.name, statement.name_span)
    if statement.params is not None:
        body.scope.bind(statement.name, ConstFunction(statement, body.file), "const", statement.name_span)
        return
    value = body.evaluate(statement.value)
    if statement.type is not None:
        value = statics.convert(body, value, statement.type, statement.value.span, f"`{statement.name}`")
    body.scope.bind(statement.name, value, "const", statement.name_span)
