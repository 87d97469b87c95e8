"""Calls: brackets, arguments, and the blocks, operators and functions that receive them."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.report import Silent, mistake
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    ConstFunction,
    DimValue,
    InstanceRef,
    ListValue,
    MacroRef,
    OpRef,
    TensorValue,
    TupleValue,
    describe,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.ops.elementwise import Select
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import DType

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class Argument:
    """One checked argument of a call, with its place."""

    name: str | None
    value: CheckValue
    span: Span


@dataclass(frozen=True, slots=True)
class MacroCall:
    """What a macro receives: brackets by name, tensors in order."""

    body: "Body"
    name: str
    statics: dict[str, CheckValue]
    positional: tuple[CheckValue, ...]
    arguments: tuple[Argument, ...]
    span: Span


def arguments_of(body: "Body", args: Sequence[s.Arg]) -> list[Argument]:
    """Arguments evaluated from left to right."""
    found = []
    for arg in args:
        if arg.splat:
            raise mistake("E0329", "`**` takes a record of parameters", arg.span)
        found.append(Argument(arg.name, body.evaluate(arg.value), arg.span))
    return found


# --- brackets ------------------------------------------------------------------------------------


def apply_brackets(body: "Body", target: "BlockRef | OpRef | MacroRef", expr: s.Index) -> CheckValue:
    """`F[a, b=c]`: static application.

    Raises: Mistake E0323: too many; E0330: no such static; E0331: given twice.
    """
    given: list[tuple[str | None, CheckValue, s.Arg]] = []
    for arg in expr.args:
        if arg.splat:
            raise mistake("E0329", "`**` stands in round brackets", arg.span)
        if isinstance(target, MacroRef) and target.macro.takes_names and isinstance(arg.value, s.Name):
            given.append((arg.name, arg.value.id, arg))
            continue
        given.append((arg.name, body.evaluate(arg.value), arg))
    if isinstance(target, BlockRef):
        return _block_brackets(body, target, given)
    if isinstance(target, OpRef):
        return replace(target, statics=(*target.statics, *((n, v) for n, v, _ in given)), name_span=expr.span)
    made = MacroRef(target.macro, (*target.statics, *((n, v) for n, v, _ in given)))
    return call_macro(body, made, [], expr.span) if target.macro.is_nullary else made


def _block_brackets(body: "Body", target: BlockRef, given: list[tuple[str | None, CheckValue, s.Arg]]) -> BlockRef:
    header = target.decl.header
    params = {p.name: p for p in header.statics}
    bound = dict(target.statics)
    free = [n for n in params if n not in bound]
    for name, value, arg in given:
        if name is None:
            if not free:
                raise mistake(
                    "E0323",
                    f"`{header.name}` takes {len(params)} statics, found more",
                    arg.span,
                    others=((header.name_span, "declared here"),),
                )
            name = free.pop(0)
        elif name in free:
            free.remove(name)
        elif name in bound:
            raise mistake("E0331", f"`{name}` is given twice", arg.span)
        elif name in header_dims(header):
            bound[name] = body.dim(value, arg.span, what=f"`{name}`")
            continue
        else:
            known = [*params, *header_dims(header)]
            near = suggest(name, known)
            raise mistake(
                "E0330",
                f"`{header.name}` has no static `{name}`",
                arg.span,
                others=((header.name_span, "declared here"),),
                help=f"did you mean `{near}`?"
                if near
                else (f"its statics are {', '.join(params)}" if params else None),
            )
        bound[name] = statics.convert(body, value, params[name].type, arg.span, f"`{name}`")
    return replace(target, statics=tuple(bound.items()))


def header_dims(header: s.Header) -> list[str]:
    """Capital names that stand alone as an axis of an input."""
    names: list[str] = []
    known = {p.name for p in header.statics}
    for param in header.params:
        for e in _axes(param.type):
            if isinstance(e, s.Name) and e.id not in known and e.id not in names:
                names.append(e.id)
    return names


def _axes(written: s.TypeExpr) -> list[s.Expr]:
    if isinstance(written, s.TupleType):
        return [e for f in written.fields for e in _axes(f.type)]
    return [e for group in written.groups for e in group]


# --- calls ---------------------------------------------------------------------------------------


def call(
    body: "Body", target: CheckValue, arguments: list[Argument], span: Span, func: s.Expr, label: "s.Labelled | None"
) -> CheckValue:
    """`target(arguments)`.

    Raises: Mistake E0327: it cannot be called.
    """
    if target is POISON or any(a.value is POISON for a in arguments):
        raise Silent
    match target:
        case BlockRef() | InstanceRef():
            from netdsl.check.blocks import call_block

            result = call_block(body, target, arguments, span, path_name(target, func), label)
        case OpRef():
            result = call_op(body, target, arguments, span)
        case MacroRef():
            result = call_macro(body, target, arguments, span)
        case ConstFunction():
            result = statics.call_const(body, target, [a.value for a in arguments], span)
        case _:
            raise mistake("E0327", f"{describe(target)} cannot be called", func.span)
    if label is not None and not isinstance(target, (BlockRef, InstanceRef)):
        tap(body, label, result)
    body.checker.limits.check_nodes(body.builder.size, span)
    return result


def tap(body: "Body", label: s.Labelled, result: CheckValue) -> None:
    """Make a labelled value readable under its path.

    Raises: Mistake E0333: the label is taken.
    """
    from netdsl.check.builder import join

    path = join(body.path, label.name)
    take_label(body, label)
    if isinstance(result, TensorValue) and not body.builder.regions:
        body.builder.tap(path, result.value)


def take_label(body: "Body", label: s.Labelled) -> None:
    key = (body.path, label.name)
    if key in body.builder.used_names:
        raise mistake(
            "E0333",
            f"`{label.name}` already names something here",
            label.name_span,
            help="labels are unique within a block; inside `repeat`, label the loop",
        )
    body.builder.used_names[key] = 1


def path_name(target: "BlockRef | InstanceRef", func: s.Expr) -> str:
    """The path element of an unlabelled call: a static parameter's own name, else the block's (rule R6)."""
    if isinstance(target, InstanceRef):
        return target.path
    if isinstance(func, s.Name) and func.id != target.name:
        return snake_case(func.id)
    return snake_case(target.name)


def snake_case(name: str) -> str:
    """`FeedForward` -> `feed_forward`, `Conv2d` -> `conv2d`, `MLP` -> `mlp`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


