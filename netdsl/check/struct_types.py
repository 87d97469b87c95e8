"""Graphs and hypergraphs: named tuples of tensors, which a header takes apart into one input for each field.

A struct is known by its fields. What has more fields than are asked for fits too, so that a batch of graphs is a graph.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from netdsl import syntax as s
from netdsl.source import Span

Fields = tuple[s.Field, ...]


def _graph(at: Span, nodes: s.Expr, edges: s.Expr) -> Fields:
    return (_indices(at, "src", nodes, edges), _indices(at, "dst", nodes, edges))


def _graphs(at: Span, nodes: s.Expr, edges: s.Expr, graphs: s.Expr) -> Fields:
    one = s.Literal(at, 1, "1")
    stops = (s.Binary(at, "+", size, one, at) for size in (nodes, graphs))
    return (*_graph(at, nodes, edges), _indices(at, "batch", graphs, nodes), _indices(at, "ptr", *stops))


def _hypergraph(at: Span, nodes: s.Expr, edges: s.Expr, incidences: s.Expr) -> Fields:
    return (_indices(at, "node", nodes, incidences), _indices(at, "edge", edges, incidences))


def _indices(at: Span, name: str, table: s.Expr, size: s.Expr) -> s.Field:
    return s.Field(at, name, s.NamedType(at, "idx", ((table,), (size,))))


#: The fields of each struct, by its name and the number of its sizes.
STRUCTS: dict[tuple[str, int], Callable[..., Fields]] = {
    ("graph", 2): _graph,
    ("graph", 3): _graphs,
    ("hypergraph", 3): _hypergraph,
}
#: How each struct is written.
WRITTEN = {"graph": "`graph[N, E]` or `graph[N, E, G]`", "hypergraph": "`hypergraph[N, M, I]`"}


def fields_of(written: s.TypeExpr) -> Fields | None:
    """The fields of a struct's type; None where it is a tensor, or is wrong."""
    if isinstance(written, s.TupleType):
        return written.fields if all(f.name for f in written.fields) else None
    make = STRUCTS.get((written.name, len(written.groups[0]))) if len(written.groups) == 1 else None
    return make(written.span, *written.groups[0]) if make is not None else None


def flat_header(header: s.Header) -> s.Header:
    """The header with an input `g.src` for each field of each struct `g`, and with a struct result as a tuple."""
    params = tuple(flat for param in header.params for flat in _flat(param))
    fields = fields_of(header.result) if isinstance(header.result, s.NamedType) else None
    if fields is None and params == header.params:
        return header
    result = header.result if fields is None else s.TupleType(header.result.span, fields)
    return replace(header, params=params, result=result)


def _flat(param: s.TensorParam) -> Sequence[s.TensorParam]:
    fields = fields_of(param.type)
    if fields is None:
        return (param,)
    return [replace(param, name=f"{param.name}.{f.name}", type=f.type) for f in fields]


def slots(header: s.Header) -> dict[str, list[s.TensorParam]]:
    """What a call gives: inputs by name, those of a struct together under the struct's name."""
    found: dict[str, list[s.TensorParam]] = {}
    for param in header.params:
        found.setdefault(param.name.partition(".")[0], []).append(param)
    return found


def field_of(name: str) -> str | None:
    """`src` of `g.src`; None of a tensor."""
    return name.partition(".")[2] or None
