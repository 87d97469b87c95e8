"""The program `netdsl`: finds the command, and turns whatever happens into an exit code."""

import contextlib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from netdsl.cli.command import failed
from netdsl.cli.terminal import BUDGET, ENVIRONMENT, INTERNAL, INTERRUPTED, PIPE_CLOSED, silence_stdout

#: Every command and the module that holds it, as `command`.
COMMANDS = {
    name: f"netdsl.cli.{name}"
    for name in ("check", "fmt", "show", "build", "run", "verify", "explain", "doctor", "new")
}

EPILOG = """\b
Exit codes:
  0    nothing to report
  1    findings: an error in a file, a claim that fails, a file that is not formatted
  2    a wrong call: an option, a path
  3    something is missing here: a package, a provider
  4    a limit was reached
  70   an internal error; its report is in the file that the message names
  130  interrupted; 141 the reader of the output went away
"""


class Program(click.Group):
    """Imports a command when it is asked for, and shows no traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(COMMANDS[cmd_name]).command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from netdsl.did_you_mean import suggest

            near = suggest(args[0], COMMANDS)
            raise failed(f"there is no command `{args[0]}`", f"did you mean `{near}`?" if near else None)
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        argv = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(argv, prog_name or "netdsl", complete_var, standalone_mode=False, **extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except click.ClickException as error:
            code = _wrong_call(error, argv)
        except (click.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except BrokenPipeError:
            silence_stdout()
            code = PIPE_CLOSED
        except OSError as error:  # of stdout: a command reports those of its files
            _complain(f"the output cannot be written: {(error.strerror or str(error)).lower()}")
            silence_stdout()
            code = ENVIRONMENT
        except MemoryError:
            _complain("there is not enough memory for this")
            code = BUDGET
        except Exception as error:  # noqa: BLE001  (the outermost frame: a bug of ours becomes a report)
            code = _internal_error(error, argv)
        sys.exit(code or 0)


@click.command(cls=Program, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda *a: _print_version(*a),
    help="Show the version.",
)
def cli() -> None:
    """netdsl: a small language for neural networks. A `.net` text becomes a PyTorch module and an ONNX file."""


def main() -> NoReturn:
    """The entry point of the process."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    cli.main()


def _print_version(ctx: click.Context, option: click.Parameter, is_given: bool) -> None:
    if is_given:
        from importlib.metadata import version

        click.echo(f"netdsl {version('netdsl')}")
        ctx.exit()


def _complain(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"error: {text}\n")


def _wrong_call(error: click.ClickException, argv: Sequence[str]) -> int:
    """Say what is wrong with the call; without any argument, show the help."""
    from netdsl.cli.terminal import Terminal
    from netdsl.cli.wrong_calls import diagnostic_of

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    name = next((word for word in argv if word in COMMANDS), None)
    terminal = Terminal(name or "netdsl", is_json="--json" in argv, is_quiet=True, color="auto", finds=False)
    terminal.add([diagnostic_of(error, f"netdsl {name}" if name else "netdsl")])
    return terminal.close()


def _internal_error(error: Exception, argv: Sequence[str]) -> int:
    """Write the report; say where it is. With `--debug`, show it."""
    import traceback

    from netdsl.cli.report_file import write_report

    text = "".join(traceback.format_exception(error))
    _complain(f"internal error: {type(error).__name__}; this is a bug of netdsl, not of your file")
    if "--debug" in argv:
        _complain(text)
    path = write_report(text, argv)
    _complain(f"its report is in {path}" if path else "its report could not be written")
    return INTERNAL
