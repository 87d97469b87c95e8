"""What must hold of a header by its kind."""

from netdsl import syntax as s
from netdsl.check.report import mistake
from netdsl.check.results import result_fields
from netdsl.check.types import written_axes


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
