"""Syntax trees as JSON: the form in which the parsed standard library is shipped.

A tree is a list of rows, parts before the whole: `[kind, first character, last character, field, ...]`. A field that is
a node is the number of its row, a field that is a span is two numbers.
"""

import gc
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from netdsl import syntax as s
from netdsl.source import Source, Span

FORMAT = 1

_Node = Any
_SCALARS = (str, int, float, bool, type(None))


def dump_module(module: s.Module) -> object:
    """The tree of `module` as lists, strings and numbers; its text is not part of it."""
    kinds: list[str] = []
    rows: list[list[Any]] = []
    numbers: dict[int, int] = {}
    waiting: list[tuple[_Node, bool]] = [(module, False)]
    while waiting:
        node, parts_are_done = waiting.pop()
        if not parts_are_done:
            waiting.append((node, True))
            waiting.extend((part, False) for part in reversed(_parts(node)))
            continue
        kind = type(node).__name__
        if kind not in kinds:
            kinds.append(kind)
        row = [kinds.index(kind), node.span.start, node.span.end]
        for name in _field_names(type(node)):
            value = getattr(node, name)
            if isinstance(value, Span):
                row += [value.start, value.end]
            else:
                row.append(_reference(value, numbers))
        numbers[id(node)] = len(rows)
        rows.append(row)
    return {"format": FORMAT, "kinds": kinds, "rows": rows}


