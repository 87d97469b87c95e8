"""`netdsl new`: a small file to start from."""

import re

import click

from netdsl.cli.command import command as make
from netdsl.cli.command import failed
from netdsl.cli.templates import TEMPLATES
from netdsl.cli.terminal import OK, Terminal


@make("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--template", type=click.Choice(list(TEMPLATES)), default="mlp", help="What to start from.  [default: mlp]"
)
def command(terminal: Terminal, name: str, template: str) -> int:
    """Write NAME.net, a small network that checks; a file that exists is left alone.

    NAME may have a folder in front. The network is called like the file, in CamelCase.
    """
    from pathlib import Path

    from netdsl.diagnostics import Diagnostic, NetError

    path = Path(name if name.endswith(".net") else f"{name}.net")
    network = _network_name(path.stem)
    if not network:
        raise failed(f"no network can be called like `{name}`", "begin the name with a letter")
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(TEMPLATES[template].replace("NAME", network))
    except FileExistsError:
        raise NetError(
            Diagnostic("E0707", f"`{path}` exists and is left as it is", help="choose another name")
        ) from None
    except FileNotFoundError:
        raise NetError(
            Diagnostic(
                "E0704",
                f"cannot write `{path}`: its folder does not exist",
                help=f"create the folder `{path.parent}` first",
            )
        ) from None
    except OSError as error:
        raise NetError(
            Diagnostic("E0701", f"cannot write `{path}`: {(error.strerror or str(error)).lower()}")
        ) from None
    terminal.fields |= {"path": str(path), "network": network, "template": template}
    terminal.print(str(path))
    terminal.talk(f"next: netdsl show {path}")
    return OK


def _network_name(stem: str) -> str:
    """`tiny_vit-2` as `TinyVit2`; "" where that is no name."""
    parts = [part for part in re.split(r"[^0-9A-Za-z]+", stem) if part]
    name = "".join(part[0].upper() + part[1:] for part in parts)
    return name if name[:1].isalpha() else ""
