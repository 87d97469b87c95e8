"""The values of the syntax tree, one method a grammar rule, called while the text is read.

Each public method takes the first and the last character of its rule, then the values of its parts; what a rule says
stands in `net.lark`. What the grammar cannot forbid is noted in `diagnostics`.
"""

import re
from typing import Any
from typing import Literal as OneOf

from netdsl import syntax
from netdsl.diagnostics import Diagnostic, Label
from netdsl.lalr import Token
from netdsl.source import Source, Span

MAX_DIGITS = 40
COMPARISONS = frozenset(("==", "!=", "<=", ">=", "<", ">"))

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_FOREIGN_VALUES = {"True": "true", "False": "false", "None": "none"}
_STAGES = (syntax.Name, syntax.Attribute, syntax.Index, syntax.Call, syntax.Paren)


class ValueBuilder:
    """Builds the values of one source."""

    def __init__(self, source: Source) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._source = source
        self._labelled_names: dict[int, syntax.Labelled] = {}

    def expression(self, first: int, last: int, value: syntax.Expr) -> syntax.Expr:
        self._report_labels()
        return value

    # --- pipes, labels and operators ---

    def pipe(self, first: int, last: int, left: syntax.Expr, right: syntax.Expr) -> syntax.Pipe:
        self._labelled_names.pop(id(right), None)
        stage = right.operand if isinstance(right, syntax.Labelled) else right
        if isinstance(left, syntax.Binary):
            self._report(
                "E0106",
                f"`|>` follows `{left.op}` without parentheses",
                left.op_span,
                "does the pipe take both sides of this, or the right one?",
                self._pipe_help(left, stage),
            )
        if isinstance(stage, syntax.Binary):
            self._report(
                "E0106",
                f"`{stage.op}` follows `|>` without parentheses",
                stage.op_span,
                "is this done to the stage, or to the result of the pipe?",
                f"write `({self._shown(left, 'x')} |> {self._shown(stage.left, 'f')}) {stage.op} ..`",
            )
        elif not isinstance(stage, _STAGES):
            self._report("E0108", "expected a call as the stage of `|>`", stage.span, "this cannot take an input")
        return syntax.Pipe(self._span(first, last), left, right)

    def labelled(self, first: int, last: int, operand: syntax.Expr, name: Token) -> syntax.Labelled:
        node = syntax.Labelled(self._span(first, last), operand, self._text(name), self._place(name))
        if isinstance(operand, _STAGES) and not isinstance(operand, syntax.Call):
            self._labelled_names[id(node)] = node
        elif not isinstance(operand, syntax.Call):
            self._report_label(node)
        return node

    def binary(self, first: int, last: int, left: syntax.Expr, op: Token, right: syntax.Expr) -> syntax.Binary:
        text = self._text(op)
        if text in COMPARISONS and isinstance(left, syntax.Binary) and left.op in COMPARISONS:
            self._report(
                "E0105",
                f"`{text}` compares the result of `{left.op}`: comparisons do not chain",
                self._place(op),
                help=f"write `({self._shown(left, f'a {left.op} b')}) & ({self._shown(left.right, 'b')} {text} ..)`",
            )
        return syntax.Binary(self._span(first, last), text, left, right, self._place(op))

    def unary(self, first: int, last: int, op: Token, operand: syntax.Expr) -> syntax.Unary:
        sign: OneOf["-", "~"] = "-" if op.kind == "MINUS" else "~"
        return syntax.Unary(self._span(first, last), sign, operand)

    # --- calls, indices and attributes ---

    def call(self, first: int, last: int, func: syntax.Expr, args: tuple[syntax.Arg, ...]) -> syntax.Call:
        return syntax.Call(self._span(first, last), func, args)

    def index(self, first: int, last: int, base: syntax.Expr, args: tuple[syntax.Arg, ...]) -> syntax.Index:
        return syntax.Index(self._span(first, last), base, args)

    def attribute(self, first: int, last: int, base: syntax.Expr, name: Token) -> syntax.Attribute:
        if isinstance(base, syntax.Literal) and isinstance(base.value, int | float):
            text = f"{base.text}.{self._text(name)}"
            self._report("E0005", f"expected a digit after the point of `{text}`", self._span(first, last))
        return syntax.Attribute(self._span(first, last), base, self._text(name), self._place(name))

    def call_args(self, first: int, last: int, *args: syntax.Arg) -> tuple[syntax.Arg, ...]:
        self._check_order(args)
        return args

    def index_args(self, first: int, last: int, *args: syntax.Arg) -> tuple[syntax.Arg, ...]:
        self._check_order(args)
        return args

    def plain_arg(self, first: int, last: int, value: syntax.Expr) -> syntax.Arg:
        return syntax.Arg(self._span(first, last), None, value)

    def named_arg(self, first: int, last: int, name: Token, value: syntax.Expr) -> syntax.Arg:
        return syntax.Arg(self._span(first, last), self._text(name), value)

    def splat_arg(self, first: int, last: int, value: syntax.Expr) -> syntax.Arg:
        return syntax.Arg(self._span(first, last), None, value, splat=True)

    slice_arg = plain_arg

    def slice_(self, first: int, last: int, *parts: syntax.Expr | None) -> syntax.Slice:
        start, stop, step = parts
        return syntax.Slice(self._span(first, last), start, stop, step)

    def range_(self, first: int, last: int, start: syntax.Expr, stop: syntax.Expr) -> syntax.Range:
        return syntax.Range(self._span(first, last), start, stop)

    def dots(self, first: int, last: int) -> syntax.Dots:
        return syntax.Dots(self._span(first, last))

    # --- atoms ---

    def variable(self, first: int, last: int, name: Token) -> syntax.Expr:
        text = self._text(name)
        if text in _FOREIGN_VALUES:
            right = _FOREIGN_VALUES[text]
            self._report("E0109", f"`{text}` is written `{right}`", self._place(name), help=f"write `{right}`")
        return syntax.Name(self._span(first, last), text)

    def int_(self, first: int, last: int, token: Token) -> syntax.Literal:
        text = self._number(token)
        digits = text.replace("_", "")
        value = int(digits) if digits.isdecimal() else 0  # what is no number was reported as a token
        return syntax.Literal(self._span(first, last), value, text)

    def float_(self, first: int, last: int, token: Token) -> syntax.Literal:
        text = self._number(token)
        value = float(text.replace("_", ""))
        if value == float("inf"):
            self._report("E0505", f"`{text}` is greater than every float", self._place(token))
        return syntax.Literal(self._span(first, last), value, text)

    def string(self, first: int, last: int, token: Token) -> syntax.Literal:
        return syntax.Literal(self._span(first, last), self._string(token), self._text(token))

    def true(self, first: int, last: int) -> syntax.Literal:
        return syntax.Literal(self._span(first, last), True, "true")

    def false(self, first: int, last: int) -> syntax.Literal:
        return syntax.Literal(self._span(first, last), False, "false")

    def none(self, first: int, last: int) -> syntax.Literal:
        return syntax.Literal(self._span(first, last), None, "none")

    def list_(self, first: int, last: int, *items: syntax.Expr) -> syntax.ListExpr:
        return syntax.ListExpr(self._span(first, last), items)

    def parenthesised(self, first: int, last: int, item: syntax.Arg) -> syntax.Expr:
        span = self._span(first, last)
        return syntax.TupleExpr(span, (item,)) if item.name is not None else syntax.Paren(span, item.value)

    def tuple_(self, first: int, last: int, *items: syntax.Arg) -> syntax.TupleExpr:
        return syntax.TupleExpr(self._span(first, last), items)

    def plain_item(self, first: int, last: int, value: syntax.Expr) -> syntax.Arg:
        self._check_else(value)
        return syntax.Arg(self._span(first, last), None, value)

    def named_item(self, first: int, last: int, name: Token, value: syntax.Expr) -> syntax.Arg:
        self._check_else(value)
        return syntax.Arg(self._span(first, last), self._text(name), value)

    # --- parts ---

    def _span(self, first: int, last: int) -> Span:
        return Span(self._source, first, last)

    def _place(self, token: Token) -> Span:
        return Span(self._source, token.start, token.end)

    def _text(self, token: Token) -> str:
        return self._source.text[token.start : token.end]

    def _number(self, token: Token) -> str:
        text = self._text(token)
        count = sum(map(str.isdigit, text))
        if count <= MAX_DIGITS:
            return text
        self._report("E0504", f"expected at most {MAX_DIGITS} digits, found {count}", self._place(token))
        return "0"

    def _string(self, token: Token) -> str:
        def replace(match: re.Match[str]) -> str:
            letter = match[1]
            if letter not in _ESCAPES:
                start = token.start + match.start() + 1
                title = f'expected `\\"`, `\\\\`, `\\n` or `\\t` in a string, found `\\{letter}`'
                self._report("E0004", title, self._span(start, start + 2), help="write `\\\\` for a backslash")
            return _ESCAPES.get(letter, letter)

        return _ESCAPE.sub(replace, self._text(token)[1:-1])

    def _check_order(self, args: tuple[syntax.Arg, ...]) -> None:
        named: syntax.Arg | None = None
        for arg in args:
            if arg.name is not None or arg.splat:
                named = arg
            elif named is not None:
                self._report("E0111", "an argument without a name follows one with a name", arg.span)
                return

    def _check_else(self, value: Any) -> None:
        """An `if` that gives a value has a value on both sides."""
        while isinstance(value, syntax.IfExpr):
            if value.otherwise is None:
                place = self._span(value.span.start, value.span.start + 2)
                self._report("E0113", "an `if` that gives a value has no `else`", place, help="add `else { .. }`")
                return
            last = value.otherwise.statements[-1:]
            value = last[0].value if last and isinstance(last[0], syntax.ExprStatement) else None

    def _report_labels(self) -> None:
        """Names and indices may be labelled as stages of a pipe only."""
        for node in self._labelled_names.values():
            self._report_label(node)
        self._labelled_names.clear()

    def _report_label(self, node: syntax.Labelled) -> None:
        title = f"`as {node.name}` labels something that is neither a call nor a stage of a pipe"
        operand, help = node.operand, None
        if isinstance(operand, syntax.Binary) and isinstance(operand.right, syntax.Call):
            help = f"write `({self._shown(operand.right, 'f(x)')} as {node.name})`"
        self._report("E0107", title, operand.span, "this makes no parameters of its own", help)

    def _pipe_help(self, left: syntax.Binary, stage: syntax.Expr) -> str:
        a, b, f = self._shown(left.left, "a"), self._shown(left.right, "b"), self._shown(stage, "f")
        return f"write `({a} {left.op} {b}) |> {f}` or `{a} {left.op} ({b} |> {f})`"

    def _shown(self, node: syntax.Expr, short: str) -> str:
        """The text of `node`, or `short` where that is long."""
        text = self._source.text[node.span.start : node.span.end]
        return text if len(text) <= 30 and text.isprintable() else short

    def _report(self, code: str, title: str, span: Span, label: str = "", help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, title, Label(span, label), help=help))
