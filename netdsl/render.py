"""Diagnostics as text for a terminal, and as JSON for a machine."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Literal

from netdsl.diagnostics import Diagnostic, Label
from netdsl.record import dataclass
from netdsl.source import NO_SOURCE, Source, Span

COLUMNS = 120
TAB = 4
FAR = 5  # lines further apart than this get `...` between them
CUT = "…"

_Role = Literal["plain", "title", "gutter", "error", "warning", "other", "help"]
_ANSI: dict[_Role, str] = {
    "plain": "",
    "title": "1",
    "gutter": "1;34",
    "error": "1;31",
    "warning": "1;33",
    "other": "1;34",
    "help": "1;36",
}


def render(diagnostic: Diagnostic, *, color: bool = False) -> str:
    """The report of one diagnostic: title, excerpt, enclosing calls, notes and help; no line end after it."""
    severity: _Role = "warning" if diagnostic.code.startswith("W") else "error"
    head = _paint(f"{severity}[{diagnostic.code}]", severity, color)
    lines = [head + _paint(": " + visible(diagnostic.title), "title", color)]
    labels = _labels(diagnostic)
    gutter = 1
    if labels:
        gutter = max(len(str(mark.line)) for label, is_primary in labels for mark in _marks(label, is_primary))
        for source in dict.fromkeys(label.span.source for label, _ in labels):
            mine = [(label, is_primary) for label, is_primary in labels if label.span.source is source]
            arrow = "-->" if source is labels[0][0].span.source else ":::"
            lines.append(" " * gutter + _paint(arrow, "gutter", color) + " " + visible(str(mine[0][0].span)))
            lines.append(" " * gutter + _paint(" |", "gutter", color))
            lines += _excerpt(source, mine, gutter, severity, color)
    lines += _footer(diagnostic, gutter, color)
    return "\n".join(lines)


def render_all(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """All reports, a blank line after each, then the summary; "" when there is nothing to say."""
    found = tuple(diagnostics)
    if not found:
        return ""
    return "\n\n".join([*(render(each, color=color) for each in found), summary(found)]) + "\n"


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors in 1 file`; warnings are counted apart, and findings without a place name no file."""
    found = tuple(diagnostics)
    warnings = sum(each.code.startswith("W") for each in found)
    counts = [_count(len(found) - warnings, "error")] if len(found) > warnings or not warnings else []
    if warnings:
        counts.append(_count(warnings, "warning"))
    paths = {label.span.source.path for each in found for label, is_primary in _labels(each) if is_primary}
    return " and ".join(counts) + (f" in {_count(len(paths), 'file')}" if paths else "")


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """One JSON document, schema `netdsl.diagnostics/1`.

    Lines and columns count from 1, columns count code points, and an end is the column after the last character.
    A place that is not known is `null`. A label is `primary` where it is the one that the diagnostic is about.
    """
    import json

    records = [
        {
            "code": each.code,
            "title": each.title,
            **_place(each.primary.span if each.primary else None),
            "labels": [
                {"text": label.text, "primary": is_primary, **_place(label.span)} for label, is_primary in _labels(each)
            ],
            "chain": list(each.chain),
            "notes": list(each.notes),
            "help": each.help,
        }
        for each in diagnostics
    ]
    return json.dumps({"schema": "netdsl.diagnostics/1", "diagnostics": records}, indent=2)


def wants_color(choice: Literal["auto", "always", "never"], stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether to colour what goes to `stream`: as chosen; `auto` means a capable terminal and no `NO_COLOR`."""
    if choice != "auto":
        return choice == "always"
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stream.isatty()


def visible(text: str) -> str:
    """`text` with everything that a terminal would obey or hide (control, bidi, zero width) as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_cell(char) for char in text)


# --- the excerpt ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Mark:
    """Part of one line to underline, by code points from 0; a label over many lines has two."""

    line: int
    start: int
    end: int
    text: str
    is_primary: bool

    def role(self, severity: _Role) -> _Role:
        return severity if self.is_primary else "other"


def _labels(diagnostic: Diagnostic) -> list[tuple[Label, bool]]:
    """The labels that have a place in some text, the primary one first."""
    labels = [(diagnostic.primary, True)] if diagnostic.primary else []
    labels += [(label, False) for label in diagnostic.others]
    return [(label, is_primary) for label, is_primary in labels if label.span.source is not NO_SOURCE]


