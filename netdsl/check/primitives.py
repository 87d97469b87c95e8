"""Calls of primitives: their tensors in order, their brackets as attributes."""

import dataclasses
from typing import TYPE_CHECKING, Any

from netdsl.check import statics
from netdsl.check.arguments import Argument
from netdsl.check.report import Silent, mistake
from netdsl.check.values import (
    POISON,
    CheckValue,
    DimValue,
    ListValue,
    MacroRef,
    OpRef,
    TensorValue,
    TupleValue,
    counted,
    describe,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim, product
from netdsl.ops.base import Op
from netdsl.ops.elementwise import Select
from netdsl.ops.shape import Reshape
from netdsl.source import Span
from netdsl.tensor_type import DType

if TYPE_CHECKING:
    from netdsl.check.body import Body


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
    spans = [a.span for a in ordered]
    sample = op.sample_rank(tuple(t.type for t in tensors)) if tensors else None
    if sample is not None and tensors[0].type.rank >= sample != tensors[0].type.rank - 1:
        return _over_samples(body, op, tensors, sample, span, spans)
    results = body.apply(op, tensors, span, spans)
    if len(results) == 1:
        return results[0]
    return TupleValue(results, (None,) * len(results))


def _over_samples(
    body: "Body", op: Op, tensors: list[TensorValue], sample: int, span: Span, spans: list[Span]
) -> TensorValue:
    """An op on samples behind one batch axis, for samples behind none or several: those axes as one, and back."""
    x = tensors[0]
    lead = x.type.axes[: x.type.rank - sample]
    batch = product(axis.size for axis in lead)
    flat = body.apply1(Reshape((batch, *x.type.sizes[len(lead) :])), (x,), span, spans[:1])
    named = TensorValue(flat.value, flat.type.with_axes((flat.type.axes[0], *x.type.axes[len(lead) :])))
    (result,) = body.apply(op, [named, *tensors[1:]], span, spans)
    back = body.apply1(Reshape((*(axis.size for axis in lead), *result.type.sizes[1:])), (result,), span)
    return TensorValue(back.value, back.type.with_axes((*lead, *result.type.axes[1:])))


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
                title = f"`{ref.surface}` takes {counted(len(plain), 'static')}, found {len(ref.statics)}"
                raise mistake("E0323", title, ref.name_span or span)
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
            names = [f.name for f in fields]
            near = suggest(name, names)
            listed = f"its statics are {', '.join(names)}" if names else None
            raise mistake(
                "E0330",
                f"`{ref.surface}` has no static `{name}`",
                ref.name_span or span,
                help=f"did you mean `{near}`?" if near else listed,
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
