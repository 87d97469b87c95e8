"""The canonical text of a file: the same tree, the same comments, one way to lay them out."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from netdsl import syntax
from netdsl.brackets import MAX_NESTING
from netdsl.layout import HARD, LINE, SOFT, Doc, group, indent, layout, seq
from netdsl.parser import parse
from netdsl.source import Source
from netdsl.token_cursor import TokenCursor

WIDTH = 120
FRAMES_PER_BRACKET = 20

T = TypeVar("T")


def format_source(source: Source) -> str:
    """Canonical text of `source`; formatting it again changes nothing.

    Spellings of literals, comments and single blank lines are kept; a body or a pipe that was written over several
    lines stays so.

    Raises: NetError: the text does not parse.
    """
    module = parse(source)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, FRAMES_PER_BRACKET * MAX_NESTING + 1000))
    try:
        return layout(_Formatter(source).module(module), WIDTH)
    finally:
        sys.setrecursionlimit(limit)


class _Formatter:
    """One method a kind of tree node; each takes the node's tokens from the cursor, in the order of the text."""

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.cursor = TokenCursor(source)
        self.take = self.cursor.token

    # --- sequences ---------------------------------------------------------------------------------------------------

    def lines(self, nodes: Iterable[T], print_node: Callable[[T], Doc]) -> list[Doc]:
        docs: list[Doc] = []
        for index, node in enumerate(nodes):
            docs += self.cursor.lead_lines(is_first=index == 0)
            docs.append(print_node(node))
        return docs

    def words(self, *words: str) -> Doc:
        """Tokens with a space behind each."""
        return seq(*(part for word in words for part in (self.take(word), " ")))

    def listed(self, nodes: Sequence[T], print_node: Callable[[T], Doc]) -> Doc:
        """`a, b` where the line cannot break."""
        docs: list[Doc] = []
        for index, node in enumerate(nodes):
            docs += [self.cursor.comma(), " "] if index else []
            docs.append(print_node(node))
        return seq(*docs)

    def bracket(
        self, signs: str, nodes: Sequence[T], print_node: Callable[[T], Doc], *, keeps_comma: bool = False
    ) -> Doc:
        """`(a, b)` on one line, or one element a line; a comma behind the last is dropped unless it must be kept."""
        opened = self.take(signs[0])
        inner: list[Doc] = []
        for index, node in enumerate(nodes):
            inner += [LINE if index else SOFT, *self.cursor.lead(), print_node(node)]
            is_last = index == len(nodes) - 1
            if not is_last or self.cursor.comes(","):
                inner.append(self.cursor.comma(is_printed=keeps_comma or not is_last))
        inner += self.cursor.lead()
        return group(opened, indent(*inner), SOFT, self.take(signs[1]), is_weak=signs == "[]")

    # --- declarations ------------------------------------------------------------------------------------------------

    def module(self, module: syntax.Module) -> Doc:
        items = self.lines(module.items, self.item)
        return seq(*items, *self.cursor.lead_lines(is_first=not items, is_last=True))

    def item(self, item: syntax.Item) -> Doc:
        match item:
            case syntax.Import():
                return self.import_(item)
            case syntax.Extern():
                return seq(self.words("extern"), self.header(item.header), " ", self.words("="), self.cursor.string())
            case syntax.Block():
                return seq(self.words(item.kind), self.header(item.header), " ", group(self.body(item.body)))
            case syntax.Const():
                return self.const(item)
            case syntax.Claim():
                name = seq(self.words("claim"), self.take(item.network))
                args = self.bracket("[]", item.args, self.arg) if self.cursor.comes("[") else ""
                return seq(name, args, self.words(":"), self.expr(item.value))
            case syntax.Recipe():
                name = seq(self.words("recipe"), self.take(item.name))
                params = self.bracket("()", item.params, self.declared) if self.cursor.comes("(") else ""
                return seq(name, params, " ", self.words("="), self.expr(item.value))

    def import_(self, item: syntax.Import) -> Doc:
        docs = [self.words("import")]
        if item.is_file:
            docs.append(self.cursor.string())
        else:
            first, *rest = item.path.split(".")
            docs += [self.take(first), *(self.take(part) for word in rest for part in (".", word))]
        if item.names:
            docs += [self.words(":"), self.listed(item.names, self.expr)]
        return seq(*docs)

    def const(self, item: syntax.Const) -> Doc:
        docs = [self.words("const"), self.take(item.name)]
        if item.params is not None:
            docs.append(self.bracket("()", item.params, self.declared))
        if item.type:
            docs += [self.words(":"), self.type(item.type)]
        return seq(*docs, " ", self.words("="), self.expr(item.value))

    def header(self, header: syntax.Header) -> Doc:
        docs = [self.take(header.name)]
        if self.cursor.comes("["):
            docs.append(self.bracket("[]", header.statics, self.declared))
        docs += [self.bracket("()", header.params, self.declared), " ", self.words("->")]
        if header.result_name:
            docs += [self.take(header.result_name), self.words(":")]
        docs.append(self.type(header.result))
        if header.where:
            lead = self.cursor.lead()
            docs.append(indent(LINE, *lead, self.words("where"), self.listed(header.where, self.fact)))
        return group(*docs)

    def declared(self, param: syntax.StaticParam | syntax.TensorParam) -> Doc:
        docs = [self.take(param.name), self.words(":"), self.type(param.type)]
        if param.default:
            docs += [" ", self.words("="), self.expr(param.default)]
        return seq(*docs)

    def fact(self, fact: syntax.Fact) -> Doc:
        docs = [self.expr(fact.value)]
        if fact.low and fact.high:
            docs += [" ", self.words("in"), self.expr(fact.low), self.take(".."), self.expr(fact.high)]
        return seq(*docs)

    # --- types -------------------------------------------------------------------------------------------------------

    def type(self, node: syntax.TypeExpr) -> Doc:
        if isinstance(node, syntax.TupleType):
            return self.bracket("()", node.fields, self.field)
        return seq(self.take(node.name), *(self.bracket("[]", dims, self.expr) for dims in node.groups))

    def field(self, field: syntax.Field) -> Doc:
        name = seq(self.take(field.name), self.words(":")) if field.name else ""
        return seq(name, self.type(field.type))

    # --- statements --------------------------------------------------------------------------------------------------

    def body(self, body: syntax.Body) -> Doc:
        """`{ x }` where it was written on one line, else one statement a line; the caller makes the group."""
        opened = self.take("{")
        if body.statements and not self._spans_lines(body.span.start, body.span.end):
            (statement,) = body.statements
            return seq(opened, indent(LINE, self.statement(statement)), LINE, self.take("}"))
        is_open = self.cursor.follows_comment
        inner = self.lines(body.statements, self.statement)
        inner += self.cursor.lead_lines(is_first=not inner, is_last=True)
        return seq(opened, indent(*inner), HARD if inner or is_open else "", self.take("}"))

    def statement(self, node: syntax.Statement) -> Doc:
        match node:
            case syntax.Assign():
                targets = self.listed(node.targets, self.target)
                return seq(targets, " ", self.words("="), self.expr(node.value))
            case syntax.ParamDecl():
                docs = [self.words(node.kind), self.take(node.name), self.words(":"), self.type(node.type)]
                if node.per:
                    docs += [" ", self.words("per"), self.take(node.per)]
                if node.init:
                    docs += [" ", self.words("~"), self.expr(node.init)]
                return seq(*docs)
            case syntax.Update():
                return seq(self.words("update", node.name, "="), self.expr(node.value))
            case syntax.Let():
                return seq(self.words("let", node.name, "="), self.expr(node.value))
            case syntax.Const():
                return self.const(node)
            case syntax.Repeat():
                head = seq(self.words("repeat"), self.expr(node.count))
                return seq(head, self.label(node.label), " ", group(self.body(node.body)))
            case syntax.For():
                head = seq(self.words("for"), self.loop_target(node.target), " ", self.words("in"))
                iterable = self.expr(node.iterable)
                return seq(head, iterable, self.label(node.label), " ", group(self.body(node.body)))
            case syntax.Yield():
                return seq(self.words("yield"), self.listed(node.values, self.expr))
            case syntax.Identity():
                return seq(self.take("identity"), self.words(":"), self.expr(node.value))
            case syntax.ExprStatement():
                return self.expr(node.value)

    def target(self, target: syntax.Target) -> Doc:
        docs = [self.take(target.name)]
        if target.type:
            docs += [self.words(":"), self.type(target.type)]
        return seq(*docs)

    def loop_target(self, target: syntax.LoopTarget) -> Doc:
        if target.name:
            return self.take(target.name)
        if target.span.start == target.items[0].span.start:
            return self.listed(target.items, self.loop_target)
        return self.bracket("()", target.items, self.loop_target)

    def label(self, name: str | None) -> Doc:
        return seq(" ", self.words("as"), self.take(name)) if name else ""

    # --- expressions -------------------------------------------------------------------------------------------------

    def expr(self, node: syntax.Expr) -> Doc:
        match node:
            case syntax.Name():
                return self.take(node.id)
            case syntax.Literal():
                return self.take(node.text)
            case syntax.Dots():
                return self.take("..")
            case syntax.Pipe():
                return self.pipe(node)
            case syntax.Unary() | syntax.Binary():
                return self.operators(node)
            case syntax.Call() | syntax.Index() | syntax.Attribute():
                return self.postfix(node)
            case syntax.Paren():
                return self.bracket("()", (node.inner,), self.expr)
            case syntax.TupleExpr():
                is_single = len(node.items) == 1 and node.items[0].name is None
                return self.bracket("()", node.items, self.arg, keeps_comma=is_single)
            case syntax.ListExpr():
                return self.bracket("[]", node.items, self.expr)
            case syntax.Labelled():
                return seq(self.expr(node.operand), self.label(node.name))
            case syntax.Slice():
                return self.slice(node)
            case syntax.Range():
                return seq(self.expr(node.start), self.take(".."), self.expr(node.stop))
            case syntax.IfExpr():
                return self.choice(node)
            case syntax.Loop():
                return self.loop(node)

    def arg(self, arg: syntax.Arg) -> Doc:
        if arg.splat:
            return seq(self.take("**"), self.expr(arg.value))
        name = seq(self.take(arg.name), self.take("=")) if arg.name else ""
        return seq(name, self.expr(arg.value))

    def pipe(self, node: syntax.Pipe) -> Doc:
        """On one line, or one stage a line; a pipe that was written over several lines stays so."""
        first: syntax.Expr = node
        stages: list[syntax.Pipe] = []
        while isinstance(first, syntax.Pipe):
            stages.append(first)
            first = first.left
        stages.reverse()
        is_broken = any(self._spans_lines(stage.left.span.end, stage.right.span.start) for stage in stages)
        start = self.expr(first)
        docs: list[Doc] = []
        for stage in stages:
            docs += [LINE, *self.cursor.lead(), self.words("|>"), self.expr(stage.right)]
        return group(start, indent(*docs), must_break=is_broken)

    def operators(self, node: syntax.Expr) -> Doc:
        """`a + -b ** c`: a loop, because trees of operators can be deep on both sides."""
        docs: list[Doc] = []
        while isinstance(node, syntax.Unary | syntax.Binary):
            if isinstance(node, syntax.Unary):
                docs.append(self.take(node.op))
                node = node.operand
                continue
            spine = [node]
            while isinstance(spine[-1].left, syntax.Binary):
                spine.append(spine[-1].left)
            docs.append(self.expr(spine[-1].left))
            for each in reversed(spine):
                docs += [" ", self.words(each.op)]
                if each is not node:
                    docs.append(self.expr(each.right))
            node = node.right
        return seq(*docs, self.expr(node))

    def postfix(self, node: syntax.Expr) -> Doc:
        spine: list[syntax.Call | syntax.Index | syntax.Attribute] = []
        while isinstance(node, syntax.Call | syntax.Index | syntax.Attribute):
            spine.append(node)
            node = node.func if isinstance(node, syntax.Call) else node.base
        docs = [self.expr(node)]
        for each in reversed(spine):
            match each:
                case syntax.Call():
                    docs.append(self.bracket("()", each.args, self.arg))
                case syntax.Index():
                    docs.append(self.bracket("[]", each.args, self.arg))
                case syntax.Attribute():
                    docs += [self.take("."), self.take(each.name)]
        return seq(*docs)

    def slice(self, node: syntax.Slice) -> Doc:
        """`a:b`, `:n`, `::2`, and `a + 1 : b` where one of several parts is more than a name."""
        parts = [part for part in (node.start, node.stop, node.step) if part]
        space = " " if len(parts) > 1 and not all(map(_is_simple, parts)) else ""
        docs: list[Doc] = [seq(self.expr(node.start), space) if node.start else "", self.take(":")]
        docs += [seq(space, self.expr(node.stop))] if node.stop else []
        docs += [seq(space if node.stop else "", self.take(":"), space, self.expr(node.step))] if node.step else []
        return seq(*docs)

    def choice(self, node: syntax.IfExpr) -> Doc:
        """One group holds all branches: either all stand on one line or none does."""
        docs = [self.words("if"), self.expr(node.condition), " ", self.body(node.then)]
        while node.otherwise:
            docs += [" ", self.words("else")]
            if self.cursor.comes("{"):
                docs.append(self.body(node.otherwise))
                break
            (statement,) = node.otherwise.statements
            assert isinstance(statement, syntax.ExprStatement) and isinstance(statement.value, syntax.IfExpr)
            node = statement.value
            docs += [self.words("if"), self.expr(node.condition), " ", self.body(node.then)]
        return group(*docs)

    def loop(self, node: syntax.Loop) -> Doc:
        docs = [self.words(node.kind)]
        if node.cell:
            docs += [self.expr(node.cell), " ", self.words("over")]
        docs += [self.expr(node.over), " ", self.words("from"), self.expr(node.start)]
        if node.until:
            docs += [" ", self.words("until"), self.expr(node.until)]
        if node.given:
            docs += [" ", self.words("given"), self.expr(node.given)]
        if node.body:
            docs += [" ", group(self.body(node.body))]
        return seq(*docs)

    def _spans_lines(self, start: int, end: int) -> bool:
        return "\n" in self.text[start:end] or "\r" in self.text[start:end]


def _is_simple(node: syntax.Expr) -> bool:
    match node:
        case syntax.Name() | syntax.Literal():
            return True
        case syntax.Unary():
            return _is_simple(node.operand)
        case syntax.Attribute():
            return _is_simple(node.base)
        case _:
            return False
