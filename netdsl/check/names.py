"""Names in code that is not run: what a statement assigns, and the look-up of an untaken branch (rule R10)."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.initialiser_names import INITIALISERS
from netdsl.check.library import BUILTINS
from netdsl.check.report import Mistake
from netdsl.check.values import Macro, MacroRef
from netdsl.source import Source, Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


def assigned_names(statement: s.Statement) -> list[tuple[str, Span]]:
    """Names that a statement would define in its scope."""
    found: list[tuple[str, Span]] = []
    pending: list[s.Statement] = [statement]
    while pending:
        match pending.pop():
            case s.Assign(targets=targets):
                found.extend((t.name, t.span) for t in targets if t.name != "_")
            case s.ParamDecl() | s.Const() | s.Let() as declared:
                found.append((declared.name, declared.name_span))
            case s.ExprStatement(value=s.IfExpr(then=then, otherwise=otherwise)):
                pending.extend(reversed((*then.statements, *(otherwise.statements if otherwise else ()))))
    return found


def children(node: object) -> Iterator[object]:
    """Direct parts of a syntax node that are syntax themselves."""
    for f in dataclasses.fields(node):  # type: ignore[arg-type]
        value = getattr(node, f.name)
        for item in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(item) and not isinstance(item, (Span, Source)):
                yield item


def check_names(body: "Body", code: s.Body | s.Statement) -> None:
    """Report names that stand for nothing in code that is not run; once for each piece of code."""
    if not body.file.is_std and id(code) not in body.checker.looked_up:
        body.checker.looked_up.add(id(code))
        _check_names(body, code, set())


def check_expression(body: "Body", expr: s.Expr) -> None:
    """Report names in an expression that is not evaluated and that stand for nothing."""
    _check_names(body, expr, set())


def check_function(body: "Body", function: s.Const) -> None:
    """Report names in a constant function, called or not, that stand for nothing."""
    _check_names(body, function.value, {param.name for param in function.params or ()})


def _check_names(body: "Body", root: object, local: set[str]) -> None:
    called: set[int] = set()
    used: list[s.Name] = []
    pending: list[object] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, s.Name):
            used.append(node)
        elif isinstance(node, (s.Call, s.Pipe)):
            called.add(id(_callee(node)))
        elif isinstance(node, (s.Assign, s.ParamDecl, s.Const, s.Let)):
            local.update(n for n, _ in assigned_names(node))
            if isinstance(node, s.Const):
                local.update(p.name for p in node.params or ())
        elif isinstance(node, s.LoopTarget) and node.name is not None:
            local.add(node.name)
        elif isinstance(node, s.Loop) and node.body is not None:
            start = node.start.inner if isinstance(node.start, s.Paren) else node.start
            items = start.items if isinstance(start, s.TupleExpr) else ()
            over = node.over.base if isinstance(node.over, s.Index) else node.over
            sequences = over.items if isinstance(over, s.TupleExpr) else ()
            local.update(i.name for i in (*items, *sequences) if i.name is not None)
            local.add("before")
        elif isinstance(node, s.Index) and isinstance(node.base, s.Name):
            macro = BUILTINS.get(node.base.id)
            if isinstance(macro, MacroRef):
                local.update(word for a in node.args if (word := _word(macro.macro, a)) is not None)
            if isinstance(macro, MacroRef) and macro.macro.vocabulary:
                lent = (body.checker.word(macro.macro.vocabulary, name.id) for name in names_in(node.args))
                local.update(word.name for word in lent if word is not None)
        pending.extend(child for child in children(node) if not _names_initialiser(node, child))
    for name in sorted(used, key=lambda name: name.span.start):
        if name.id in local or name.id == "training" or name.id in INITIALISERS or name.id in body.file.modules:
            continue
        found = body.scope.find(name.id)
        if found is not None:
            continue
        try:
            body.checker.global_name(body.file, name.id, name.span, [*body.scope.visible(), *local])
        except Mistake as error:
            is_dimension = body.checker.is_capital(name.id) and id(name) not in called
            if not is_dimension:
                body.checker.reporter.add(error.diagnostic)


def _word(macro: Macro, arg: s.Arg) -> str | None:
    """What stands for itself in a bracket of a function, also in one that the function does not know."""
    is_unknown = bool(macro.named) and arg.name not in (None, *macro.named)
    return arg.value.id if (is_unknown or arg.name in macro.words) and isinstance(arg.value, s.Name) else None


def names_in(roots: Iterable[object]) -> Iterator[s.Name]:
    """Every name that is written under the roots, in the order of the text."""
    pending = list(roots)[::-1]
    while pending:
        node = pending.pop()
        if isinstance(node, s.Name):
            yield node
        pending.extend(reversed(list(children(node))))


def _names_initialiser(node: object, child: object) -> bool:
    """Whether `child` is the name after `~`, which stands for an initialiser."""
    return isinstance(node, s.ParamDecl) and child is node.init


def _callee(node: s.Call | s.Pipe) -> s.Expr:
    """What a call calls, without its brackets."""
    callee = node.func if isinstance(node, s.Call) else node.right
    while isinstance(callee, (s.Index, s.Call, s.Labelled)):
        if isinstance(callee, s.Index):
            callee = callee.base
        else:
            callee = callee.func if isinstance(callee, s.Call) else callee.operand
    return callee
