"""Calls: brackets, arguments, and the blocks, operators and functions that receive them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.arguments import Argument, MacroCall
from netdsl.check.blocks import call_block
from netdsl.check.labels import path_name, tap, tap_taken
from netdsl.check.primitives import call_op
from netdsl.check.report import Silent, mistake, no_static
from netdsl.check.types import written_axes
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    ConstFunction,
    DimValue,
    InstanceRef,
    MacroRef,
    OpRef,
    counted,
    describe,
)
from netdsl.did_you_mean import suggest
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


# --- brackets ------------------------------------------------------------------------------------


def apply_brackets(body: "Body", target: "BlockRef | OpRef | MacroRef", expr: s.Index) -> CheckValue:
    """`F[a, b=c]`: static application.

    Raises: Mistake E0323: too many; E0330: no such static; E0331: given twice.
    """
    with body.speaking(target.macro.vocabulary if isinstance(target, MacroRef) else ""):
        given = _evaluated(body, target, expr)
    if isinstance(target, BlockRef):
        return _block_brackets(body, target, [(name, value, arg.span) for name, value, arg in given])
    if isinstance(target, OpRef):
        return replace(target, statics=(*target.statics, *((n, v) for n, v, _ in given)), name_span=expr.span)
    made = MacroRef(target.macro, (*target.statics, *((n, v) for n, v, _ in given)))
    options = [value for name, value in made.statics if name is None]
    if made.macro.of_numbers is not None and options and all(isinstance(v, (int, float, DimValue)) for v in options):
        return call_macro(body, replace(made, macro=replace(made.macro, run=made.macro.of_numbers)), [], expr.span)
    return call_macro(body, made, [], expr.span) if target.macro.is_nullary else made


def apply_brackets_to(
    body: "Body", target: BlockRef, given: Sequence[tuple[str | None, CheckValue]], span: Span
) -> BlockRef:
    """`target` with statics that stood in the brackets of something else.

    Raises: Mistake E0323, E0324, E0330, E0331.
    """
    return _block_brackets(body, target, [(name, value, span) for name, value in given])


def _evaluated(
    body: "Body", target: "BlockRef | OpRef | MacroRef", expr: s.Index
) -> list[tuple[str | None, CheckValue, s.Arg]]:
    """The brackets by name; words that stand for themselves as strings."""
    given: list[tuple[str | None, CheckValue, s.Arg]] = []
    for arg in expr.args:
        if arg.splat:
            raise mistake("E0329", "`**` stands in round brackets", arg.span)
        if isinstance(target, MacroRef) and target.macro.takes_names and isinstance(arg.value, s.Name):
            given.append((arg.name, arg.value.id, arg))
            continue
        if isinstance(target, MacroRef) and target.macro.named and arg.name not in (None, *target.macro.named):
            raise no_static(target.macro.name, str(arg.name), target.macro.named, arg.span)
        if isinstance(target, MacroRef) and arg.name in target.macro.words and isinstance(arg.value, s.Name):
            given.append((arg.name, arg.value.id, arg))
            continue
        given.append((arg.name, body.evaluate(arg.value), arg))
    return given


def _block_brackets(body: "Body", target: BlockRef, given: list[tuple[str | None, CheckValue, Span]]) -> BlockRef:
    header = target.decl.header
    params = {p.name: p for p in header.statics}
    bound = dict(target.statics)
    free = [n for n in params if n not in bound]
    for name, value, span in given:
        if name is None:
            if not free:
                raise mistake(
                    "E0323",
                    f"`{header.name}` takes {counted(len(params), 'static')}, found {len(given)}",
                    span,
                    others=((header.name_span, "declared here"),),
                )
            name = free.pop(0)
        elif name in free:
            free.remove(name)
        elif name in bound:
            raise mistake("E0331", f"`{name}` is given twice", span)
        elif name in header_dims(header):
            bound[name] = body.dim(value, span, what=f"`{name}`")
            continue
        else:
            known = [*params, *header_dims(header)]
            near = suggest(name, known)
            raise mistake(
                "E0330",
                f"`{header.name}` has no static `{name}`",
                span,
                others=((header.name_span, "declared here"),),
                help=f"did you mean `{near}`?"
                if near
                else (f"its statics are {', '.join(params)}" if params else None),
            )
        bound[name] = statics.convert(body, value, params[name].type, span, f"`{name}`")
    return replace(target, statics=tuple(bound.items()))


def header_dims(header: s.Header) -> list[str]:
    """Capital names that stand alone as an axis of an input."""
    names: list[str] = []
    known = {p.name for p in header.statics}
    for param in header.params:
        for e in written_axes(param.type):
            if isinstance(e, s.Name) and e.id not in known and e.id not in names:
                names.append(e.id)
    return names


# --- calls ---------------------------------------------------------------------------------------


def call(
    body: "Body", target: CheckValue, arguments: list[Argument], span: Span, func: s.Expr, label: "s.Labelled | None"
) -> CheckValue:
    """`target(arguments)`.

    Raises: Mistake E0327: it cannot be called.
    """
    if target is POISON or any(a.value is POISON for a in arguments):
        raise Silent
    splat = next((a for a in arguments if a.is_splat), None)
    if splat is not None and not isinstance(target, (BlockRef, InstanceRef)):
        raise mistake("E0329", f"{describe(target)} takes no parameters", splat.span)
    if isinstance(target, OpRef) and any(a.name == "by" for a in arguments):
        target = _by_group(body, target, span)
    match target:
        case BlockRef() | InstanceRef():
            result = call_block(body, target, arguments, span, path_name(target, func), label)
        case OpRef():
            result = call_op(body, target, arguments, span)
        case MacroRef():
            result = call_macro(body, target, arguments, span, label)
            if label is not None and target.macro.makes_parameters:
                tap_taken(body, label, result)
                label = None
        case ConstFunction():
            result = statics.call_const(body, target, [a.value for a in arguments], span)
        case _:
            raise mistake("E0327", f"{describe(target)} cannot be called", func.span)
    if label is not None and not isinstance(target, (BlockRef, InstanceRef)):
        tap(body, label, result)
    body.checker.limits.check_nodes(body.builder.size, span)
    return result


def _by_group(body: "Body", target: OpRef, span: Span) -> "BlockRef | OpRef":
    """`softmax(x, by=i)`: the block of the standard library that works by groups; other primitives as they are."""
    word = None if "by" in target.op.operands else body.checker.word("aggregators", f"{target.surface}_by")
    return apply_brackets_to(body, word, target.statics, span) if word is not None else target


# --- macros --------------------------------------------------------------------------------------


def call_macro(
    body: "Body", ref: MacroRef, arguments: list[Argument], span: Span, label: "s.Labelled | None" = None
) -> CheckValue:
    """A function of the language, with its brackets sorted by name."""
    macro = ref.macro
    named: dict[str, CheckValue] = {}
    positional: list[CheckValue] = []
    for name, value in ref.statics:
        if value is POISON:
            raise Silent
        if name is not None:
            if name in named:
                raise mistake("E0331", f"`{name}` is given twice", span)
            named[name] = value
        elif macro.brackets is not None and len(positional) < len(macro.brackets):
            named[macro.brackets[len(positional)]] = value
            positional.append(value)
        elif macro.brackets is None:
            positional.append(value)
        else:
            raise mistake("E0323", f"`{macro.name}` is written `{macro.signature}`", span)
    result = macro.run(MacroCall(body, macro.name, named, tuple(positional), tuple(arguments), span, label))
    body.checker.weigh(result, span)
    return result


def instance_param(instance: InstanceRef, expr: s.Attribute) -> CheckValue:
    """`emb.weight`: a parameter of a `let` instance (rule R7).

    Raises: Mistake E0335: its sizes are not bound yet; E0328: no such parameter.
    """
    if expr.name in instance.params:
        return instance.params[expr.name]
    if not instance.is_bound:
        raise mistake(
            "E0335",
            f"the sizes of `{instance.path}` are not known before its first call",
            expr.span,
            others=((instance.span, "declared here"),),
            help="call it first, or give its dimensions in brackets",
        )
    near = suggest(expr.name, list(instance.params))
    raise mistake(
        "E0328",
        f"`{instance.path}` has no parameter `{expr.name}`",
        expr.name_span,
        help=f"did you mean `{near}`?" if near else f"it has {', '.join(instance.params) or 'none'}",
    )
