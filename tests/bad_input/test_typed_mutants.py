"""One known error in a spec is reported as what it is, where it is, with little else, and with the name that was meant."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from netdsl.render import render_all
from netdsl.source import Span
from tests.bad_input.checking import ROOT, SPECS, findings, places
from tests.bad_input.typed_mutants import KINDS, Kind, Mutant, Spec

#: Specs that are mostly branches which their defaults do not take: there a mutant is right by chance.
UNTAKEN = ("agnn.net", "ppgn.net")
TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in SPECS if path.name not in UNTAKEN}
LEAST_FOUND = 0.95
#: A spec without calls that take statics, say, has no place for some of the 40 kinds.
LEAST_KINDS = 35
LEAST_MEANT = 0.90
MOST_FOLLOWING = 3


@dataclass
class Figures:
    """What was measured of the mutants of some specs."""

    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, mutant: Mutant) -> bool:
        """Check one mutant; False where it is a right network by chance."""
        found = findings(mutant.text, name)
        if not found and not mutant.is_sure:
            return False
        named = [diagnostic for diagnostic in found if diagnostic.code in mutant.codes]
        at = [d for d in named if any(_overlaps(mutant, name, label.span) for label in places(d))]
        is_primary = any(d.primary and _overlaps(mutant, name, d.primary.span) for d in at)
        is_meant = any(f"`{mutant.meant}`" in (d.help or "") for d in named)
        self.kinds[kind] += 1
        self.counts += Counter(
            mutants=1,
            found=bool(at),
            primary=is_primary,
            quiet=len(found) <= 1 + MOST_FOLLOWING,
            alone=len(found) == 1,
            typos=bool(mutant.meant),
            meant=bool(mutant.meant) and is_meant,
        )
        if not at or len(found) > 1 + MOST_FOLLOWING or (mutant.meant and not is_meant):
            wrong = mutant.text[mutant.start : mutant.end]
            self.missed.append(
                f"{kind} in {name}: {wrong!r}, {sorted(mutant.codes)} {mutant.meant}\n{render_all(found)}"
            )
        return True

    def __str__(self) -> str:
        c = self.counts
        return (
            f"{c['mutants']} mutants of {len(self.kinds)} kinds: code and place {c['found'] / c['mutants']:.1%} (the "
            f"primary place {c['primary'] / c['mutants']:.1%}), at most {MOST_FOLLOWING} follow-ups "
            f"{c['quiet'] / c['mutants']:.1%}, none {c['alone'] / c['mutants']:.1%}; "
            f"{c['meant']} of {c['typos']} typos have the right suggestion"
        )

    def check(self) -> None:
        c = self.counts
        report = "\n".join([str(self), *self.missed])
        assert c["found"] >= LEAST_FOUND * c["mutants"], report
        assert c["quiet"] == c["mutants"], report

    def check_suggestions(self) -> None:
        assert self.counts["meant"] >= LEAST_MEANT * self.counts["typos"], "\n".join([str(self), *self.missed])


def _overlaps(mutant: Mutant, name: str, span: Span) -> bool:
    if span.source.path != name:
        return False
    return span.start < mutant.end and mutant.start < max(span.end, span.start + 1)


def measure(name: str, most: int, seed: int, kinds: Sequence[Kind] = KINDS, figures: Figures | None = None) -> Figures:
    """The figures of one spec, with at most so many mutants of each kind."""
    spec, figures = Spec(name, TEXTS[name]), figures or Figures()
    for kind in kinds:
        draw = random.Random(f"{name} {kind.__name__} {seed}")
        mutants = list(kind(spec, draw))
        draw.shuffle(mutants)
        taken = 0
        for mutant in mutants:
            taken += figures.add(kind.__name__, name, mutant)
            if taken == most:
                break
    return figures


def test_there_are_more_than_25_kinds() -> None:
    assert len({kind.__name__ for kind in KINDS}) >= 25


@pytest.mark.parametrize("name", TEXTS)
def test_one_error_in_a_spec_is_found_named_and_placed(name: str) -> None:
    figures = measure(name, 2, 1)
    assert len(figures.kinds) >= LEAST_KINDS, (
        f"kinds that fit nowhere: {sorted({k.__name__ for k in KINDS} - set(figures.kinds))}"
    )
    figures.check()


def test_typos_of_one_letter_get_the_right_suggestion() -> None:
    figures = Figures()
    for name in TEXTS:
        measure(name, 1, 2, [kind for kind in KINDS if kind.__name__.startswith("typo_")], figures)
    assert figures.counts["typos"] >= 80
    figures.check_suggestions()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 7))
@pytest.mark.parametrize("name", TEXTS)
def test_every_place_in_a_spec_is_right_for_every_error_that_fits(name: str, seed: int) -> None:
    figures = measure(name, 100, seed)
    print(figures)  # noqa: T201 - shown with `-rP`
    figures.check()


@pytest.mark.long
def test_all_typos_of_one_letter_get_the_right_suggestion() -> None:
    figures = Figures()
    for name in TEXTS:
        measure(name, 100, 8, [kind for kind in KINDS if kind.__name__.startswith("typo_")], figures)
    print(figures)  # noqa: T201 - shown with `-rP`
    figures.check_suggestions()
