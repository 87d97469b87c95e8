"""Names in a body: what each stands for, and which may be assigned (rule R10)."""

from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from netdsl.check.values import CheckValue, TensorValue
from netdsl.record import dataclass
from netdsl.source import Span

Kind = Literal["local", "input", "param", "state", "let", "static", "dim", "const", "one_side"]

#: What may not be assigned, in the words of a message.
FIXED: dict[str, str] = {
    "param": "a parameter",
    "state": "a state",
    "let": "a `let` name",
    "static": "a static parameter",
    "dim": "a dimension",
    "const": "a constant",
}


@dataclass(slots=True)
class Binding:
    value: CheckValue
    kind: Kind
    span: Span


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice in the body of a loop.

    Args:
        scores: the log-probabilities of all choices, (rows.., n).
        pick:   the index of the one that is taken.
        score:  its log-probability, (rows..).
        noise:  of a sample.
    """

    scores: TensorValue
    pick: TensorValue
    score: TensorValue
    span: Span
    noise: Span | None


@dataclass(eq=False)
class Scope:
    """One nested body. `is_loop` marks the body of a loop: assignments stop there.

    Args:
        yields:    of the body of a loop, each with its place.
        targets:   what `decide` picks in a step, in order, where the loop is given it.
        decisions: of the body of a loop.
    """

    parent: "Scope | None" = None
    is_loop: bool = False
    names: dict[str, Binding] = field(default_factory=dict)
    yields: list[tuple[TensorValue, Span]] = field(default_factory=list)
    targets: list[TensorValue] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def loop(self) -> "Scope | None":
        """The body of the innermost loop around."""
        scope: Scope | None = self
        while scope is not None and not scope.is_loop:
            scope = scope.parent
        return scope

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            found = scope.names.get(name)
            if found is not None:
                return found
            scope = scope.parent
        return None

    def owner(self, name: str) -> "tuple[Scope | None, bool]":
        """The scope that holds `name`, and whether a loop body lies between here and it."""
        scope: Scope | None = self
        crossed = False
        while scope is not None:
            if name in scope.names:
                return scope, crossed
            crossed |= scope.is_loop
            scope = scope.parent
        return None, crossed

    def bind(self, name: str, value: CheckValue, kind: Kind, span: Span) -> None:
        self.names[name] = Binding(value, kind, span)

    def states(self) -> Iterator[tuple[str, Binding]]:
        """The states that can be read here, by name."""
        for name in dict.fromkeys(self.visible()):
            found = self.find(name)
            if found is not None and found.kind == "state":
                yield name, found

    def visible(self) -> list[str]:
        """Every name that can be read here, for suggestions."""
        names: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            names.extend(scope.names)
            scope = scope.parent
        return names
