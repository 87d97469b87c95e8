"""What to say about a token that does not fit: the cause where it can be told, else what was expected."""

from collections.abc import Callable, Sequence
from functools import cached_property

from netdsl.brackets import CLOSERS, ITEM_KINDS, OPENERS, SIGNS, starts_operand
from netdsl.diagnostics import Diagnostic, Label
from netdsl.did_you_mean import suggest
from netdsl.foreign_words import FIRST_WORDS, OPERATOR_WORDS, SIGN_PAIRS
from netdsl.lalr import END, Tables, Token
from netdsl.record import dataclass
from netdsl.source import Source, Span

SOFT = ITEM_KINDS - {"CONST"} | {"IDENTITY", "OVER", "FROM", "PER", "UNTIL", "GIVEN"}
KEYWORDS = frozenset(
    (
        *("CONST", "PARAM", "STATE", "UPDATE", "LET", "REPEAT", "FOR", "IF", "ELSE", "YIELD", "AS", "IN", "WHERE"),
        *("SCAN", "DECODE", "FIXED_POINT", "TRUE", "FALSE", "NONE"),
    )
)
_DECLARATIONS = "`network`, `block`, `edge`, `monoid`, `extern`, `const`, `claim`, `recipe` or `import`"
_SPELLING = {
    "COMMA": ",", "EQUAL": "=", "COLON": ":", "ARROW": "->", "DOT": ".", "DOTS": "..", "PIPE": "|>", "TILDE": "~",
    **SIGNS,
}  # fmt: skip
_OPERATORS = frozenset(
    (
        *("PIPE", "POWER", "FLOOR_DIV", "EQ", "NE", "LE", "GE", "LT", "GT", "PLUS", "MINUS", "STAR", "SLASH"),
        *("PERCENT", "AT", "AMP", "BAR", "DOT"),
    )
)


@dataclass(frozen=True)
class Context:
    """Token `number` does not fit after what `states` stand for; all before it does."""

    source: Source
    tables: Tables
    states: Sequence[int]
    tokens: Sequence[Token]
    number: int
    in_body: bool

    @property
    def token(self) -> Token:
        return self.tokens[self.number]

    @property
    def before(self) -> Token | None:
        return self.tokens[self.number - 1] if self.number > 0 else None

    @property
    def following(self) -> Token:
        return self.tokens[min(self.number + 1, len(self.tokens) - 1)]

    @cached_property
    def expected(self) -> frozenset[str]:
        return self.tables.expected(self.states)

    @cached_property
    def opened(self) -> Token | None:
        """The innermost bracket that is open here."""
        depth = 0
        for number in range(self.number - 1, -1, -1):
            kind = self.tokens[number].kind
            if kind in OPENERS:
                depth += 1
            elif kind in CLOSERS:
                if depth == 0:
                    return self.tokens[number]
                depth -= 1
        return None

    @cached_property
    def statement(self) -> int:
        """The number of the first token of the statement."""
        first = self.number
        while first > 0 and self.tokens[first - 1].kind not in ("_NL", "LBRACE", "RBRACE"):
            first -= 1
        return first

    def text(self, token: Token) -> str:
        return self.source.text[token.start : token.end]

    def span(self, first: Token, last: Token | None = None) -> Span:
        return Span(self.source, first.start, (last or first).end)

    def found(self) -> str:
        kind = self.token.kind
        if kind == END:
            return "the end of the file" if "\n" in self.source.text else "the end of the line"
        if kind == "_NL":
            return "the end of the line"
        text = self.text(self.token)
        if kind == "STRING":
            return "a string"
        return f"the keyword `{text}`" if kind in KEYWORDS else f"`{text}`"


def describe(context: Context) -> Diagnostic:
    """The diagnostic for the token of `context`."""
    for cause in _CAUSES:
        diagnostic = cause(context)
        if diagnostic is not None:
            return diagnostic
    title = f"expected {_expected_words(context)}, found {context.found()}"
    return Diagnostic("E0101", title, Label(_place(context)), help=_help(context))


def _place(context: Context) -> Span:
    """Where the token stands; the end of the line is one character after the last word."""
    token = context.token
    if token.kind not in ("_NL", END):
        return context.span(token)
    at = context.before.end if context.before is not None else 0
    return Span(context.source, at, at)


def _foreign_word(context: Context) -> Diagnostic | None:
    first = context.tokens[context.statement]
    if first.kind in ("NAME", *SOFT) and context.number - context.statement <= 2:
        found = FIRST_WORDS.get(context.text(first))
        starts = context.number - context.statement <= 1 or context.text(first) in ("from", "import")
        if found is not None and starts:
            return _foreign(context, context.span(first), *found)
    for token in (context.token, context.before):
        if token is not None and token.kind == "NAME" and context.text(token) in OPERATOR_WORDS:
            return _foreign(context, context.span(token), *OPERATOR_WORDS[context.text(token)])
    return None


