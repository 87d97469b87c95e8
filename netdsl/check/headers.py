"""What must hold of a header by its kind."""

from collections.abc import Mapping

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.claim_names import output_names
from netdsl.check.report import mistake
from netdsl.check.results import result_fields
from netdsl.check.types import written_axes
from netdsl.check.values import TensorValue


def check_edge(decl: s.Block) -> None:
    """Raises: Mistake E0371: an edge takes one number and gives one."""
    header = decl.header
    fields = result_fields(header)
    if len(header.params) != 1:
        raise mistake(
            "E0371", f"an edge takes one number, and `{header.name}` takes {len(header.params)}", header.name_span
        )
    for written in (header.params[0].type, fields[0][1]):
        if isinstance(written, s.TupleType) or len(fields) != 1 or written_axes(written):
            raise mistake(
                "E0371",
                f"an edge is a function from one number to one number, and `{header.name}` is not",
                written.span,
                help=f"write `edge {header.name}(x: float) -> float`",
            )


def check_network(body: Body, header: s.Header, tensors: Mapping[str, TensorValue]) -> None:
    """What a network's header promises to those who run it.

    Raises: Mistake E0311: a result has the name of an input; E0220: indices point into an axis whose size no input
            has and no fact tells.
    """
    inputs = {param.name: param.span for param in header.params}
    for name, (_, written) in zip(output_names(header), result_fields(header), strict=True):
        if name in inputs:
            raise mistake(
                "E0311",
                f"`{name}` is declared twice: as an input and as a result of the network",
                written.span,
                "the result",
                others=((inputs[name], "the input"),),
                help=f"name the result otherwise: `{name}_out`",
            )
    facts = body.builder.facts
    shown = {name for t in tensors.values() for size in t.type.sizes for name in size.symbols}
    shown |= {name for _, left, right in facts.items for name in left.symbols | right.symbols}
    for param in header.params:
        table = tensors[param.name].type.dtype.table
        hidden = sorted(table.size.symbols - shown) if table is not None else []
        if hidden:
            raise mistake(
                "E0220",
                f"`{param.name}` points into `{hidden[0]}`, and no input has an axis of that size",
                param.span,
                help=f"give the network what the indices choose from: `x: f32[{hidden[0]}, ..]`",
            )
