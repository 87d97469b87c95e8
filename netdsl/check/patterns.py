"""The pattern strings of `rearrange`."""

import re

from netdsl.check.report import mistake
from netdsl.source import Span

#: Names that share one axis: `b` is one name, `(h d)` two, `1` or `()` none.
Group = tuple[str, ...]

_TOKEN = re.compile(r"\s*(?:(\.\.\.)|([A-Za-z_][A-Za-z_0-9]*)|(1)|(\()|(\))|(\S))")


def parse_pattern(pattern: str, rank: int, span: Span) -> tuple[list[Group], list[Group]]:
    """Both sides of `a (b c) -> b a c`, with `...` spelt out for an operand of `rank` axes.

    Raises: Mistake E0216.
    """
    sides = pattern.split("->")
    if len(sides) != 2:
        raise mistake("E0216", f'the pattern "{pattern}" needs one `->`', span)
    left, right = (_groups(side, pattern, span) for side in sides)
    fixed = sum(1 for g in left if g != ("...",))
    if ("...",) in left:
        if rank < fixed:
            raise mistake("E0216", f'the pattern "{pattern}" names {fixed} axes, found {rank}', span)
        spelt: list[Group] = [(f"...{i}",) for i in range(rank - fixed)]
        left = _replace(left, spelt)
        right = _replace(right, spelt)
    elif rank != fixed:
        raise mistake("E0216", f'the pattern "{pattern}" names {fixed} axes, found {rank}', span)
    names_left = [n for g in left for n in g]
    names_right = [n for g in right for n in g]
    for names in (names_left, names_right):
        for n in names:
            if names.count(n) > 1:
                raise mistake("E0216", f'`{n}` stands twice on one side of "{pattern}"', span)
    for n in names_left:
        if n not in names_right:
            raise mistake(
                "E0216",
                f'`{n}` of "{pattern}" is missing on the right',
                span,
                help="`rearrange` keeps every element; reduce with `mean[axis=..]`",
            )
    for n in names_right:
        if n not in names_left:
            raise mistake("E0216", f'`{n}` of "{pattern}" is missing on the left', span)
    return left, right


def _replace(groups: list[Group], spelt: list[Group]) -> list[Group]:
    result: list[Group] = []
    for group in groups:
        result.extend(spelt if group == ("...",) else [group])
    return result


def _groups(side: str, pattern: str, span: Span) -> list[Group]:
    groups: list[Group] = []
    inner: list[str] | None = None
    for match in _TOKEN.finditer(side):
        dots, name, one, opening, closing, other = match.groups()
        if other or (opening and inner is not None) or (closing and inner is None) or (dots and inner is not None):
            raise mistake("E0216", f'the pattern "{pattern}" is not understood at `{match.group().strip()}`', span)
        if opening:
            inner = []
        elif closing:
            groups.append(tuple(inner or ()))
            inner = None
        elif one:
            if inner is None:
                groups.append(())
        elif inner is not None:
            inner.append(name)
        else:
            groups.append((dots or name,))
    if inner is not None:
        raise mistake("E0216", f'the pattern "{pattern}" lacks a `)`', span)
    return groups
