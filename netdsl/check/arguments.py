"""What a call receives."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.report import mistake
from netdsl.check.values import POISON, CheckValue, RecordValue, describe
from netdsl.record import dataclass
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class Argument:
    """One checked argument of a call, with its place."""

    name: str | None
    value: CheckValue
    span: Span
    #: `**record`.
    is_splat: bool = False


@dataclass(frozen=True, slots=True)
class MacroCall:
    """What a macro receives: brackets by name, tensors in order."""

    body: "Body"
    name: str
    statics: dict[str, CheckValue]
    positional: tuple[CheckValue, ...]
    arguments: tuple[Argument, ...]
    span: Span
    label: "s.Labelled | None" = None


def arguments_of(body: "Body", args: Sequence[s.Arg]) -> list[Argument]:
    """Arguments evaluated from left to right."""
    found = []
    for arg in args:
        value = body.evaluate(arg.value)
        if arg.splat and not isinstance(value, RecordValue) and value is not POISON:
            raise mistake("E0329", f"`**` takes a record of parameters, found {describe(value)}", arg.span)
        found.append(Argument(arg.name, value, arg.span, arg.splat))
    return found
