"""Text to tokens: the terminals of `net.lark`, and what to say about text that is none of them."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from netdsl.diagnostics import Diagnostic, Label
from netdsl.lalr import END, Token
from netdsl.record import dataclass
from netdsl.source import Source, Span

MAX_SOURCE_CHARS = 4 * 1024 * 1024
MAX_TOKENS = 300_000
MAX_NAME = 256
MAX_DIAGNOSTICS = 20

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff]+|(?<=[\\s\\S])\ufeff+"
)
_COMMENT = re.compile(r"#[^\r\n]*")
_STRAY = re.compile(
    r"""(?P<number>[0-9][A-Za-z0-9_]*(?:\.[0-9][A-Za-z0-9_]*)?(?:(?<=[eE])[+-][0-9]+)?)
    |(?P<open_string>"[^\r\n]*)
    |(?P<other_quotes>'(?:[^'\\\r\n]|\\[^\r\n])*'?|[\u2018-\u201f][^\u2018-\u201f\r\n]*[\u2018-\u201f]?)
    |(?P<quoted>`[^`\r\n]*`)
    |(?P<line_goes_on>\\[ \t]*(?:\r\n|\r|\n))
    |(?P<other>[\s\S])""",
    re.VERBOSE,
)
_HELP = {
    "!": "write `~x` for not, `a != b` for unequal",
    ";": "a statement ends with its line: start a new line",
    "\\": "a line goes on inside ( ) and [ ], and before `|>`",
    "^": "write `a ** b` for a power",
    "–": "write `-`",
    "—": "write `-`",
    "−": "write `-`",
    "×": "write `*`",
    "·": "write `*`",
    "÷": "write `/`",
    "→": "write `->`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "¬": "write `~x`",
    "?": "write `if c { a } else { b }`",
}


@dataclass(slots=True)
class Lexed:
    """The tokens of one text, line ends included, and what was wrong with it.

    `comments` are the first and last characters of every comment.
    """

    tokens: list[Token]
    comments: list[tuple[int, int]]
    diagnostics: list[Diagnostic]

    def report(self, diagnostic: Diagnostic) -> None:
        if len(self.diagnostics) < MAX_DIAGNOSTICS:
            self.diagnostics.append(diagnostic)


class Lexer:
    """The terminals of the grammar as one regular expression."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        literals: dict[str, str] = data["literals"]
        self.words = {text: kind for text, kind in literals.items() if text.isidentifier()}
        self._signs = {text: kind for text, kind in literals.items() if text not in self.words}
        self._ignored = frozenset(data["ignored"])
        signs = sorted(self._signs, key=len, reverse=True)
        patterns = {name: f"(?P<{name}>{pattern})" for name, pattern in data["patterns"] if name != "SPACE"}
        sign = f"(?P<SIGN>{'|'.join(map(re.escape, signs))})"
        # Names and signs come most often and fit where nothing else does, so they are tried first.
        parts = [patterns.pop("NAME"), sign, *patterns.values()]
        self._pattern = re.compile(f"[ \\t]*+(?:{'|'.join(parts)}|(?P<END>\\Z)|(?P<STRAY>))")

    def scan(self, source: Source) -> Lexed:
        """The tokens of `source`; what is no token is reported and left out, or read as what it must mean."""
        lexed = Lexed([], [], [])
        text = source.text
        if len(text) > MAX_SOURCE_CHARS:
            title = f"expected at most {MAX_SOURCE_CHARS:,} characters in a file, found {len(text):,}"
            lexed.report(Diagnostic("E0501", title, Label(Span(source, 0, 0))))
            text = ""
        elif _HIDDEN.search(text):
            text = _without_hidden(source, lexed.diagnostics)
        self._scan(source, text, lexed)
        lexed.tokens.append(Token(END, len(text), len(text)))
        return lexed

    def _scan(self, source: Source, text: str, lexed: Lexed) -> None:
        tokens, words, signs, ignored = lexed.tokens, self.words, self._signs, self._ignored
        position = 0
        match_at = self._pattern.match
        while True:
            match = match_at(text, position)
            assert match is not None and match.lastgroup is not None
            kind = match.lastgroup
            start, position = match.span(kind)
            if kind == "SIGN":
                tokens.append(Token(signs[text[start:position]], start, position))
            elif kind == "NAME":
                if position - start > MAX_NAME:
                    title = f"expected a name of at most {MAX_NAME} characters, found {position - start}"
                    lexed.report(Diagnostic("E0503", title, Label(Span(source, start, position))))
                tokens.append(Token(words.get(text[start:position], "NAME"), start, position))
            elif kind == "END":
                return
            elif kind == "STRAY":
                position = _stray(source, text, start, lexed)
            else:
                if kind in ("_NL", "CONTINUED", "COMMENT"):
                    comments = _COMMENT.finditer(text, start, position)
                    lexed.comments.extend(comment.span() for comment in comments)
                if kind not in ignored and not (kind == "_NL" and tokens and tokens[-1].kind == "_NL"):
                    tokens.append(Token(kind, start, position))
            if len(tokens) > MAX_TOKENS:
                title = f"expected at most {MAX_TOKENS:,} words and signs in a file"
                lexed.report(Diagnostic("E0507", title, Label(Span(source, start, start))))
                tokens.clear()
                return


def _without_hidden(source: Source, diagnostics: list[Diagnostic]) -> str:
    """The text with a space for each character that cannot be seen."""

    def blank(match: re.Match[str]) -> str:
        if len(diagnostics) < MAX_DIAGNOSTICS:
            title = _hidden_title(match[0][0])
            label = Label(Span(source, *match.span()), "here")
            diagnostics.append(Diagnostic("E0006", title, label, help="delete it"))
        return " " * len(match[0])

    return _HIDDEN.sub(blank, source.text)


def _stray(source: Source, text: str, start: int, lexed: Lexed) -> int:
    """Report what stands at `start`, which no terminal fits, and where it ends."""
    match = _STRAY.match(text, start)
    assert match is not None
    what, found, end = match.lastgroup, match[0], match.end()
    label = Label(Span(source, start, end))
    if what == "number":
        lexed.report(_number(found, label))
        lexed.tokens.append(Token("INT", start, end))
    elif what == "open_string":
        title = 'expected `"` at the end of the string'
        lexed.report(Diagnostic("E0002", title, label, help="a string ends on its line"))
        lexed.tokens.append(Token("STRING", start, end))
    elif what == "other_quotes":
        title = "a string stands in double quotes"
        fixed = re.sub("^['\u2018-\u201f]|['\u2018-\u201f]$", "", found).replace('"', '\\"')
        lexed.report(Diagnostic("E0003", title, label, help=f'write `"{fixed}"`'))
        lexed.tokens.append(Token("STRING", start, end))
    elif what == "other" and _is_letter(found):
        while end < len(text) and _is_letter(text[end]):
            end += 1
        if lexed.tokens and lexed.tokens[-1].end == start and lexed.tokens[-1].kind not in ("_NL", "STRING"):
            last = lexed.tokens[-1]
            if text[last.start : last.end].isidentifier():
                start = lexed.tokens.pop().start
        title = f"expected ASCII letters, digits and `_` in a name, found `{text[start:end]}`"
        lexed.report(Diagnostic("E0007", title, Label(Span(source, start, end))))
        lexed.tokens.append(Token("NAME", start, end))
    elif what == "quoted":
        title = "found text in backticks, which has no meaning here"
        lexed.report(Diagnostic("E0001", title, label, help='a string stands in double quotes: "text"'))
        lexed.tokens.append(Token("STRING", start, end))
    else:
        label = Label(Span(source, start, start + 1))
        if found[0].isprintable():
            title = f"found `{found[0]}`, which has no meaning here"
            lexed.report(Diagnostic("E0001", title, label, help=_HELP.get(found[0])))
        else:
            help = "write a space" if found.isspace() else "delete it"
            lexed.report(Diagnostic("E0006", _hidden_title(found), label, help=help))
    return end


def _is_letter(character: str) -> bool:
    """Whether a reader takes `character` for a part of a name."""
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _hidden_title(character: str) -> str:
    return f"found the character U+{ord(character):04X}, which cannot be seen"


def _number(found: str, label: Label) -> Diagnostic:
    if found.lower().startswith(("0x", "0b", "0o")):
        try:
            help = f"write `{int(found, 0)}`"
        except ValueError:
            help = None
        return Diagnostic("E0005", f"expected a number in base ten, found `{found}`", label, help=help)
    if re.fullmatch(r"[0-9._]+[eE][+-]?[0-9]+", found):
        return Diagnostic("E0005", f"expected a small `e`, found `{found}`", label, help=f"write `{found.lower()}`")
    if set(found) <= set("0123456789_."):
        return Diagnostic("E0005", f"expected a digit on both sides of each `_`, found `{found}`", label)
    return Diagnostic("E0005", f"expected a number or a name, found `{found}`: a name starts with a letter", label)
