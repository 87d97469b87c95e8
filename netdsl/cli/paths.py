"""Paths of input files, looked at before something opens them."""

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
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {reason}")) from None
    if not stat.S_ISREG(mode):
        kind = "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file"
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {kind}"))
