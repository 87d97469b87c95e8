"""A graph as `.net` text: every node a statement, every instance a call of a block, every loop a `scan` with a body.

Checking the text gives the same graph again: the same nodes in the same order, types, parameters and instances. Two
things the text decides by itself: an axis whose size is one symbol is named after it, so that `argmax` along it gives
`idx`; and a constant stands where it is first needed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from netdsl.dims import Dim
from netdsl.instances import ancestors
from netdsl.ir import Graph, Instance, Node, Param, Value, walk
from netdsl.ir_source_ops import (
    NotWritable,
    Operand,
    literal_types,
    own_float,
    write_application,
    write_type,
    write_value,
)
from netdsl.ops.creation import Constant, DimValue
from netdsl.ops.loop import Loop
from netdsl.tensor_type import TensorType

__all__ = ["NotWritable", "source_of"]

_KEYWORDS = frozenset(
    (
        *(
            "import",
            "extern",
            "block",
            "network",
            "edge",
            "monoid",
            "claim",
            "recipe",
            "const",
            "param",
            "state",
            "update",
        ),
        *("let", "repeat", "for", "if", "else", "yield", "identity", "as", "in", "where", "per", "scan", "decode"),
        *("fixed_point", "over", "from", "until", "given", "true", "false", "none", "training"),
    )
)


def source_of(graph: Graph, *, flat: bool = False) -> str:
    """`graph` as the text of a file with one network.

    Args:   flat: write every node into the network's own body; parameters lose the dots of their paths.
    Raises: NotWritable: a constant tensor, a loop or an instance that the language cannot say.
    """
    return _File(graph, flat).text()


@dataclass(eq=False)
class _Body:
    """One body being written: its lines, and the names of the values that it can read."""

    indent: str
    names: dict[Value, str]
    lines: list[str] = field(default_factory=list)
    #: Nodes that stand in the text as numbers where they are used.
    numbers: dict[Value, Constant | DimValue] = field(default_factory=dict)
    row: int = 0
    path: str = ""
    labels: bool = True
    lets: dict[str, str] = field(default_factory=dict)

    def inner(self) -> "_Body":
        """The body of a loop in this one."""
        return _Body(self.indent + "    ", {}, row=self.row, path=self.path, labels=False, lets=self.lets)

    def add(self, line: str) -> None:
        self.lines.append(self.indent + line)


class _File:
    def __init__(self, graph: Graph, flat: bool) -> None:
        self.graph = graph
        self.flat = flat
        self.own = own_float(v.type for _, v in (*graph.inputs, *graph.outputs))
        self.blocks: dict[str, str] = {}
        self.imports: dict[str, None] = {}
        self.taken = {name for name, _ in (*graph.inputs, *graph.outputs)} | set(graph.free_dims)
        self.taken |= {p.path.split(".")[0] for p in graph.params}
        self.taken |= {row.path.split(".")[0] for row in graph.instances}
        self.count = 0
        self.shared = _shared(graph.instances)
        self.taps = {tap.path for tap in graph.taps if not tap.is_weight}
        #: What an argument of a loop body captures.
        self.origin: dict[Value, Value] = {}
        #: The names of own states, by their values as the call or a step of a loop began, and as a loop ended.
        self.states: dict[Value, str] = {}
        self.ends: dict[Value, str] = {}

    def fresh(self, letter: str = "v") -> str:
        while (name := f"{letter}{self.count}") in self.taken:
            self.count += 1
        self.count += 1
        return name

    def text(self) -> str:
        graph = self.graph
        body = _Body("    ", {value: _checked(name) for name, value in graph.inputs})
        own = [p for p in graph.params if self.flat or "." not in p.path]
        for param in own:
            name = self.declare(body, param, param.path.replace(".", "_"))
            body.names[param.value] = name
            if param.kind == "state":
                self.states[param.value] = name
        self.nodes(graph.nodes, body)
        for update in graph.updates:
            if not self.flat and "." in update.path:
                raise NotWritable(f"the state `{update.path}` is updated outside its block")
            self.update(update.path.replace(".", "_"), update.value, body)
        for name, value in graph.outputs:
            body.add(f"{_checked(name)} = {self.read(value, body)}")
        inputs = ", ".join(f"{name}: {write_type(value.type)}" for name, value in graph.inputs)
        lines = [body.indent + let for let in body.lets.values()] + body.lines
        ranges = [f"{r.name} in {write_value(r.low)}..{write_value(r.high)}" for r in graph.ranges]
        facts = ", ".join([f"{left} {op} {right}" for op, left, right in graph.facts.items] + ranges)
        head = f"network {graph.name}({inputs}) -> {_results([(n, v.type) for n, v in graph.outputs])}"
        head += f" where {facts}" if facts else ""
        imports = "".join(f"{line}\n" for line in self.imports)
        blocks = "".join(f"{text}\n" for text in self.blocks.values())
        return "\n".join(part for part in (imports, blocks + "\n".join([head + " {", *lines, "}\n"])) if part)

    def declare(self, body: _Body, param: Param, name: str) -> str:
        if param.init is None:
            raise NotWritable(f"the constant tensor `{param.path}` has no text form")
        numbers = ", ".join(f"{key}={write_value(value)}" for key, value in param.init.args)
        init = f"{param.init.name}[{numbers}]" if numbers else param.init.name
        body.add(f"{param.kind} {_checked(name)}: {write_type(param.value.type)} ~ {init}")
        return name

    # --- nodes -------------------------------------------------------------------------------------------------------

    def nodes(self, nodes: Sequence[Node], body: _Body) -> None:
        """Statements of a body's nodes; a run of nodes of another instance is one call."""
        at = 0
        while at < len(nodes):
            node = nodes[at]
            child = node.instance if self.flat else self.child(node.instance, body.row)
            if self.flat or child == body.row:
                self.node(node, body)
                at += 1
                continue
            end = at
            while end < len(nodes) and self.is_within(nodes[end].instance, child):
                end += 1
            self.call(child, nodes[at:end], body)
            at = end

    def is_within(self, index: int, row: int) -> bool:
        return row in ancestors(self.graph.instances, index)

    def child(self, index: int, row: int) -> int:
        """The row below `row` that encloses instance `index`."""
        chain = [i for i in ancestors(self.graph.instances, index) if i != row]
        below = [i for i in chain if self.graph.instances[i].parent == row]
        if index == row:
            return row
        if not below:
            raise NotWritable(f"a node of instance {index} stands inside instance {row}")
        return below[0]

    def node(self, node: Node, body: _Body) -> None:
        if isinstance(node.op, Loop):
            self.loop(node, node.op, body)
            return
        if isinstance(node.op, DimValue) or (isinstance(node.op, Constant) and not node.op.shape):
            body.numbers[node.result] = node.op
            return
        types = node.operand_types
        held: list[Operand] = [body.numbers.get(v) or self.read(v, body) for v in node.operands]
        wanted = literal_types(node.op, list(zip(held, types, strict=True)), self.own)
        operands = [
            self.read(v, body) if not isinstance(o, str) and w != v.type.dtype.storage else o
            for v, o, w in zip(node.operands, held, wanted, strict=True)
        ]
        text = write_application(node.op, operands, types)
        body.add(f"{self.define(node.results, body)} = {text}")

    def define(self, results: Sequence[Value], body: _Body) -> str:
        """New names of results, as the targets of an assignment."""
        for value in results:
            body.names[value] = self.fresh()
        return ", ".join(body.names[v] for v in results)

    def read(self, value: Value, body: _Body) -> str:
        """The name of a value; a number that is read where none may stand gets a statement of its own."""
        if value in body.numbers and value not in body.names:
            op = body.numbers[value]
            body.names[value] = self.fresh()
            body.add(f"{body.names[value]} = {write_application(op, (), ())}")
        if value not in body.names:
            raise NotWritable(f"`{value.hint}` is read in instance {body.row} and defined outside")
        return body.names[value]

    def update(self, state: str, value: Value, body: _Body) -> None:
        """The new value of a state, unless a loop in this body has set it."""
        if self.ends.get(value) != state:
            body.add(f"update {state} = {self.read(value, body)}")

    # --- loops -------------------------------------------------------------------------------------------------------

    def loop(self, node: Node, op: Loop, body: _Body) -> None:
        if op.implicit:
            raise NotWritable("the gradient of a fixed point has no text form")
        region = node.regions[0]
        first = op.sequences + op.has_length
        shown = op.carries - op.states
        inner = body.inner()
        own = region.arguments[: op.sequences + op.carries]
        for argument in own:
            inner.names[argument] = self.fresh()
        for argument, outer in zip(region.arguments[len(own) :], node.operands[first + op.carries :], strict=True):
            if outer in body.names or outer in body.numbers:
                inner.names[argument] = self.read(outer, body)
            self.origin[argument] = self.origin.get(outer, outer)
        options = [f"axis={op.axis}"] + (["reverse=true"] if op.reverse else [])
        options += [f"truncate={op.truncate}"] if op.truncate else []
        if op.has_length:
            options.append(f"length={self.read(node.operands[op.sequences], body)}")
        steps = _named(own[: op.sequences], node.operands, inner, lambda v: self.read(v, body))
        over = f"({steps})" if op.sequences else _bracketed(str(op.count))
        carried = own[op.sequences : op.sequences + shown]
        carries = _named(carried, node.operands[first:], inner, lambda v: self.read(v, body))
        states = self.loop_states(node, op, own[op.sequences + shown :], inner)
        self.nodes(region.nodes, inner)
        for state, value in zip(states, region.results[shown : op.carries], strict=True):
            self.update(state, value, inner)
        kept = [(a, r) for a, r in zip(carried, region.results, strict=False) if a is not r]
        values = [self.read(r, inner) for _, r in kept]
        yields = [self.read(v, inner) for v in region.results[op.carries : op.carries + op.yields]]
        until = ""
        if op.has_until:
            stop = region.results[-1]
            until = f" until {'before.' if stop in carried else ''}{self.read(stop, inner)}"
        if kept:
            targets = ", ".join(inner.names[a] for a, _ in kept)
            if yields and {inner.names[a] for a, _ in kept} & set(yields):
                # A carry that is also a yield is read before it takes its next value.
                inner.add(f"yield {', '.join(yields)}")
                yields = []
            inner.add(f"{targets} = {values[0] if len(kept) == 1 else '(' + ', '.join(values) + ')'}")
        if yields:
            inner.add(f"yield {', '.join(yields)}")
        targets = self.define(node.results[: op.yields + shown], body)
        body.add(f"{targets} = scan {over}[{', '.join(options)}] from ({carries}){until} {{")
        body.lines += [*inner.lines, body.indent + "}"]

    def loop_states(self, node: Node, op: Loop, own: Sequence[Value], inner: _Body) -> list[str]:
        """The names of the states that a loop carries, which its body updates."""
        names = []
        starts = node.operands[op.sequences + op.has_length + op.carries - op.states :]
        for argument, start, end in zip(own, starts, node.results[len(node.results) - op.states :], strict=False):
            if start not in self.states:
                raise NotWritable(f"a loop carries `{start.hint}`, which is no state of the network's own")
            names.append(self.states[start])
            self.states[argument] = inner.names[argument] = self.ends[end] = names[-1]
        return names

    # --- instances ---------------------------------------------------------------------------------------------------

    def call(self, index: int, nodes: Sequence[Node], body: _Body) -> None:
        row = self.graph.instances[index]
        name = row.block.rsplit(":" if ":" in row.block else ".", 1)[-1]
        if row.block.startswith("std."):
            module = row.block.rsplit(".", 1)[0]
            self.imports.setdefault(f"import {module}: {name}")
            statics = ", ".join(f"{key}={value}" for key, value in row.statics)
            target = f"{name}[{statics}]" if statics else name
        else:
            target = self.block(index, row, name, nodes)
        arguments = ", ".join(self.read(v, body) for v in row.inputs)
        local = row.path.removeprefix(f"{body.path}.") if body.path else row.path
        if row.path in self.shared:
            if row.path not in body.lets:
                body.lets[row.path] = f"let {_checked(local)} = {target}"
            called = f"{local}({arguments})"
        else:
            called = f"{target}({arguments})"
            if body.labels and row.path in self.taps and "." not in local:
                called += f" as {_checked(local)}"
        body.add(f"{self.define(row.outputs, body)} = {called}")

    def block(self, index: int, row: Instance, name: str, nodes: Sequence[Node]) -> str:
        """The block of an instance, written if it is new, applied to the sizes that its inputs do not give."""
        start = self.count
        inputs = [(self.fresh("a"), value) for value in row.inputs]
        body = _Body("    ", {value: name for name, value in reversed(inputs)}, row=index, path=row.path)
        prefix = f"{row.path}."
        for param in self.graph.params:
            rest = param.path.removeprefix(prefix)
            if param.path.startswith(prefix) and "." not in rest:
                body.names[param.value] = self.declare(body, param, rest)
        for argument, outer in self.origin.items():
            if outer in body.names:
                body.names.setdefault(argument, body.names[outer])
        self.nodes(nodes, body)
        results = [(f"r{i}", v.type) for i, v in enumerate(row.outputs)]
        for (result, _), value in zip(results, row.outputs, strict=True):
            body.add(f"{result} = {self.read(value, body)}")
        header = ", ".join(f"{n}: {write_type(v.type)}" for n, v in inputs)
        lines = [body.indent + let for let in body.lets.values()] + body.lines
        statics = _unbound(row, nodes)
        declared = f"[{', '.join(f'{symbol}: dim' for symbol in statics)}]" if statics else ""
        text = "\n".join([f"{declared}({header}) -> {_results(results)} {{", *lines, "}\n"])
        written = self.named_block(name, _renumbered(text, start))
        return f"{written}[{', '.join(statics)}]" if statics else written

    def named_block(self, name: str, text: str) -> str:
        """`name`, with a number if it stands for another body."""
        count, chosen = 1, name
        while self.blocks.setdefault(chosen, f"block {chosen}{text}") != f"block {chosen}{text}":
            count += 1
            chosen = f"{name}{count}"
        return chosen


