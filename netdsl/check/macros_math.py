"""Functions that serve numbers, sizes and tensors alike, and reductions."""

import math

from netdsl.check import operators, statics
from netdsl.check.arguments import MacroCall
from netdsl.check.report import Silent, mistake, no_static
from netdsl.check.values import POISON, CheckValue, DimValue, ListValue, TensorValue, TupleValue, describe
from netdsl.dims import Dim, dmax, dmin
from netdsl.ops import OPS, reduction
from netdsl.ops.elementwise import Maximum, Minimum
from netdsl.ops.unary import Sqrt

REDUCTIONS: dict[str, type[reduction.Reduction]] = {
    "sum": reduction.ReduceSum,
    "mean": reduction.ReduceMean,
    "max": reduction.ReduceMax,
    "min": reduction.ReduceMin,
    "prod": reduction.ReduceProd,
    "any": reduction.ReduceAny,
    "all": reduction.ReduceAll,
}


def values_of(call: MacroCall, least: int, most: int | None) -> list[CheckValue]:
    """The round arguments, unnamed, their number checked.

    Raises: Mistake E0323.
    """
    for a in call.arguments:
        if a.name is not None:
            raise mistake("E0330", f"`{call.name}` has no input `{a.name}`", a.span)
        if a.value is POISON:
            raise Silent
    count = len(call.arguments)
    if count < least or (most is not None and count > most):
        wanted = str(least) if least == most else f"{least} to {most}" if most else f"at least {least}"
        raise mistake(
            "E0323", f"`{call.name}` takes {wanted} argument{'' if wanted == '1' else 's'}, found {count}", call.span
        )
    return [a.value for a in call.arguments]


