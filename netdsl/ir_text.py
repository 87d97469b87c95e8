"""The text form of a graph: printed here, parsed by `netdsl.ir_parser`; `print_graph(parse_graph(t)) == t`.

graph "Net" eval where N >= 1 {
  source 0 "net.net"
  instance 0 parent -1 block "net.net:Net" statics {} path "" at 0:0-10 inputs (%0) outputs (%2) digest "ab.." intact
  input "x" %0: f32[B, 4]
  param "w" %1: f32[4] ~ normal[std=0.02] at 0:20-30
  %2: f32[B, 4] = mul(%0, %1) in 0 at 0:30-35
  output "y" %2
}
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from netdsl.dims import Dim
from netdsl.ir import Graph, Init, Instance, Node, Value
from netdsl.source import Span
from netdsl.tensor_type import DType, TensorType


def print_graph(graph: Graph) -> str:
    """The graph as text. Data of `const` parameters is printed in full as nested numbers."""
    return "\n".join(_Printer(graph).lines()) + "\n"


class _Printer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.numbers: dict[Value, int] = {}
        self.sources: dict[int, int] = {}
        self.source_lines: list[str] = []

    def number(self, value: Value) -> str:
        return f"%{self.numbers.setdefault(value, len(self.numbers))}"

    def place(self, span: Span) -> str:
        key = id(span.source)
        if key not in self.sources:
            self.sources[key] = len(self.sources)
            self.source_lines.append(f"  source {self.sources[key]} {json.dumps(span.source.path)}")
        return f"{self.sources[key]}:{span.start}-{span.end}"

    def places(self, spans: tuple[Span, ...]) -> str:
        return " ".join(self.place(s) for s in spans)

    def lines(self) -> Iterator[str]:
        graph = self.graph
        body: list[str] = []
        for name, value in graph.inputs:
            body.append(f"  input {json.dumps(name)} {self.number(value)}: {print_type(value.type)}")
        for p in graph.params:
            init = f" ~ {_print_init(p.init)}" if p.init is not None else f" = {json.dumps(_listed(p.data))}"
            typed = f"{self.number(p.value)}: {print_type(p.value.type)}"
            body.append(f"  {p.kind} {json.dumps(p.path)} {typed}{init} at {self.place(p.span)}")
        self.nodes(graph.nodes, "  ", body)
        for name, value in graph.outputs:
            body.append(f"  output {json.dumps(name)} {self.number(value)}")
        for update in graph.updates:
            body.append(f"  update {json.dumps(update.path)} {self.number(update.value)}")
        for tap in graph.taps:
            body.append(f"  {'weight' if tap.is_weight else 'tap'} {json.dumps(tap.path)} {self.number(tap.value)}")
        for choice in graph.choices:
            options, mode = json.dumps(choice.options), "soft" if choice.is_soft else "hard"
            body.append(f"  choice {json.dumps(choice.path)} {options} per {choice.per} {mode}")
        for r in graph.ranges:
            body.append(f"  range {json.dumps(r.name)} {r.low!r} {r.high!r}")
        rows = [self.row(i, row) for i, row in enumerate(graph.instances)]
        facts = "; ".join(f"{left} {op} {right}" for op, left, right in graph.facts.items)
        mode = "training" if graph.training else "eval"
        yield f"graph {json.dumps(graph.name)} {mode}{' where ' + facts if facts else ''} {{"
        yield from self.source_lines
        yield from rows
        yield from body
        yield "}"

    def row(self, index: int, row: Instance) -> str:
        inputs = ", ".join(self.number(v) for v in row.inputs)
        outputs = ", ".join(self.number(v) for v in row.outputs)
        return (
            f"  instance {index} parent {row.parent} block {json.dumps(row.block)} "
            f"statics {json.dumps(dict(row.statics))} "
            f"path {json.dumps(row.path)} at {self.place(row.span)} inputs ({inputs}) outputs ({outputs}) "
            f"digest {json.dumps(row.digest)} {'intact' if row.intact else 'broken'}"
        )

    def nodes(self, nodes: Sequence[Node], indent: str, lines: list[str]) -> None:
        for node in nodes:
            operands = ", ".join(self.number(v) for v in node.operands)
            results = ", ".join(f"{self.number(v)}: {print_type(v.type)}" for v in node.results)
            attributes = ", ".join(
                f"{f.name}={_print_attribute(getattr(node.op, f.name))}" for f in dataclasses.fields(node.op)
            )
            head = f"{indent}{results} = {node.op.name}{'[' + attributes + ']' if attributes else ''}({operands})"
            lines.append(f"{head} in {node.instance} at {self.places(node.spans)}")
            for region in node.regions:
                arguments = ", ".join(f"{self.number(v)}: {print_type(v.type)}" for v in region.arguments)
                lines.append(f"{indent}region ({arguments}) {{")
                self.nodes(region.nodes, indent + "  ", lines)
                lines.append(f"{indent}}} -> ({', '.join(self.number(v) for v in region.results)})")


def print_type(t: TensorType) -> str:
    """`f32[B, N=197]`, with every axis name and structure written out."""
    axes = []
    for a in t.axes:
        name = f"{a.name}=" if a.name is not None else ""
        structure = f"@{json.dumps(a.structure)}" if a.structure is not None else ""
        axes.append(f"{name}{a.size}{structure}")
    return f"{_print_dtype(t.dtype)}[{', '.join(axes)}]"


def _print_dtype(dtype: DType) -> str:
    if dtype.table is None:
        return dtype.name
    return f"idx<{dtype.table.name + '=' if dtype.table.name else ''}{dtype.table.size}>"


def _print_init(init: Init) -> str:
    return f"{init.name}{json.dumps(dict(init.args))}"


def _listed(data: Any) -> Any:
    return data.tolist() if hasattr(data, "tolist") else data


def _print_attribute(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case Dim():
            return f"{{{value}}}"
        case DType():
            return f":{_print_dtype(value)}"
        case TensorType():
            return f"<{print_type(value)}>"
        case tuple():
            return f"({', '.join(map(_print_attribute, value))})"
        case str():
            return json.dumps(value)
        case int() | float():
            return repr(value)
    raise TypeError(f"an attribute of type {type(value).__name__} has no text form")
