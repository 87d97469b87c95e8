"""After a syntax error: what to say, and where to go on."""

from bisect import bisect_left
from collections.abc import Sequence

from netdsl.brackets import ITEM_KINDS, Bracketed
from netdsl.diagnostics import Diagnostic, Label
from netdsl.lalr import END, Resume, Tables, Token, TooDeep
from netdsl.source import Source, Span
from netdsl.syntax_errors import Context, describe
from netdsl.tokens import MAX_DIAGNOSTICS


class Recovery:
    """Skips the rest of the statement, or of the declaration, in which an error lies.

    `diagnostics` has one entry an error, unless the statement was already reported for one of the places `known`.
    `skipped` are the bodies that were left out, as the numbers of their first and last tokens; they can be read alone.
    """

    def __init__(self, source: Source, tables: Tables, bracketed: Bracketed, known: Sequence[int], base: int) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.skipped: list[tuple[int, int]] = []
        self._source = source
        self._tables = tables
        self._tokens = bracketed.tokens
        self._enclosing = bracketed.enclosing
        self._known = known
        self._base = base

    def __call__(
        self, states: Sequence[int], values: Sequence[object], number: int, too_deep: TooDeep | None
    ) -> Resume | None:
        """Report the error at token `number` of the tokens from `base` on."""
        number += self._base
        brace = self._enclosing[number]
        symbol = "_statement" if brace >= 0 else "_item"
        kept = self._kept_states(states, values, brace, symbol)
        stop = self._statement_end(number, brace) if brace >= 0 else self._item_end(number)
        if too_deep is not None:
            self._report_depth(too_deep)
        elif not self._is_known(self._statement_start(number, brace), stop):
            context = Context(self._source, self._tables, states, self._tokens, number, brace >= 0)
            self.diagnostics.append(describe(context))
        if kept == 0 or len(self.diagnostics) >= MAX_DIAGNOSTICS:
            return None
        self._note_bodies(number, stop, brace)
        return Resume(kept, symbol, stop - self._base)

    def _kept_states(self, states: Sequence[int], values: Sequence[object], brace: int, symbol: str) -> int:
        """How many states belong to what is right before the statement; 0 when none can take one."""
        kept = 0
        is_inside = brace < self._base
        for place, state in enumerate(states):
            value = values[place - 1] if place > 0 else None
            if isinstance(value, Token) and value.kind == "LBRACE":
                if is_inside:
                    break
                is_inside = value.start == self._tokens[brace].start
            if is_inside and symbol in self._tables.states[state]:
                kept = place + 1
        return kept

    def _statement_start(self, number: int, brace: int) -> int:
        first = number
        while first > 0 and not (first - 1 == brace or self._is_line_end(first - 1, brace)):
            first -= 1
        return first

    def _statement_end(self, number: int, brace: int) -> int:
        while not (self._enclosing[number] == brace and self._tokens[number].kind in ("_NL", "RBRACE")):
            number += 1
        return number

    def _item_end(self, number: int) -> int:
        while self._tokens[number].kind != END:
            if self._is_line_end(number, -1) and self._tokens[number + 1].kind in ITEM_KINDS:
                break
            number += 1
        return number

    def _is_line_end(self, number: int, brace: int) -> bool:
        return self._tokens[number].kind == "_NL" and self._enclosing[number] == brace

    def _is_known(self, first: int, last: int) -> bool:
        place = bisect_left(self._known, self._tokens[first].start)
        return place < len(self._known) and self._known[place] <= self._tokens[last].start

    def _note_bodies(self, number: int, stop: int, brace: int) -> None:
        for first in range(number + 1, stop):
            if self._tokens[first].kind == "LBRACE" and self._enclosing[first] == brace:
                last = self._statement_end_of_body(first)
                if self._tokens[first + 1].kind == "_NL":
                    self.skipped.append((first, last))

    def _statement_end_of_body(self, first: int) -> int:
        last = first + 1
        while not (self._enclosing[last] == first and self._tokens[last].kind == "RBRACE"):
            last += 1
        return last

    def _report_depth(self, too_deep: TooDeep) -> None:
        title = "expected an expression of at most 2,000 operators, calls and brackets on top of each other"
        place = Span(self._source, too_deep.start, min(too_deep.end, too_deep.start + 1))
        help = "name parts of it, each on its own line"
        self.diagnostics.append(Diagnostic("E0506", title, Label(place, "it starts here"), help=help))
