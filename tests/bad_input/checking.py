"""Any text through the parser and the checker, with what holds for every text."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

from netdsl.check.network import Session
from netdsl.codes import all_codes
from netdsl.collector import paused_collection
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.render import render_all
from netdsl.source import NO_SOURCE, Source

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").rglob("*.net"))
#: Seconds of this thread. Neighbours that keep the memory busy slow it down nevertheless, so it may try again.
WAIT_S = 2.0
ATTEMPTS = 4
MOST_DIAGNOSTICS = 100
#: Seconds that the loop in `slowness` takes on a processor of 2020 that has nothing else to do.
USUAL_S = 0.05


def findings(text: str, name: str = "x.net") -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a text; one in the place of a spec may import what the spec does."""
    path = ROOT / name if (ROOT / name).is_file() else None
    return check(lambda: Session(Source(name, text), path, ROOT if path is not None else None))


def check(make: Callable[[], Session]) -> tuple[Diagnostic, ...]:
    """What a session finds, after testing the laws: soon, with known codes, in places that exist, printable.

    Only a `NetError` may escape, and only where the file cannot be opened.
    """
    found: tuple[Diagnostic, ...] = ()
    checked: set[str] = set()
    networks: set[str] = set()
    for attempt in range(ATTEMPTS):
        if attempt:
            gc.collect()  # what the check before this one made is no part of its time
        started = time.thread_time()
        try:
            session = make()
        except NetError as error:
            found = error.diagnostics
            assert found
        else:
            checked, networks = set(session.check_all()), set(session.networks)
            found = tuple(session.reporter.diagnostics)
        spent = time.thread_time() - started
        if spent < WAIT_S or spent < WAIT_S * slowness():
            break
        assert attempt < ATTEMPTS - 1, f"{spent:.1f} s"
    assert len(found) <= MOST_DIAGNOSTICS
    assert found or checked == networks, "a network was lost without a word"
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


def slowness() -> float:
    """How many times slower than usual this machine is right now; at least 1."""
    started = time.thread_time()
    with paused_collection():
        made: list[object] = [None]
        for number in range(1, 200_000):
            made.append((made[number * 7_919 % len(made)], [number], str(number)))
    return max(1.0, (time.thread_time() - started) / USUAL_S)


def places(diagnostic: Diagnostic) -> tuple[Label, ...]:
    """Every place that a diagnostic shows, the primary one first."""
    return (*([diagnostic.primary] if diagnostic.primary else []), *diagnostic.others)
