"""`netdsl fmt`: `.net` files in their canonical layout."""

import sys

import click

from netdsl.cli.command import command as make
from netdsl.cli.command import failed
from netdsl.cli.terminal import FINDINGS, OK, Terminal


@make("fmt")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; name the files that would change, and exit 1."
)
@click.option(
    "--diff", "only_diff", is_flag=True, help="Write nothing; show what would change, and exit 1 if anything does."
)
def command(terminal: Terminal, paths: tuple[str, ...], only_check: bool, only_diff: bool) -> int:
    """Lay out `.net` files in the one canonical way; comments stay.

    A folder stands for every `.net` file in it. `-` reads stdin and writes the result to stdout.
    """
    from pathlib import Path

    from netdsl.cli.files import STDIN, net_files, read_source
    from netdsl.diagnostics import NetError
    from netdsl.formatter import format_source
    from netdsl.publish import publish

    if STDIN in paths and len(paths) > 1:
        raise failed("`-` stands alone", "format stdin, or files")
    rows = []
    for path in net_files(paths):
        try:
            source = read_source(path)
            text = format_source(source)
            is_changed = text != source.text
            if only_diff:
                terminal.print_raw(_diff(source.path, source.text, text))
            elif only_check:
                if is_changed:
                    terminal.print(source.path)
            elif path == STDIN:
                terminal.print_raw(text)
                terminal.fields["text"] = text
            elif is_changed:
                publish(Path(path), text.encode())
                terminal.talk(f"formatted {path}")
        except NetError as error:
            terminal.add(error.diagnostics)
            continue
        rows.append({"path": source.path, "is_changed": is_changed})
    terminal.fields["files"] = rows
    changed = sum(row["is_changed"] is True for row in rows)
    writes = not (only_check or only_diff)
    if paths != (STDIN,):
        verb = "" if writes else "would be "
        terminal.talk(f"{changed} {verb}changed, {len(rows) - changed} as they should be")
    return OK if writes or not changed else FINDINGS


def _diff(path: str, before: str, after: str) -> str:
    """A unified diff; on a screen, what a terminal would obey is escaped."""
    from difflib import unified_diff

    from netdsl.render import visible

    is_screen = sys.stdout is not None and sys.stdout.isatty()
    diff = ""
    for line in unified_diff(_lines(before), _lines(after), path, path):
        diff += visible(line.removesuffix("\n")) if is_screen else line.removesuffix("\n")
        diff += "\n" if line.endswith("\n") else "\n\\ No newline at end of file\n"
    return diff


def _lines(text: str) -> list[str]:
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])
