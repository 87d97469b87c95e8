"""Calls that click refuses, in our own words: unknown commands and options, values of another kind, what is missing."""

import re
from typing import Any

import click

from netdsl.cli.command import WrongCall
from netdsl.diagnostics import Diagnostic
from netdsl.did_you_mean import suggest


def diagnostic_of(error: click.ClickException, words: str) -> Diagnostic:
    """E0708 for what click found in the call of `words`, such as `netdsl build`."""
    title, help = _title_and_help(error, words)
    return Diagnostic("E0708", title, help=help or f"`{words} --help` shows what it takes")


def _title_and_help(error: click.ClickException, words: str) -> tuple[str, str | None]:
    match error:
        case WrongCall():
            return error.message, error.help
        case click.NoSuchOption():
            known = [o for p in error.ctx.command.params for o in p.opts] if error.ctx is not None else []
            near = suggest(error.option_name, known)
            return f"`{words}` has no option `{error.option_name}`", f"did you mean `{near}`?" if near else None
        case click.MissingParameter(param=click.Parameter() as param):
            return f"`{words}` needs `{_name(param)}`", None
        case click.BadParameter(param=click.Parameter() as param):
            found = re.match(r"'?(.*?)'? is not ", error.message)
            return f"`{_name(param)}` takes {_wanted(param.type)}, found `{found[1] if found else ''}`", None
        case click.BadOptionUsage():
            return f"`{error.option_name}` needs a value", None
    extra = re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", error.message)
    if extra is not None:
        return f"`{words}` takes no further argument: `{extra[1]}`", None
    return f"`{words}` was not understood: {error.message}", None


def _name(param: click.Parameter) -> str:
    """An option as it is written; an argument as the help shows it."""
    return param.opts[0] if isinstance(param, click.Option) else param.make_metavar(click.Context(click.Command("")))


def _wanted(kind: "click.ParamType[Any]") -> str:
    match kind:
        case click.Choice():
            return "one of " + ", ".join(f"`{choice}`" for choice in kind.choices)
        case click.IntRange(min=low, max=None):
            return f"an int of {low} or more"
        case click.IntRange(min=low, max=high):
            return f"an int from {low} to {high}"
    return f"a value of another kind than {kind.name}"