def _named(arguments: Sequence[Value], operands: Sequence[Value], inner: _Body, read: Callable[[Value], str]) -> str:
    return ", ".join(f"{inner.names[a]}={read(v)}" for a, v in zip(arguments, operands, strict=False))


def _unbound(row: Instance, nodes: Sequence[Node]) -> list[str]:
    """Symbols that a block uses before an axis of an input, or none at all, is that symbol."""
    bound: set[str] = set()
    missing: set[str] = set()
    for size in (size for v in row.inputs for size in (*v.type.sizes, *_table(v))):
        if str(size) in size.symbols:
            bound.add(str(size))
        else:
            missing |= size.symbols - bound
    for node in walk(nodes):
        for size in (*node.op.dims(), *(size for v in node.results for size in (*v.type.sizes, *_table(v)))):
            missing |= size.symbols - bound
    return sorted(missing)


def _table(value: Value) -> tuple[Dim, ...]:
    table = value.type.dtype.table
    return (table.size,) if table is not None else ()


def _renumbered(text: str, start: int) -> str:
    """The text of a block whose own names, numbered from `start`, are numbered from 0: equal bodies have equal text."""
    numbers: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        letter, number = match.group(1), int(match.group(2))
        return numbers.setdefault(match.group(0), f"{letter}{len(numbers)}") if number >= start else match.group(0)

    return re.sub(r"\b([av])(\d+)\b", rename, text)


def _bracketed(text: str) -> str:
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _results(results: Sequence[tuple[str, TensorType]]) -> str:
    written = ", ".join(f"{_checked(name)}: {write_type(t)}" for name, t in results)
    return written if len(results) == 1 else f"({written})"


def _shared(instances: Sequence[Instance]) -> set[str]:
    """Paths of instances that are called several times."""
    seen: set[str] = set()
    return {row.path for row in instances if row.path in seen or seen.add(row.path)}  # type: ignore[func-returns-value]


def _checked(name: str) -> str:
    if not name.isidentifier() or not name.isascii() or name in _KEYWORDS:
        raise NotWritable(f"`{name}` is no name of the language")
    return name
