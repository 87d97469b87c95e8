"""`net.lark` is the only statement of the syntax: the tables are made from it, and our parser agrees with Lark's."""

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import pytest
from lark import Lark, Tree
from lark.exceptions import UnexpectedInput

from netdsl.brackets import Bracketed, match_brackets
from netdsl.diagnostics import Diagnostic
from netdsl.grammar.build_tables import STARTS, build_tables
from netdsl.lalr import END, Tables, Token, run
from netdsl.parser import parse_expr
from netdsl.source import Source
from netdsl.tokens import Lexer

PROGRAMS = sorted((Path(__file__).parent / "cases" / "parse" / "programs").glob("*.net"))
GRAMMAR = files("netdsl.grammar").joinpath("net.lark").read_text("utf-8")
DATA: dict[str, Any] = json.loads(files("netdsl.grammar").joinpath("tables.json").read_text("utf-8"))


class DropLineEnds:
    """What Lark needs to be told in Python: line ends inside ( ) and [ ] do not count."""

    always_accept: ClassVar[tuple[str, ...]] = ()

    def process(self, stream: Iterator[Any]) -> Iterator[Any]:
        opened: list[str] = []
        for token in stream:
            if token.type in ("LPAR", "LSQB", "LBRACE"):
                opened.append(token.type)
            elif token.type in ("RPAR", "RSQB", "RBRACE") and opened:
                opened.pop()
            if token.type != "_NL" or not opened or opened[-1] == "LBRACE":
                yield token


@cache
def lark() -> Lark:
    """Strict: a conflict between rules, or between terminals of one priority, is an error."""
    return Lark(
        GRAMMAR,
        start=STARTS,
        parser="lalr",
        lexer="basic",
        strict=True,
        maybe_placeholders=True,
        postlex=DropLineEnds(),
    )


@cache
def ours() -> tuple[Lexer, Tables]:
    return Lexer(DATA), Tables.load(DATA)


def lark_tree(text: str, start: str) -> object:
    """Lark's tree as nested tuples, or None where it finds an error."""
    try:
        tree = lark().parse(text, start=start)
    except UnexpectedInput:
        return None

    def shape(node: Any) -> object:
        if isinstance(node, Tree):
            return (str(node.data), *map(shape, node.children))
        return None if node is None else (node.type, node.start_pos, node.end_pos)

    return shape(tree)


