"""The text form of a graph, read back."""

import json
import re
from typing import Any

from netdsl.dims import RELATION_OPS, Dim, Facts, parse_dim
from netdsl.ir import Choice, Graph, Init, Instance, Node, Param, Range, Region, Tap, Update, Value
from netdsl.ops import OPS
from netdsl.ops.base import Op
from netdsl.source import NO_SOURCE, Source, Span
from netdsl.tensor_type import DTYPES, Axis, DType, TensorType

_TOKEN = re.compile(
    r'\s*("(?:[^"\\]|\\.)*"|%\d+|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])|-?inf|nan|[A-Za-z_]\w*|->|.)', re.S
)


class _Cursor:
    """One line, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        return match.group(1) if match else ""

    def take(self, expected: str | None = None) -> str:
        match = _TOKEN.match(self.text, self.at)
        if match is None or (expected is not None and match.group(1) != expected):
            raise ValueError(f"expected {expected or 'more'} at column {self.at} of: {self.text}")
        self.at = match.end()
        return match.group(1)

    def accept(self, expected: str) -> bool:
        if self.peek() == expected:
            self.take()
            return True
        return False

    def string(self) -> str:
        return str(json.loads(self.take()))

    def json(self) -> Any:
        while self.text[self.at].isspace():
            self.at += 1
        value, self.at = json.JSONDecoder().raw_decode(self.text, self.at)
        return value

    def until(self, closing: str) -> str:
        """Text up to one of `closing` at bracket depth 0."""
        depth, start, quoted = 0, self.at, False
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == '"':
                quoted = not quoted
            elif not quoted:
                if depth == 0 and c in closing:
                    break
                depth += (c in "([<{") - (c in ")]>}")
            self.at += 1
        return self.text[start : self.at].strip()


def parse_graph(text: str) -> Graph:
    """The graph that `print_graph` printed.

    Raises: ValueError: the text is no graph.
    """
    return _Parser(text).graph()


def _choice(line: str) -> Choice:
    found = re.fullmatch(r'\s*choice ("(?:[^"\\]|\\.)*") (\[.*\]) per (\w+) (soft|hard)', line)
    if found is None:
        raise ValueError(f"expected a choice, found: {line}")
    path, options, per, mode = found.groups()
    return Choice(json.loads(path), tuple(json.loads(options)), per, mode == "soft")


class _Parser:
    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.at = 0
        self.values: dict[str, Value] = {}
        self.sources: dict[int, Source] = {}

    def graph(self) -> Graph:
        head = re.fullmatch(r'graph ("(?:[^"\\]|\\.)*") (eval|training)(?: where (.*))? \{', self.lines[0])
        if head is None:
            raise ValueError(f"expected a graph, found: {self.lines[0]}")
        self.at = 1
        inputs: list[tuple[str, Value]] = []
        outputs: list[tuple[str, str]] = []
        params: list[Param] = []
        updates: list[tuple[str, str]] = []
        taps: list[tuple[str, str, bool]] = []
        choices: list[Choice] = []
        ranges: list[Range] = []
        rows: list[_Cursor] = []
        nodes: list[Node] = []
        while self.lines[self.at] != "}":
            line = self.lines[self.at]
            cursor = _Cursor(line.strip())
            word = cursor.peek()
            if word.startswith("%"):
                nodes.append(self.node("  "))
                continue
            self.at += 1
            cursor.take()
            if word == "source":
                number = int(cursor.take())
                path = cursor.string()
                self.sources[number] = NO_SOURCE if path == NO_SOURCE.path else Source(path, "")
            elif word == "instance":
                rows.append(cursor)
            elif word == "input":
                name = cursor.string()
                inputs.append((name, self.define(cursor, name)))
            elif word in ("param", "state", "const"):
                params.append(self.param(word, cursor))
            elif word == "choice":
                choices.append(_choice(line))
            elif word == "range":
                ranges.append(Range(cursor.string(), float(cursor.take()), float(cursor.take())))
            elif word in ("tap", "weight"):
                taps.append((cursor.string(), cursor.take(), word == "weight"))
            else:
                {"output": outputs, "update": updates}[word].append((cursor.string(), cursor.take()))
        facts = Facts.EMPTY
        for fact in (head.group(3) or "").split("; "):
            match = re.fullmatch(r"(.*) (==|!=|<=|>=|<|>) (.*)", fact)
            if match:
                facts = _with_fact(facts, match.group(2), parse_dim(match.group(1)), parse_dim(match.group(3)))
        return Graph(
            json.loads(head.group(1)),
            tuple(inputs),
            tuple((n, self.values[v]) for n, v in outputs),
            tuple(params),
            tuple(nodes),
            tuple(Update(n, self.values[v]) for n, v in updates),
            tuple(Tap(n, self.values[v], is_weight) for n, v, is_weight in taps),
            tuple(self.row(c) for c in rows),
            facts,
            head.group(2) == "training",
            tuple(choices),
            tuple(ranges),
        )

    def define(self, cursor: _Cursor, hint: str) -> Value:
        name = cursor.take()
        cursor.take(":")
        value = Value(_parse_type(cursor), hint)
        self.values[name] = value
        return value

    def span(self, cursor: _Cursor) -> Span:
        source = int(cursor.take())
        cursor.take(":")
        match = re.compile(r"(\d+)-(\d+)").match(cursor.text, cursor.at)
        assert match is not None
        cursor.at = match.end()
        return Span(self.sources[source], int(match.group(1)), int(match.group(2)))

    def param(self, kind: str, cursor: _Cursor) -> Param:
        path = cursor.string()
        value = self.define(cursor, path)
        init, data = None, None
        if cursor.accept("~"):
            init = Init(cursor.take(), tuple(cursor.json().items()))
        else:
            cursor.take("=")
            data = cursor.json()
        cursor.take("at")
        return Param(path, kind, value, init, data, self.span(cursor))

    def row(self, cursor: _Cursor) -> Instance:
        cursor.take()
        cursor.take("parent")
        parent = int(cursor.take())
        cursor.take("block")
        block = cursor.string()
        cursor.take("statics")
        statics = tuple(cursor.json().items())
        cursor.take("path")
        path = cursor.string()
        cursor.take("at")
        span = self.span(cursor)
        cursor.take("inputs")
        inputs = self.value_list(cursor)
        cursor.take("outputs")
        outputs = self.value_list(cursor)
        cursor.take("digest")
        return Instance(parent, block, statics, path, span, inputs, outputs, cursor.string(), cursor.take() == "intact")

    def value_list(self, cursor: _Cursor) -> tuple[Value, ...]:
        cursor.take("(")
        found = []
        while not cursor.accept(")"):
            found.append(self.values[cursor.take()])
            cursor.accept(",")
        return tuple(found)

    def node(self, indent: str) -> Node:
        cursor = _Cursor(self.lines[self.at].strip())
        self.at += 1
        names: list[tuple[str, TensorType]] = []
        while not cursor.accept("="):
            name = cursor.take()
            cursor.take(":")
            names.append((name, _parse_type(cursor)))
            cursor.accept(",")
        op = _parse_op(cursor)
        operands = self.value_list(cursor)
        cursor.take("in")
        instance = int(cursor.take())
        cursor.take("at")
        spans = []
        while cursor.peek():
            spans.append(self.span(cursor))
        regions = []
        while self.lines[self.at].startswith(indent + "region "):
            regions.append(self.region(indent))
        results = []
        for name, t in names:
            self.values[name] = Value(t, op.name)
            results.append(self.values[name])
        return Node(op, operands, tuple(results), tuple(spans), instance, tuple(regions))

    def region(self, indent: str) -> Region:
        cursor = _Cursor(self.lines[self.at].strip())
        self.at += 1
        cursor.take("region")
        cursor.take("(")
        arguments = []
        while not cursor.accept(")"):
            arguments.append(self.define(cursor, "argument"))
            cursor.accept(",")
        nodes = []
        while not self.lines[self.at].startswith(indent + "}"):
            nodes.append(self.node(indent + "  "))
        closing = _Cursor(self.lines[self.at].strip())
        self.at += 1
        closing.take("}")
        closing.take("->")
        return Region(tuple(arguments), tuple(nodes), self.value_list(closing))


def _with_fact(facts: Facts, op: str, left: Dim, right: Dim) -> Facts:
    if str(left) in left.symbols and right.is_const and op in (">=", "<="):
        return facts.with_bounds(str(left), right.value if op == ">=" else None, right.value if op == "<=" else None)
    return facts.with_fact(RELATION_OPS[op], left, right)


def _parse_axis(text: str) -> Axis:
    structure = None
    if "@" in text:
        text, _, quoted = text.partition("@")
        structure = json.loads(quoted)
    name, equals, size = text.partition("=")
    return Axis(name.strip(), parse_dim(size), structure) if equals else Axis(None, parse_dim(text), structure)


def _parse_dtype(cursor: _Cursor) -> DType:
    name = cursor.take()
    if name != "idx":
        return DTYPES[name]
    cursor.take("<")
    table = _parse_axis(cursor.until(">"))
    cursor.take(">")
    return DType("idx", "int", 64, table)


def _parse_type(cursor: _Cursor) -> TensorType:
    dtype = _parse_dtype(cursor)
    cursor.take("[")
    axes = []
    while not cursor.accept("]"):
        axes.append(_parse_axis(cursor.until(",]")))
        cursor.accept(",")
    return TensorType(dtype, tuple(axes))


def _parse_op(cursor: _Cursor) -> Op:
    name = cursor.take()
    if name not in OPS:
        raise ValueError(f"there is no op `{name}`")
    values: dict[str, Any] = {}
    if cursor.accept("["):
        while not cursor.accept("]"):
            key = cursor.take()
            cursor.take("=")
            values[key] = _parse_attribute(cursor)
            cursor.accept(",")
    return OPS[name](**values)


def _parse_attribute(cursor: _Cursor) -> Any:
    token = cursor.peek()
    if token == "(":
        cursor.take()
        items = []
        while not cursor.accept(")"):
            items.append(_parse_attribute(cursor))
            cursor.accept(",")
        return tuple(items)
    if token == "{":
        cursor.take()
        dim = parse_dim(cursor.until("}"))
        cursor.take("}")
        return dim
    if token == ":":
        cursor.take()
        return _parse_dtype(cursor)
    if token == "<":
        cursor.take()
        t = _parse_type(cursor)
        cursor.take(">")
        return t
    if token.startswith('"'):
        return cursor.string()
    cursor.take()
    if token in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[token]
    return int(token) if re.fullmatch(r"-?\d+", token) else float(token)