# --- operators -----------------------------------------------------------------------------------


def call_op(body: "Body", ref: OpRef, arguments: list[Argument], span: Span) -> CheckValue:
    """A primitive applied to tensors; its results are one tensor or a tuple."""
    op_type = ref.op
    names = op_type.operands
    variadic = bool(names) and names[-1].endswith("*")
    least = sum(1 for n in names if not n.endswith(("*", "?")))
    if variadic and len(arguments) == 1 and isinstance(arguments[0].value, ListValue):
        arguments = [Argument(None, v, arguments[0].span) for v in arguments[0].value.items]
    ordered: list[Argument] = []
    by_name = {n.rstrip("?*"): i for i, n in enumerate(names)}
    slots: dict[int, Argument] = {}
    for position, argument in enumerate(arguments):
        at = position if argument.name is None else by_name.get(argument.name, -1)
        if at < 0:
            near = suggest(argument.name or "", list(by_name))
            raise mistake(
                "E0330",
                f"`{ref.surface}` has no input `{argument.name}`",
                argument.span,
                help=f"did you mean `{near}`?" if near else None,
            )
        slots[at] = argument
    ordered = [slots[k] for k in sorted(slots)]
    if sorted(slots) != list(range(len(slots))) or len(ordered) < least or (not variadic and len(ordered) > len(names)):
        wanted = f"at least {least}" if variadic else str(least) if least == len(names) else f"{least} to {len(names)}"
        raise mistake(
            "E0323",
            f"`{ref.surface}` takes {wanted} {'tensor' if wanted == '1' else 'tensors'}, found {len(ordered)}",
            span,
        )
    branches = ordered[1:] if op_type is Select else ordered
    like = next((a.value.type.dtype for a in branches if isinstance(a.value, TensorValue)), None)
    tensors = [body.tensor(a.value, a.span, like=like, what=f"`{ref.surface}`") for a in ordered]
    op = make_op(body, ref, span)
    results = body.apply(op, tensors, span, [a.span for a in ordered])
    if len(results) == 1:
        return results[0]
    return TupleValue(results, (None,) * len(results))


