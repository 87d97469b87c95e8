"""Brackets: each has its partner before the parser starts, so that one that is missing spoils one statement only."""

from collections.abc import Sequence

from netdsl.diagnostics import Diagnostic, Label
from netdsl.lalr import END, Token
from netdsl.record import dataclass
from netdsl.source import Source, Span
from netdsl.tokens import MAX_DIAGNOSTICS

MAX_NESTING = 200
ITEM_KINDS = frozenset(("IMPORT", "EXTERN", "BLOCK", "NETWORK", "EDGE", "MONOID", "CLAIM", "RECIPE", "CONST"))
CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
OPENERS = {closer: opener for opener, closer in CLOSERS.items()}
SIGNS = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}

_SIGN_KINDS = frozenset(
    (
        *("PIPE", "ARROW", "POWER", "FLOOR_DIV", "DOTS", "EQ", "NE", "LE", "GE", "LT", "GT", "PLUS", "MINUS", "STAR"),
        *("SLASH", "PERCENT", "AT", "AMP", "BAR", "TILDE", "EQUAL", "COMMA", "COLON", "DOT", "_NL", END),
        *SIGNS,
    )
)
_NEVER_LAST = frozenset(("AS", "IN", "IF", "ELSE", "FOR", "SCAN", "LET", "WHERE"))


@dataclass(frozen=True, slots=True)
class Bracketed:
    """Tokens whose brackets match; line ends inside ( ) and [ ] are gone.

    `enclosing` is, for each token, the number of the innermost `{` around it (-1: none); a `}` lies inside its own.
    `repairs` are the places of brackets that were added, changed or left out.
    """

    tokens: list[Token]
    enclosing: list[int]
    repairs: list[int]
    diagnostics: list[Diagnostic]


@dataclass(slots=True)
class _Open:
    number: int
    kind: str
    statement: int
    line_end: int | None = None  # the first line end inside after which a new statement seems to start


def starts_operand(token: Token) -> bool:
    """Whether a value or a statement may start with `token`, and nothing go on with it."""
    return token.kind not in _SIGN_KINDS and token.kind not in ("AS", "IN", "WHERE", "ELSE")


def match_brackets(source: Source, tokens: Sequence[Token], open_strings: Sequence[int]) -> Bracketed | Diagnostic:
    """The tokens with partners for all brackets; a diagnostic alone when they nest too deeply.

    Args: open_strings: where strings without an end start; the brackets that they hide are not reported.
    """
    repairs: list[int] = []
    diagnostics: list[Diagnostic] = []
    matcher = _Matcher(source, list(tokens), open_strings, repairs, diagnostics)
    for _ in range(2 * MAX_DIAGNOSTICS):
        if matcher.is_matched():
            return _drop_line_ends(matcher.tokens, repairs, diagnostics)
        if matcher.too_deep is not None:
            return matcher.too_deep
    return Bracketed([Token(END, 0, 0)], [-1], repairs, diagnostics)


def _drop_line_ends(tokens: Sequence[Token], repairs: list[int], diagnostics: list[Diagnostic]) -> Bracketed:
    kept: list[Token] = []
    enclosing: list[int] = []
    braces = [-1]  # the `{` around; -2 inside ( ) and [ ]
    outer = [-1]
    for token in tokens:
        kind = token.kind
        if kind == "_NL" and braces[-1] == -2:
            continue
        kept.append(token)
        enclosing.append(outer[-1])
        if kind in CLOSERS:
            braces.append(len(kept) - 1 if kind == "LBRACE" else -2)
            outer.append(len(kept) - 1 if kind == "LBRACE" else outer[-1])
        elif kind in OPENERS:
            braces.pop()
            outer.pop()
    return Bracketed(kept, enclosing, repairs, diagnostics)


