"""`each[B, axis=k](x)`: a block on every slice of an axis, each slice with parameters of its own (addition A1)."""

from netdsl.check import statics
from netdsl.check.arguments import Argument, MacroCall
from netdsl.check.blocks import call_path, checked, place, under
from netdsl.check.labels import snake_case, tap
from netdsl.check.macros_math import known
from netdsl.check.mapped import Level, lead_result, over, without_leading
from netdsl.check.records import block_of
from netdsl.check.report import mistake
from netdsl.check.results import map_result
from netdsl.check.values import CheckValue, InstanceRef, TensorValue, TupleValue, describe
from netdsl.ir import Value
from netdsl.ops.shape import Transpose
from netdsl.tensor_type import Axis


def each(call: MacroCall) -> CheckValue:
    """The slices of every input along `axis` go through the block; its results are stacked along the same axis.

    A `let` instance has one set of K for all its uses.

    Shapes: x (.., K, ..) -> (.., K, ..); a parameter of the block (s) is stored as (K, s).
    Raises: Mistake E0206: no such axis; E0212: the axis is free, and the block has parameters; E0367, E0369.
    """
    known(call, "block", "axis")
    body, span = call.body, call.span
    given = call.statics.get("block")
    instance = given if isinstance(given, InstanceRef) else None
    ref = block_of(given, span, "`each`")
    axis = statics.plain(call.statics.get("axis", 0))
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise mistake("E0324", f"`axis` of `each` needs an int, found {describe(axis)}", span)
    slices: list[Argument] = []
    fronts: dict[Value, Value] = {}
    over_axis: Axis | None = None
    for argument in call.arguments:
        x = body.tensor(argument.value, argument.span, what="`each`")
        at = _position(axis, x, argument)
        size = x.type.axes[at].size
        if over_axis is not None and body.builder.facts.prove_eq(size, over_axis.size) is not True:
            raise mistake("E0202", f"`each` needs equal axes: {over_axis.size} and {size}", argument.span)
        over_axis = over_axis or x.type.axes[at]
        front = moved(call, x, at, 0)
        part = without_leading(front, 1)
        fronts[part.value] = front.value
        slices.append(Argument(argument.name, part, argument.span))
    if over_axis is None:
        raise mistake("E0323", "`each` takes at least 1 tensor, found 0", span)
    path = instance.path if instance is not None else call_path(body, snake_case(ref.name), call.label)
    inner, received, template = checked(body, ref, slices, path, span, under(body.decisions, path), instance)
    own = next((entry for entry in template.params if entry.kind == "param"), None)
    if own is not None and not over_axis.size.is_const:
        raise mistake(
            "E0212",
            f"the free dimension `{over_axis}` sizes the parameter `{path}.{own.path}`, known only at run time",
            span,
            others=((own.span, "declared here"),),
        )
    level = Level(over_axis, frozenset([*template.inputs, *(entry.value for entry in template.params)]))
    mapped = over(template, [level], body.builder.facts, span)
    received.outer = {name: fronts[value] for name, value in received.outer.items()}
    mapping = place(body, ref, mapped, received, path, span, instance)
    result = lead_result(map_result(inner, template.result, ref.decl.header, {}), mapped.result, mapping, (over_axis,))
    result = _back(call, result, axis)
    if instance is not None and call.label is not None:
        tap(body, call.label, result)
    return result


def _position(axis: int, x: TensorValue, argument: Argument) -> int:
    if not -x.type.rank <= axis < x.type.rank:
        raise mistake("E0206", f"`each` has no axis {axis}: this is {x.type}", argument.span)
    return axis % x.type.rank


def moved(call: MacroCall, x: TensorValue, start: int, stop: int) -> TensorValue:
    """The tensor with its axis `start` at position `stop`."""
    if start == stop:
        return x
    rest = [at for at in range(x.type.rank) if at != start]
    rest.insert(stop, start)
    return call.body.apply1(Transpose(tuple(rest)), (x,), call.span)


def _back(call: MacroCall, result: CheckValue, axis: int) -> CheckValue:
    if isinstance(result, TupleValue):
        return TupleValue(tuple(_back(call, item, axis) for item in result.items), result.names)
    assert isinstance(result, TensorValue)
    stop = axis if axis >= 0 else max(result.type.rank + axis, 0)
    return moved(call, result, 0, min(stop, result.type.rank - 1))
