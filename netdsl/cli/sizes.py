"""`--size NAME=SIZE`: sizes of free dimensions."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from netdsl.cli.command import failed

if TYPE_CHECKING:
    from netdsl.ir import Graph

size_option = click.option(
    "--size", "sizes", metavar="NAME=SIZE", multiple=True, help="The size of a free dimension; may be repeated."
)


def read_sizes(texts: Iterable[str]) -> dict[str, int]:
    """The values of `--size`, by name.

    Raises: UsageError: no `NAME=SIZE`, or a name given twice.
    """
    sizes: dict[str, int] = {}
    for text in texts:
        name, _, written = text.partition("=")
        name, written = name.strip(), written.strip().replace("_", "")
        if not name.isidentifier() or not (written.isascii() and written.isdigit()) or len(written) > 18:
            raise failed(f"`--size {text}` is not NAME=SIZE", "write it like `--size B=8`")
        if name in sizes:
            raise failed(f"`--size {name}` is given twice", "leave one out")
        sizes[name] = int(written)
    return sizes


def complete_sizes(graph: "Graph", given: Mapping[str, int]) -> dict[str, int]:
    """A size for every free dimension: the given one, else the smallest.

    Raises: UsageError: a name that is no free dimension. NetError: E0403: no such sizes.
    """
    from netdsl.diagnostics import Diagnostic, NetError
    from netdsl.sampling import smallest_sizes

    for name in given:
        if name not in graph.free_dims:
            known = ", ".join(graph.free_dims) or "none"
            raise failed(f"`{graph.name}` has no free dimension `{name}`", f"its free dimensions are {known}")
    try:
        sizes = smallest_sizes(graph) | dict(given)
    except ValueError as error:
        raise NetError(Diagnostic("E0403", str(error))) from None
    if not graph.facts.satisfies(sizes):
        facts = "; ".join(f"{left} {op} {right}" for op, left, right in graph.facts.items)
        shown = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        raise NetError(Diagnostic("E0403", f"`{graph.name}` has no call with {shown}: it needs {facts}"))
    return sizes
