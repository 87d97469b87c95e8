"""`netdsl show`: the layers of a network, their shapes, parameters and FLOPs; or its graph."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.command import command as make
from netdsl.cli.model_options import check_settings, limits, model_options, network_names, open_network, read_settings
from netdsl.cli.sizes import complete_sizes, read_sizes, size_option
from netdsl.cli.terminal import OK, Terminal, size_text, table

if TYPE_CHECKING:
    from netdsl.api import Network
    from netdsl.check.network import Session
    from netdsl.ir import Graph
    from netdsl.show import Layer, Totals

_WIDEST = 48


@make("show")
@click.argument("file", metavar="FILE")
@click.argument("network", required=False)
@model_options
@size_option
@click.option("--depth", type=click.IntRange(0), default=2, help="Calls of blocks within each other.  [default: 2]")
@click.option("--ir", "shows_ir", is_flag=True, help="Print the typed graph instead.")
@click.option("--lowering", "shows_lowering", is_flag=True, help="Print which form layers got, and why.")
@click.option("--training", is_flag=True, help="The network as it is trained, not as it is used.")
def command(
    terminal: Terminal,
    file: str,
    network: str | None,
    settings: tuple[str, ...],
    sizes: tuple[str, ...],
    depth: int,
    shows_ir: bool,
    shows_lowering: bool,
    training: bool,
    **max_: int | None,
) -> int:
    """Show the layers of the NETWORKs of a file: shapes, parameters, FLOPs. `-` is stdin.

    FLOPs are those of one call at the sizes given with `--size`, the smallest possible ones where none is given.
    """
    from netdsl.cli.files import open_session

    session = open_session(file, limits(max_))
    values, given = read_settings(settings), read_sizes(sizes)
    names = network_names(session, network)
    check_settings(values, [session])
    if session.file.module.doc and not shows_ir:
        terminal.print(visible_lines(session.file.module.doc) + "\n")
    documents = []
    for index, name in enumerate(names):
        found = open_network(session, name, values)
        graph = found.checked.train_graph if training else found.graph
        if index:
            terminal.print("")
        if shows_ir:
            documents.append(_show_ir(terminal, graph))
        elif shows_lowering:
            documents.append(_show_lowering(terminal, graph))
        else:
            documents.append(_show_layers(terminal, session, found, graph, depth, complete_sizes(graph, given)))
    terminal.fields["networks"] = documents
    return OK


def _show_ir(terminal: Terminal, graph: "Graph") -> dict[str, Any]:
    from netdsl.ir_text import print_graph

    text = print_graph(graph)
    terminal.print_raw(text)
    return {"name": graph.name, "ir": text}


def _show_lowering(terminal: Terminal, graph: "Graph") -> dict[str, Any]:
    """Layers of edges and bases of splines: the form each got, and the forms it did not get."""
    from netdsl.lowerings import edges_lowerings, spline_lowerings
    from netdsl.render import visible

    layers, splines = edges_lowerings(graph), spline_lowerings(graph)
    terminal.print(terminal.bold(visible(graph.name)))
    if not layers and not splines:
        terminal.print("no layer of it has more than one form")
    cells = [(visible(row.path), visible(row.edge), row.form) for row in layers]
    for line in table(("edges", "function", "form"), cells) if cells else ():
        terminal.print(line)
    for basis in splines:
        terminal.print(f"\n{visible(basis.path)}: {basis.basis} in {basis.dtype}, {visible(str(basis.place))}")
        if basis.is_split:
            terminal.print("onnx: its product is summed over the splines, one at a time")
        rows = [
            ("*" if form.chosen else "", form.name, f"{form.cost:.0f}", f"{form.bound:.1e}", form.reason)
            for form in basis.forms
        ]
        for text in table(("", "form", "passes", "error", "why"), rows, right=(2, 3)):
            terminal.print(text)
    return {
        "name": graph.name,
        "edges": [{"path": row.path, "edge": row.edge, "form": row.form} for row in layers],
        "splines": [
            {
                "path": basis.path,
                "basis": basis.basis,
                "dtype": basis.dtype,
                "split": basis.is_split,
                "forms": [
                    {"name": f.name, "passes": f.cost, "error": f.bound, "chosen": f.chosen, "reason": f.reason}
                    for f in basis.forms
                ],
            }
            for basis in splines
        ],
    }


def visible_lines(text: str) -> str:
    """The text with its line ends, and everything else that a terminal would obey escaped."""
    from netdsl.render import visible

    return "\n".join(visible(line) for line in text.split("\n"))


def _show_layers(
    terminal: Terminal, session: "Session", network: "Network", graph: "Graph", depth: int, sizes: dict[str, int]
) -> dict[str, Any]:
    from netdsl.check.values import print_static
    from netdsl.render import visible
    from netdsl.show import collapse, layers, totals

    doc = network.checked.decl.doc
    rows, total = layers(graph), totals(graph)
    statics = ", ".join(f"{n}={print_static(v)}" for n, v in network.checked.statics)
    inputs = ", ".join(f"{n}: {v.type}" for n, v in graph.inputs)
    outputs = ", ".join(f"{n}: {v.type}" for n, v in graph.outputs)
    facts = "; ".join(f"{left} {op} {right}" for op, left, right in graph.facts.items)
    head = f"{graph.name}{f'[{statics}]' if statics else ''}({inputs}) -> {outputs}{f' where {facts}' if facts else ''}"
    terminal.print(terminal.bold(visible(head)))
    if doc:
        terminal.print(visible_lines(doc))
    terminal.print("")
    names = _Names(session)
    at = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    titles = ("layer", "block", "output", "parameters", "FLOPs")
    cells = [_cells(row, names, sizes) for row in collapse(rows, depth) if row.level]
    lines = table(titles, cells, right=(3, 4))
    terminal.print(terminal.bold(lines[0]))
    for line in lines[1:]:
        terminal.print(line)
    terminal.print("")
    for line in _total_lines(total, sizes, at):
        terminal.print(line)
    return {
        "name": graph.name,
        "mode": "training" if graph.training else "eval",
        "doc": doc,
        "statics": {n: print_static(v) for n, v in network.checked.statics},
        "inputs": [{"name": n, "type": str(v.type)} for n, v in graph.inputs],
        "outputs": [{"name": n, "type": str(v.type)} for n, v in graph.outputs],
        "free_dims": list(graph.free_dims),
        "parameters": total.parameters,
        "states": total.states,
        "size_bytes": total.size_bytes,
        "nodes": total.nodes,
        "flops": str(total.flops),
        "sizes": sizes,
        "flops_at_sizes": total.flops.evaluate(sizes),
        "layers": [
            {
                "path": row.path,
                "block": row.block,
                "statics": dict(row.statics),
                "level": row.level,
                "outputs": [str(t) for t in row.outputs],
                "parameters": row.parameters,
                "is_shared": row.is_shared,
                "flops": str(row.flops),
            }
            for row in rows
        ],
    }


def _cells(row: "Layer", names: "_Names", sizes: Mapping[str, int]) -> tuple[str, ...]:
    from netdsl.render import visible

    path = _range(row.path, row.last) if row.count > 1 else row.path
    times = f" (× {row.count}, each)" if row.count > 1 else ""
    outputs = ", ".join(str(t) for t in row.outputs)
    flops = row.flops.evaluate(sizes)
    return (
        "  " * (row.level - 1) + path + times,
        visible(names.call(row)),
        outputs,
        ("shared" if row.is_shared else f"{row.parameters:,}") if row.parameters else "-",
        f"{flops:,}" if flops else "-",
    )


def _range(first: str, last: str) -> str:
    """`blocks.0..11.encoder` for `blocks.0.encoder` to `blocks.11.encoder`; where they differ elsewhere, both."""
    parts, others = first.split("."), last.split(".")
    different = [i for i, (a, b) in enumerate(zip(parts, others, strict=False)) if a != b]
    if len(parts) == len(others) and len(different) == 1:
        (index,) = different
        if others[index].isdigit():
            return ".".join((*parts[:index], f"{parts[index]}..{others[index]}", *parts[index + 1 :]))
    return f"{first} .. {last}"


def _total_lines(total: "Totals", sizes: Mapping[str, int], at: str) -> Iterator[str]:
    yield f"parameters  {total.parameters:,}"
    if total.states:
        yield f"states      {total.states:,}"
    yield f"bytes       {total.size_bytes:,} ({size_text(total.size_bytes)})"
    count = total.flops.evaluate(sizes)
    formula = "" if total.flops.is_const else f" at {at}; in general {total.flops}"
    yield f"FLOPs       {count:,}{formula}"
    yield f"nodes       {total.nodes:,}"


class _Names:
    """Calls as people write them: statics that have their default are left out."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._defaults: dict[str, dict[str, str]] = {}

    def call(self, row: "Layer") -> str:
        defaults = self._defaults_of(row.block)
        given = ", ".join(f"{name}={value}" for name, value in row.statics if defaults.get(name) != value)
        name = row.block.replace(":", ".").rsplit(".", 1)[-1]
        text = f"{name}[{given}]" if given else name
        return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"

    def _defaults_of(self, block: str) -> dict[str, str]:
        """The printed defaults of a block's statics that are plain values; of blocks that are not found, none."""
        from netdsl import syntax as s
        from netdsl.check.values import print_static

        if block not in self._defaults:
            if block.startswith("std."):
                _, module, name = block.split(".")
                scope = self._session.library.std(module)
            else:
                scope, name = self._session.file, block.rsplit(":", 1)[-1]
            found = scope.find(name) if scope is not None else None
            statics = found[1].header.statics if found and isinstance(found[1], s.Block | s.Extern) else ()
            self._defaults[block] = {
                p.name: print_static(p.default.value) for p in statics if isinstance(p.default, s.Literal)
            }
        return self._defaults[block]
