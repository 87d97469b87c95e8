"""`.net` files named on the command line: folders are searched, `-` is stdin."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.check.modules import MAX_FILE_BYTES, project_root, read_text
from netdsl.cli.command import failed
from netdsl.cli.paths import cannot_read
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.source import Source

if TYPE_CHECKING:
    from netdsl.check.limits import Limits
    from netdsl.check.network import Session

STDIN = "-"


def net_files(paths: Sequence[str]) -> list[str]:
    """The files themselves, and the `.net` files in the folders, each once.

    Hidden folders and linked folders are passed by.

    Raises: UsageError: a folder holds no `.net` file.
    """
    found: dict[str, None] = {}
    for path in paths:
        if path != STDIN and os.path.isdir(path):
            inside = list(_search(path))
            if not inside:
                raise failed(f"the folder `{path}` holds no `.net` file", "name a `.net` file, or a folder with some")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


def _search(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (os.path.join(place, name) for name in sorted(names) if name.endswith(".net"))


def read_source(path: str) -> Source:
    """The text of a file, or of stdin.

    Raises: NetError: E0701: it cannot be read.
    """
    if path == STDIN:
        return Source("<stdin>", _read_stdin())
    opened = read_text(Path(os.path.realpath(path)))
    if isinstance(opened, str):
        raise cannot_read(path, opened)
    return Source(path, opened[0])


def _read_stdin() -> str:
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise NetError(Diagnostic("E0701", f"stdin cannot be read: it is larger than {MAX_FILE_BYTES} bytes"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NetError(Diagnostic("E0701", f"stdin cannot be read: it is not UTF-8 (byte {error.start})")) from None


def open_session(path: str, limits: "Limits") -> "Session":
    """The check of one file; its syntax errors stand in the session's reporter.

    Raises: NetError: E0701: it cannot be read.
    """
    from netdsl.check.network import Session

    source = read_source(path)
    if path == STDIN:
        return Session(source, None, None, limits=limits)
    resolved = Path(os.path.realpath(path))
    return Session(source, resolved, project_root(resolved), limits=limits)
