"""`netdsl verify`: every claim, and the reference, PyTorch and ONNX Runtime side by side."""

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from netdsl.cli.command import command as make
from netdsl.cli.model_options import (
    SEED,
    allow_plugins,
    check_settings,
    limits,
    model_options,
    network_names,
    plugin_option,
    read_settings,
)
from netdsl.cli.terminal import ENVIRONMENT, FINDINGS, OK, Terminal, table

if TYPE_CHECKING:
    from netdsl.agreement import Verification


@make("verify")
@click.argument("file", metavar="FILE")
@click.option("-n", "--network", "name", help="Verify this network only.")
@model_options
@plugin_option
@click.option("--seed", type=SEED, default=0, help="Of the weights and inputs.  [default: 0]")
@click.option("--initial", "is_initial", is_flag=True, help="Use the initial weights, as `build --seed` writes them.")
@click.option("--require-all", is_flag=True, help="Exit 3 when a backend is missing.")
def command(
    terminal: Terminal,
    file: str,
    name: str | None,
    settings: tuple[str, ...],
    plugins: tuple[str, ...],
    seed: int,
    is_initial: bool,
    require_all: bool,
    **max_: int | None,
) -> int:
    """Test every claim of FILE, and that all backends compute the same.

    Weights are random, and none of them is the value of an initialiser, unless `--initial` is given. The backends are
    compared at the smallest sizes, at 3 and at a larger size of every free dimension; what is allowed follows from the
    element type.
    """
    from netdsl.agreement import Conditions, available_backends, claims_of_nothing, findings, verify_session
    from netdsl.api import static_value
    from netdsl.cli.files import open_session

    allow_plugins(plugins)

    session = open_session(file, limits(max_))
    values = read_settings(settings)
    names = list(session.subjects) if name is None and session.subjects else network_names(session, name)
    check_settings(values, [session])
    backends = available_backends()
    for backend, missing in backends.items():
        if missing:
            terminal.talk(f"{backend} is left out: {missing}")
    if require_all and any(backends.values()):
        from netdsl.diagnostics import Diagnostic

        terminal.add(Diagnostic("E0801", missing) for missing in backends.values() if missing)
        return ENVIRONMENT
    terminal.add(claims_of_nothing(session))
    usable = tuple(backend for backend, missing in backends.items() if not missing)
    conditions = Conditions(usable, seed, is_initial)
    statics = {k: static_value(v) for k, v in values.items()}
    documents: list[dict[str, Any]] = []
    terminal.fields |= {"seed": seed, "missing": {k: v for k, v in backends.items() if v}, "networks": documents}
    for index, found in enumerate(verify_session(session, names, statics, conditions)):
        if index:
            terminal.print("")
        terminal.print(terminal.bold(f"{found.network}[{found.statics}]" if found.statics else found.network))
        for line in _lines(terminal, found):
            terminal.print(line)
        documents.append(_document(found))
        terminal.add(findings(session, found))
    return FINDINGS if terminal.diagnostics else OK


def _lines(terminal: Terminal, found: "Verification") -> Iterator[str]:
    rows = [(c.holds, f"claim {c.text}", c.backend, c.measured) for c in found.claims]
    for row in found.agreements:
        at = ", ".join(f"{k} = {v}" for k, v in row.sizes.items())
        allowed = f"largest difference {row.difference:.2e}, allowed {row.allowed:.2e}"
        rows.append((row.holds, f"{row.output} at {at}" if at else row.output, f"{row.backend} = reference", allowed))
    if not rows:
        yield "nothing to verify: there are no claims, and no backend beside the reference"
        return
    lines = table(("", "backend", "measured"), [row[1:] for row in rows])
    for (holds, *_), line in zip(rows, lines[1:], strict=True):
        yield f"{terminal.mark(holds)}{'  ' if holds else ''}  {line}"


def _document(found: "Verification") -> dict[str, Any]:
    return {
        "name": found.network,
        "statics": found.statics,
        "claims": [
            {"text": c.text, "backend": c.backend, "holds": c.holds, "measured": c.measured} for c in found.claims
        ],
        "agreements": [
            {
                "backend": row.backend,
                "sizes": dict(row.sizes),
                "output": row.output,
                "holds": row.holds,
                "difference": row.difference if isfinite(row.difference) else None,
                "allowed": row.allowed,
            }
            for row in found.agreements
        ],
    }
