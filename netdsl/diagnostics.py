"""What the compiler says to a user: one `Diagnostic` a cause, and the error that carries them."""

from collections.abc import Iterable
from dataclasses import field

from netdsl.record import dataclass
from netdsl.source import Span


@dataclass(frozen=True, slots=True)
class Label:
    """A place in the source and what this text is."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Args:
        code:  `E` and four digits (`netdsl explain CODE`).
        title: what is wrong, with the expected and the found value; lower case, present tense.
        primary: where; `None` only where no source text is at fault (a file that is missing).
        others: further places, such as where a size came from.
        chain: enclosing calls from outside in, e.g. `("ViTTiny, line 31", "Encoder, line 9")`.
        help:  one concrete edit, only when it is sure.
    """

    code: str
    title: str
    primary: Label | None = None
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    help: str | None = None


@dataclass(eq=False)
class NetError(Exception):
    """A user's mistake: at least one diagnostic. Never a bug of ours."""

    diagnostics: tuple[Diagnostic, ...] = field(default=())

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        self.diagnostics = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        super().__init__("; ".join(f"{d.code}: {d.title}" for d in self.diagnostics))
