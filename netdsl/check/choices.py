"""`choose[A, B](x)`, `choose[16, 64]`: one of several blocks or numbers, open until a decision is made (rule R18)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from netdsl.check import statics
from netdsl.check.arguments import MacroCall
from netdsl.check.blocks import call_block, call_path
from netdsl.check.body import Body
from netdsl.check.builder import ParamEntry, join
from netdsl.check.calls import call_macro
from netdsl.check.labels import snake_case
from netdsl.check.primitives import call_op
from netdsl.check.report import Mistake, mistake
from netdsl.check.values import (
    BlockRef,
    CheckValue,
    InstanceRef,
    MacroRef,
    OpRef,
    TensorValue,
    describe,
    print_static,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.ir import Choice, Init, Value
from netdsl.ops.elementwise import Add, Div, Mul
from netdsl.ops.pieces import Pick
from netdsl.ops.softmax import Softmax
from netdsl.tensor_type import Axis, TensorType

#: The parameter of a soft choice, one score an option.
SCORES = "scores"
#: What can be called.
_Callee: TypeAlias = BlockRef | InstanceRef | OpRef | MacroRef


def choose(call: MacroCall) -> CheckValue:
    """The decided option; while it is open the first one, or with `mode=soft` the sum of all weighed by a softmax.

    Shapes: as the options, which all give the same type; scores (options), in an edge with `per=out` (out, options).
    Raises: Mistake E0323: fewer than two options; E0324: an option is no block; E0604: a decision that does not fit.
    """
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
    assert isinstance(per, str)
    decided = _decision(call, Choice(path, names, per, mode == "soft"))
    if decided is not None or mode == "hard":
        return _options_at(call, options, path, [decided or 0])[0]
    return _weighed(call, _options_at(call, options, path, range(len(options))), path, per, float(temperature))


def choose_number(call: MacroCall) -> CheckValue:
    """The decided number, and the first one while the choice is open. Every choice that is written is one decision.

    Raises: Mistake E0323, E0324: options; E0322: it stands outside of a block; E0604: a decision that does not fit.
    """
    body, span = call.body, call.span
    options = [statics.plain(option) for option in call.positional]
    if call.statics:
        raise mistake("E0324", f"`{next(iter(call.statics))}` of `choose` is for choices among blocks", span)
    if len(options) < 2:
        raise _too_few(len(options), call)
    if len({isinstance(option, bool) for option in options}) > 1:
        raise mistake("E0324", "the options of a choice are of one kind: all numbers, or all bools", span)
    if body.header is None:
        raise mistake("E0322", "a choice stands in a block or a network, and a constant has one value", span)
    path = call_path(body, "choose", None)
    decided = _decision(call, Choice(path, tuple(map(print_static, options)), "layer", False))
    return options[decided or 0]


def _decision(call: MacroCall, choice: Choice) -> int | None:
    """Which option was decided; an open choice is noted.

    Raises: Mistake E0604: the decision does not fit.
    """
    decided = call.body.decisions.get(choice.path)
    if decided is None:
        call.body.builder.choose(choice)
        return None
    if len(decided) != 1:
        listed = ", ".join(map(str, decided))
        raise mistake("E0604", f"the choice `{choice.path}` takes one decision, found {listed}", call.span)
    (made,) = decided
    at = option_index(choice, made) if isinstance(made, str) else made
    if at is None or not 0 <= at < len(choice.options):
        listed = ", ".join(choice.options)
        raise mistake("E0604", f"the choice `{choice.path}` is among {listed}, and {made} was decided", call.span)
    call.body.builder.choose(replace(choice, decided=at))
    return at


def open_choices(body: Body, choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Those of a network that nothing decides.

    A decision for a turn that another choice removed is inactive, and the parts of a layer are numbered as turns are.

    Raises: Mistake E0604: a decision for no choice.
    """
    known = {_without_turns(choice.path) for choice in choices}
    for path in body.decisions:
        if _without_turns(path) not in known and _without_turns(path) == path:
            near = suggest(path, [choice.path for choice in choices])
            listed = ", ".join(choice.path for choice in choices) or "none"
            raise mistake(
                "E0604",
                f"`{body.builder.block}` has no choice `{path}`",
                body.builder.span,
                help=f"did you mean `{near}`?" if near else f"its choices are {listed}",
            )
    return tuple(choice for choice in choices if choice.decided is None)


def _without_turns(path: str) -> str:
    return ".".join(part for part in path.split(".") if not part.isdigit())


def option_index(choice: Choice, written: str) -> int | None:
    """The option that is written so, with or without its brackets where no other has the same name."""
    names = [[option, option.partition("[")[0]] for option in choice.options]
    for spelling in (0, 1):
        found = [at for at, name in enumerate(names) if name[spelling] == written]
        if len(found) == 1:
            return found[0]
    return None


def _options(call: MacroCall) -> list[_Callee]:
    found: list[_Callee] = []
    for option in call.positional:
        if not isinstance(option, (BlockRef, InstanceRef, OpRef, MacroRef)):
            raise mistake("E0324", f"`choose` needs blocks, or numbers alone, found {describe(option)}", call.span)
        found.append(option)
    if len(found) < 2:
        raise _too_few(len(found), call)
    return found


def _too_few(count: int, call: MacroCall) -> Mistake:
    return mistake("E0323", f"`choose` needs at least 2 options, found {count}", call.span)


def _options_at(call: MacroCall, options: Sequence[_Callee], path: str, indices: Sequence[int]) -> list[CheckValue]:
    """Results of some options, whose parameters lie under the choice's path."""
    body = call.body
    outer, body.path = body.path, path
    try:
        return [_called(call, options[at]) for at in indices]
    finally:
        body.path = outer


def _called(call: MacroCall, option: _Callee) -> CheckValue:
    body, arguments = call.body, list(call.arguments)
    if isinstance(option, OpRef):
        return call_op(body, option, arguments, call.span)
    if isinstance(option, MacroRef):
        return call_macro(body, option, arguments, call.span)
    name = option.path if isinstance(option, InstanceRef) else snake_case(option.name)
    return call_block(body, option, arguments, call.span, name, None)


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
