"""No text ends in a traceback, takes long, or is reported outside of itself."""

import random
import time
from pathlib import Path

import pytest

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.parser import MAX_TREE_DEPTH, comments, parse_expr, parse_partial
from netdsl.source import Source
from netdsl.tokens import MAX_DIAGNOSTICS

PROGRAMS = sorted((Path(__file__).parent / "cases" / "parse" / "programs").glob("*.net"))
TEXTS = [path.read_text("utf-8") for path in PROGRAMS]
WAIT_S = 2.0


def read(text: str) -> tuple[Diagnostic, ...]:
    """The diagnostics of `text`, after checking what holds for every text."""
    source = Source("fuzz.net", text)
    started = time.process_time()
    module, diagnostics = parse_partial(source)
    assert time.process_time() - started < WAIT_S
    assert module.source is source
    assert len(diagnostics) <= MAX_DIAGNOSTICS
    for diagnostic in diagnostics:
        assert diagnostic.primary is not None
        for label in (diagnostic.primary, *diagnostic.others):
            assert 0 <= label.span.start <= label.span.end <= len(text)
            assert label.span.source is source
    assert all(text[c.span.start : c.span.end] == c.text for c in comments(source))
    return diagnostics


def test_every_beginning_of_a_program_is_a_program_or_reported() -> None:
    for text in TEXTS[:2] + TEXTS[-2:]:
        for end in range(len(text)):
            read(text[:end])


SPLINTERS = [
    *"()[]{}|&=<>!,.:;'\"#\n\r\t~@%^*/+-_0$\\`é€\x00\ud800\u202e\ufeff\u2028", "|>", "->", "..", "**", "//", "##",
    "\r\n", "0x",
    "1e", "1.", "let ", "scan ", "from ", "if ", " else ", " as ", " in ", " where ", "block ",
    "network F", "yield\n",
    "\nconst A = ", "\n}\n", '"""', "/*", "import ", "é", "x" * 300, "9" * 50,
]  # fmt: skip


def test_300_mutated_programs_are_read_or_reported() -> None:
    draw = random.Random(11)
    clean = 0
    for _ in range(300):
        text = draw.choice(TEXTS)
        for _ in range(draw.randrange(1, 6)):
            place, length = draw.randrange(len(text) + 1), draw.randrange(1, 30)
            change = draw.randrange(5)
            if change == 0:
                text = text[:place] + draw.choice(SPLINTERS) + text[place:]
            elif change == 1:
                text = text[:place] + text[place + length :]
            elif change == 2:
                text = text[:place] + text[place : place + length] * 2 + text[place + length :]
            elif change == 3:
                other = draw.choice(TEXTS)
                cut = draw.randrange(len(other))
                text = text[:place] + other[cut : cut + length] + text[place:]
            else:
                text = text[:place] + draw.choice(SPLINTERS) + text[place + 1 :]
        clean += not read(text)
    assert clean < 150


def test_one_wrong_word_is_reported_once_and_near() -> None:
    """A word put into a program is one cause: one diagnostic, two where it splits a statement, near its line."""
    draw = random.Random(5)
    counts: list[int] = []
    for _ in range(200):
        text = draw.choice(TEXTS)
        lines = text.split("\n")
        number = draw.randrange(len(lines))
        if not lines[number].strip() or lines[number].lstrip().startswith("#"):
            continue
        words = lines[number].split(" ")
        words.insert(draw.randrange(len(words)) + 1, draw.choice(["= =", "$", ")", "(", "+ *", "&&", "x y z"]))
        diagnostics = read("\n".join([*lines[:number], " ".join(words), *lines[number + 1 :]]))
        counts.append(len(diagnostics))
    assert sum(count <= 2 for count in counts) >= 0.95 * len(counts)
    assert max(counts) <= 4


