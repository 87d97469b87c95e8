"""The formatter: exact cases, and its three laws: same tree, same comments, nothing left to change."""

import dataclasses
import random
import re
from pathlib import Path

import pytest

from netdsl.formatter import WIDTH, format_source
from netdsl.layout import FLUSH, HARD, LINE, SOFT, Comment, group, indent, layout, seq
from netdsl.parser import comments, parse
from netdsl.source import Source, Span

ROOT = Path(__file__).parents[1]
CASES = sorted((ROOT / "tests/cases/format").glob("*.net"))
SEPARATOR = "\n# ----\n\n"
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?|\w+|\|>|->|\*\*|//|\.\.|[=!<>]=|\S')


def programs() -> dict[str, str]:
    """Every text that must parse, by its path."""
    paths = [*ROOT.glob("tests/cases/parse/**/*.net"), *ROOT.glob("specs/**/*.net"), *ROOT.glob("netdsl/std/*.net")]
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8").split("# ----")[0] for path in sorted(paths)}
    for path in CASES:
        before, after = path.read_text("utf-8").split(SEPARATOR)
        texts |= {f"{path.name} before": before, f"{path.name} after": after}
    return texts


PROGRAMS = programs()


def tree(node: object) -> object:
    """The node without its places."""
    if isinstance(node, Span | Source):
        return None
    if isinstance(node, tuple):
        return tuple(map(tree, node))
    if dataclasses.is_dataclass(node):
        return (type(node), *(tree(getattr(node, field.name)) for field in dataclasses.fields(node)))
    return node


def comment_texts(text: str) -> list[str]:
    return [comment.text.rstrip() for comment in comments(Source("a.net", text))]


def check_laws(text: str) -> str:
    formatted = format_source(Source("a.net", text))
    assert tree(parse(Source("a.net", text))) == tree(parse(Source("a.net", formatted)))
    assert comment_texts(text) == comment_texts(formatted)
    assert formatted == format_source(Source("a.net", formatted))
    assert all(line == line.rstrip() for line in formatted.split("\n"))
    return formatted


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    before, after = path.read_text("utf-8").split(SEPARATOR)
    assert after == format_source(Source(path.name, before))


@pytest.mark.parametrize("name", PROGRAMS)
def test_laws_hold_for_every_program(name: str) -> None:
    check_laws(PROGRAMS[name])


def test_line_ends_and_the_byte_order_mark_are_normalised() -> None:
    text = "\ufeffconst A = 1  # a\r\n\r\n\r\nconst B = [1,\r\n2]\r\n"
    assert "const A = 1  # a\n\nconst B = [1, 2]\n" == check_laws(text)


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_a_text_without_anything_is_empty(text: str) -> None:
    assert "" == format_source(Source("a.net", text))


def test_a_text_of_comments_alone_keeps_them() -> None:
    assert "# a\n\n# b\n" == check_laws("\n\n   # a\n\n\n# b")


def with_comments(text: str, chance: random.Random) -> str:
    """`text` with comments where a line may end: in brackets, before and after lines."""
    pieces: list[str] = []
    brackets: list[str] = []
    position = number = 0
    for match in TOKEN.finditer(text):
        gap, token = text[position : match.start()], match[0]
        position = match.end()
        may_break = "\n" in gap or (brackets and brackets[-1] != "{")
        if may_break and chance.random() < 0.15:
            for _ in range(chance.choice((1, 1, 2))):
                gap += f"{chance.choice((' ', chr(10)))}#{number} c{chance.choice(('', ' '))}\n"
                number += 1
        if token in "([{":
            brackets.append(token)
        elif token in ")]}":
            brackets.pop()
        pieces += [gap, token]
    return "".join(pieces) + text[position:]


def check_random_comments(name: str, seed: int) -> None:
    text = with_comments(PROGRAMS[name], random.Random(f"{name} {seed}"))
    parse(Source("a.net", text))
    check_laws(text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_laws_hold_with_comments_in_random_places(name: str) -> None:
    for seed in range(5):
        check_random_comments(name, seed)


@pytest.mark.long
@pytest.mark.parametrize("name", PROGRAMS)
def test_laws_hold_with_comments_in_many_random_places(name: str) -> None:
    for seed in range(100, 300):
        check_random_comments(name, seed)


def test_deep_trees_are_printed() -> None:
    pipe, power = " |> ".join(["x"] * 400), " ** -".join(["y"] * 400)
    total = "".join(f" - {number}" for number in range(400))
    nest = "a |> f(x=b + [" * 90 + "c" + "]) as d" * 90
    elses = " else ".join(["if a { x }"] * 90)
    text = f"block A(x: f32) -> f32 {{\n{pipe}\n{power}{total}\n{nest}\n{elses}\n}}\n"
    formatted = format_source(Source("a.net", text))
    assert "".join(text.split()) == "".join(formatted.split())
    assert formatted == format_source(Source("a.net", formatted))


# --- layout ---------------------------------------------------------------------------------------


def listing(*words: str) -> str:
    inner = [part for word in words for part in (LINE, word, ",")][1:-1]
    return layout(seq("f", group("(", indent(SOFT, *inner), SOFT, ")")), 10)


def test_a_group_is_flat_where_it_fits() -> None:
    assert "f(aa, bb)\n" == listing("aa", "bb")
    assert "f(aaa, bb)\n" == listing("aaa", "bb")
    assert "f(\n    aaa,\n    bbb\n)\n" == listing("aaa", "bbb")


def test_an_earlier_group_stays_flat_when_a_later_one_can_break() -> None:
    inner = group("[", indent(SOFT, "a"), SOFT, "]"), group("(", indent(SOFT, "bbbbbb"), SOFT, ")")
    assert "[a](\n    bbbbbb\n)\n" == layout(seq(*inner), 10)


def test_a_comment_breaks_the_groups_around_it_and_is_not_measured() -> None:
    trailing = Comment("# a very long comment", is_trailing=True)
    assert "f(a)  # a very long comment\n" == layout(seq(group("f(", indent(SOFT, "a"), SOFT, ")"), trailing), 10)
    broken = group("f(", indent(SOFT, "a", trailing, FLUSH, "+ b"), SOFT, ")")
    assert "f(\n    a  # a very long comment\n    + b\n)\n" == layout(broken, 80)


def test_a_second_comment_behind_a_line_goes_below_it() -> None:
    first, second = Comment("# 1", is_trailing=True), Comment("# 2", is_trailing=True)
    assert "a  # 1\n    # 2\nb\n" == layout(seq("a", indent(first, second, HARD), "b"), 80)


def test_width_is_that_of_the_house() -> None:
    assert 120 == WIDTH
