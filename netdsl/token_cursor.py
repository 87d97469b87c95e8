"""The tokens of a text one after another, with the comments between them."""

import re

from netdsl.layout import BLANK, FLUSH, HARD, Comment, Doc, seq
from netdsl.parser import comments
from netdsl.source import Source

_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_BLANKS = re.compile(r"[ \t]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class TokenCursor:
    """Takes the tokens of `source` in order and gives each as a document.

    Whoever prints a text again from its tree takes every token from here, so no comment is lost and no token invented.
    """

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.offset = 0
        self.comments = {comment.span.start: comment.span.end for comment in comments(source)}
        self.follows_comment = False
        self.leaves_blank = False

    def token(self, text: str) -> Doc:
        """The next token, which must be `text`, between the comments around it."""
        lead = self.lead()
        self._take(text)
        trail = self._trailing()
        return seq(*lead, text, *trail) if lead or trail else text

    def comma(self, *, is_printed: bool = True) -> Doc:
        """The next token, a comma: it joins what is before it, and comments between the two go behind it."""
        found = self._skip()
        self._take(",")
        behind = [Comment(text, is_trailing=False) for text, _ in found]
        return seq("," if is_printed else "", *behind, *self._trailing())

    def lead(self) -> list[Doc]:
        """The comments before the next token; empty when there are none and the token may join its line."""
        found = self._skip()
        docs: list[Doc] = [FLUSH] if found or self.follows_comment else []
        docs += [Comment(text, is_trailing=False) for text, _ in found]
        self.follows_comment = False
        return docs

    def lead_lines(self, *, is_first: bool, is_last: bool = False) -> list[Doc]:
        """The comments before the next statement, and the line end, or blank line, before each and before it."""
        docs: list[Doc] = []
        for text, leaves_blank in self._skip():
            docs += [BLANK if leaves_blank and not is_first else HARD, Comment(text, is_trailing=False)]
            is_first = False
        if not is_last:
            docs.append(BLANK if self.leaves_blank and not is_first else HARD)
        self.follows_comment = False
        return docs

    def string(self) -> Doc:
        lead = self.lead()
        found = _STRING.match(self.text, self.offset)
        assert found, self.text[self.offset : self.offset + 20]
        return seq(*lead, self.token(found[0]))

    def comes(self, text: str) -> bool:
        """Whether the next token is `text`, comments aside."""
        offset = self.offset
        while True:
            offset = self._end_of(_SPACE, offset)
            if offset not in self.comments:
                return self.text.startswith(text, offset)
            offset = self.comments[offset]

    def _skip(self) -> list[tuple[str, bool]]:
        """Go to the next token; the comments on the way, each with whether a blank line precedes it."""
        found: list[tuple[str, bool]] = []
        while True:
            end = self._end_of(_SPACE, self.offset)
            self.leaves_blank = len(_LINE_END.findall(self.text, self.offset, end)) > 1
            self.offset = end
            if end not in self.comments:
                return found
            self.offset = self.comments[end]
            found.append((self.text[end : self.offset].rstrip(), self.leaves_blank))

    def _take(self, text: str) -> None:
        assert self.text.startswith(text, self.offset), (text, self.text[self.offset : self.offset + 20])
        self.offset += len(text)

    def _trailing(self) -> list[Doc]:
        """The comment behind the token just taken, if there is one."""
        start = self._end_of(_BLANKS, self.offset)
        if start not in self.comments:
            return []
        self.offset = self.comments[start]
        self.follows_comment = True
        return [Comment(self.text[start : self.offset].rstrip(), is_trailing=True)]

    def _end_of(self, pattern: re.Pattern[str], offset: int) -> int:
        found = pattern.match(self.text, offset)
        assert found
        return found.end()