def _marks(label: Label, is_primary: bool) -> list[_Mark]:
    (line, column), (last, end_column) = _ends(label.span)
    source = label.span.source
    start, end = min(column - 1, len(source.line(line))), end_column - 1
    text = visible(label.text)
    if line == last:
        return [_Mark(line, start, max(end, start + 1), text, is_primary)]
    first_end = len(source.line(line).rstrip())
    tail = source.line(last)
    indent = min(len(tail) - len(tail.lstrip()), end - 1)
    return [
        _Mark(line, start, max(first_end, start + 1), "", is_primary),
        _Mark(last, indent, end, text, is_primary),
    ]


def _ends(span: Span) -> tuple[tuple[int, int], tuple[int, int]]:
    """Position of the first character and of the place after the last one, line ends left out."""
    text = span.source.text
    start = min(max(span.start, 0), len(text))
    end = min(max(span.end, start), len(text))
    while end > start and text[end - 1] in "\r\n":
        end -= 1
    return span.source.position(start), span.source.position(end)


def _excerpt(
    source: Source, labels: list[tuple[Label, bool]], gutter: int, severity: _Role, color: bool
) -> Iterator[str]:
    by_line: dict[int, list[_Mark]] = {}
    spans: list[tuple[int, int]] = []
    for label, is_primary in labels:
        marks = _marks(label, is_primary)
        spans.append((marks[0].line, marks[-1].line))
        for mark in marks:
            by_line.setdefault(mark.line, []).append(mark)
    width = COLUMNS - gutter - 3
    blank = " " * gutter + _paint(" |", "gutter", color)
    previous: int | None = None
    for line in sorted(by_line):
        if previous is not None:
            is_inside = any(first <= previous and line <= last for first, last in spans)
            if is_inside and line - previous == 2:
                shown, _ = _fit(source.line(line - 1), [_Mark(line - 1, 0, 1, "", False)], width)
                yield _numbered(line - 1, gutter, shown, color)
            elif line - previous > (1 if is_inside else FAR):
                yield _paint("...", "gutter", color)
        previous = line
        shown, placed = _fit(source.line(line), by_line[line], width)
        yield _numbered(line, gutter, shown, color)
        for row in _rows(placed, width, severity):
            yield blank + " " + _join(row, color)


def _numbered(line: int, gutter: int, shown: str, color: bool) -> str:
    return (_paint(f"{line:>{gutter}} |", "gutter", color) + " " + shown).rstrip()


