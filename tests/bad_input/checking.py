"""Any text through the parser and the checker, with what holds for every text."""

import time
from collections.abc import Callable
from pathlib import Path

from netdsl.check.network import Session
from netdsl.codes import all_codes
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.render import render_all
from netdsl.source import NO_SOURCE, Source

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").rglob("*.net"))
#: Seconds of this thread, so that busy neighbours do not count.
WAIT_S = 2.0
MOST_DIAGNOSTICS = 100


def findings(text: str, name: str = "x.net") -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a text without a file."""
    return check(lambda: Session(Source(name, text), None, None))


def check(make: Callable[[], Session]) -> tuple[Diagnostic, ...]:
    """What a session finds, after testing the laws: soon, with known codes, in places that exist, printable.

    Only a `NetError` may escape, and only where the file cannot be opened.
    """
    started = time.thread_time()
    try:
        session = make()
    except NetError as error:
        found, checked, networks = error.diagnostics, {}, {}
        assert found
    else:
        checked, networks = session.check_all(), session.networks
        found = tuple(session.reporter.diagnostics)
    spent = time.thread_time() - started
    assert spent < WAIT_S, f"{spent:.1f} s"
    assert len(found) <= MOST_DIAGNOSTICS
    assert found or set(checked) == set(networks), "a network was lost without a word"
    for diagnostic in found:
        assert diagnostic.code in all_codes()
        assert diagnostic.title
        assert diagnostic.primary is not None or diagnostic.code == "E0701"
        for label in places(diagnostic):
            span = label.span
            assert span.source is not NO_SOURCE
            assert 0 <= span.start <= span.end <= len(span.source.text), diagnostic
    assert all(char.isprintable() or char == "\n" for char in render_all(found))
    return found


def places(diagnostic: Diagnostic) -> tuple[Label, ...]:
    """Every place that a diagnostic shows, the primary one first."""
    return (*([diagnostic.primary] if diagnostic.primary else []), *diagnostic.others)
