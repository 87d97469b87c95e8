"""The syntax tree, one method a grammar rule, called while the text is read; `value_builder` holds the values."""

from collections.abc import Callable
from typing import Any
from typing import Literal as OneOf

from netdsl import syntax
from netdsl.doc_comments import DocComments
from netdsl.lalr import Token
from netdsl.source import Source, Span
from netdsl.value_builder import COMPARISONS, ValueBuilder


class TreeBuilder(ValueBuilder):
    """Builds the tree of one source."""

    def __init__(self, source: Source, docs: DocComments) -> None:
        super().__init__(source)
        self._docs = docs

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        """The methods by the name of their rule; `if_` is the method of the rule `if`."""
        names = (name for name in dir(self) if not name.startswith("_") and name not in ("callbacks", "diagnostics"))
        return {name.rstrip("_"): getattr(self, name) for name in names}

    # --- declarations ---

    def module(self, first: int, last: int, *items: syntax.Item) -> syntax.Module:
        self._report_labels()
        source = self._source
        doc = self._docs.of_module(items[0].span.start if items else None, bool(items) and hasattr(items[0], "doc"))
        return syntax.Module(Span(source, 0, len(source.text)), source, items, doc)

    def import_module(
        self, first: int, last: int, path: tuple[str, Span], names: tuple[syntax.Name, ...] | None
    ) -> syntax.Import:
        return syntax.Import(self._span(first, last), *path, False, names or ())

    def import_file(self, first: int, last: int, path: Token, names: tuple[syntax.Name, ...] | None) -> syntax.Import:
        return syntax.Import(self._span(first, last), self._string(path), self._place(path), True, names or ())

    def dotted(self, first: int, last: int, *parts: Token) -> tuple[str, Span]:
        return ".".join(map(self._text, parts)), self._span(first, last)

    def imported(self, first: int, last: int, *names: Token) -> tuple[syntax.Name, ...]:
        return tuple(syntax.Name(self._place(name), self._text(name)) for name in names)

    def extern(self, first: int, last: int, header: syntax.Header, plugin: Token) -> syntax.Extern:
        doc = self._docs.above(first)
        return syntax.Extern(self._span(first, last), header, self._string(plugin), self._place(plugin), doc)

    def block(
        self,
        first: int,
        last: int,
        kind: OneOf["block", "network", "edge", "monoid"],
        header: syntax.Header,
        body: syntax.Body,
    ) -> syntax.Block:
        return syntax.Block(self._span(first, last), kind, header, body, self._docs.above(first))

    def block_kind(self, first: int, last: int, kind: Token) -> str:
        return self._text(kind)

    def header(
        self,
        first: int,
        last: int,
        name: Token,
        statics: tuple[syntax.StaticParam, ...] | None,
        inputs: tuple[syntax.TensorParam, ...],
        result: tuple[str | None, syntax.TypeExpr],
        where: tuple[syntax.Fact, ...] | None,
    ) -> syntax.Header:
        return syntax.Header(
            self._span(first, last), self._text(name), self._place(name), statics or (), inputs, *result, where or ()
        )

    def statics(self, first: int, last: int, *params: syntax.StaticParam) -> tuple[syntax.StaticParam, ...]:
        return params

    def static(
        self, first: int, last: int, name: Token, type: syntax.TypeExpr, default: syntax.Expr | None
    ) -> syntax.StaticParam:
        return syntax.StaticParam(self._span(first, last), self._text(name), type, default)

    def inputs(self, first: int, last: int, *params: syntax.TensorParam) -> tuple[syntax.TensorParam, ...]:
        return params

    def input(
        self, first: int, last: int, name: Token, type: syntax.TypeExpr, default: syntax.Expr | None
    ) -> syntax.TensorParam:
        return syntax.TensorParam(self._span(first, last), self._text(name), type, default)

    def plain_result(self, first: int, last: int, type: syntax.TypeExpr) -> tuple[None, syntax.TypeExpr]:
        return None, type

    def named_result(self, first: int, last: int, name: Token, type: syntax.TypeExpr) -> tuple[str, syntax.TypeExpr]:
        return self._text(name), type

    def where(self, first: int, last: int, *facts: syntax.Fact) -> tuple[syntax.Fact, ...]:
        return facts

    def comparison_fact(self, first: int, last: int, value: syntax.Expr) -> syntax.Fact:
        if not isinstance(value, syntax.Binary) or value.op not in COMPARISONS:
            self._report("E0117", "expected a comparison or `size in low..high` after `where`", value.span)
        return syntax.Fact(self._span(first, last), value)

    def range_fact(self, first: int, last: int, value: syntax.Expr, low: syntax.Expr, high: syntax.Expr) -> syntax.Fact:
        return syntax.Fact(self._span(first, last), value, low, high)

    def claim(
        self, first: int, last: int, network: Token, args: tuple[syntax.Arg, ...] | None, value: syntax.Expr
    ) -> syntax.Claim:
        return syntax.Claim(self._span(first, last), self._text(network), self._place(network), args or (), value)

    def recipe(
        self, first: int, last: int, name: Token, params: tuple[syntax.TensorParam, ...] | None, value: syntax.Expr
    ) -> syntax.Recipe:
        self._check_else(value)
        doc = self._docs.above(first)
        return syntax.Recipe(self._span(first, last), self._text(name), self._place(name), params or (), value, doc)

    # --- types ---

    def named_type(self, first: int, last: int, name: Token, *groups: tuple[syntax.Expr, ...]) -> syntax.NamedType:
        return syntax.NamedType(self._span(first, last), self._text(name), groups)

    def tuple_type(self, first: int, last: int, *fields: syntax.Field) -> syntax.TupleType:
        return syntax.TupleType(self._span(first, last), fields)

    def plain_field(self, first: int, last: int, type: syntax.TypeExpr) -> syntax.Field:
        return syntax.Field(self._span(first, last), None, type)

    def named_field(self, first: int, last: int, name: Token, type: syntax.TypeExpr) -> syntax.Field:
        return syntax.Field(self._span(first, last), self._text(name), type)

    def dims(self, first: int, last: int, *dims: syntax.Expr) -> tuple[syntax.Expr, ...]:
        return dims

    # --- statements ---

    def body(self, first: int, last: int, *statements: syntax.Statement) -> syntax.Body:
        return syntax.Body(self._span(first, last), statements)

    def assign(self, first: int, last: int, *parts: Any) -> syntax.Assign:
        self._check_else(parts[-1])
        return syntax.Assign(self._span(first, last), parts[:-1], parts[-1])

    def plain_target(self, first: int, last: int, name: Token) -> syntax.Target:
        return self.typed_target(first, last, name, None)

    def typed_target(self, first: int, last: int, name: Token, type: syntax.TypeExpr | None) -> syntax.Target:
        return syntax.Target(self._span(first, last), self._text(name), type)

    def param(
        self,
        first: int,
        last: int,
        kind: OneOf["param", "state"],
        name: Token,
        type: syntax.TypeExpr,
        per: Token | None,
        init: syntax.Expr | None,
    ) -> syntax.ParamDecl:
        place = self._place(name)
        per_name = self._text(per) if per else None
        return syntax.ParamDecl(self._span(first, last), kind, self._text(name), place, type, per_name, init)

    def param_kind(self, first: int, last: int, kind: Token) -> str:
        return self._text(kind)

    def update(self, first: int, last: int, name: Token, value: syntax.Expr) -> syntax.Update:
        self._check_else(value)
        return syntax.Update(self._span(first, last), self._text(name), self._place(name), value)

    def const(
        self,
        first: int,
        last: int,
        name: Token,
        params: tuple[syntax.StaticParam, ...] | None,
        type: syntax.TypeExpr | None,
        value: syntax.Expr,
    ) -> syntax.Const:
        self._check_else(value)
        doc = self._docs.above(first)
        return syntax.Const(self._span(first, last), self._text(name), self._place(name), params, type, value, doc)

    def const_inputs(self, first: int, last: int, *params: syntax.StaticParam) -> tuple[syntax.StaticParam, ...]:
        return params

    def const_type(self, first: int, last: int, type: syntax.TypeExpr) -> syntax.TypeExpr:
        return type

    def let(self, first: int, last: int, name: Token, value: syntax.Expr) -> syntax.Let:
        return syntax.Let(self._span(first, last), self._text(name), self._place(name), value)

    def repeat(
        self, first: int, last: int, count: syntax.Expr, label: Token | None, body: syntax.Body
    ) -> syntax.Repeat:
        return syntax.Repeat(self._span(first, last), count, self._text(label) if label else None, body)

    def for_(self, first: int, last: int, *parts: Any) -> syntax.For:
        *targets, iterable, label, body = parts
        target = targets[0]
        if len(targets) > 1:
            target = syntax.LoopTarget(targets[0].span.until(targets[-1].span), None, tuple(targets))
        return syntax.For(self._span(first, last), target, iterable, self._text(label) if label else None, body)

    def for_name(self, first: int, last: int, name: Token) -> syntax.LoopTarget:
        return syntax.LoopTarget(self._span(first, last), self._text(name))

    def for_tuple(self, first: int, last: int, *items: syntax.LoopTarget) -> syntax.LoopTarget:
        return syntax.LoopTarget(self._span(first, last), None, items)

    def yield_(self, first: int, last: int, *values: syntax.Expr) -> syntax.Yield:
        return syntax.Yield(self._span(first, last), values)

    def identity(self, first: int, last: int, value: syntax.Expr) -> syntax.Identity:
        return syntax.Identity(self._span(first, last), value)

    def expression_statement(self, first: int, last: int, value: syntax.Expr) -> syntax.ExprStatement:
        return syntax.ExprStatement(self._span(first, last), value)

    # --- loops and choices ---

    def if_(
        self, first: int, last: int, condition: syntax.Expr, then: syntax.Body, otherwise: syntax.Body | None
    ) -> syntax.IfExpr:
        return syntax.IfExpr(self._span(first, last), condition, then, otherwise)

    def else_body(self, first: int, last: int, body: syntax.Body) -> syntax.Body:
        return body

    def else_if(self, first: int, last: int, choice: syntax.IfExpr) -> syntax.Body:
        return syntax.Body(choice.span, (syntax.ExprStatement(choice.span, choice),))

    def scan_cell(self, first: int, last: int, cell: syntax.Expr, over: syntax.Expr, start: syntax.Expr) -> syntax.Loop:
        return syntax.Loop(self._span(first, last), "scan", cell, over, start, None, None, None)

    def scan_body(self, first: int, last: int, *parts: Any) -> syntax.Loop:
        return syntax.Loop(self._span(first, last), "scan", None, *parts)

    def decode(self, first: int, last: int, *parts: Any) -> syntax.Loop:
        return syntax.Loop(self._span(first, last), "decode", None, *parts)

    def fixed_point(self, first: int, last: int, *parts: Any) -> syntax.Loop:
        return syntax.Loop(self._span(first, last), "fixed_point", None, *parts)

    def condition(self, first: int, last: int, value: syntax.Expr) -> syntax.Expr:
        return value
