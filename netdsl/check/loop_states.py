"""States in loops: what a body updates is carried from step to step, unseen (rule R16)."""

from dataclasses import field
from typing import TYPE_CHECKING

from netdsl.ir import Value
from netdsl.record import dataclass

if TYPE_CHECKING:
    from netdsl.check.builder import Builder


@dataclass(frozen=True, slots=True, eq=False)
class LoopState:
    """A state as a body that is being checked sees it.

    Args:
        owner:  the body that holds the state, under `path`.
        before: what a call before the loop left.
        start:  what the first step reads.
        inside: stands in the body for what a step reads.
    """

    owner: "Builder"
    path: str
    before: Value
    start: Value
    inside: Value

    @property
    def following(self) -> Value:
        """What the body left for the next step."""
        return self.owner.states[self.path]


@dataclass(eq=False)
class LoopStates:
    """The states that one open loop has met: of the body that it stands in, and of that body's callers."""

    met: dict[tuple["Builder", str], LoopState] = field(default_factory=dict)

    def meet(self, owner: "Builder", path: str, start: Value | None = None) -> Value:
        """What a step reads of a state; `start` where the first step does not read what was left before the loop."""
        state = self.met.get((owner, path))
        if state is None:
            before = owner.states[path]
            state = LoopState(owner, path, before, start or before, Value(before.type, before.hint))
            self.met[owner, path] = state
            owner.states[path] = state.inside
        return state.inside

    def outside(self, value: Value) -> Value:
        """What stands for `value` outside of the loop, if it is a state inside."""
        return next((s.start for s in self.met.values() if s.inside is value), value)

    def close(self) -> tuple[list[LoopState], list[Value], dict[Value, Value]]:
        """The states that the body changes, what it makes of them, and for each other one what it stands for."""
        changed = [s for s in self.met.values() if s.following is not s.inside]
        ends = [s.following for s in changed]
        read = {s.inside: s.start for s in self.met.values() if s.following is s.inside}
        for state in self.met.values():
            state.owner.states[state.path] = state.before
        return changed, ends, read
