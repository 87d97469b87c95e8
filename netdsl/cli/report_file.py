"""The file that describes an internal error."""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version


def write_report(traceback: str, argv: Sequence[str]) -> str | None:
    """Put the traceback, the call and the versions into a new file that only this user can read; its path, or None."""
    lines = [f"netdsl {_version('netdsl')}", f"python {sys.version}", platform.platform()]
    lines += [f"{name} {_version(name)}" for name in ("numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "torch")]
    lines += [f"command: {list(argv)!r}", "", traceback]
    with contextlib.suppress(OSError):
        descriptor, path = tempfile.mkstemp(prefix="netdsl-error-", suffix=".txt", text=True)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write("\n".join(lines))
        return path
    return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