class _Matcher:
    """Finds the first bracket without a partner, mends it, and goes on from the last line outside all brackets."""

    def __init__(
        self,
        source: Source,
        tokens: list[Token],
        open_strings: Sequence[int],
        repairs: list[int],
        diagnostics: list[Diagnostic],
    ) -> None:
        self.tokens = tokens
        self.too_deep: Diagnostic | None = None
        self._source = source
        self._open_strings = open_strings
        self._repairs = repairs
        self._diagnostics = diagnostics
        self._first = 0
        self._ended_bodies = 0

    def is_matched(self) -> bool:
        """Whether every bracket has its partner; if not, one more is mended, or `too_deep` is set."""
        stack: list[_Open] = []
        pairs: list[tuple[_Open, int]] = []
        statement = self._first
        for number in range(self._first, len(self.tokens)):
            token = self.tokens[number]
            kind = token.kind
            if kind not in _WATCHED:
                continue
            if kind in CLOSERS:
                if len(stack) >= MAX_NESTING:
                    title = f"expected at most {MAX_NESTING} brackets inside each other"
                    self.too_deep = Diagnostic("E0502", title, Label(self._span(token)))
                    return False
                stack.append(_Open(number, kind, statement))
                if kind == "LBRACE":
                    statement = number + 1
            elif kind in OPENERS:
                if not stack or stack[-1].kind != OPENERS[kind]:
                    self._mend_closer(number, stack, pairs)
                    return False
                pairs.append((stack.pop(), number))
            elif kind == "ARROW":
                if stack and stack[-1].kind != "LBRACE":  # a header, whose inputs end before it
                    first = max((n for n, entry in enumerate(stack) if entry.kind == "LBRACE"), default=-1) + 1
                    self._mend_openers(stack, first, number, pairs, "`->`")
                    return False
            elif kind == END:
                if stack:
                    self._mend_openers(stack, 0, number, pairs, "the end of the file")
                    return False
            else:
                if self._ends_everything(number, stack):
                    self._mend_openers(stack, self._first_to_end(number, stack), number, pairs, "the next declaration")
                    return False
                if not stack:
                    self._first = number
                    pairs.clear()
                if not stack or stack[-1].kind == "LBRACE":
                    statement = number + 1
                elif stack[-1].line_end is None and self._starts_statement(number):
                    stack[-1].line_end = number
        return True

    def _ends_everything(self, line_end: int, stack: Sequence[_Open]) -> bool:
        """Whether the line after `line_end` is a declaration in column 1, though a bracket is open."""
        if not stack:
            return False
        token, following = self.tokens[line_end + 1], self.tokens[min(line_end + 2, len(self.tokens) - 1)]
        if token.kind not in ITEM_KINDS or self._source.text[token.start - 1] not in "\r\n":
            return False
        if following.kind != "NAME" and not (token.kind == "IMPORT" and following.kind == "STRING"):
            return False
        return token.kind != "CONST" or stack[-1].kind != "LBRACE"

    def _first_to_end(self, line_end: int, stack: Sequence[_Open]) -> int:
        """The outermost bracket that a declaration ends; a `const` may stand inside `{ }`."""
        first = 0
        if self.tokens[line_end + 1].kind == "CONST":
            while any(entry.kind == "LBRACE" for entry in stack[first:]):
                first += 1
        return first

    def _starts_statement(self, line_end: int) -> bool:
        """Whether two operands meet at `line_end`, which no bracket allows."""
        before, after = self.tokens[line_end - 1], self.tokens[line_end + 1]
        ends_operand = before.kind in OPENERS or (before.kind not in _SIGN_KINDS and before.kind not in _NEVER_LAST)
        return ends_operand and starts_operand(after)

    def _mend_closer(self, number: int, stack: list[_Open], pairs: list[tuple[_Open, int]]) -> None:
        token = self.tokens[number]
        sign, opener = SIGNS[token.kind], OPENERS[token.kind]
        place = len(stack) - 1
        while place >= 0 and stack[place].kind != opener and (opener == "LBRACE" or stack[place].kind != "LBRACE"):
            place -= 1
        has_partner = place >= 0 and stack[place].kind == opener
        if has_partner and not (place == len(stack) - 2 and self.tokens[number + 1].kind == CLOSERS[stack[-1].kind]):
            self._mend_openers(stack, place + 1, number, pairs, f"`{sign}`")
        elif stack and stack[-1].kind != "LBRACE" and opener != "LBRACE":
            wanted = CLOSERS[stack[-1].kind]
            title = f"expected `{SIGNS[wanted]}` to close the `{SIGNS[stack[-1].kind]}`, found `{sign}`"
            opened = Label(self._span(self.tokens[stack[-1].number]), "opened here")
            self._report("E0103", title, token, (opened,))
            self.tokens[number] = token._replace(kind=wanted)
            following = self.tokens[number + 1]
            if following.kind == wanted and len(stack) > 1 and stack[-2].kind == opener:  # two that changed places
                self.tokens[number + 1] = following._replace(kind=token.kind)
        else:
            if opener == "LBRACE" and self._ended_bodies > 0:
                self._ended_bodies -= 1  # its body was closed, and reported, before
                self._repairs.append(token.start)
            else:
                self._report("E0103", f"`{sign}` closes nothing", token, help=f"delete `{sign}`, or open it before")
            self._delete(number)

    def _delete(self, number: int) -> None:
        before, after = self.tokens[number - 1], self.tokens[number + 1]
        is_alone = number > 0 and before.kind == "_NL" and after.kind == "_NL"
        del self.tokens[number : number + (2 if is_alone else 1)]

    def _mend_openers(
        self, stack: list[_Open], first: int, number: int, pairs: list[tuple[_Open, int]], before: str
    ) -> None:
        """Close the brackets `stack[first:]`, at the latest before token `number`."""
        line_ends = [entry.line_end for entry in stack[first:] if entry.line_end is not None]
        blamed = self._blame_by_indent(stack[first], pairs)
        if blamed is not None:
            entry, place = blamed
            opened, before = [entry], f"the `}}` on line {self._span(self.tokens[place]).line}"
        elif line_ends:
            place, before = min(line_ends), "the end of the line"
            opened = [entry for entry in stack[first:] if entry.number < place]
        else:
            place, opened = number, stack[first:]
        while self.tokens[place - 1].kind == "_NL":
            place -= 1
        at = self.tokens[place - 1].end
        entry = opened[-1] if before == "the end of the line" else opened[0]
        sign, closer = SIGNS[entry.kind], SIGNS[CLOSERS[entry.kind]]
        title = f"`{sign}` is not closed: expected `{closer}` before {before}"
        missing = Label(Span(self._source, at, at), f"expected `{closer}` here")
        start = self.tokens[entry.number].start
        if any(start < place < at for place in self._open_strings):
            self._repairs.append(start)
        else:
            self._report("E0102", title, self.tokens[entry.number], (missing,))
        self._ended_bodies += before == "the next declaration" and entry.kind == "LBRACE"
        self.tokens[place:place] = [Token(CLOSERS[entry.kind], at, at) for entry in reversed(opened)]
        self._repairs.append(at)

    def _blame_by_indent(self, outer: _Open, pairs: Sequence[tuple[_Open, int]]) -> tuple[_Open, int] | None:
        """A `{` inside `outer` whose `}` stands too far to the left to be its own."""
        if outer.kind != "LBRACE":
            return None
        for entry, number in pairs:
            is_inside = entry.kind == "LBRACE" and entry.number > outer.number
            starts_line = self.tokens[number - 1].kind == "_NL"
            if is_inside and starts_line and self._indent(number) < self._indent(entry.statement):
                return entry, number
        return None

    def _indent(self, number: int) -> int:
        return self._span(self.tokens[number]).column

    def _report(
        self, code: str, title: str, token: Token, others: tuple[Label, ...] = (), help: str | None = None
    ) -> None:
        self._diagnostics.append(Diagnostic(code, title, Label(self._span(token)), others, help=help))
        self._repairs.append(token.start)

    def _span(self, token: Token) -> Span:
        return Span(self._source, token.start, token.end)


_WATCHED = frozenset((*CLOSERS, *OPENERS, "ARROW", "_NL", END))
