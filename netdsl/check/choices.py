"""`choose[A, B](x)`: one of several blocks, open until a decision is made (rule R18)."""

from netdsl.check import statics
from netdsl.check.arguments import MacroCall
from netdsl.check.blocks import call_block, call_path
from netdsl.check.builder import ParamEntry, join
from netdsl.check.labels import snake_case
from netdsl.check.macros_math import known
from netdsl.check.report import mistake
from netdsl.check.values import BlockRef, CheckValue, InstanceRef, TensorValue, describe, print_static
from netdsl.dims import Dim
from netdsl.ir import Choice, Init, Value
from netdsl.ops.elementwise import Add, Div, Mul
from netdsl.ops.pieces import Pick
from netdsl.ops.softmax import Softmax
from netdsl.tensor_type import Axis, TensorType

#: The parameter of a soft choice, one score an option.
SCORES = "scores"


def choose(call: MacroCall) -> CheckValue:
    """The decided option; while it is open the first one, or with `mode=soft` the sum of all weighed by a softmax.

    Shapes: as the options, which all give the same type; scores (options), in an edge with `per=out` (out, options).
    Raises: Mistake E0323: fewer than two options; E0324: an option is no block; E0604: a decision that does not fit.
    """
    known(call, "per", "mode", "temperature")
    body, span = call.body, call.span
    options = _options(call)
    names = tuple(print_static(option) for option in options)
    mode, per = call.statics.get("mode", "hard"), call.statics.get("per", "layer")
    temperature = statics.plain(call.statics.get("temperature", 1.0))
    if mode not in ("hard", "soft"):
        raise mistake("E0324", f"`mode` of `choose` is `hard` or `soft`, found {describe(mode)}", span)
    if per not in (("out", "layer") if body.is_edge else ("layer",)):
        wanted = "`out` or `layer`" if body.is_edge else "`layer` outside of an edge"
        raise mistake("E0324", f"`per` of `choose` is {wanted}, found {describe(per)}", span)
    if not isinstance(temperature, (int, float)) or isinstance(temperature, bool) or not temperature > 0:
        raise mistake("E0324", f"`temperature` needs a number above 0, found {describe(temperature)}", span)
    path = call_path(body, "choose", call.label)
    decided = body.decisions.get(path)
    if decided is not None:
        return _options_at(call, options, path, [_index(decided, names, path, call)])[0]
    assert isinstance(per, str)
    body.builder.choices.append(Choice(path, names, per, mode == "soft"))
    if mode == "hard":
        return _options_at(call, options, path, [0])[0]
    return _weighed(call, _options_at(call, options, path, range(len(options))), path, per, float(temperature))


def _options(call: MacroCall) -> "list[BlockRef | InstanceRef]":
    found: list[BlockRef | InstanceRef] = []
    for option in call.positional:
        if not isinstance(option, (BlockRef, InstanceRef)):
            raise mistake("E0324", f"`choose` needs blocks, found {describe(option)}", call.span)
        found.append(option)
    if len(found) < 2:
        raise mistake("E0323", f"`choose` needs at least 2 options, found {len(found)}", call.span)
    return found


def _index(decided: tuple[int, ...], names: tuple[str, ...], path: str, call: MacroCall) -> int:
    if len(decided) != 1 or not 0 <= decided[0] < len(names):
        raise mistake(
            "E0604",
            f"the choice `{path}` is among {', '.join(names)}, and {list(decided)} was decided",
            call.span,
        )
    return decided[0]


def _options_at(
    call: MacroCall, options: "list[BlockRef | InstanceRef]", path: str, indices: "list[int] | range"
) -> list[CheckValue]:
    """Results of some options, whose parameters lie under the choice's path."""
    body = call.body
    outer, body.path = body.path, path
    try:
        made = []
        for at in indices:
            option = options[at]
            name = option.path if isinstance(option, InstanceRef) else snake_case(option.name)
            made.append(call_block(body, option, list(call.arguments), call.span, name, None))
        return made
    finally:
        body.path = outer


def _weighed(call: MacroCall, results: list[CheckValue], path: str, per: str, temperature: float) -> TensorValue:
    body, span = call.body, call.span
    first = results[0]
    for result in results:
        if not isinstance(result, TensorValue) or not isinstance(first, TensorValue):
            raise mistake("E0324", "a soft choice needs options with one result", span)
        if result.type.without_names() != first.type.without_names():
            raise mistake("E0214", f"the options of a choice give {first.type} and {result.type}", span)
    assert isinstance(first, TensorValue)
    type = TensorType(first.type.dtype, (Axis(None, Dim.of(len(results))),))
    scores = Value(type, join(path, SCORES))
    entry = ParamEntry(join(path, SCORES), "param", scores, type, Init("zeros"), span, per if body.is_edge else None)
    body.builder.add_param(entry)
    logits = TensorValue(scores, type)
    if temperature != 1:
        logits = body.apply1(Div(), (logits, body.tensor(temperature, span, like=type.dtype)), span)
    weights = body.apply1(Softmax(0), (logits,), span)
    total: TensorValue | None = None
    for at, result in enumerate(results):
        assert isinstance(result, TensorValue)
        part = body.apply1(Mul(), (body.apply1(Pick(0, Dim.of(at)), (weights,), span), result), span)
        total = part if total is None else body.apply1(Add(), (total, part), span)
    assert total is not None
    return total
