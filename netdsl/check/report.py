"""How the checker speaks: one exception for "this statement is wrong", and the collector of diagnostics."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace

from netdsl.diagnostics import Diagnostic, Label
from netdsl.did_you_mean import suggest
from netdsl.dims import DimError
from netdsl.record import dataclass
from netdsl.source import Source, Span


@dataclass(eq=False)
class Mistake(Exception):
    """The user's text is wrong at one place. The statement's targets become unknown and checking goes on."""

    diagnostic: Diagnostic

    def __post_init__(self) -> None:
        super().__init__(self.diagnostic.title)

    def with_places(self, places: Sequence[tuple[Span, str]]) -> "Mistake":
        """The same mistake with further places."""
        others = (*self.diagnostic.others, *(Label(where, text) for where, text in places))
        return Mistake(replace(self.diagnostic, others=others))


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


def no_static(callee: str, name: str, known: Sequence[str], span: Span) -> Mistake:
    """E0330: a bracket name that a function of the language does not know."""
    near = suggest(name, known)
    listed = f"its statics are {', '.join(known)}" if known else None
    help = f"did you mean `{near}`?" if near else listed
    return mistake("E0330", f"`{callee}` has no static `{name}`", span, help=help)


def size_mistake(error: DimError, span: Span) -> Mistake:
    """What to say of a size that the algebra cannot hold."""
    return mistake("E0525", f"this size cannot be computed: {error}", span)


#: Codes of budgets that hold for a whole file.
SPENDING = ("E0521", "E0528")


@dataclass(frozen=True, slots=True)
class Frame:
    """A block being checked: its declaration, the call in the frame before it, and the `let` that made the instance."""

    name: str
    declared: Span
    call: Span | None
    made: Span | None = None


@dataclass
class Reporter:
    """Collects diagnostics, each place and code once, with the chain of enclosing calls.

    Args: shipped: the sources of the standard library, by identity. What is wrong there is wrong with the call.
    """

    limit: int = 50
    diagnostics: list[Diagnostic] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    shipped: set[int] = field(default_factory=set)
    #: A budget of the whole file is spent: nothing more is checked.
    is_spent: bool = False
    _first: int = 0
    _seen: set[tuple[str, int, int, int]] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        return len(self.diagnostics) - self._first >= self.limit

    @contextmanager
    def inside(self, name: str, declared: Span, call: Span | None = None, made: Span | None = None) -> Iterator[None]:
        """Diagnostics added meanwhile belong to the block `name`, called at `call`."""
        self.frames.append(Frame(name, declared, call, made))
        try:
            yield
        finally:
            self.frames.pop()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Diagnostics added meanwhile belong to no block."""
        frames, self.frames = self.frames, []
        try:
            yield
        finally:
            self.frames = frames

    def begin(self) -> None:
        """Another check of the file begins: budgets and places count anew."""
        self.is_spent = False
        self._first = len(self.diagnostics)
        self._seen.clear()

    def add(self, diagnostic: Diagnostic) -> None:
        if self.is_full:
            return
        self.is_spent |= diagnostic.code in SPENDING
        diagnostic = self._at_call(diagnostic)
        if diagnostic.primary is not None:
            span = diagnostic.primary.span
            key = (diagnostic.code, id(span.source), span.start, span.end)
            if key in self._seen:
                return
            self._seen.add(key)
        self.diagnostics.append(replace(diagnostic, chain=self._chain(diagnostic.primary)))

    def sort(self, first: Source) -> None:
        """Order the diagnostics by file, `first` before the others, and by place."""

        def place(diagnostic: Diagnostic) -> tuple[bool, str, int]:
            if diagnostic.primary is None:
                return False, "", 0
            span = diagnostic.primary.span
            return span.source is not first, span.source.path, span.start

        self.diagnostics.sort(key=place)

    def _at_call(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic of a place in the standard library, about the user's call that led there."""
        primary = diagnostic.primary
        if primary is None or id(primary.span.source) not in self.shipped:
            return diagnostic
        mine = [f for f in self.frames if f.call is not None and id(f.call.source) not in self.shipped]
        if not mine or mine[-1].call is None:
            return diagnostic
        others = [Label(primary.span, primary.text or "found here, in the library"), *diagnostic.others]
        if mine[-1].made is not None:
            others.append(Label(mine[-1].made, "the instance is made here"))
        return replace(diagnostic, primary=Label(mine[-1].call, "in this call"), others=tuple(others))

    def _chain(self, primary: Label | None) -> tuple[str, ...]:
        """Each block with the line in it that leads on: of the next call, and of the last one's declaration."""
        links: list[tuple[str, int]] = []
        for index, frame in enumerate(self.frames):
            following = self.frames[index + 1].call if index + 1 < len(self.frames) else None
            place = following or frame.declared
            is_here = primary is None or place.source is primary.span.source
            link = f"{frame.name}, {'' if is_here else f'{place.source.path} '}line {place.line}"
            if links and links[-1][0] == link:
                links[-1] = link, links[-1][1] + 1
            else:
                links.append((link, 1))
        return tuple(link if times == 1 else f"{link} ({times} times)" for link, times in links)
