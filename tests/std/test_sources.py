"""The library's own text is in order: formatted, documented, and right for every size."""

from importlib.resources import files

import pytest

from netdsl.api import open_session
from netdsl.check.modules import STD_MODULES
from netdsl.formatter import format_source
from netdsl.parser import parse
from netdsl.source import Source


def text_of(module: str) -> str:
    return files("netdsl.std").joinpath(f"{module}.net").read_text("utf-8")


@pytest.mark.parametrize("module", STD_MODULES)
def test_a_module_is_formatted_and_says_what_it_is(module: str) -> None:
    source = Source(f"std/{module}.net", text_of(module))
    assert source.text == format_source(source)
    assert parse(source).doc or source.text.startswith("## ")


@pytest.mark.parametrize("module", STD_MODULES)
def test_a_module_checks_clean_where_nothing_calls_it(module: str) -> None:
    folder = files("netdsl.std")
    session = open_session(folder.joinpath(f"{module}.net"))  # type: ignore[arg-type]
    session.check_all()
    assert [] == [str(d.title) for d in session.reporter.diagnostics]
