"""Text that knows where it may break: documents in the manner of Wadler, with comments that survive every layout.

Source: Wadler 1998, "A prettier printer"; a group is laid flat where that fits, else all its own lines break.
"""

from collections.abc import Sequence
from typing import Literal

from netdsl.record import dataclass

Signal = Literal["line", "soft", "hard", "blank", "flush"]


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a line may or must end.

    `line` is a space when flat, `soft` is nothing when flat; the others always end the line they stand on, if there is
    anything on it: `hard` and `flush` (which follows a comment), and `blank`, which also leaves an empty line.
    """

    kind: Signal


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment to its line's end: on a line of its own, or behind what is there (`is_trailing`)."""

    text: str
    is_trailing: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A sequence of documents, `indent` columns further in; a `group` decides for itself whether it breaks.

    `must_break` is true where a part cannot stand on one line. A `weak` group breaks only when nothing before it can.
    """

    parts: Sequence["Doc"]
    indent: int = 0
    is_group: bool = False
    must_break: bool = False
    is_weak: bool = False


Doc = str | Break | Comment | Block

LINE, SOFT, HARD, BLANK, FLUSH = Break("line"), Break("soft"), Break("hard"), Break("blank"), Break("flush")
_ALWAYS = {"hard", "blank", "flush"}


def seq(*parts: Doc) -> Block:
    return Block(parts, 0, False, any(map(_breaks, parts)))


def indent(*parts: Doc, by: int = 4) -> Block:
    return Block(parts, by, False, any(map(_breaks, parts)))


def group(*parts: Doc, must_break: bool = False, is_weak: bool = False) -> Block:
    return Block(parts, 0, True, must_break or any(map(_breaks, parts)), is_weak)


def _breaks(doc: Doc) -> bool:
    if isinstance(doc, Block):
        return doc.must_break
    return (isinstance(doc, Break) and doc.kind in _ALWAYS) or (isinstance(doc, Comment) and not doc.is_trailing)


_Command = tuple[int, bool, Doc]  # indentation, is flat, document


def layout(doc: Doc, width: int) -> str:
    """The text of `doc`, at most `width` columns wide where its breaks allow that; no line ends in a space."""
    printer = _Printer()
    todo: list[_Command] = [(0, False, doc)]
    while todo:
        depth, is_flat, now = todo.pop()
        if isinstance(now, str):
            printer.write(now, depth)
        elif isinstance(now, Comment):
            printer.comment(now, depth)
        elif isinstance(now, Break):
            if now.kind == "blank":
                printer.newline(depth, leaves_blank=True)
            elif now.kind in _ALWAYS or not is_flat:
                printer.newline(depth)
            elif now.kind == "line":
                printer.write(" ", depth)
        else:
            inner = depth + now.indent
            if now.is_group and not is_flat:
                used = printer.column or inner
                is_flat = not now.must_break and _fits(width - used, [(inner, True, part) for part in now.parts], todo)
            todo.extend((inner, is_flat, part) for part in reversed(now.parts))
    printer.newline(0)
    return "\n".join(printer.lines) + "\n" if printer.lines else ""


def _fits(room: int, parts: list[_Command], rest: list[_Command]) -> bool:
    """Whether `parts`, laid flat, and what of `rest` must follow on the same line need at most `room` columns."""
    todo = parts[::-1]
    upcoming = len(rest)
    while room >= 0:
        if not todo:
            if upcoming == 0:
                return True
            upcoming -= 1
            todo.append(rest[upcoming])
        depth, is_flat, now = todo.pop()
        if isinstance(now, str):
            room -= len(now)
        elif isinstance(now, Break):
            if now.kind in _ALWAYS or not is_flat:
                return True
            room -= now.kind == "line"
        elif isinstance(now, Comment):
            if not now.is_trailing:
                return True
        else:
            is_flat = is_flat or (now.is_weak and not now.must_break)
            todo.extend((depth, is_flat, part) for part in reversed(now.parts))
    return False


class _Printer:
    """Lines written so far, the line being written, and the comments that wait for its end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pieces: list[str] = []
        self.column = 0
        self.waiting: list[str] = []

    def write(self, text: str, depth: int) -> None:
        if not self.pieces:
            if not text.strip():
                return
            self.pieces.append(" " * depth)
            self.column = depth
        self.pieces.append(text)
        self.column += len(text)

    def comment(self, comment: Comment, depth: int) -> None:
        if comment.is_trailing and self.pieces:
            self.waiting.append(comment.text)
            return
        self.newline(depth)
        self.write(comment.text, depth)
        self.newline(depth)

    def newline(self, depth: int, *, leaves_blank: bool = False) -> None:
        """End the line if there is anything on it; the first waiting comment goes behind it, others below."""
        if self.pieces:
            line = "".join(self.pieces).rstrip()
            waiting, self.waiting, self.pieces, self.column = self.waiting, [], [], 0
            self.lines.append("  ".join([line, *waiting[:1]]))
            self.lines += [" " * depth + text for text in waiting[1:]]
        if leaves_blank and self.lines and self.lines[-1]:
            self.lines.append("")
