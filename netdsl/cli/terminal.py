"""What a command says: results to stdout, talk to stderr, or one JSON document, and the exit code."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from netdsl.diagnostics import Diagnostic

OK, FINDINGS, USAGE, ENVIRONMENT, BUDGET, INTERNAL = 0, 1, 2, 3, 4, 70
INTERRUPTED, PIPE_CLOSED = 130, 141

#: Codes about what stands on the command line: a wrong call, not a wrong network.
_CALLS = {"E0380", "E0701", "E0702", "E0703", "E0704", "E0706", "E0707", "E0708"}

Color = Literal["auto", "always", "never"]


class Terminal:
    """The two streams of one run of a command.

    Args:
        schema: of the JSON document, such as `netdsl.check/1`.
        finds: the command's result are its findings, so they go to stdout.
    """

    def __init__(self, command: str, *, is_json: bool, is_quiet: bool, color: Color, finds: bool) -> None:
        self.schema = f"netdsl.{command}/1"
        self.is_json = is_json
        self.is_quiet = is_quiet
        self.fields: dict[str, Any] = {}
        self.diagnostics: list[Diagnostic] = []
        self._color = color
        self._finds = finds

    def print(self, text: str) -> None:
        """A line of the result, for people."""
        self.print_raw(text + "\n")

    def print_raw(self, text: str) -> None:
        """A part of the result, for people, as it stands."""
        if not self.is_json:
            write(sys.stdout, text)

    def talk(self, text: str) -> None:
        """What is going on, for people: stderr, unless `--quiet`."""
        if not self.is_quiet:
            write(sys.stderr, text + "\n")

    def add(self, diagnostics: "Iterable[Diagnostic]") -> None:
        """Findings; they are shown when the command ends."""
        self.diagnostics += diagnostics

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.uses_color(sys.stdout) else text

    def mark(self, holds: bool) -> str:
        """`ok` or `FAIL`, green or red."""
        text, color = ("ok", "32") if holds else ("FAIL", "1;31")
        return f"\x1b[{color}m{text}\x1b[0m" if self.uses_color(sys.stdout) else text

    def uses_color(self, stream: IO[str] | None) -> bool:
        from netdsl.render import wants_color

        return stream is not None and wants_color(self._color, stream, os.environ)

    def close(self, code: int = OK) -> int:
        """Show the findings and the JSON document; the exit code, at least `code`."""
        code = exit_code(self.diagnostics) or code
        if self.is_json:
            import json

            from netdsl.render import to_json

            found = json.loads(to_json(self.diagnostics))["diagnostics"]
            document = {"schema": self.schema, "ok": code == OK, "exit_code": code, "diagnostics": found, **self.fields}
            write(sys.stdout, json.dumps(document, indent=2) + "\n")
        elif self.diagnostics:
            from netdsl.render import render_all

            stream = sys.stdout if self._finds else sys.stderr
            write(stream, render_all(self.diagnostics, color=self.uses_color(stream)))
        return code

    def lost(self, diagnostics: "Sequence[Diagnostic]") -> int:
        """Show on stderr why stdout could not be written; the exit code."""
        from netdsl.render import render_all

        with contextlib.suppress(OSError):
            sys.stderr.write(render_all(diagnostics, color=self.uses_color(sys.stderr)))
        return exit_code(diagnostics)


def exit_code(diagnostics: "Sequence[Diagnostic]") -> int:
    """0 for warnings only.

    2 for a wrong call, 3 for what the environment lacks (a package, a provider, room on the disk), 4 where every error
    is a budget (`E05..`) that was reached, else 1.
    """
    codes = [d.code for d in diagnostics if not d.code.startswith("W")]
    if not codes:
        return OK
    if any(code in _CALLS for code in codes):
        return USAGE
    if any(code.startswith("E080") or code == "E0705" for code in codes):
        return ENVIRONMENT
    return BUDGET if all(code.startswith("E05") for code in codes) else FINDINGS


def write(stream: IO[str] | None, text: str) -> None:
    """Write to a stream that may have been closed before we started.

    Raises: NetError: E0705: it is full or failing. BrokenPipeError: nobody reads it any more.
    """
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        from netdsl.diagnostics import Diagnostic, NetError

        reason = (error.strerror or str(error)).lower()
        raise NetError(Diagnostic("E0705", f"the output cannot be written: {reason}")) from None


def silence_stdout() -> None:
    """Point stdout to nothing, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Lines of a table, the head first; columns in `right` are aligned to the right."""
    right = set(right)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(cells).rstrip()

    return [line(head), *(line(row) for row in rows)]


def size_text(size_bytes: int) -> str:
    """`22.9 MB`, in powers of ten."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.3g} {unit}"
    return f"{size_bytes} B"