def axes_of(call: MacroCall, rank: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """`axis=` or `axes=` as a tuple; none given means all axes."""
    given = call.statics.get("axis", call.statics.get("axes"))
    if given is None:
        return default if default is not None else tuple(range(rank))
    items = given.items if isinstance(given, (ListValue, TupleValue)) else (given,)
    axes = []
    for item in items:
        item = statics.plain(item)
        if not isinstance(item, int) or isinstance(item, bool):
            raise mistake("E0324", f"`axis` of `{call.name}` needs an int, found {describe(item)}", call.span)
        axes.append(item)
    return tuple(axes)


def flag(call: MacroCall, name: str, default: bool = False) -> bool:
    value = call.statics.get(name, default)
    if not isinstance(value, bool):
        raise mistake("E0324", f"`{name}` of `{call.name}` needs a bool, found {describe(value)}", call.span)
    return value


def known(call: MacroCall, *names: str) -> None:
    """Raises: Mistake E0330: a bracket name that the function does not know."""
    for name in call.statics:
        if name not in names:
            raise no_static(call.name, name, names, call.span)


def reduce(call: MacroCall) -> CheckValue:
    """`sum[axis=1](x)`; `max(a, b)` without brackets is elementwise; on numbers and sizes too."""
    known(call, "axis", "axes", "keep")
    values = values_of(call, 1, None)
    if call.name in ("max", "min") and len(values) > 1:
        if call.statics:
            raise mistake("E0323", f"`{call.name}` with an axis takes one tensor, found {len(values)}", call.span)
        return _extremum(call, values)
    if len(values) == 1 and isinstance(values[0], (ListValue, TupleValue)) and call.name in ("max", "min", "sum"):
        numbers = [n for v in values[0].items if isinstance(n := statics.plain(v), (int, float))]
        if numbers and len(numbers) == len(values[0].items):
            return sum(numbers) if call.name == "sum" else max(numbers) if call.name == "max" else min(numbers)
    (value,) = values_of(call, 1, 1)
    span = call.arguments[0].span
    x = call.body.tensor(value, span, what=f"`{call.name}`")
    op = REDUCTIONS[call.name](axes_of(call, x.type.rank), flag(call, "keep"))
    return call.body.apply1(op, (x,), call.span, (span,))


def _extremum(call: MacroCall, values: list[CheckValue]) -> CheckValue:
    spans = [a.span for a in call.arguments]
    if any(isinstance(v, TensorValue) for v in values):
        result = values[0]
        op = Maximum if call.name == "max" else Minimum
        for value, span in zip(values[1:], spans[1:], strict=True):
            result = operators.elementwise(call.body, op, result, value, call.span, (spans[0], span), f"`{call.name}`")
        return result
    numbers = [n for v in values if isinstance(n := statics.plain(v), (int, float)) and not isinstance(n, bool)]
    if len(numbers) == len(values):
        return max(numbers) if call.name == "max" else min(numbers)
    dims = [call.body.dim(v, sp, what=f"`{call.name}`").dim for v, sp in zip(values, spans, strict=True)]
    result_dim = (dmax if call.name == "max" else dmin)(*dims)
    return DimValue(call.body.simplified(result_dim))


def variance(call: MacroCall) -> CheckValue:
    """`var[axis=..](x)`, `std[axis=..](x)`: biased unless `correction=1`."""
    known(call, "axis", "axes", "keep", "correction")
    (value,) = values_of(call, 1, 1)
    x = call.body.tensor(value, call.arguments[0].span, what=f"`{call.name}`")
    correction = statics.plain(call.statics.get("correction", 0))
    if not isinstance(correction, int):
        raise mistake("E0324", f"`correction` needs an int, found {describe(correction)}", call.span)
    op = reduction.Variance(axes_of(call, x.type.rank), flag(call, "keep"), correction)
    result = call.body.apply1(op, (x,), call.span, (call.arguments[0].span,))
    return result if call.name == "var" else call.body.apply1(Sqrt(), (result,), call.span)


def elementwise_math(call: MacroCall) -> CheckValue:
    """`sqrt(x)` and its like: a number gives a number, a tensor a tensor, a free size an f32 scalar."""
    known(call)
    (value,) = values_of(call, 1, 1)
    span = call.arguments[0].span
    number = statics.plain(value)
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        try:
            result = statics.MATH[call.name](number)
            if isinstance(result, int) and abs(result) >= 2**63:
                raise OverflowError
            return result
        except (ValueError, OverflowError):
            raise mistake("E0321", f"`{call.name}` of {number} has no value", call.span) from None
    if isinstance(value, DimValue):
        x = call.body.tensor(value, span, like=call.body.float_type)
    else:
        x = call.body.tensor(value, span, what=f"`{call.name}`")
    return call.body.apply1(OPS[call.name](), (x,), call.span, (span,))


# --- statics -------------------------------------------------------------------------------------


def _items(call: MacroCall, at: int = 0) -> tuple[CheckValue, ...]:
    value = call.arguments[at].value
    if isinstance(value, (ListValue, TupleValue)):
        return value.items
    raise mistake("E0353", f"`{call.name}` needs a static list, found {describe(value)}", call.arguments[at].span)


def length(call: MacroCall) -> CheckValue:
    values_of(call, 1, 1)
    return len(_items(call))


def enumerate_(call: MacroCall) -> CheckValue:
    values_of(call, 1, 1)
    return ListValue(tuple(TupleValue((i, v), (None, None)) for i, v in enumerate(_items(call))))


def reversed_(call: MacroCall) -> CheckValue:
    values_of(call, 1, 1)
    return ListValue(tuple(reversed(_items(call))))


def zip_(call: MacroCall) -> CheckValue:
    values_of(call, 1, None)
    columns = [_items(call, i) for i in range(len(call.arguments))]
    if len({len(c) for c in columns}) != 1:
        raise mistake("E0347", f"`zip` needs lists of one length: {', '.join(str(len(c)) for c in columns)}", call.span)
    return ListValue(tuple(TupleValue(row, (None,) * len(row)) for row in zip(*columns, strict=True)))


def to_int(call: MacroCall) -> CheckValue:
    (value,) = values_of(call, 1, 1)
    number = statics.plain(value)
    if isinstance(number, (int, float)) and math.isfinite(number):
        if abs(number) >= 2**63:
            raise mistake("E0321", f"`int` of {number} does not fit in 64 bits", call.span)
        return int(number)
    raise mistake(
        "E0324", f"`int` needs a number, found {describe(number)}", call.span, help="for a tensor: `cast[i64](..)`"
    )


def to_float(call: MacroCall) -> CheckValue:
    (value,) = values_of(call, 1, 1)
    number = statics.plain(value)
    if isinstance(number, (int, float)):
        return float(number)
    raise mistake(
        "E0324", f"`float` needs a number, found {describe(number)}", call.span, help="for a tensor: `cast[f32](..)`"
    )


def ceil_div(call: MacroCall) -> CheckValue:
    """`ceil_div(a, b)`: a / b rounded up, on ints and sizes."""
    values = values_of(call, 2, 2)
    a, b = (call.body.dim(v, x.span, what="`ceil_div`").dim for v, x in zip(values, call.arguments, strict=True))
    if b == 0:
        raise mistake("E0321", "`ceil_div` divides by zero", call.span)
    result = (a + b - Dim.of(1)) // b
    return result.value if result.is_const else DimValue(call.body.simplified(result))


def ntuple(call: MacroCall) -> CheckValue:
    """`ntuple(k, 2)`: k for each of 2 axes; a list of that length stays as it is."""
    value, count = values_of(call, 2, 2)
    number = statics.plain(count)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise mistake("E0324", f"`ntuple` needs a count of at least 0, found {describe(count)}", call.span)
    call.body.checker.limits.check_items(number, call.span)
    if isinstance(value, (ListValue, TupleValue)):
        if len(value.items) != number:
            raise mistake(
                "E0347", f"{number} numbers are needed, one an axis, found {len(value.items)}", call.arguments[0].span
            )
        return ListValue(value.items)
    return ListValue((value,) * number)
