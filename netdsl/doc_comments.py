"""`##` comments: the words that belong to a declaration or to the file."""

from bisect import bisect_right
from collections.abc import Sequence

_LINE_ENDS = ("\n", "\r\n", "\r")


class DocComments:
    """The comments of one text; `places` are their first and last characters, in order."""

    def __init__(self, text: str, places: Sequence[tuple[int, int]]) -> None:
        self._text = text
        self._places = places
        self._starts = [start for start, _ in places]

    def above(self, start: int) -> str | None:
        """The `##` lines right above character `start`, joined; None when something stands between."""
        lines: list[str] = []
        for number in range(bisect_right(self._starts, start) - 1, -1, -1):
            first, last = self._places[number]
            if self._text[last:start].strip(" \t") not in _LINE_ENDS or not self._stands_alone(first):
                break
            line = self._doc_line(first, last)
            if line is not None:
                lines.append(line)
            start = first
        return "\n".join(reversed(lines)) if lines else None

    def of_module(self, first_item: int | None, item_has_doc: bool) -> str | None:
        """The first block of `##` lines, unless it belongs to the first declaration.

        Args:
            first_item: where the first declaration starts, if there is one.
            item_has_doc: whether that declaration keeps the lines right above it.
        """
        lines: list[str] = []
        end = 0
        for first, last in self._places:
            if first_item is not None and first > first_item:
                break
            if lines and self._text[end:first].strip(" \t") not in _LINE_ENDS:
                return "\n".join(lines)
            line = self._doc_line(first, last)
            if line is not None:
                lines.append(line)
            end = last
        if not lines:
            return None
        touches_item = first_item is not None and self._text[end:first_item].strip(" \t") in _LINE_ENDS
        return None if touches_item and item_has_doc else "\n".join(lines)

    def _doc_line(self, first: int, last: int) -> str | None:
        comment = self._text[first:last].rstrip()
        if not comment.startswith("##") or comment.startswith("###"):
            return None
        return comment[2:].removeprefix(" ")

    def _stands_alone(self, first: int) -> bool:
        while first > 0 and self._text[first - 1] in " \t\ufeff":
            first -= 1
        return first == 0 or self._text[first - 1] in "\r\n"
