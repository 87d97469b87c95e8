"""A static that a block of the library cannot use is a diagnostic, within two seconds, and never a traceback."""

import re
import time
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

import netdsl
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.parser import parse
from netdsl.source import Source
from netdsl.syntax import Block
from tests.std.test_blocks import CASES
from tests.std.test_sources import text_of

VALUES = (
    *("0", "-1", "1", "3", "7", "65536", "9_000_000_000_000_000_000", "1.5", "-0.5", "1e300", "nan", "inf"),
    *('"zeros"', '"same"', '"x"', "true", "none", "[]", "[1]", "[1, 2]", "[0, 0, 0]", "[-1, 2, 3]", '["a", "b"]'),
    *("(1, 2)", "(1, 2, 3)", "[[1], [2]]", "relu", "Linear", "Linear[0]", "dropout[2]", "f16", "x", "x.T"),
)
FEW = ("0", "-1", "9_000_000_000_000_000_000", "nan", '"x"', "none", "[0, 1]", "relu")
MODULES = ("layers", "convolution", "normalisation", "recurrent", "functions", "attention", "aggregators")


@cache
def statics() -> dict[str, tuple[str, ...]]:
    """Names of the static parameters of each block."""
    return {
        item.header.name: tuple(p.name for p in item.header.statics)
        for module in MODULES
        for item in parse(Source(module, text_of(module))).items
        if isinstance(item, Block) and not item.header.name.startswith("_")
    }


def variants(name: str, values: Sequence[str]) -> Iterator[str]:
    """The first case of a block with one static at a time replaced or added."""
    case = CASES[name][0]
    start = re.search(rf"\b{name}\b", case.body)
    assert start is not None
    before, rest = case.body[: start.end()], case.body[start.end() :]
    given, after = take_brackets(rest)
    for static in statics()[name]:
        for value in values:
            kept = [p for p in split_top(given) if p and not p.startswith(f"{static}=")]
            order = list(statics()[name])
            at = order.index(static)
            positional = [p for p in kept if "=" not in p]
            if at < len(positional):
                brackets = [value if p is positional[at] else p for p in kept]
            else:
                brackets = [*kept, f"{static}={value}"]
            body = f"{before}[{', '.join(brackets)}]{after}"
            yield f"import std.attention\nnetwork N({case.inputs}) -> {case.result} {case.where} {{\n    {body}\n}}\n"


def take_brackets(text: str) -> tuple[str, str]:
    """What stands in the brackets at the start, and what follows them."""
    if not text.startswith("["):
        return "", text
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth == 0:
            return text[1:index], text[index + 1 :]
    raise AssertionError(text)


def split_top(text: str) -> list[str]:
    """Parts between the commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts]


@pytest.mark.parametrize("name", [n for n, s in statics().items() if s])
def test_statics_are_used_or_refused(name: str) -> None:
    check(name, FEW)


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n, s in statics().items() if s])
def test_more_statics_are_used_or_refused(name: str) -> None:
    check(name, VALUES)


def check(name: str, values: Sequence[str]) -> None:
    for text in variants(name, values):
        started = time.thread_time()
        found = findings(text)
        assert all(re.fullmatch(r"E\d{4}", d.code) and d.primary is not None for d in found), text
        assert time.thread_time() - started < 2, text


def findings(text: str) -> Sequence[Diagnostic]:
    try:
        netdsl.load(text)["N"]
    except NetError as error:
        return error.diagnostics
    return ()
