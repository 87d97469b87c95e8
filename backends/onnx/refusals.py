"""Ops and element types that ONNX or ONNX Runtime lacks, reported all at once before anything is built."""

from netdsl.backends.onnx.tables import DTYPE_REFUSED, TABLE, UNSUPPORTED
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.ir import Graph, Node
from netdsl.ops.loop import Loop
from netdsl.source import NO_SOURCE


def refuse(graph: Graph) -> None:
    """Raises: NetError: E0710: an op without a lowering; E0711: an op without a kernel for the element type."""
    found: dict[tuple[str, str], list[Node]] = {}
    titles: dict[tuple[str, str], Diagnostic] = {}
    for node in graph.walk():
        diagnostic = _refused(node)
        if diagnostic is not None:
            key = diagnostic.code, diagnostic.title
            titles.setdefault(key, diagnostic)
            found.setdefault(key, []).append(node)
    if found:
        raise NetError([_at(titles[key], nodes) for key, nodes in found.items()])


def _refused(node: Node) -> Diagnostic | None:
    op = type(node.op)
    if op is Loop:
        return None
    reason = UNSUPPORTED.get(op)
    if reason is not None or op not in TABLE:
        why = reason or "it has no ONNX lowering"
        return Diagnostic("E0710", f"`{op.name}` cannot be exported to ONNX: {why}")
    dtypes = DTYPE_REFUSED.get(op)
    if dtypes:
        for value in (*node.operands, *node.results):
            name = value.type.dtype.storage.name
            if name in dtypes:
                return Diagnostic("E0711", f"`{op.name}` of {name} cannot run in ONNX Runtime: {dtypes[name]}")
    return None


def _at(diagnostic: Diagnostic, nodes: list[Node]) -> Diagnostic:
    spans = list(dict.fromkeys(s for n in nodes for s in n.spans if s.source is not NO_SOURCE))
    if not spans:
        return diagnostic
    first, *rest = spans
    return Diagnostic(
        diagnostic.code, diagnostic.title, Label(first), tuple(Label(span, "and here") for span in rest[:4])
    )