def _fit(text: str, marks: list[_Mark], width: int) -> tuple[str, list[_Mark]]:
    """The line as shown, at most `width` columns around its marks, and the marks in columns of what is shown."""
    first, last = min(mark.start for mark in marks), max(mark.end for mark in marks)
    focus = next((mark for mark in marks if mark.is_primary), marks[0])
    if last - first > width // 2:
        first, last = focus.start, focus.end
    low, high = max(0, first - width), min(len(text), last + width)  # a line may be megabytes long
    cells = _cells(text[low:high])
    columns = [0]
    for cell in cells:
        columns.append(columns[-1] + _width(cell))
    begin, stop = 0, len(cells)
    if low > 0 or high < len(text) or columns[-1] > width:
        room = width - 2 * len(CUT)
        lead = columns[min(first - low, len(cells))]
        tail = columns[min(last - low, len(cells))]
        left = max(0, lead - max(room // 4, (room - (tail - lead)) // 2))
        begin = next(index for index, column in enumerate(columns) if column >= left)
        stop = next((index - 1 for index, at in enumerate(columns) if at - columns[begin] > room), len(cells))
    before = CUT if low + begin > 0 else ""
    after = CUT if low + stop < len(text) else ""
    shown = before + "".join(cells[begin:stop]) + after

    def column_of(position: int) -> int:
        inside = min(max(position - low, begin), stop)
        beyond = position - len(text) if position > len(text) else 0
        return len(before) + columns[inside] - columns[begin] + beyond

    placed = []
    for mark in marks:
        start, end = min(column_of(mark.start), width - 1), min(column_of(mark.end), width)
        placed.append(_Mark(mark.line, start, max(end, start + 1), mark.text, mark.is_primary))
    return shown, placed


_Row = list[tuple[int, str, _Role]]


def _rows(marks: list[_Mark], width: int, severity: _Role) -> Iterator[_Row]:
    """The rows below a line: the underlines with the text of the rightmost, then the other texts from right to left."""
    end = max(mark.end for mark in marks)
    chars: list[tuple[str, _Role]] = [(" ", "plain")] * end
    for mark in sorted(marks, key=lambda mark: (mark.start - mark.end, mark.is_primary)):
        sign = "^" if mark.is_primary else "-"
        chars[mark.start : mark.end] = [(sign, mark.role(severity))] * (mark.end - mark.start)
    underline: _Row = []
    for column, (char, role) in enumerate(chars):
        if underline and chars[column - 1] == (char, role) and char != " ":
            underline[-1] = (underline[-1][0], underline[-1][1] + char, role)
        elif char != " ":
            underline.append((column, char, role))
    pending = sorted((mark for mark in marks if mark.text), key=lambda mark: -mark.start)
    rightmost = max(marks, key=lambda mark: (mark.end, mark.start, mark.is_primary))
    if rightmost.text and rightmost.end + 1 + _width(rightmost.text) <= width:
        underline.append((rightmost.end + 1, rightmost.text, rightmost.role(severity)))
        pending = [mark for mark in pending if mark is not rightmost]
    yield underline
    for index, mark in enumerate(pending):
        pieces = _wrap(mark.text, width)
        column = max(0, min(mark.start, width - max(_width(piece) for piece in pieces)))
        bars = {later.start: later.role(severity) for later in pending[index + 1 :] if later.start < column}
        for piece in pieces:
            yield [*((at, "|", bars[at]) for at in sorted(bars)), (column, piece, mark.role(severity))]


def _join(row: _Row, color: bool) -> str:
    text, column = "", 0
    for at, piece, role in row:
        text += " " * (at - column) + _paint(piece, role, color)
        column = at + _width(piece)
    return text


# --- the parts below and beside it ---------------------------------------------------------------


def _footer(diagnostic: Diagnostic, gutter: int, color: bool) -> Iterator[str]:
    remarks: list[tuple[str, str]] = []
    if diagnostic.chain:
        remarks.append(("in", " > ".join(diagnostic.chain)))
    remarks += [("note", note) for note in diagnostic.notes]
    if diagnostic.help:
        remarks.append(("help", diagnostic.help))
    for name, text in remarks:
        first, *rest = text.split("\n")
        role: _Role = "help" if name == "help" else "gutter"
        yield " " * gutter + _paint(" = ", "gutter", color) + _paint(f"{name}:", role, color) + " " + visible(first)
        for line in rest:
            yield " " * (gutter + 5 + len(name)) + visible(line)


def _place(span: Span | None) -> dict[str, str | int | None]:
    if span is None or span.source is NO_SOURCE:
        return dict.fromkeys(("path", "line", "column", "end_line", "end_column"))
    (line, column), (end_line, end_column) = _ends(span)
    return {
        "path": span.source.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _paint(text: str, role: _Role, color: bool) -> str:
    return f"\x1b[{_ANSI[role]}m{text}\x1b[0m" if color and _ANSI[role] else text


# --- characters ----------------------------------------------------------------------------------

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _cell(char: str) -> str:
    """What stands for one code point on the screen."""
    if char == " " or unicodedata.category(char) not in _HIDDEN:
        return char
    number = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _cells(text: str) -> list[str]:
    """One string per code point; a tab fills up to its stop."""
    cells: list[str] = []
    column = 0
    for char in text:
        cell = " " * (TAB - column % TAB) if char == "\t" else _cell(char)
        cells.append(cell)
        column += _width(cell)
    return cells


def _width(text: str) -> int:
    """Columns that a terminal gives to `text`: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _wrap(text: str, width: int) -> list[str]:
    """`text` in pieces of at most `width` columns, broken at spaces where there are any."""
    pieces = []
    while _width(text) > width:
        end = width
        while _width(text[:end]) > width:
            end -= 1
        space = text.rfind(" ", 1, end + 1)
        cut = space if space > 0 else end
        pieces.append(text[:cut])
        text = text[cut:].lstrip(" ")
    return [*pieces, text]
