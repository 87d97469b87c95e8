"""`repeat` and `for`: loops that are unrolled while checking (rule R6)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.builder import join
from netdsl.check.names import assigned_names, children
from netdsl.check.report import Silent, mistake
from netdsl.check.scope import Scope
from netdsl.check.values import POISON, CheckValue, ListValue, TensorValue, TupleValue, describe
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body

#: What a turn of a loop counts for in `Limits.steps`, beside its expressions.
STEPS_A_TURN = 4


def run_repeat(body: "Body", statement: s.Repeat) -> None:
    """`repeat n { .. }`.

    Raises: Mistake E0352: a negative count; E0333: its label is taken; Silent: a turn was wrong.
    """
    count = body.static_int(statement.count, what="the count of `repeat`")
    if count < 0:
        raise mistake("E0352", f"`repeat` needs a count of at least 0, found {count}", statement.count.span)
    body.checker.limits.check_turns(body.checker.turns * count, statement.count.span)
    _turns(body, statement, range(count))


def run_for(body: "Body", statement: s.For) -> None:
    """`for item in list { .. }`.

    Raises: Mistake E0353: no static list; E0347: names that do not fit an item; E0333: its label is taken.
    """
    iterable = body.evaluate(statement.iterable)
    if iterable is POISON:
        raise Silent
    if not isinstance(iterable, (ListValue, TupleValue)):
        raise mistake("E0353", f"`for` needs a static list, found {describe(iterable)}", statement.iterable.span)
    _turns(body, statement, iterable.items)


def _turns(body: "Body", statement: s.Repeat | s.For, items: Sequence[CheckValue]) -> None:
    """One turn for each item, which a `for` binds to its target."""
    checker = body.checker
    outer_path, outer_loop, outer_turns = body.path, body.in_unlabelled_loop, checker.turns
    checker.turns *= max(len(items), 1)
    try:
        checker.limits.check_turns(checker.turns, statement.span)
        if statement.label is not None:
            key = (body.path, statement.label)
            if key in body.builder.used_names:
                raise mistake("E0333", f"`{statement.label}` already names something here", statement.span)
            body.builder.used_names[key] = 1
            body.in_unlabelled_loop = None
        else:
            body.in_unlabelled_loop = statement.span
        changing = _changing_names(statement)
        known: dict[str, object] | None = _types_of(body, changing, statement.span)
        for number, item in enumerate(items):
            if statement.label is not None:
                body.path = join(outer_path, f"{statement.label}.{number}")
            checker.work.steps += STEPS_A_TURN
            before, size = len(checker.reporter.diagnostics), body.builder.size
            with body.nested() as scope:
                if isinstance(statement, s.For):
                    _bind_target(scope, statement.target, item)
                body.run(statement.body)
            checker.limits.check_nodes(body.builder.size, statement.span)
            if len(checker.reporter.diagnostics) > before:
                raise Silent
            if known is not None:
                now = _types_of(body, changing, statement.span)
                if now == known:  # all further turns are like this one
                    grows = body.builder.size - size
                    checker.limits.check_nodes(size + grows * (len(items) - number), statement.span)
                    known = None
                else:
                    known = now
    finally:
        body.path, body.in_unlabelled_loop, checker.turns = outer_path, outer_loop, outer_turns


def _changing_names(statement: s.Repeat | s.For) -> frozenset[str]:
    """Names that may stand for another value in the next turn of a loop."""
    found: set[str] = set()
    pending: list[object] = [statement.body]
    while pending:
        node = pending.pop()
        if isinstance(node, (s.Assign, s.ParamDecl, s.Const, s.Let)):
            found.update(name for name, _ in assigned_names(node))
        pending.extend(children(node))
    if isinstance(statement, s.For):
        targets = [statement.target]
        while targets:
            target = targets.pop()
            targets.extend(target.items)
            found.add(target.name or "_")
    return frozenset(found)


def _types_of(body: "Body", names: frozenset[str], span: Span) -> dict[str, object]:
    """What a turn sees of what turns change: the kinds and types of values, and statics themselves."""
    found: dict[str, object] = {}
    for name in names:
        binding = body.scope.find(name)
        if binding is not None:
            body.checker.weigh(binding.value, span)
            found[name] = _type_of(binding.value)
    return found


def _type_of(value: CheckValue) -> object:
    if isinstance(value, TensorValue):
        return value.type
    if isinstance(value, (TupleValue, ListValue)):
        return (type(value), tuple(_type_of(item) for item in value.items))
    return statics.key_of(value)


def _bind_target(scope: Scope, target: s.LoopTarget, value: CheckValue) -> None:
    if target.name is not None:
        if target.name != "_":
            scope.bind(target.name, value, "const", target.span)
        return
    if not isinstance(value, (TupleValue, ListValue)) or len(value.items) != len(target.items):
        raise mistake(
            "E0347", f"{len(target.items)} names need {len(target.items)} values, found {describe(value)}", target.span
        )
    for part, item in zip(target.items, value.items, strict=True):
        _bind_target(scope, part, item)
