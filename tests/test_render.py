"""The look of a diagnostic: exact text in, exact text out."""

import json
import subprocess
import sys
import unicodedata
from io import StringIO
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdsl.diagnostics import Diagnostic, Label
from netdsl.render import COLUMNS, render, render_all, summary, to_json, visible, wants_color
from netdsl.source import NO_SPAN, Source, Span


def label(source: Source, text: str, message: str = "", *, nth: int = 0) -> Label:
    """A label on the `nth` occurrence of `text`."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Label(Span(source, start, start + len(text)), message)


def check(expected: str, diagnostic: Diagnostic) -> None:
    assert dedent(expected).strip("\n") == render(diagnostic)


VIT = Source(
    "specs/vit.net",
    "\n" * 8
    + "block Encoder[heads: int](x: float[B, N, D]) -> float[B, N, D] {\n"
    + "\n" * 4
    + "    y = x @ w\n"
    + "    y\n}\n",
)
MATMUL = Diagnostic(
    "E0203",
    "`@` needs equal inner dimensions: 192 and 256",
    Label(Span(VIT, VIT.text.index("x @"), VIT.text.index("x @") + 1), "f32[B, 197, 192]"),
    (
        Label(Span(VIT, VIT.text.index("w\n"), VIT.text.index("w\n") + 1), "f32[256, 64]"),
        label(VIT, "D", "D is 192, bound by the call at line 31"),
    ),
    chain=("ViTTiny, line 31", "Encoder, line 9"),
    help="declare `w: float[D, 64]`",
)


def test_the_example_of_the_language_page() -> None:
    check(
        """
        error[E0203]: `@` needs equal inner dimensions: 192 and 256
          --> specs/vit.net:14:9
           |
         9 | block Encoder[heads: int](x: float[B, N, D]) -> float[B, N, D] {
           |                                          - D is 192, bound by the call at line 31
        14 |     y = x @ w
           |         ^   - f32[256, 64]
           |         f32[B, 197, 192]
           = in: ViTTiny, line 31 > Encoder, line 9
           = help: declare `w: float[D, 64]`
        """,
        MATMUL,
    )


def test_labels_of_one_line_are_stacked_from_right_to_left() -> None:
    source = Source("a.net", "y = a + b * c\n")
    others = tuple(label(source, name, text) for name, text in (("a", "one"), ("c", "three"), ("y", "the target")))
    check(
        """
        error[E0001]: four labels
         --> a.net:1:9
          |
        1 | y = a + b * c
          | -   -   ^   - three
          | |   |   two
          | |   one
          | the target
        """,
        Diagnostic("E0001", "four labels", label(source, "b", "two"), others),
    )


def test_a_shorter_label_is_drawn_over_a_longer_one() -> None:
    source = Source("a.net", "y = a + b * c\n")
    check(
        """
        error[E0001]: nested
         --> a.net:1:5
          |
        1 | y = a + b * c
          |     ^^^^-^^^^ the sum
          |         inner
        """,
        Diagnostic("E0001", "nested", label(source, "a + b * c", "the sum"), (label(source, "b", "inner"),)),
    )


def test_a_label_without_text_is_only_underlined() -> None:
    source = Source("a.net", "y = a + b\n")
    check(
        """
        error[E0001]: title
         --> a.net:1:5
          |
        1 | y = a + b
          |     ^   -
          |     here
        """,
        Diagnostic("E0001", "title", label(source, "a", "here"), (label(source, "b"),)),
    )


def test_a_span_over_many_lines_shows_its_ends() -> None:
    source = Source("a.net", "x = f(\n    a,\n    b\n)\n")
    check(
        """
        error[E0001]: title
         --> a.net:1:5
          |
        1 | x = f(
          |     ^^
        ...
        4 | )
          | ^ this call
        """,
        Diagnostic("E0001", "title", label(source, "f(\n    a,\n    b\n)", "this call")),
    )


def test_a_span_over_three_lines_is_shown_whole() -> None:
    source = Source("a.net", "x = f(\n    a,\n    b)\n")
    check(
        """
        error[E0001]: title
         --> a.net:1:5
          |
        1 | x = f(
          |     ^^
        2 |     a,
        3 |     b)
          |     ^^ this call
        """,
        Diagnostic("E0001", "title", label(source, "f(\n    a,\n    b)", "this call")),
    )


def test_far_lines_are_parted_by_dots() -> None:
    source = Source("a.net", "x = 1\n" + "\n" * 9 + "y = x\n")
    check(
        """
        error[E0001]: title
          --> a.net:11:5
           |
         1 | x = 1
           |     - set here
        ...
        11 | y = x
           |     ^
        """,
        Diagnostic("E0001", "title", label(source, "x", nth=1), (label(source, "1", "set here"),)),
    )


def test_a_label_in_another_file_has_its_own_excerpt() -> None:
    source, other = Source("a.net", "x = F(y)\n"), Source("b.net", "\nblock F(x: float[4]) -> float[4] { x }\n")
    check(
        """
        error[E0001]: title
         --> a.net:1:5
          |
        1 | x = F(y)
          |     ^
         ::: b.net:2:7
          |
        2 | block F(x: float[4]) -> float[4] { x }
          |       - declared here
        """,
        Diagnostic("E0001", "title", label(source, "F"), (label(other, "F", "declared here"),)),
    )


def test_tabs_and_wide_and_hidden_characters_keep_the_columns() -> None:
    source = Source("a.net", "\tx = \t日本 + e\u0301 + y\x1b[31m\u202e + w\r\n")
    check(
        r"""
        error[E0001]: title
         --> a.net:1:27
          |
        1 |     x =     日本 + é + y\x1b[31m\u202e + w
          |             ----   -                     ^ narrow
          |             |      combined
          |             wide
        """.replace("é", "e\u0301"),
        Diagnostic(
            "E0001",
            "title",
            label(source, "w", "narrow"),
            (label(source, "日本", "wide"), label(source, "e\u0301", "combined")),
        ),
    )


def test_a_long_line_is_cut_around_the_span() -> None:
    source = Source("a.net", "x = " + " + ".join(f"name{number}" for number in range(100)) + "\n")
    shown = " + ".join(f"name{number}" for number in range(44, 57))
    check(
        f"""
        error[E0001]: title
         --> a.net:1:445
          |
        1 | …{shown}…
          |                                                        ^^^^^^ here
        """,
        Diagnostic("E0001", "title", label(source, "name50", "here")),
    )


def test_a_long_label_is_moved_and_wrapped() -> None:
    source = Source("a.net", "x = " + "a" * 90 + " + b\n")
    check(
        f"""
        error[E0001]: title
         --> a.net:1:98
          |
        1 | x = {"a" * 90} + b
          | {" " * 97}^
          |     this is a label of thirty words{" and more" * 9}
        """,
        Diagnostic("E0001", "title", label(source, "b", "this is a label of thirty words" + " and more" * 9)),
    )


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("", 0, 0, "1 |\n  | ^ here"),
        ("x = ", 4, 4, "1 | x =\n  |     ^ here"),
        ("x = \n", 4, 5, "1 | x =\n  |     ^ here"),
        ("x\n", 2, 2, "2 |\n  | ^ here"),
        ("x\r\ny\r\n", 0, 3, "1 | x\n  | ^ here"),
        ("x\n", 7, 99, "2 |\n  | ^ here"),
    ],
)
def test_a_span_at_an_end_gets_one_caret(text: str, start: int, end: int, expected: str) -> None:
    report = render(Diagnostic("E0001", "title", Label(Span(Source("a.net", text), start, end), "here")))
    assert expected == report.split("  |\n", 1)[1]


def test_a_diagnostic_without_a_place_has_no_excerpt() -> None:
    expected = "error[E0701]: cannot read `m.net`\n  = note: it is a folder\n  = help: one line\n          another"
    found = Diagnostic("E0701", "cannot read `m.net`", notes=("it is a folder",), help="one line\nanother")
    assert expected == render(found)
    assert expected == render(Diagnostic(found.code, found.title, Label(NO_SPAN), (), found.notes, (), found.help))


def test_user_text_reaches_the_terminal_as_escapes() -> None:
    source = Source("a\x1b[2J.net", "x\n")
    report = render(Diagnostic("E0001", "a\nb\x07 \u2066c", label(source, "x", "\x9b1m"), help="\u200b"))
    assert r"a\nb\x07 \u2066c" in report
    assert r"a\x1b[2J.net:1:1" in report
    assert report.endswith("  | ^ \\x9b1m\n  = help: \\u200b")


def test_color_changes_nothing_but_the_colour() -> None:
    colored = render(MATMUL, color=True)
    assert "\x1b[1;31merror[E0203]\x1b[0m" in colored
    for code in ("1;31", "1;34", "1;36", "1", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert render(MATMUL) == colored


def test_summary_counts_errors_warnings_and_files() -> None:
    a, b = Source("a.net", "x"), Source("b.net", "x")
    error = Diagnostic("E0001", "title", label(a, "x"))
    assert "1 error in 1 file" == summary([error])
    assert "2 errors in 1 file" == summary([error, error])
    assert "2 errors and 1 warning in 2 files" == summary([error, Diagnostic("W0001", "t", label(b, "x")), error])
    assert "1 warning in 1 file" == summary([Diagnostic("W0001", "t", label(b, "x"))])
    assert "1 error" == summary([Diagnostic("E0701", "t")])


def test_reports_are_followed_by_their_summary() -> None:
    found = Diagnostic("E0701", "t")
    assert "error[E0701]: t\n\nerror[E0701]: t\n\n2 errors\n" == render_all([found, found])
    assert "" == render_all([])


def test_json_names_every_place() -> None:
    document = json.loads(to_json([MATMUL, Diagnostic("E0701", "t")]))
    assert "netdsl.diagnostics/1" == document["schema"]
    first, second = document["diagnostics"]
    place = {"path": "specs/vit.net", "line": 14, "column": 9, "end_line": 14, "end_column": 10}
    assert place == {key: first[key] for key in place}
    assert {"text": "f32[B, 197, 192]", "primary": True, **place} == first["labels"][0]
    assert [False, False] == [each["primary"] for each in first["labels"][1:]]
    assert ["ViTTiny, line 31", "Encoder, line 9"] == first["chain"]
    assert "declare `w: float[D, 64]`" == first["help"]
    assert [None] * 5 == [second[key] for key in place]
    assert first.keys() == second.keys()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_color_follows_the_choice_then_the_terminal() -> None:
    assert wants_color("always", StringIO(), {"NO_COLOR": "1"})
    assert not wants_color("never", Terminal(), {})
    assert wants_color("auto", Terminal(), {"NO_COLOR": ""})
    assert not wants_color("auto", Terminal(), {"NO_COLOR": "1"})
    assert not wants_color("auto", Terminal(), {"TERM": "dumb"})
    assert not wants_color("auto", StringIO(), {})


def test_import_loads_nothing_slow() -> None:
    code = "import sys, netdsl.render; print({'rich', 'json', 'textwrap', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert "set()\n" == done.stdout


TEXTS = st.text(st.sampled_from("ab ({\n\t\r日é\u0301\u202e\x1b\u3000"), max_size=400)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(TEXTS, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300), TEXTS), min_size=1, max_size=6))
def test_any_text_renders_within_the_columns_and_without_controls(
    text: str, places: list[tuple[int, int, str]]
) -> None:
    source = Source("a.net", text)
    labels = [Label(Span(source, start, start + size), message) for start, size, message in places]
    report = render(Diagnostic("E0001", "title", labels[0], tuple(labels[1:])))
    for line in report.split("\n"):
        assert visible(line) == line
        width = sum(
            0 if unicodedata.category(char) in ("Mn", "Me") else 1 + (unicodedata.east_asian_width(char) in "WF")
            for char in line
        )
        assert COLUMNS >= width
