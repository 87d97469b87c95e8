"""The whole text of messages: a `.net` file, a line `# ----`, and what `netdsl check` says of it.

A line `# file: NAME` begins another file of the project. Where the name of a case starts with `claim_`, the text is what
`netdsl verify` says after measuring the claims on the reference; where it starts with `open_`, what a build says.
"""

import re
from pathlib import Path

import pytest

from netdsl.agreement import Conditions, findings, verify_session
from netdsl.check.network import Session
from netdsl.choices import refuse_open
from netdsl.codes import all_codes
from netdsl.diagnostics import NetError
from netdsl.render import render_all
from netdsl.source import Source
from tests.bad_input.checking import ROOT

CASES = sorted((ROOT / "tests" / "cases" / "errors").glob("*.txt"))
CONDITIONS = Conditions(seed=0, backends=())
RULE = "\n# ----\n"


def report(case: Path, folder: Path) -> str:
    """What is said of a case, as it stands in its file."""
    text = case.read_text("utf-8").partition(RULE)[0] + "\n"
    main, *others = re.split(r"^# file: (.+)\n", text, flags=re.MULTILINE)
    for name, content in zip(others[::2], others[1::2], strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    path = folder / f"{case.stem}.net"
    session = Session(Source(path.name, main), path, folder)
    session.check_all()
    found = list(session.reporter.diagnostics)
    if case.stem.startswith("claim_") and not found:
        for verification in verify_session(session, list(session.networks), {}, CONDITIONS):
            found += findings(session, verification)
    if case.stem.startswith("open_") and not found:
        for name in session.networks:
            try:
                refuse_open(session.network(name).eval_graph, what="it cannot be built")
            except NetError as error:
                found += error.diagnostics
    said = render_all(found)
    return text.rstrip("\n") + RULE + "".join(f"# {line}".rstrip() + "\n" for line in said.splitlines())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_message_reads_as_it_should(case: Path, tmp_path: Path) -> None:
    assert case.read_text("utf-8") == report(case, tmp_path)


def test_at_least_40_situations_have_a_message() -> None:
    assert len(CASES) >= 40
    said = "".join(case.read_text("utf-8").partition(RULE)[2] for case in CASES)
    codes = set(re.findall(r"^# (?:error|warning)\[(\w+)\]", said, re.MULTILINE))
    assert codes <= set(all_codes())
    assert len(codes) >= 35


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_message_keeps_to_the_style(case: Path) -> None:
    said = case.read_text("utf-8").partition(RULE)[2]
    assert not re.search(r"\b(invalid|illegal|please|oops|sorry)\b", said, re.IGNORECASE)
    assert not re.search(r"\b(NoneType|TensorValue|DimValue|ListValue|BlockRef|TypeError|ValueError|__ANON)\b", said)
    for title in re.findall(r"^# error\[\w+\]: (.+)$", said, re.MULTILINE):
        assert not title.endswith(".")
        assert title[0].islower() or title[0] in '`"(' or title[0].isdigit()
