"""Which form the compiler gave to layers that have several: edges, and bases of splines."""

from collections.abc import Iterator, Sequence

from netdsl.expansions import expansions
from netdsl.ir import Graph, Node, Value
from netdsl.ops.spline import BSpline
from netdsl.ops.spline_forms import Form, forms, split_forms
from netdsl.record import dataclass
from netdsl.source import Span


@dataclass(frozen=True, slots=True)
class EdgesLowering:
    """A layer of edges, and how its functions are computed."""

    path: str
    edge: str
    form: str


@dataclass(frozen=True, slots=True)
class SplineLowering:
    """A basis of splines in one element type, and every form it could have, the chosen one first.

    Args: is_split: an ONNX file sums a product over the splines one at a time; the basis is never there as a whole.
    """

    path: str
    basis: str
    dtype: str
    place: Span
    is_split: bool
    forms: tuple[Form, ...]


def edges_lowerings(graph: Graph) -> list[EdgesLowering]:
    """Every layer of edges, in order."""
    found = []
    for row in graph.instances:
        statics = dict(row.statics)
        if row.block == "edges" and "form" in statics:
            found.append(EdgesLowering(row.path, statics["edge"], statics["form"]))
    return found


def spline_lowerings(graph: Graph) -> list[SplineLowering]:
    """Every basis of splines on a uniform grid, in order."""
    split = set(_split(graph.nodes, [value for _, value in graph.outputs]))
    found = []
    for node in graph.walk():
        if isinstance(node.op, BSpline):
            op, dtype = node.op, node.results[0].type.dtype
            basis = f"bspline[grid={op.grid}, order={op.order}, low={op.low}, high={op.high}]"
            path = graph.instances[node.instance].path
            is_split = node in split
            judged = (split_forms if is_split else forms)(op, dtype)
            found.append(SplineLowering(path, basis, str(dtype), node.spans[0], is_split, judged))
    return found


def _split(nodes: Sequence[Node], wanted: Sequence[Value]) -> Iterator[Node]:
    for found in expansions(nodes, wanted):
        yield from found.nodes
    for node in nodes:
        for region in node.regions:
            yield from _split(region.nodes, region.results)