BOMBS = {
    "round brackets": ("const A = " + "(" * 40_000, {"E0502"}),
    "square brackets": ("const A = " + "[" * 40_000 + "]" * 40_000, {"E0502"}),
    "bodies": ("block F(x: float) -> float " + "{ if a " * 40_000, {"E0502"}),
    "types": ("block F(x: " + "(" * 40_000, {"E0502"}),
    "minus": ("const A = " + "-" * 40_000 + "1", {"E0506"}),
    "minus apart": ("const A = " + "- " * 40_000 + "1", {"E0506"}),
    "not": ("const A = " + "~" * 40_000 + "x", {"E0506"}),
    "powers": ("const A = " + "2 ** " * 50_000 + "1", {"E0506"}),
    "sum": ("const A = 1" + " + 1" * 50_000, {"E0506"}),
    "pipe": ("recipe r = a" + " |> f" * 50_000, {"E0506"}),
    "calls": ("const A = f" + "()" * 50_000, {"E0506"}),
    "attributes": ("const A = f" + ".a" * 50_000, {"E0506"}),
    "else": ("block F(x: float) -> float { if a { b }" + " else if a { b }" * 20_000 + " }", {"E0506"}),
    "spaces": (" " * 1_000_000 + "$", {"E0001"}),
    "spaces in lines": ((" " * 1_000 + "\n") * 1_000 + "$", {"E0001"}),
    "comments before a stage": ("recipe r = a\n" + "# c\n" * 40_000 + "|> f", set()),
    "comments": ("# c\n" * 100_000, set()),
    "quotes": ("const A = " + '"' * 400_001, {"E0002"}),
    "backslashes": ('const A = "' + "\\" * 400_000, {"E0002"}),
    "escapes": ('const A = "' + "\\n" * 100_000 + '"', set()),
    "single quotes": ("const A = " + "'" * 100_000, {"E0003"}),
    "digits": ("const A = " + "1" * 400_000, {"E0504"}),
    "digits apart": ("const A = " + "1_" * 100_000, {"E0005", "E0504"}),
    "points": ("const A = " + "1." * 40_000, {"E0005", "E0101", "E0116"}),
    "name": ("const " + "a" * 400_000 + " = 1", {"E0503"}),
    "letters": ("const " + "é" * 400_000 + " = 1", {"E0007"}),
    "signs": ("$" * 40_000, {"E0001"}),
    "hidden": ("\x00 " * 40_000, {"E0006"}),
    "closers": ("}" * 40_000, {"E0103"}),
    "mixed brackets": ("([{)]}" * 20_000, {"E0102", "E0103"}),
    "declarations": ("network A\n" * 30_000, {"E0101"}),
    "too long": ("x" * (4 * 1024 * 1024 + 1), {"E0501"}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_diagnostic_in_little_time(name: str) -> None:
    text, codes = BOMBS[name]
    found = {diagnostic.code for diagnostic in read(text)}
    assert found <= codes
    assert bool(found) == bool(codes)


def test_the_deepest_tree_is_as_deep_as_said() -> None:
    """`+` adds one level, the number at the bottom another; the declaration and the module are two more."""
    terms = MAX_TREE_DEPTH - 3
    assert () == read("const A = 1" + " + 1" * terms)
    assert {"E0506"} == {d.code for d in read("const A = 1" + " + 1" * (terms + 1))}


def test_10_000_statements_are_read() -> None:
    lines = "    x = f(x) + 1\n" * 10_000
    source = Source("long.net", f"block F(x: float) -> float {{\n{lines}    x\n}}\n")
    module, diagnostics = parse_partial(source)
    assert (1, ()) == (len(module.items), diagnostics)


def test_what_parses_stays_when_the_rest_does_not() -> None:
    text = "const A = 1\nblock F(x: float) -> float {\n    y = f(x\n    y\n}\nconst B = = 2\nconst C = 3\n"
    module, diagnostics = parse_partial(Source("a.net", text))
    assert ["A", "F", "C"] == [item.header.name if hasattr(item, "header") else item.name for item in module.items]
    assert ["E0102", "E0101"] == [diagnostic.code for diagnostic in diagnostics]
    assert 2 == len(module.items[1].body.statements)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text", ["", " ", "1 +", "x y", "(", ")", "a = 1", "let", "'a'", "\x00", "a\nb", "x[", "..", "{}"]
)
def test_a_value_alone_is_read_or_reported(text: str) -> None:
    with pytest.raises(NetError) as caught:
        parse_expr(text)
    assert len(caught.value.diagnostics) == 1
