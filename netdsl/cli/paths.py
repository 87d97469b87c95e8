"""Paths of input files: looked at before something opens them, and what to say of those that cannot be read."""

import os
from pathlib import Path

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.reading import open_regular


def require_file(path: str) -> None:
    """A pipe would be waited for, and a device may never end.

    Raises: NetError: E0701: there is no regular file at `path`.
    """
    try:
        open_regular(Path(path)).close()
    except OSError as error:
        raise cannot_read(path, (error.strerror or str(error)).lower()) from None


def cannot_read(path: str, reason: str) -> NetError:
    """E0701 for an input, with the file that may have been meant."""
    if os.path.isdir(path):
        return NetError(Diagnostic("E0701", f"`{path}` cannot be read: it is a folder", help="name a file in it"))
    return NetError(Diagnostic("E0701", f"`{path}` cannot be read: {reason}", help=_help(path)))


def _help(path: str) -> str | None:
    from netdsl.did_you_mean import suggest

    folder, name = os.path.split(path)
    try:
        if os.path.lexists(path):
            return None
        files = [other for other in os.listdir(folder or ".") if os.path.isfile(os.path.join(folder, other))]
    except (OSError, ValueError):
        return f"there is no folder `{folder}`" if not os.path.exists(folder) else None
    near = suggest(name, files)
    if near:
        return f"did you mean `{os.path.join(folder, near)}`?"
    return None if os.path.isabs(path) else f"it was looked for in `{os.path.abspath(folder)}`"
