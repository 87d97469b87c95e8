"""`beam`: a loop that decides once a step keeps its likeliest sequences (rule R12)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.loop_states import LoopState
from netdsl.check.report import mistake
from netdsl.check.scope import Decision
from netdsl.check.values import counted
from netdsl.dims import Dim
from netdsl.instances import renumbered
from netdsl.ir import Node, Value
from netdsl.ops.loop import Loop, has_rows
from netdsl.record import dataclass
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body


@dataclass(frozen=True, slots=True)
class Beam:
    """How many sequences a loop keeps: `decode n[beam=4]`."""

    width: int
    span: Span


def beam_of(body: "Body", option: s.Arg | None, targets: Sequence[Span]) -> Beam | None:
    """The beam that the options of a loop say; none where one sequence is kept, which is the greedy one.

    Args:   targets: the places of what `decide` is to pick.
    Raises: Mistake E0302, E0324: the width is no int of at least 1; E0362: there are targets.
    """
    if option is None:
        return None
    width = body.static_int(option.value, what="`beam`")
    if width < 1:
        raise mistake("E0324", f"`beam` keeps 1 sequence or more, found {width}", option.span)
    if width > 1 and targets:
        help = "leave one of them out: a target is one sequence"
        others = ((option.span, f"{width} sequences"),)
        raise mistake("E0362", "`given` says what `beam` searches", targets[0], others=others, help=help)
    return Beam(width, option.span) if width > 1 else None


def search(
    body: "Body",
    beam: Beam,
    node: Node,
    decisions: Sequence[Decision],
    carried: Sequence[tuple[str | None, Span]],
    states: Sequence[LoopState],
) -> tuple[tuple[Node, ...], tuple[Value, ...]]:
    """Nodes and results of the best sequence, in the place of a loop over one.

    Args:   carried: names and places of the carried values; states: those that the body updates.
    Raises: Mistake E0362: it does not decide once a step, or by noise, or there are fewer sequences than `beam`;
            E0361: what differs among sequences has other rows than the decision; E0208, E0367, E0369.
    """
    from netdsl.vectorise import BeamSearch, NotVectorised, OtherRows  # only some networks search

    if len(decisions) != 1:
        found = counted(len(decisions), "decision")
        raise mistake("E0362", f"a loop with `beam` decides once a step, and this one makes {found}", beam.span)
    for state in states:
        title = f"`{state.path}` is a state, and the sequences of a beam would share it"
        place = (state.owner.params[state.path].span, "declared here")
        raise mistake("E0367", title, beam.span, others=(place,))
    (decision,) = decisions
    _check(body, beam, node, decision)
    parts = decision.scores.value, decision.pick.value, decision.score.value
    try:
        nodes, results = BeamSearch(node, *parts, Dim.of(beam.width), body.builder.facts).run()
    except NotVectorised as error:
        title = f"`{error.node.op.name}` cannot be computed for each sequence of a beam: it {error.reason}"
        places = tuple((place, "this value") for place in error.node.spans[:1])
        raise mistake("E0369", title, beam.span, others=places) from None
    except OtherRows as error:
        raise _other_rows(node, decision, error.value, carried) from None
    return renumbered(nodes, lambda _: 0), results


def _check(body: "Body", beam: Beam, node: Node, decision: Decision) -> None:
    op, facts = node.op, body.builder.facts
    assert isinstance(op, Loop)
    choices, there = decision.scores.type.axes[-1].size, ((beam.span, "the beam"),)
    if decision.noise is not None:
        raise mistake("E0362", "a loop with `beam` takes no samples", decision.noise, others=there, help="drop `noise`")
    if facts.prove(">=", choices, 1) is not True:
        title = f"`beam` needs a choice at every step, and nothing says that {choices} >= 1"
        help = f"add `where {choices} >= 1` to the header"
        raise mistake("E0208", title, decision.span, others=there, help=help)
    if choices.is_const and op.count.is_const:
        sequences = choices.value ** min(op.count.value, beam.width.bit_length())
        if sequences < beam.width:
            title = f"`beam` keeps {beam.width} sequences, and there are {sequences}"
            raise mistake("E0362", title, beam.span, help=f"write `beam={sequences}`")
    rows = decision.score.type
    masks = [("length", node.operands[op.sequences].type, rows.rank)] if op.has_length else []
    if op.has_until:
        masks.append(("until", node.regions[0].results[-1].type, 0))
    for name, mask, more in masks:
        if not has_rows(rows, mask, facts) or rows.rank > mask.rank + more:
            title = f"`{name}` is {mask}, and what `decide` scores, {rows}, has other rows"
            raise mistake("E0361", title, decision.span, others=there)


def _other_rows(node: Node, decision: Decision, value: Value, carried: Sequence[tuple[str | None, Span]]) -> Exception:
    """What to say of a value that does not begin with the rows of the decision."""
    op, (region,) = node.op, node.regions
    assert isinstance(op, Loop)
    what, help, at = "a value", "put the rows in front, or compute it behind `decide`", decision.span
    for made in region.nodes:
        if value in made.results:
            at = made.spans[0]
    for values in (region.arguments[op.sequences :], region.results):
        for one, (name, place) in zip(values, carried, strict=False):
            if one is value:
                what, help, at = f"`{name}`", "put the rows in front", place
    title = f"{what} differs among the sequences of `beam`, and does not begin with the rows of `decide`"
    others = ((decision.span, f"the rows are {decision.score.type}"),)
    return mistake("E0361", title, at, f"this is {value.type}", others=others, help=help)
