"""How the checker speaks: one exception for "this statement is wrong", and the collector of diagnostics."""

from dataclasses import dataclass, field, replace

from netdsl.diagnostics import Diagnostic, Label
from netdsl.source import Span


@dataclass(eq=False)
class Mistake(Exception):
    """The user's text is wrong at one place. The statement's targets become unknown and checking goes on."""

    diagnostic: Diagnostic

    def __post_init__(self) -> None:
        super().__init__(self.diagnostic.title)


class Silent(Exception):
    """The statement depends on something already reported, or unknowable in a generic check."""


def mistake(
    code: str,
    title: str,
    span: Span,
    label: str = "",
    *,
    others: tuple[tuple[Span, str], ...] = (),
    help: str | None = None,
    notes: tuple[str, ...] = (),
) -> Mistake:
    return Mistake(
        Diagnostic(
            code,
            title,
            Label(span, label),
            tuple(Label(where, text) for where, text in others),
            notes=notes,
            help=help,
        )
    )


@dataclass
class Reporter:
    """Collects diagnostics, each place and code once, with the chain of enclosing calls."""

    limit: int = 50
    diagnostics: list[Diagnostic] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    _seen: set[tuple[str, int, int, int]] = field(default_factory=set)

    def add(self, diagnostic: Diagnostic) -> None:
        if diagnostic.primary is not None:
            span = diagnostic.primary.span
            key = (diagnostic.code, id(span.source), span.start, span.end)
            if key in self._seen:
                return
            self._seen.add(key)
        if len(self.diagnostics) < self.limit:
            self.diagnostics.append(replace(diagnostic, chain=tuple(self.chain)))
