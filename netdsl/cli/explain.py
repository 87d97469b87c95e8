"""`netdsl explain`: what a code means, with an example that has the error and one that has not."""

import click

from netdsl.cli.command import command as make
from netdsl.cli.command import failed
from netdsl.cli.terminal import OK, Terminal


@make("explain")
@click.argument("code", required=False)
def command(terminal: Terminal, code: str | None) -> int:
    """Explain CODE, such as E0203; without one, list all codes."""
    from netdsl.codes import all_codes

    codes = all_codes()
    if code is None:
        terminal.fields["codes"] = [{"code": name, "title": each.title} for name, each in codes.items()]
        for name, each in codes.items():
            terminal.print(f"{name}  {each.title}")
        return OK
    wanted = code.strip().upper()
    if wanted.isdigit():
        wanted = f"E{int(wanted):04d}"
    if wanted not in codes:
        from netdsl.did_you_mean import suggest

        near = suggest(wanted, codes)
        hint = f"did you mean `{near}`?" if near else "`netdsl explain` lists all"
        raise failed(f"there is no code `{code}`", hint)
    found = codes[wanted]
    terminal.fields |= {
        "code": wanted,
        "title": found.title,
        "explanation": found.explanation,
        "failing": found.failing or None,
        "fixed": found.fixed or None,
    }
    terminal.print(terminal.bold(f"{wanted}: {found.title}"))
    terminal.print("")
    terminal.print("\n".join(_wrapped(found.explanation)))
    for title, text in (("This fails", found.failing), ("This does not", found.fixed)):
        if text:
            terminal.print(f"\n{title}:\n")
            terminal.print("\n".join(f"    {line}".rstrip() for line in text.strip("\n").split("\n")))
    return OK


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return [line for paragraph in text.split("\n") for line in wrap(paragraph, 100) or [""]]
