"""The known name that an unknown one was probably meant to be."""

from collections.abc import Iterable

LONGEST = 100


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The one candidate nearest to `name`, or `None` when none is near or two are equally near.

    Near is a third of the length of `name`, and at least one edit: a letter put in, left out or replaced, or two
    neighbours swapped. Letter case does not count, except between candidates that are otherwise equally near.
    """
    if len(name) > LONGEST:
        return None
    limit = max(1, len(name) // 3)
    folded = name.casefold()
    ranked: list[tuple[int, int, str]] = []
    for candidate in set(candidates) - {name}:
        if abs(len(candidate) - len(name)) > limit:
            continue
        edits = _distance(folded, candidate.casefold())
        if edits <= limit and edits < len(name):
            ranked.append((edits, _distance(name, candidate), candidate))
    ranked.sort()
    if not ranked or (len(ranked) > 1 and ranked[0][:2] == ranked[1][:2]):
        return None
    return ranked[0][2]


def _distance(left: str, right: str) -> int:
    """Edits between two words, a swap of neighbours counting one (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(right, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                best = min(best, older[j - 2] + 1)
            row.append(best)
    return row[-1]