def load_module(data: Any, source: Source) -> s.Module:
    """The tree that `dump_module` wrote, as a tree of `source`.

    Raises: ValueError: the data has another format.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"expected a syntax tree in format {FORMAT}")
    was_enabled = gc.isenabled()
    gc.disable()  # thousands of small objects at once, none of them garbage
    try:
        builders = [_BUILDERS[kind] for kind in data["kinds"]]
        nodes: list[_Node] = []
        reader = _Reader(source, nodes)
        for row in data["rows"]:
            nodes.append(builders[row[0]](reader, Span(source, row[1], row[2]), *row[3:]))
    finally:
        if was_enabled:
            gc.enable()
    module = nodes[-1]
    assert isinstance(module, s.Module)
    return module


def _field_names(kind: type) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in ("span", "source")]


def _parts(node: _Node) -> list[_Node]:
    parts: list[_Node] = []
    for name in _field_names(type(node)):
        _collect(getattr(node, name), parts)
    return parts


def _collect(value: Any, parts: list[_Node]) -> None:
    if isinstance(value, tuple):
        for element in value:
            _collect(element, parts)
    elif is_dataclass(value) and not isinstance(value, Span):
        parts.append(value)


def _reference(value: Any, numbers: dict[int, int]) -> Any:
    if isinstance(value, tuple):
        return [_reference(element, numbers) for element in value]
    return value if isinstance(value, _SCALARS) else numbers[id(value)]


class _Reader:
    """Looks up what a row refers to."""

    __slots__ = ("nodes", "source")

    def __init__(self, source: Source, nodes: list[_Node]) -> None:
        self.source = source
        self.nodes = nodes

    def one(self, number: int | None) -> _Node:
        return None if number is None else self.nodes[number]

    def all(self, numbers: list[int]) -> tuple[_Node, ...]:
        nodes = self.nodes
        return tuple([nodes[number] for number in numbers])

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)


# One function a kind of node: its fields in the order of the class, a span as two numbers.
_BUILDERS: Mapping[str, Callable[..., _Node]] = {
    "Name": lambda r, span, id: s.Name(span, id),
    "Literal": lambda r, span, value, text: s.Literal(span, value, text),
    "Paren": lambda r, span, inner: s.Paren(span, r.nodes[inner]),
    "Arg": lambda r, span, name, value, splat: s.Arg(span, name, r.nodes[value], splat),
    "TupleExpr": lambda r, span, items: s.TupleExpr(span, r.all(items)),
    "ListExpr": lambda r, span, items: s.ListExpr(span, r.all(items)),
    "Unary": lambda r, span, op, operand: s.Unary(span, op, r.nodes[operand]),
    "Binary": lambda r, span, op, a, b, i, j: s.Binary(span, op, r.nodes[a], r.nodes[b], r.span(i, j)),
    "Call": lambda r, span, func, args: s.Call(span, r.nodes[func], r.all(args)),
    "Index": lambda r, span, base, args: s.Index(span, r.nodes[base], r.all(args)),
    "Attribute": lambda r, span, base, name, i, j: s.Attribute(span, r.nodes[base], name, r.span(i, j)),
    "Pipe": lambda r, span, left, right: s.Pipe(span, r.nodes[left], r.nodes[right]),
    "Labelled": lambda r, span, operand, name, i, j: s.Labelled(span, r.nodes[operand], name, r.span(i, j)),
    "Slice": lambda r, span, start, stop, step: s.Slice(span, r.one(start), r.one(stop), r.one(step)),
    "Range": lambda r, span, start, stop: s.Range(span, r.nodes[start], r.nodes[stop]),
    "Dots": lambda r, span: s.Dots(span),
    "IfExpr": lambda r, span, c, a, b: s.IfExpr(span, r.nodes[c], r.nodes[a], r.one(b)),
    "Loop": lambda r, span, kind, cell, over, start, until, given, body: s.Loop(
        span, kind, r.one(cell), r.nodes[over], r.nodes[start], r.one(until), r.one(given), r.one(body)
    ),
    "NamedType": lambda r, span, name, groups: s.NamedType(span, name, tuple([r.all(group) for group in groups])),
    "Field": lambda r, span, name, type: s.Field(span, name, r.nodes[type]),
    "TupleType": lambda r, span, items: s.TupleType(span, r.all(items)),
    "Target": lambda r, span, name, type: s.Target(span, name, r.one(type)),
    "Assign": lambda r, span, targets, value: s.Assign(span, r.all(targets), r.nodes[value]),
    "ParamDecl": lambda r, span, kind, name, i, j, type, per, init: s.ParamDecl(
        span, kind, name, r.span(i, j), r.nodes[type], per, r.one(init)
    ),
    "Update": lambda r, span, name, i, j, value: s.Update(span, name, r.span(i, j), r.nodes[value]),
    "Const": lambda r, span, name, i, j, params, type, value, doc: s.Const(
        span, name, r.span(i, j), None if params is None else r.all(params), r.one(type), r.nodes[value], doc
    ),
    "Let": lambda r, span, name, i, j, value: s.Let(span, name, r.span(i, j), r.nodes[value]),
    "Repeat": lambda r, span, count, label, body: s.Repeat(span, r.nodes[count], label, r.nodes[body]),
    "LoopTarget": lambda r, span, name, items: s.LoopTarget(span, name, r.all(items)),
    "For": lambda r, span, target, iterable, label, body: s.For(
        span, r.nodes[target], r.nodes[iterable], label, r.nodes[body]
    ),
    "Yield": lambda r, span, values: s.Yield(span, r.all(values)),
    "Identity": lambda r, span, value: s.Identity(span, r.nodes[value]),
    "ExprStatement": lambda r, span, value: s.ExprStatement(span, r.nodes[value]),
    "Body": lambda r, span, statements: s.Body(span, r.all(statements)),
    "StaticParam": lambda r, span, name, type, default: s.StaticParam(span, name, r.nodes[type], r.one(default)),
    "TensorParam": lambda r, span, name, type, default: s.TensorParam(span, name, r.nodes[type], r.one(default)),
    "Fact": lambda r, span, value, low, high: s.Fact(span, r.nodes[value], r.one(low), r.one(high)),
    "Header": lambda r, span, name, i, j, statics, params, result_name, result, where: s.Header(
        span, name, r.span(i, j), r.all(statics), r.all(params), result_name, r.nodes[result], r.all(where)
    ),
    "Block": lambda r, span, kind, header, body, doc: s.Block(span, kind, r.nodes[header], r.nodes[body], doc),
    "Extern": lambda r, span, header, plugin, i, j, doc: s.Extern(span, r.nodes[header], plugin, r.span(i, j), doc),
    "Import": lambda r, span, path, i, j, is_file, names: s.Import(span, path, r.span(i, j), is_file, r.all(names)),
    "Claim": lambda r, span, network, i, j, args, value: s.Claim(
        span, network, r.span(i, j), r.all(args), r.nodes[value]
    ),
    "Recipe": lambda r, span, name, i, j, params, value, doc: s.Recipe(
        span, name, r.span(i, j), r.all(params), r.nodes[value], doc
    ),
    "Module": lambda r, span, items, doc: s.Module(span, r.source, r.all(items), doc),
}