def make_op(body: "Body", ref: OpRef, span: Span) -> Op:
    """The op with its brackets bound to attributes.

    Raises: Mistake E0323, E0324, E0330, E0334.
    """
    fields = dataclasses.fields(ref.op)
    pairs = next((f for f in fields if f.metadata.get("pairs")), None)
    plain = [f for f in fields if f is not pairs]
    values: dict[str, Any] = {}
    position = 0
    for name, value in ref.statics:
        if name is None:
            if position >= len(plain):
                raise mistake("E0323", f"`{ref.surface}` takes {len(plain)} statics, found more", ref.name_span or span)
            f = plain[position]
            if f.metadata.get("variadic"):
                values[f.name] = (*values.get(f.name, ()), value)
                continue
            position += 1
            name = f.name
        elif pairs is not None and name not in (f.name for f in fields):
            if any(name == known for known, _ in values.get(pairs.name, ())):
                raise mistake("E0331", f"`{name}` is given twice", ref.name_span or span)
            values[pairs.name] = (*values.get(pairs.name, ()), (name, value))
            continue
        elif name not in (f.name for f in fields) or (pairs is not None and name == pairs.name):
            near = suggest(name, [f.name for f in fields])
            raise mistake(
                "E0330",
                f"`{ref.surface}` has no static `{name}`",
                ref.name_span or span,
                help=f"did you mean `{near}`?" if near else None,
            )
        elif name in values:
            raise mistake("E0331", f"`{name}` is given twice", ref.name_span or span)
        values[name] = value
    made: dict[str, Any] = {}
    for f in fields:
        if f is pairs:
            made[f.name] = tuple(
                (key, body.dim(value, ref.name_span or span, what=f"`{key}` of `{ref.surface}`").dim)
                for key, value in values.get(f.name, ())
            )
        elif f.name in values:
            made[f.name] = _attribute(body, ref, f.name, f.type, values[f.name], ref.name_span or span)
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise mistake(
                "E0334", f"`{ref.surface}` needs `{f.name}`", span, help=f"write `{ref.surface}[{f.name}=..]`"
            )
    return ref.op(**made)


def _attribute(body: "Body", ref: OpRef, name: str, wanted: Any, value: Any, span: Span) -> Any:
    """`value` as an attribute of the annotated type."""
    text = str(wanted) if not isinstance(wanted, type) else wanted.__name__
    value = statics.plain(value) if isinstance(value, DimValue) else value

    def wrong(what: str) -> Exception:
        if body.generic:
            return Silent()
        return mistake("E0324", f"`{name}` of `{ref.surface}` needs {what}, found {describe(value)}", span)

    float_type = body.float_type
    if value is None and "None" in text:
        return None
    if "tuple" in text:
        items = (
            value.items
            if isinstance(value, (ListValue, TupleValue))
            else value
            if isinstance(value, tuple)
            else (value,)
        )
        if "tuple[tuple" in text:
            return tuple(_attribute(body, ref, name, _Inner(text), v, span) for v in items)
        return tuple(_scalar_attribute(v, text, wrong, float_type) for v in items)
    return _scalar_attribute(value, text, wrong, float_type)


class _Inner:
    """The element type of a nested tuple annotation, by its text."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("tuple[tuple", "tuple", 1)

    def __str__(self) -> str:
        return self._text


def _scalar_attribute(value: Any, text: str, wrong: Any, float_type: DType) -> Any:
    value = statics.plain(value) if isinstance(value, DimValue) else value
    if value is POISON:
        raise Silent
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if "Dim" in text:
        if isinstance(value, DimValue):
            return value.dim
        if is_int:
            return Dim.of(value)
        raise wrong("a size")
    if "DType" in text:
        if isinstance(value, DType):
            return value
        if isinstance(value, MacroRef) and value.macro.name == "float":
            return float_type
        raise wrong("an element type")
    if "bool" in text and isinstance(value, bool):
        return value
    if "float" in text and (is_int or isinstance(value, float)):
        return value if "int" in text.replace("tuple", "") and is_int else float(value)
    if "int" in text and is_int:
        return value
    if "str" in text and isinstance(value, str):
        return value
    kinds = [
        w for k, w in (("bool", "a bool"), ("float", "a number"), ("int", "an int"), ("str", "a string")) if k in text
    ]
    raise wrong(kinds[0] if kinds else "another kind of static")


# --- macros --------------------------------------------------------------------------------------


def call_macro(body: "Body", ref: MacroRef, arguments: list[Argument], span: Span) -> CheckValue:
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
    return macro.run(MacroCall(body, macro.name, named, tuple(positional), tuple(arguments), span))


def instance_param(body: "Body", instance: InstanceRef, expr: s.Attribute) -> CheckValue:
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
