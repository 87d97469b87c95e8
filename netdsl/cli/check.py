"""`netdsl check`: every network, every block that none of them uses, and the names in claims."""

from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.command import command as make
from netdsl.cli.model_options import check_settings, limits, model_options, read_settings
from netdsl.cli.terminal import OK, Terminal

if TYPE_CHECKING:
    from netdsl.check.network import CheckedNetwork


@make("check", finds=True)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@model_options
def command(terminal: Terminal, files: tuple[str, ...], settings: tuple[str, ...], **max_: int | None) -> int:
    """Report every error in `.net` files.

    Checks each network, each block that no network uses, and the names that claims use. A folder stands for every
    `.net` file in it, `-` for stdin. Needs neither PyTorch nor ONNX.
    """
    from netdsl.api import static_value
    from netdsl.cli.files import net_files, open_session
    from netdsl.diagnostics import NetError

    values = read_settings(settings)
    bounds = limits(max_)
    sessions = []
    for file in net_files(files):
        try:
            sessions.append(open_session(file, bounds))
        except NetError as error:
            terminal.add(error.diagnostics)
    if not terminal.diagnostics and not any(session.reporter.diagnostics for session in sessions):
        check_settings(values, sessions)
    rows = []
    for session in sessions:
        checked = session.check_all({name: static_value(value) for name, value in values.items()})
        terminal.add(session.reporter.diagnostics)
        rows.append({"path": session.source.path, "networks": [_row(n, c) for n, c in checked.items()]})
    terminal.fields["files"] = rows
    if not terminal.diagnostics:
        count = sum(len(row["networks"]) for row in rows)
        terminal.talk(f"checked {_count(count, 'network')} in {_count(len(rows), 'file')}: no errors")
    return OK


def _row(name: str, checked: "CheckedNetwork") -> dict[str, Any]:
    graph = checked.eval_graph
    return {
        "name": name,
        "inputs": [{"name": n, "type": str(v.type)} for n, v in graph.inputs],
        "outputs": [{"name": n, "type": str(v.type)} for n, v in graph.outputs],
        "nodes": sum(1 for _ in graph.walk()),
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
