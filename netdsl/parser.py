"""Text to syntax tree, with every syntax error of the text."""

import json
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Any

from netdsl.brackets import match_brackets
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.doc_comments import DocComments
from netdsl.lalr import Tables, run
from netdsl.record import dataclass
from netdsl.recovery import Recovery
from netdsl.source import Source, Span
from netdsl.syntax import Expr, Module
from netdsl.tokens import MAX_DIAGNOSTICS, Lexer
from netdsl.tree_builder import TreeBuilder

MAX_TREE_DEPTH = 2_000


@dataclass(frozen=True, slots=True)
class Comment:
    """`# ...` up to the end of its line; `text` is as written."""

    span: Span
    text: str


def parse(source: Source) -> Module:
    """The tree of `source`. No node lies deeper than `MAX_TREE_DEPTH`, no bracket deeper than `MAX_NESTING`.

    Raises: NetError: every syntax error of the text, in order, one a cause, at most `MAX_DIAGNOSTICS`.
    """
    module, diagnostics = parse_partial(source)
    if diagnostics:
        raise NetError(diagnostics)
    return module


def parse_partial(source: Source) -> tuple[Module, tuple[Diagnostic, ...]]:
    """The declarations and statements of `source` that could be read, and what `parse` would raise."""
    module, diagnostics = _read(source, "module")
    if module is None:
        module = Module(Span(source, 0, len(source.text)), source, ())
    assert isinstance(module, Module)
    return module, diagnostics


def parse_expr(text: str) -> Expr:
    """The tree of one value, such as `[128, 64]` or `6..12`.

    Raises: NetError: the text is not one value.
    """
    value, diagnostics = _read(Source("<value>", text), "expression")
    if diagnostics:
        raise NetError(diagnostics)
    expr: Expr = value
    return expr


def comments(source: Source) -> tuple[Comment, ...]:
    """Every comment of `source`, in order."""
    lexer, _ = _machine()
    places = lexer.scan(source).comments
    return tuple(Comment(Span(source, first, last), source.text[first:last]) for first, last in places)


def _read(source: Source, start: str) -> tuple[Any, tuple[Diagnostic, ...]]:
    lexer, tables = _machine()
    lexed = lexer.scan(source)
    open_strings = [d.primary.span.start for d in lexed.diagnostics if d.code == "E0002" and d.primary]
    bracketed = match_brackets(source, lexed.tokens, open_strings)
    if isinstance(bracketed, Diagnostic):
        return None, _in_order([*lexed.diagnostics, bracketed])
    found = lexed.diagnostics + bracketed.diagnostics
    known = sorted([*bracketed.repairs, *(d.primary.span.start for d in lexed.diagnostics if d.primary)])
    builder = TreeBuilder(source, DocComments(source.text, lexed.comments))
    callbacks = builder.callbacks()
    recovery = Recovery(source, tables, bracketed, known, 0)
    value = run(tables, bracketed.tokens, start, callbacks, recovery, MAX_TREE_DEPTH)
    if start == "module" or not found:
        found += recovery.diagnostics
    skipped = recovery.skipped
    while skipped and len(found) < MAX_DIAGNOSTICS:
        first, last = skipped.pop(0)
        body = [*bracketed.tokens[first : last + 1], bracketed.tokens[-1]]
        recovery = Recovery(source, tables, bracketed, known, first)
        run(tables, body, "body", callbacks, recovery, MAX_TREE_DEPTH)
        found += recovery.diagnostics
        skipped += recovery.skipped
    return value, _in_order(found + builder.diagnostics)


def _in_order(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    def place(diagnostic: Diagnostic) -> tuple[int, str]:
        return diagnostic.primary.span.start if diagnostic.primary else 0, diagnostic.code

    return tuple(sorted(diagnostics, key=place)[:MAX_DIAGNOSTICS])


@cache
def _machine() -> tuple[Lexer, Tables]:
    text = pkgutil.get_data("netdsl.grammar", "tables.json")
    assert text is not None
    data = json.loads(text)
    return Lexer(data), Tables.load(data)
