"""Statements: assignments, declarations, unrolled loops, choices (rules R6, R10, R16)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from netdsl import syntax as s
from netdsl.check.assignments import run_assign, run_const, run_let
from netdsl.check.names import assigned_names, check_expression, check_names
from netdsl.check.parameters import run_param, run_update
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.scope import FIXED, Binding
from netdsl.check.unrolling import run_for, run_repeat
from netdsl.check.values import POISON, CheckValue, TensorValue, describe
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


def run_statements(body: "Body", statements: Sequence[s.Statement]) -> None:
    """Run statements one after the other; a wrong one makes its targets unknown, and the rest goes on."""
    for statement in statements:
        try:
            if isinstance(statement, s.ExprStatement):
                _expression_statement(body, statement)
            else:
                _RUN[type(statement)](body, statement)
        except Mistake as error:
            body.checker.reporter.add(error.diagnostic)
            _give_up(body, statement)
        except Silent:
            _give_up(body, statement)


def _give_up(body: "Body", statement: s.Statement) -> None:
    """What a wrong statement assigns is unknown from here on; the names in the rest of it are still looked up."""
    if not body.checker.reporter.is_spent:
        check_names(body, statement)
    _poison(body, statement)


def run_result(body: "Body", block: s.Body) -> tuple[CheckValue, Span | None]:
    """Run a body; its last expression's value and place, or (None, None) where it ends otherwise."""
    statements = block.statements
    if not statements or not isinstance(statements[-1], s.ExprStatement):
        run_statements(body, statements)
        return None, None
    last = statements[-1]
    if isinstance(last.value, s.IfExpr) and not _has_value(last.value):
        run_statements(body, statements)
        return None, None
    run_statements(body, statements[:-1])
    try:
        return body.evaluate(last.value), last.span
    except Mistake as error:
        body.checker.reporter.add(error.diagnostic)
    except Silent:
        pass
    _give_up(body, last)
    return POISON, last.span


def _has_value(expr: s.IfExpr) -> bool:
    """Whether both sides of an `if` end with an expression."""
    for side in (expr.then, expr.otherwise):
        if side is None or not side.statements:
            return False
        last = side.statements[-1]
        if not isinstance(last, s.ExprStatement):
            return False
        if isinstance(last.value, s.IfExpr) and not _has_value(last.value):
            return False
    return True


def _poison(body: "Body", statement: s.Statement) -> None:
    """Make unknown what the statement assigns, also what it may not; a state keeps the value with which it was read."""
    for name, span in _lost_names(body, statement):
        owner, _ = body.scope.owner(name)
        found = owner.names[name] if owner is not None else None
        if owner is None or found is None or found.kind not in FIXED:
            (owner or body.scope).names[name] = Binding(POISON, "local", span)
        elif found.kind != "state":
            owner.names[name] = Binding(POISON, found.kind, found.span)


def _lost_names(body: "Body", statement: s.Statement) -> list[tuple[str, Span]]:
    """Names that have no value after a wrong statement: those it assigns, and those of outside that a loop would."""
    if not isinstance(statement, (s.For, s.Repeat)):
        return assigned_names(statement)
    inner = [pair for part in statement.body.statements for pair in _lost_names(body, part)]
    return [(name, span) for name, span in inner if body.scope.find(name) is not None]


def _expression_statement(body: "Body", statement: s.ExprStatement) -> None:
    if isinstance(statement.value, s.IfExpr):
        _if_statement(body, statement.value)
        return
    value = body.evaluate(statement.value)
    if value is POISON:
        return
    raise mistake(
        "E0344",
        "the value of this line is lost",
        statement.span,
        help="only the last line of a block is its result; assign it, or remove it",
    )


def _condition(body: "Body", expr: s.IfExpr) -> bool:
    value = body.evaluate(expr.condition)
    if value is POISON:
        raise Silent
    if isinstance(value, bool):
        return value
    if isinstance(value, TensorValue):
        raise mistake(
            "E0354",
            f"`if` is decided when building, and this is a tensor: {value.type}",
            expr.condition.span,
            help="choose by `select(condition, a, b)`",
        )
    raise mistake("E0354", f"`if` needs a bool, found {describe(value)}", expr.condition.span)


def _if_statement(body: "Body", expr: s.IfExpr) -> None:
    taken, other = (expr.then, expr.otherwise) if _condition(body, expr) else (expr.otherwise, expr.then)
    if other is not None:
        check_names(body, other)
    before = set(body.scope.names)
    if taken is not None:
        body.run(taken)
    first, second = _names_of(expr.then), _names_of(expr.otherwise)
    both = {n for n, _ in first} & {n for n, _ in second}
    for name, span in (*first, *second):
        if name not in both and name not in before and body.scope.find(name) in (None, body.scope.names.get(name)):
            body.scope.names[name] = Binding(POISON, "one_side", span)


def _names_of(side: s.Body | None) -> list[tuple[str, Span]]:
    return [] if side is None else [n for statement in side.statements for n in assigned_names(statement)]


def if_value(body: "Body", expr: s.IfExpr) -> CheckValue:
    """`if c { a } else { b }` as a value.

    Raises: Mistake E0355: a side has no value.
    """
    if expr.otherwise is None or not _has_value(expr):
        raise mistake(
            "E0355",
            "an `if` that is used as a value needs a value on both sides",
            expr.span,
            help="write `if c { a } else { b }`",
        )
    taken, other = (expr.then, expr.otherwise) if _condition(body, expr) else (expr.otherwise, expr.then)
    check_names(body, other)
    with body.nested():
        value, _ = run_result(body, taken)
    if value is POISON:
        raise Silent
    return value


def _yield(body: "Body", statement: s.Yield) -> None:
    loop = body.scope.loop
    if loop is None:
        raise mistake("E0356", "`yield` stands in a loop body only", statement.span)
    values = [(body.tensor(body.evaluate(e), e.span, what="`yield`"), e.span) for e in statement.values]
    if loop.yields:
        raise mistake(
            "E0356", "a loop body yields once", statement.span, help="yield several values at once: `yield a, b`"
        )
    loop.yields.extend(values)


def _identity(body: "Body", statement: s.Identity) -> None:
    if body.is_monoid:  # its value is that of an empty group, and is made where groups are
        if body.generic:
            check_expression(body, statement.value)
        return
    raise mistake("E0336", "`identity` stands in a `monoid` only", statement.span)


_RUN: dict[type, Callable[[Any, Any], None]] = {
    s.Assign: run_assign,
    s.ParamDecl: run_param,
    s.Update: run_update,
    s.Const: run_const,
    s.Let: run_let,
    s.Repeat: run_repeat,
    s.For: run_for,
    s.Yield: _yield,
    s.Identity: _identity,
}
