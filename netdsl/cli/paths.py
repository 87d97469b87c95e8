"""Paths of input files: looked at before something opens them, and what to say of those that cannot be read."""

import os
import stat

from netdsl.diagnostics import Diagnostic, NetError


def require_file(path: str) -> None:
    """A pipe would be waited for, and a device may never end.

    Raises: NetError: E0701: there is no regular file at `path`.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise cannot_read(path, (getattr(error, "strerror", None) or str(error)).lower()) from None
    if not stat.S_ISREG(mode):
        raise cannot_read(path, "it is not a regular file")


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
