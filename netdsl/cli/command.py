"""How a command is made: the options that all share, its terminal, and the exit code."""

import sys
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import click

from netdsl.cli.terminal import OK, PIPE_CLOSED, Terminal, silence_stdout

Body = Callable[..., int]

_COMMON = (
    click.option("--json", "is_json", is_flag=True, help="Print one JSON document instead of text."),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colours; `auto` obeys NO_COLOR.  [default: auto]",
    ),
    click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Say nothing on stderr but errors."),
    click.option("--debug", is_flag=True, help="Show the traceback of an internal error."),
)


def command(name: str, *, finds: bool = False) -> Callable[[Body], click.Command]:
    """A decorator: the function becomes the command `name`. It gets a `Terminal` first and returns an exit code.

    Args: finds: the command's result are its findings.
    """

    def decorate(body: Body) -> click.Command:
        def run(*, is_json: bool, color: Any, is_quiet: bool, debug: bool, **arguments: Any) -> None:
            from netdsl.diagnostics import NetError

            terminal = Terminal(name, is_json=is_json, is_quiet=is_quiet, color=color, finds=finds)
            try:
                try:
                    code = body(terminal, **arguments)
                except NetError as error:
                    terminal.add(error.diagnostics)
                    code = OK
                code = terminal.close(code)
            except NetError as error:
                code = terminal.lost(error.diagnostics)
            except BrokenPipeError:
                silence_stdout()
                code = PIPE_CLOSED
            except OSError as error:
                raise RuntimeError("the command met an error of the system and did not report it") from error
            sys.exit(code)

        update_wrapper(run, body)
        for option in reversed(_COMMON):
            run = option(run)
        return click.command(name)(run)

    return decorate


class WrongCall(click.UsageError):
    """A call that cannot be meant so: E0708, exit code 2. Args: help: how to call instead."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


def failed(message: str, help: str | None = None) -> WrongCall:
    """A wrong call, for `raise`."""
    return WrongCall(message, help)


def named_files(option: str, texts: Sequence[str], help: str) -> dict[str, str]:
    """The paths by name of an option that is written NAME=X.npy and may be repeated.

    Raises: UsageError: another form, or a name that is given twice.
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise failed(f"`{option} {text}` is not NAME=X.npy", help)
        if name in given:
            raise failed(f"`{option} {name}` is given twice", "leave one out")
        given[name] = path
    return given
