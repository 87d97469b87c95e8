"""`aggregate[a](x, by=i)`: rows combined by the group that an index gives each (rule R15)."""

from netdsl.check.arguments import MacroCall
from netdsl.check.blocks import call_block, call_path
from netdsl.check.calls import apply_brackets_to, call_macro
from netdsl.check.labels import snake_case
from netdsl.check.macros_math import known
from netdsl.check.monoids import fold, is_monoid
from netdsl.check.report import Silent, mistake
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    InstanceRef,
    ListValue,
    MacroRef,
    OpRef,
    TupleValue,
    describe,
)
from netdsl.ops.pieces import Concat

#: The module of the standard library whose blocks the brackets of `aggregate` know by name.
VOCABULARY = "aggregators"


def aggregate(call: MacroCall) -> CheckValue:
    """The result of one aggregator, or those of a list side by side on the last axis.

    Raises: Mistake E0323: no aggregator; E0324: another kind of static.
    """
    known(call, "aggregator")
    given = call.statics.get("aggregator")
    if given is None:
        raise mistake("E0334", "`aggregate` needs an aggregator", call.span, help="write `aggregate[sum](x, by=i)`")
    if not isinstance(given, (ListValue, TupleValue)):
        return _one(call, given, call.label is not None)
    if not given.items:
        raise mistake("E0323", "`aggregate` needs at least 1 aggregator, found an empty list", call.span)
    body = call.body
    outer = body.path
    if call.label is not None:
        body.path = call_path(body, "", call.label)
    try:
        results = [_one(call, item, False) for item in given.items]
    finally:
        body.path = outer
    tensors = [body.tensor(r, call.span, what="an aggregator in a list") for r in results]
    return body.apply1(Concat(-1), tensors, call.span) if len(tensors) > 1 else tensors[0]


def _one(call: MacroCall, given: CheckValue, is_labelled: bool) -> CheckValue:
    body, span = call.body, call.span
    target = _aggregator(call, given)
    if isinstance(target, MacroRef):
        return call_macro(body, target, list(call.arguments), span, call.label if is_labelled else None)
    if is_monoid(target):
        return fold(call, target, call.label if is_labelled else None)
    name = target.path if isinstance(target, InstanceRef) else snake_case(target.name)
    return call_block(body, target, list(call.arguments), span, name, call.label if is_labelled else None)


def _aggregator(call: MacroCall, given: CheckValue) -> "BlockRef | InstanceRef | MacroRef":
    """A block with an input `by`; a function of the language stands for the aggregator of its name.

    Raises: Mistake E0324.
    """
    body = call.body
    if given is POISON:
        raise Silent
    if isinstance(given, (MacroRef, OpRef)):
        name = given.macro.name if isinstance(given, MacroRef) else given.surface
        if isinstance(given, MacroRef) and name == "choose":
            options = tuple((n, _aggregator(call, v) if n is None else v) for n, v in given.statics)
            return MacroRef(given.macro, options)
        word = body.checker.word(VOCABULARY, name)
        if word is not None:
            return apply_brackets_to(body, word, given.statics, call.span)
    if isinstance(given, (BlockRef, InstanceRef)):
        header = (given.ref if isinstance(given, InstanceRef) else given).decl.header
        if is_monoid(given) or any(param.name == "by" for param in header.params):
            return given
    raise mistake(
        "E0324",
        f"`aggregate` needs an aggregator, found {describe(given)}",
        call.span,
        help="an aggregator is a block with an input `by: idx[N][E]`",
    )