def _foreign(context: Context, span: Span, instead: str, help: str) -> Diagnostic:
    word = context.source.text[span.start : span.end]
    return Diagnostic("E0109", f"`{word}` is no word of the language: {instead}", Label(span), help=help)


def _foreign_sign(context: Context) -> Diagnostic | None:
    before, token = context.before, context.token
    if before is None:
        return None
    if before.kind == "EQUAL" and token.kind == "EQUAL":
        title = "expected an expression after `=`, found `=`"
        return Diagnostic("E0101", title, Label(context.span(token)), help="`=` gives a value to a name, `==` compares")
    for first, second in ((before, token), (token, context.following)):
        pair = context.text(first) + context.text(second)
        if first.end == second.start and pair in SIGN_PAIRS:
            instead, help = SIGN_PAIRS[pair]
            title = f"`{pair}` is no sign of the language: {instead}"
            return Diagnostic("E0109", title, Label(context.span(first, second)), help=help)
    return None


def _number(context: Context) -> Diagnostic | None:
    token, before, following = context.token, context.before, context.following
    if token.kind == "DOT" and following.kind in ("INT", "FLOAT") and following.start == token.end:
        found = context.text(token) + context.text(following)
        label = Label(context.span(token, following))
        return Diagnostic("E0005", f"expected a digit before the point of `{found}`", label, help=f"write `0{found}`")
    earlier = context.tokens[context.number - 2] if context.number >= 2 else None
    if before is None or before.kind != "DOT" or earlier is None or earlier.kind != "INT":
        return None
    found = context.text(earlier)
    label = Label(context.span(earlier, before))
    return Diagnostic("E0005", f"expected a digit after the point of `{found}.`", label, help=f"write `{found}.0`")


def _keyword(context: Context) -> Diagnostic | None:
    """A keyword where a name has to stand."""
    token, before = context.token, context.before
    if token.kind in KEYWORDS and "NAME" in context.expected and not _is_statement(context):
        wanted = _expected_words(context)
        title = f"expected {wanted}, found the keyword `{context.text(token)}`"
        return Diagnostic("E0104", title, Label(context.span(token)))
    if before is None or before.kind not in KEYWORDS:
        return None
    starts = context.number == context.statement + 1 and token.kind in ("EQUAL", "COMMA", "DOT", "COLON")
    if (starts and "NAME" in context.expected) or context.expected == {"EQUAL"}:
        title = f"`{context.text(before)}` is a keyword, and cannot be a name"
        return Diagnostic("E0104", title, Label(context.span(before)))
    return None


def _declaration(context: Context) -> Diagnostic | None:
    """A declaration in a body, or something else outside of all bodies."""
    token, before = context.token, context.before
    follows_word = before is not None and before.kind in ITEM_KINDS and context.number == context.statement + 1
    if before is not None and follows_word and context.in_body and token.kind in ("NAME", "STRING"):
        word = context.text(before)
        title = f"`{word}` stands in a body: declarations stand at the top of the file"
        return Diagnostic("E0112", title, Label(context.span(before)))
    if "IMPORT" in context.expected and "RECIPE" in context.expected and "NAME" not in context.expected:
        near = suggest(context.text(token), [kind.lower() for kind in ITEM_KINDS]) if token.kind == "NAME" else None
        title = f"expected a declaration, found {context.found()}"
        help = f"did you mean `{near}`?" if near else f"a declaration starts with {_DECLARATIONS}"
        return Diagnostic("E0114", title, Label(_place(context)), help=help)
    return None


def _target(context: Context) -> Diagnostic | None:
    """`=` after something that cannot take a value."""
    token = context.token
    if token.kind != "EQUAL":
        return None
    if "LBRACE" in context.expected:
        return Diagnostic("E0115", "expected a condition, found `=`", Label(context.span(token)), help="write `==`")
    first, last = context.tokens[context.statement], context.before
    if first == token:
        return Diagnostic("E0115", "expected a name before `=`", Label(context.span(token)))
    if "_NL" in context.expected and context.in_body and last is not None:
        signs = {other.kind for other in context.tokens[context.statement : context.number]}
        if "EQUAL" in signs:
            title = "expected one `=` in a statement, found a second"
            return Diagnostic("E0115", title, Label(context.span(token)), help="write `==` to compare")
        if first.kind == "IDENTITY" and last == first:
            title = "`identity` is followed by `:`, and cannot be assigned"
            return Diagnostic("E0115", title, Label(context.span(first)))
        place = Label(context.span(first, last), "this is not a name")
        text = context.source.text[first.start : last.end]
        shown = f", found `{text}`" if len(text) <= 40 and "\n" not in text else ""
        is_tuple = first.kind == "LPAR" and last.kind == "RPAR"
        help = "write the names without parentheses" if is_tuple else None
        return Diagnostic("E0115", f"expected a name before `=`{shown}", place, help=help)
    return None


