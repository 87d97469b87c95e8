"""Statements: assignments, declarations, unrolled loops, choices (rules R6, R10, R16)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.builder import ParamEntry, join
from netdsl.check.names import assigned_names, check_names, children
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.scope import FIXED, Binding, Scope
from netdsl.check.types import check_result, tensor_type
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    ConstFunction,
    InstanceRef,
    ListValue,
    TensorValue,
    TupleValue,
    describe,
)
from netdsl.ir import Init, Value
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body

#: What a turn of a loop counts for in `Limits.steps`, beside its expressions.
STEPS_A_TURN = 4

STATIC_ANNOTATIONS = ("int", "dim", "bool", "str", "dtype", "block", "list", "tuple", "any")


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
            _poison(body, statement)
        except Silent:
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
    for name, span in assigned_names(statement):
        owner, _ = body.scope.owner(name)
        (owner or body.scope).names[name] = Binding(POISON, "local", span)


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


# --- assignments ---------------------------------------------------------------------------------


def _assign(body: "Body", statement: s.Assign) -> None:
    value = body.evaluate(statement.value)
    targets = statement.targets
    if isinstance(value, TupleValue) and value.loop:
        if len(targets) > len(value.items):
            raise mistake(
                "E0347",
                f"the loop returns {len(value.items)} values, and {len(targets)} names are given",
                statement.span,
            )
        values: Sequence[CheckValue] = value.items[: len(targets)]
    elif len(targets) == 1:
        values = (value,)
    elif value is POISON:
        values = (POISON,) * len(targets)
    elif isinstance(value, (TupleValue, ListValue)):
        if len(value.items) != len(targets):
            raise mistake(
                "E0347",
                f"{len(value.items)} values for {len(targets)} names",
                statement.span,
                others=((statement.value.span, describe(value)),),
            )
        values = value.items
    else:
        raise mistake(
            "E0347", f"{len(targets)} names need {len(targets)} values, found {describe(value)}", statement.span
        )
    for target, item in zip(targets, values, strict=True):
        if target.type is not None and item is not POISON:
            if (
                isinstance(target.type, s.NamedType)
                and target.type.name in STATIC_ANNOTATIONS
                and not target.type.groups
            ):
                item = statics.convert(body, item, target.type, target.span, f"`{target.name}`")
            elif isinstance(target.type, s.NamedType):
                item = check_result(body, target.type, item, target.span, f"`{target.name}`")
        assign(body, target.name, item, target.span)


def assign(body: "Body", name: str, value: CheckValue, span: Span) -> None:
    """Assignment updates the nearest binding, else makes a local (rule R10).

    Raises: Mistake E0345: the name cannot be assigned; E0346: it belongs outside the loop body.
    """
    if name == "_":
        return
    if isinstance(value, BlockRef):
        raise mistake(
            "E0348", f"`{name}` would stand for {describe(value)}", span, help=f"name it with `let {name} = ..`"
        )
    owner, crossed = body.scope.owner(name)
    if owner is not None:
        binding = owner.names[name]
        if binding.kind in FIXED:
            raise mistake(
                "E0345",
                f"`{name}` is {FIXED[binding.kind]} and cannot be assigned",
                span,
                others=((binding.span, "declared here"),),
            )
        if crossed:
            raise mistake(
                "E0346",
                f"`{name}` belongs outside this loop and is not carried",
                span,
                others=((binding.span, "defined here"),),
                help=f"carry it: `from ({name}={name}, ..)`",
            )
        owner.names[name] = Binding(value, "local", span)
        return
    body.scope.bind(name, value, "local", span)


def _let(body: "Body", statement: s.Let) -> None:
    value = body.evaluate(statement.value)
    _fresh(body, statement.name, statement.name_span)
    if isinstance(value, BlockRef):
        path = body.builder.unique(body.path, statement.name)
        value = InstanceRef(value, body.builder, path, statement.name_span)
        if body.in_unlabelled_loop is not None:
            raise mistake(
                "E0337",
                f"this loop makes the instance `{statement.name}`, so it needs a label",
                statement.name_span,
                others=((body.in_unlabelled_loop, "this loop"),),
                help="label it: `repeat n as blocks { .. }`",
            )
    body.scope.bind(statement.name, value, "let", statement.name_span)


def _fresh(body: "Body", name: str, span: Span) -> None:
    found = body.scope.find(name)
    if found is not None:
        raise mistake(
            "E0311",
            f"`{name}` is declared twice",
            span,
            "second declaration",
            others=((found.span, "first declaration"),),
        )


def _const(body: "Body", statement: s.Const) -> None:
    _fresh(body, statement.name, statement.name_span)
    if statement.params is not None:
        body.scope.bind(statement.name, ConstFunction(statement, body.file), "const", statement.name_span)
        return
    value = body.evaluate(statement.value)
    if statement.type is not None:
        value = statics.convert(body, value, statement.type, statement.value.span, f"`{statement.name}`")
    body.scope.bind(statement.name, value, "const", statement.name_span)


# --- parameters and states -----------------------------------------------------------------------


def _param(body: "Body", statement: s.ParamDecl) -> None:
    switch = body.scope.find(statement.name)
    if switch is None or switch.kind != "static" or not isinstance(switch.value, bool):
        # A bool static may share its name with the parameter it switches on: `[bias: bool]`, `param bias`.
        _fresh(body, statement.name, statement.name_span)
    if body.builder.regions:
        raise mistake(
            "E0349",
            f"`{statement.name}` is declared inside a loop body",
            statement.span,
            help="declare it before the loop: one set of parameters serves all steps",
        )
    if statement.per is not None:
        raise mistake("E0336", "`per` stands in an `edge` only", statement.span)
    declared = tensor_type(body, statement.type)
    path = join(body.path, statement.name)
    if statement.kind == "param" and statement.name in body.given:
        value = check_result(body, _named(statement), body.given[statement.name], statement.span, f"`{statement.name}`")
        body.scope.bind(statement.name, value, "param", statement.name_span)
        return
    if body.in_unlabelled_loop is not None:
        raise mistake(
            "E0337",
            f"this loop makes the parameter `{statement.name}`, so it needs a label",
            statement.span,
            others=((body.in_unlabelled_loop, "this loop"),),
            help="label it: `repeat n as blocks { .. }`",
        )
    for axis in declared.axes:
        if not axis.size.is_const and not body.generic:
            raise _sized_by_free(body, statement, path, str(axis.size), sorted(axis.size.symbols))
    if not declared.dtype.is_float and statement.kind == "param":
        raise mistake(
            "E0217", f"a parameter is trained, so it needs float elements, found {declared.dtype}", statement.type.span
        )
    _check_size(body, declared, statement)
    init = _init(body, statement, declared.rank)
    value = Value(declared.without_names(), path)
    if path in body.builder.params:
        raise mistake("E0333", f"`{path}` already names a parameter here", statement.name_span)
    body.builder.add_param(ParamEntry(path, statement.kind, value, declared, init, statement.span))
    body.builder.used_names[(body.path, statement.name)] = 1
    body.scope.bind(statement.name, TensorValue(value, declared), statement.kind, statement.name_span)


def _named(statement: s.ParamDecl) -> s.NamedType:
    assert isinstance(statement.type, s.NamedType)
    return statement.type


def _sized_by_free(body: "Body", statement: s.ParamDecl, path: str, size: str, symbols: list[str]) -> Mistake:
    network = body.checker.network
    free = symbols[0]
    others: list[tuple[Span, str]] = []
    name = "Net"
    if network is not None:
        name = network.header.name
        for param in network.header.params:
            for e in _axis_names(param.type):
                if e.id == free:
                    others.append((e.span, f"`{free}` is left free here"))
    return mistake(
        "E0212",
        f"the free dimension {free} sizes the parameter `{path}`: {size} is known only at run time",
        statement.type.span,
        others=tuple(others[:1]),
        help=f"make it static: `network {name}[{free}: int]`",
    )


def _axis_names(written: s.TypeExpr) -> list[s.Name]:
    if isinstance(written, s.TupleType):
        return [n for f in written.fields for n in _axis_names(f.type)]
    return [e for group in written.groups for e in group if isinstance(e, s.Name)]


def _check_size(body: "Body", declared: Any, statement: s.ParamDecl) -> None:
    count = declared.numel()
    if count.is_const and count.value > body.checker.limits.params:
        raise mistake(
            "E0523",
            f"`{statement.name}` has {count.value:,} elements, more than {body.checker.limits.params:,}",
            statement.span,
        )


def _init(body: "Body", statement: s.ParamDecl, rank: int) -> Init:
    """The initialiser after `~`.

    Raises: Mistake E0350: none given, or no initialiser.
    """
    if statement.init is None:
        raise mistake("E0350", f"`{statement.name}` has no initialiser", statement.span, help="write one: `~ zeros`")
    from netdsl.check.initialiser_names import init_of

    return init_of(body, statement.init, rank)


def _update(body: "Body", statement: s.Update) -> None:
    body.builder.depends_on_mode = True
    found = body.scope.find(statement.name)
    if found is None or found.kind != "state":
        raise mistake(
            "E0351",
            f"`update` writes a state, and `{statement.name}` is none",
            statement.name_span,
            help=f"declare it: `state {statement.name}: .. ~ zeros`",
        )
    if body.builder.regions:
        raise mistake(
            "E0349",
            f"`{statement.name}` is updated inside a loop body",
            statement.span,
            help="carry it through the loop and update it after",
        )
    if not body.checker.training:
        return
    value = body.evaluate(statement.value)
    assert isinstance(found.value, TensorValue)
    declared = found.value.type
    tensor = body.tensor(value, statement.value.span, like=declared.dtype)
    if tensor.type.without_names() != declared.without_names():
        raise mistake(
            "E0214",
            f"`{statement.name}` is {declared}, found {tensor.type}",
            statement.value.span,
            others=((found.span, "declared here"),),
        )
    path = next(p for p, e in body.builder.params.items() if e.value is found.value.value)
    body.builder.states[path] = tensor.value


# --- unrolled loops and choices ------------------------------------------------------------------


def _repeat(body: "Body", statement: s.Repeat) -> None:
    count = body.static_int(statement.count, what="the count of `repeat`")
    if count < 0:
        raise mistake("E0352", f"`repeat` needs a count of at least 0, found {count}", statement.count.span)
    body.checker.limits.check_turns(body.checker.turns * count, statement.count.span)
    _turns(body, statement, [(i,) for i in range(count)], lambda scope, turn: None)


def _for(body: "Body", statement: s.For) -> None:
    iterable = body.evaluate(statement.iterable)
    if iterable is POISON:
        raise Silent
    if not isinstance(iterable, (ListValue, TupleValue)):
        raise mistake("E0353", f"`for` needs a static list, found {describe(iterable)}", statement.iterable.span)

    def bind(scope: Scope, turn: tuple[Any, ...]) -> None:
        _bind_target(scope, statement.target, turn[0])

    _turns(body, statement, [(v,) for v in iterable.items], bind)


def _turns(
    body: "Body",
    statement: "s.Repeat | s.For",
    turns: list[tuple[Any, ...]],
    bind: Callable[[Scope, tuple[Any, ...]], None],
) -> None:
    checker = body.checker
    outer_path, outer_loop, outer_turns = body.path, body.in_unlabelled_loop, checker.turns
    checker.turns *= max(len(turns), 1)
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
        known = _types_of(body, changing)
        for number, turn in enumerate(turns):
            if statement.label is not None:
                body.path = join(outer_path, f"{statement.label}.{number}")
            checker.work.steps += STEPS_A_TURN
            before, size = len(checker.reporter.diagnostics), body.builder.size
            with body.nested() as scope:
                bind(scope, turn)
                body.run(statement.body)
            checker.limits.check_nodes(body.builder.size, statement.span)
            if len(checker.reporter.diagnostics) > before:
                raise Silent
            if known is not None:
                now = _types_of(body, changing)
                if now == known:  # all further turns are like this one
                    grows = body.builder.size - size
                    checker.limits.check_nodes(size + grows * (len(turns) - number), statement.span)
                    known = None
                else:
                    known = now
    finally:
        body.path, body.in_unlabelled_loop, checker.turns = outer_path, outer_loop, outer_turns


def _changing_names(statement: "s.Repeat | s.For") -> frozenset[str]:
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


def _types_of(body: "Body", names: frozenset[str]) -> dict[str, object]:
    """What a turn sees of what turns change: the kinds and types of values, and statics themselves."""
    found: dict[str, object] = {}
    for name in names:
        binding = body.scope.find(name)
        if binding is not None:
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
    both = {n for n, _ in _names_of(expr.then)} & {n for n, _ in _names_of(expr.otherwise)}
    for name, span in (*_names_of(expr.then), *_names_of(expr.otherwise)):
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
    if not body.yields:
        raise mistake("E0356", "`yield` stands in a loop body only", statement.span)
    values = []
    for expr in statement.values:
        values.append(body.tensor(body.evaluate(expr), expr.span, what="`yield`"))
    if body.yields[-1]:
        raise mistake(
            "E0356", "a loop body yields once", statement.span, help="yield several values at once: `yield a, b`"
        )
    body.yields[-1].extend(values)


def _identity(body: "Body", statement: s.Identity) -> None:
    raise mistake("E0336", "`identity` stands in a `monoid` only", statement.span)


_RUN: dict[type, Callable[[Any, Any], None]] = {
    s.Assign: _assign,
    s.ParamDecl: _param,
    s.Update: _update,
    s.Const: _const,
    s.Let: _let,
    s.Repeat: _repeat,
    s.For: _for,
    s.Yield: _yield,
    s.Identity: _identity,
}
