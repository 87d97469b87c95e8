"""A checked network becomes an ONNX file: the default passes, the model, its metadata, and the files published."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from netdsl.check.modules import FileScope
from netdsl.ir import Graph
from netdsl.publish import Data, publish_all
from netdsl.source import NO_SOURCE, Source
from netdsl.substitute import with_sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netdsl.api import Network, Report
    from netdsl.backends.onnx.serialize import Chunks

BUDGET_S = 10.0


def export_onnx(
    network: "Network",
    path: Path,
    weights: "Mapping[str, NDArray[np.generic]]",
    *,
    opset: int = 21,
    validate: bool = True,
    bind: "Mapping[str, NDArray[np.generic]] | None" = None,
    sizes: "Mapping[str, int] | None" = None,
) -> "Report":
    """Write the network in evaluation mode to `path`, and large weights to a file beside it; atomically.

    Args:
        validate: run both sides of each pass on sampled inputs.
        bind:     inputs that are fixed; see `netdsl.passes.specialize`.
        sizes:    of free dimensions that are fixed.
    Raises: NetError: an op that cannot be exported, a pass that broke its promise, a file that cannot be written.
    """
    from netdsl.api import Report
    from netdsl.backends.onnx.model import build, node_count
    from netdsl.backends.onnx.serialize import to_files
    from netdsl.passes.pipeline import Row, run_pipeline

    graph = with_sizes(network.graph, sizes or {})
    rows: tuple[Row, ...] = ()
    if bind:
        from netdsl.passes.specialize import specialized

        graph, weights, row = specialized(graph, weights, bind, validate=validate)
        rows = (row,)
    result = run_pipeline(graph, weights, validate=validate, budget_s=BUDGET_S)
    rows += result.rows
    metadata = {
        "netdsl.network": network.name,
        "netdsl.passes": ",".join(row.name for row in rows),
        "netdsl.source_sha256": source_sha256(network),
        "netdsl.validated": "true" if validate else "false",
    }
    model = build(result.graph, result.weights, opset=opset, metadata=metadata)
    files = to_files(model, path.name)
    publish_all({path.parent / name: _written(chunks) for name, chunks in files.items()})
    size_bytes = sum(chunks.size_bytes for chunks in files.values())
    return Report(path, size_bytes, node_count(model), rows)


def source_sha256(network: "Network") -> str:
    """A hash over the texts that the network was made from, wherever they lie."""
    texts = {source.text for source in (*_imported(network.session.file), *_mentioned(network.graph))}
    digests = sorted(hashlib.sha256(text.encode()).hexdigest() for text in texts)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _imported(file: FileScope) -> Iterator[Source]:
    """The file and what it imports, directly or not."""
    seen: list[FileScope] = []
    pending = [file]
    while pending:
        scope = pending.pop()
        if not any(scope is other for other in seen):
            seen.append(scope)
            yield scope.source
            pending += [target for target, _ in scope.imported.values()]
            pending += scope.modules.values()


def _mentioned(graph: Graph) -> Iterator[Source]:
    """The files that nodes, instances and parameters were written in, those of the prelude among them."""
    spans = [span for node in graph.walk() for span in node.spans]
    spans += [row.span for row in graph.instances] + [param.span for param in graph.params]
    sources = dict.fromkeys(span.source for span in spans)
    yield from (source for source in sources if source is not NO_SOURCE)


def _written(chunks: "Chunks") -> Data:
    def write(stream: BinaryIO) -> None:
        stream.writelines(chunks)

    return write