def _separator(context: Context) -> Diagnostic | None:
    """Two values side by side."""
    token, before = context.token, context.before
    if before is None or not starts_operand(token) or "PLUS" not in context.expected:
        return None
    after = f"after `{context.text(before)}`" if before.kind != "STRING" else "after the string"
    found = context.found()
    comment = any(other.kind == "FLOOR_DIV" for other in context.tokens[context.statement : context.number])
    if context.opened is not None and context.opened.kind != "LBRACE" and "COMMA" in context.expected:
        title = f"expected `,` {after}, found {found}"
        return Diagnostic("E0110", title, Label(context.span(token)), help=f"write `,` {after}")
    if "_NL" in context.expected or END in context.expected:
        help = "a comment starts with `#`; `//` divides" if comment else None
        title = f"expected an operator or the end of the line {after}, found {found}"
        return Diagnostic("E0116", title, Label(context.span(token)), help=help)
    return None


_CAUSES: tuple[Callable[[Context], Diagnostic | None], ...] = (
    _foreign_word, _foreign_sign, _number, _keyword, _declaration, _target, _separator,
)  # fmt: skip


def _is_statement(context: Context) -> bool:
    return {"LET", "RBRACE"} <= context.expected


def _expected_words(context: Context) -> str:
    """What may stand here, in the words of the language."""
    expected = set(context.expected)
    words: list[str] = []
    if _is_statement(context):
        words.append("a statement")
        expected &= {"RBRACE"}
    elif "NAME" in expected:
        words.append(_kind_of_name(expected))
        closers = {"RPAR", "RSQB"} if "MINUS" in expected else set(OPENERS) | {"COMMA", "_NL"}
        expected &= closers
    else:
        expected -= _OPERATORS
        if expected - {"LPAR", "LSQB", "AS", "IN"}:
            expected -= {"LPAR", "LSQB", "AS"} if "PLUS" in context.expected else {"LPAR", "LSQB"}
        if expected & {"COMMA", "_NL"}:
            expected -= {"DOTS"}
        if "_NL" in expected:
            expected -= {"RBRACE"}
        if not expected:
            words.append("an operator")
    words += [_word(context, kind) for kind in sorted(expected, key=_rank)]
    words = list(dict.fromkeys(words))
    return " or ".join(([", ".join(words[:-1])] if len(words) > 1 else []) + words[-1:])


def _kind_of_name(expected: set[str]) -> str:
    if "MINUS" in expected:
        return "a dimension" if "DOTS" in expected and "COLON" not in expected else "an expression"
    if "LPAR" in expected:
        return "a type"
    return "the name of a module, or a file in double quotes" if "STRING" in expected else "a name"


def _rank(kind: str) -> tuple[bool, bool, str]:
    """Signs first, then the bracket that ends here, then the end of the line."""
    return kind in ("_NL", END), kind in OPENERS, kind


def _word(context: Context, kind: str) -> str:
    if kind in ("_NL", END):
        return "the end of the line"
    if kind in OPENERS and context.opened is not None:
        opened = context.opened
        line, here = context.span(opened).line, context.span(context.token).line
        where = f" to close the `{context.text(opened)}` on line {line}" if line != here else ""
        return f"`{SIGNS[kind]}`{where}"
    return "a string" if kind == "STRING" else f"`{_SPELLING.get(kind, kind.lower())}`"


def _help(context: Context) -> str | None:
    """The edit, where it is sure."""
    expected, token, before = context.expected, context.token, context.before
    if "ARROW" in expected and token.kind == "LBRACE":
        return "a header says what it gives: `-> float[.., D]`"
    if token.kind == "_NL" and context.following.kind == "LPAR" and "LPAR" in expected:
        return "open the `(` on the line of the name"
    if expected == {"COLON"} and token.kind in ("RPAR", "COMMA", "RSQB", "EQUAL"):
        return "each input has a type: `x: float[.., D]`"
    if token.kind == "COLON" and "COMMA" in expected and context.opened is not None and context.opened.kind != "LBRACE":
        return "an argument is named with `=`"
    if token.kind == "LBRACE" and "MINUS" in expected and before is not None and before.kind in ("EQUAL", "COMMA"):
        return "a list stands in [ ], named values in ( )"
    if token.kind == "FLOOR_DIV" and "MINUS" in expected:
        return "a comment starts with `#`"
    if token.kind == "DOTS" and "_NL" in expected:
        return "a range stands in an argument, or after `in`"
    if token.kind == "_NL" and before is not None and "MINUS" in expected and not _is_statement(context):
        if before.kind == "PIPE":
            return "start the next line with `|>`"
        return f"`{context.text(before)}` does not go on with the next line: put the value in ( )"
    if token.kind == "ELSE":
        return "`else` follows the `}` of an `if`"
    return None