def our_tree(text: str, start: str) -> object:
    """The same from our parser, which gives up at the first error."""
    lexer, tables = ours()
    source = Source("test.net", text)
    lexed = lexer.scan(source)
    bracketed = match_brackets(source, lexed.tokens, [])
    if isinstance(bracketed, Diagnostic) or lexed.diagnostics or bracketed.diagnostics:
        return None

    def shape(node: object) -> object:
        return (node.kind, node.start, node.end) if isinstance(node, Token) else node

    class Callbacks(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            return lambda first, last, *parts: (name, *map(shape, parts))

    return run(tables, bracketed.tokens, start, Callbacks(), lambda *_: None, 10_000)


def test_tables_are_made_from_the_grammar() -> None:
    assert build_tables(GRAMMAR) == DATA, "run `python grammar/build_tables.py`"


def test_every_terminal_has_a_name() -> None:
    assert [] == [terminal.name for terminal in lark().terminals if terminal.name.startswith("__")]


def test_every_group_of_rules_has_a_comment_with_an_example() -> None:
    rules = GRAMMAR[: GRAMMAR.index("// --- terminals")]
    for paragraph in re.split(r"\n\n+", rules):
        if re.search(r"^[?_a-z]+:", paragraph, re.MULTILINE):
            comment = paragraph.splitlines()[0]
            assert re.match(r"// \S.*( {2,}\S.*|names everywhere else\.)$", comment), comment


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_our_parser_builds_the_tree_that_lark_builds(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = our_tree(text, "module")
    assert tree is not None
    assert lark_tree(text, "module") == tree


def test_our_parser_accepts_what_lark_accepts() -> None:
    """400 texts, each a program with words moved, doubled, lost or taken from another."""
    lexer, _ = ours()
    words: list[list[str]] = []
    for path in PROGRAMS:
        text = path.read_text("utf-8")
        places = [token for token in lexer.scan(Source(path.name, text)).tokens if token.kind != END]
        words.append([text[token.start : token.end] for token in places])
    every_word = sorted({word for program in words for word in program})
    draw = random.Random(7)
    accepted = 0
    for _ in range(400):
        program = draw.choice(words)
        first = draw.randrange(len(program))
        text_words = list(program)
        for _ in range(draw.randrange(3)):
            place = draw.randrange(len(text_words))
            change = draw.randrange(4)
            if change == 0:
                del text_words[place]
            elif change == 1:
                text_words.insert(place, draw.choice(every_word))
            elif change == 2:
                text_words[place] = draw.choice(every_word)
            else:
                other = draw.randrange(len(text_words))
                text_words[place], text_words[other] = text_words[other], text_words[place]
        gap = draw.choice([" ", "  ", "\t"])
        start = "module"
        if draw.random() < 0.3:
            start, text_words = "expression", text_words[first : first + draw.randrange(1, 12)]
        text = gap.join(text_words)
        theirs = lark_tree(text, start)
        accepted += theirs is not None
        assert theirs == our_tree(text, start), text
    assert accepted > 80


OPERATORS = ["|>", "|", "&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "//", "%", "@", "**"]


AFTER = ["b", "-b", "~b", "(b)", "[b]", "1"]


@pytest.mark.parametrize(
    ("operator", "after"), [(o, a) for o in OPERATORS for a in AFTER if o != "|>" or a in ("b", "(b)")]
)
def test_an_operator_means_the_same_with_and_without_spaces(operator: str, after: str) -> None:
    spaced, tight = parse_expr(f"a {operator} {after}"), parse_expr(f"a{operator}{after}")
    assert operator == getattr(spaced, "op", "|>")
    assert type(spaced) is type(tight)
    assert getattr(tight, "op", "|>") == getattr(spaced, "op", "|>")
    assert lark_tree(f"a{operator}{after}", "expression") == our_tree(f"a{operator}{after}", "expression")


TEXTS = [
    "",
    "\n",
    "\r\n\r\n",
    "\r",
    "# only a comment",
    "\ufeff# mark\nconst A = 1",
    "const A = 1\r\n",
    "const A = 1\rconst B = 2",
    "const A = f(\n  1,\n  2\n)\n",
    "const A = 1 # end",
    "\tconst A = 1\t\n\n\n# tail",
    "recipe r = A\n\n# why\n    # so\n  |> f\n",
    "block F(x: float)\n\n  -> float\n where 1 < 2, 2 in 1..3\n{\n}\n",
    "block F(x: float) -> float { if a { b }\n\n else { c } }",
    "const A = f(x, **theta)",
    "const A = f(**theta)",
    "const A = x[0..n]",
    "const A = x[0.5, 0 .. n]",
    "const A = x[..,0]",
    "const A = (a,)",
    "const A = ()",
    "const A = (a=1)",
    "const A = (as=1, in=2)",
    "const A = x.where.let.if",
    "const over = from + per * until - given / identity",
    "const block: block = edge(network=monoid)",
    "block F(x: float) -> float { x = asx\n}",
    "block F(x: float) -> float { wherex = elsey\n}",
    "block F(edge: float) -> float { identity\n identity: edge\n edge: f32 = 2\n per, over = from\n}",
    "const A = 1 - -1 - ~-~1 ** -2 ** ~3",
    'const A = "\\"#\\\\" # "',
    "const f() = 1",
    "claim A: a == b == c",
    "const A = 1..2",
    "block F(x: float) -> float { x = if a { b } else if c { d } else { e }\n y = (scan f over x from h) }",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_our_parser_agrees_with_lark_on_corners(text: str) -> None:
    assert lark_tree(text, "module") == our_tree(text, "module")


def test_nothing_but_a_bracket_is_mended() -> None:
    """Matching the brackets leaves the tokens of a right text as they are, but for line ends."""
    lexer, _ = ours()
    for path in PROGRAMS:
        source = Source(path.name, path.read_text("utf-8"))
        tokens = lexer.scan(source).tokens
        bracketed = match_brackets(source, tokens, [])
        assert isinstance(bracketed, Bracketed)
        assert [t for t in tokens if t.kind != "_NL"] == [t for t in bracketed.tokens if t.kind != "_NL"]
