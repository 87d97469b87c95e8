"""The tables of codes: every code that the source uses has a row, every row is used, every example is what it says."""

import ast
import re
from functools import cache

import pytest

from netdsl.codes import Code, all_codes, expand
from netdsl.render import render_all
from tests.bad_input.checking import ROOT, findings, places

CODES = all_codes()
WITH_EXAMPLE = [code for code, row in CODES.items() if row.failing]
#: Words that a message never says: those that blame, and those that come from below.
BLAME = re.compile(r"\b(invalid|illegal|please|oops|sorry)\b", re.IGNORECASE)
BELOW = re.compile(
    r"\b(None|NoneType|\w+Error|Exception|traceback|dataclass|isinstance|__\w+__|\w+Value|BlockRef|Mistake|lark|AST)\b"
)


@cache
def used_codes() -> dict[str, set[str]]:
    """Each code that stands as a string in the source, and the files it stands in; docstrings do not count."""
    found: dict[str, set[str]] = {}
    for folder in ("netdsl", "passes", "backends"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name.startswith("codes_"):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and re.fullmatch(r"[EW]\d{4}", node.value)
                ):
                    found.setdefault(node.value, set()).add(path.name)
    return found


def test_every_code_that_is_used_has_a_row() -> None:
    assert {} == {code: files for code, files in used_codes().items() if code not in CODES}


def test_every_row_is_used() -> None:
    assert [] == sorted(CODES.keys() - used_codes().keys())


def test_there_are_more_than_30_codes_and_most_have_an_example() -> None:
    assert len(CODES) >= 30
    assert len(WITH_EXAMPLE) >= 100
    early = [code for code in CODES if "E0000" <= code < "E0400"]
    elsewhere = {"E0316", "E0317", "E0365", "E0380"}  # several files, a plug-in, the command line
    assert {code for code in early if not CODES[code].failing} <= elsewhere, "what one text can show has an example"


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_the_failing_example_has_this_error_and_no_other(code: str) -> None:
    text = expand(CODES[code].failing)
    found = findings(text)
    assert [code] == [diagnostic.code for diagnostic in found], render_all(found)
    assert all(label.span.source.text == text for label in places(found[0])[:1])


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_the_fixed_example_has_no_error(code: str) -> None:
    assert CODES[code].fixed
    found = findings(expand(CODES[code].fixed))
    assert () == found, render_all(found)


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_keeps_to_the_style(code: str) -> None:
    row: Code = CODES[code]
    assert not BLAME.search(f"{row.title} {row.explanation}")
    assert not BELOW.search(f"{row.title} {row.explanation}")
    assert row.title[0].islower() or row.title[0] in '`"*'
    assert not row.title.endswith(".")
    assert row.explanation.rstrip().endswith((".", ":", "?", "`"))
    assert len(row.title) <= 72
