"""Open choices of a network: what keeps them from being built, and how weights decide them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from netdsl.check.choices import SCORES
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir import Choice, Graph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.generic]]

#: Scores this near to the largest count as equal; the option with fewer parameters wins.
TIE = 1e-9
_SCORED = "commit them: `net.commit(weights)`, or `netdsl build --commit --weights ..`"
_DECIDED = 'decide them: `net.choose({{"{path}": ..}})`, or `netdsl build --choose {path}=..`'


def refuse_open(graph: Graph, *, what: str, soft: bool = False) -> None:
    """Raises: NetError: E0604: a choice is open; with `soft`, soft ones may be."""
    found = [choice for choice in graph.choices if not (soft and choice.is_soft)]
    if found:
        notes = tuple(f"`{c.path}` is among {', '.join(c.options)}" for c in found)
        count = "1 open choice" if len(found) == 1 else f"{len(found)} open choices"
        raise NetError(
            Diagnostic(
                "E0604",
                f"`{graph.name}` has {count}, so {what}",
                notes=notes,
                help=_SCORED if all(choice.is_soft for choice in found) else _DECIDED.format(path=found[0].path),
            )
        )


def decide(graph: Graph, weights: "Weights") -> dict[str, tuple[int, ...]]:
    """For each soft choice the option with the largest score, for each output if it has scores for each.

    Equal scores go to the option with fewer parameters.

    Raises: NetError: E0604: a choice has no scores.
    """
    refuse_open(graph, what="there are no scores to decide by", soft=True)
    return {choice.path: _decided(graph, choice, weights) for choice in graph.choices}


def _decided(graph: Graph, choice: Choice, weights: "Weights") -> tuple[int, ...]:
    import numpy as np

    scores = np.asarray(weights[f"{choice.path}.{SCORES}"], np.float64).reshape(-1, len(choice.options))
    sizes = _sizes(graph, choice)
    rows = []
    for row in scores:
        best = [at for at, score in enumerate(row) if score >= row.max() - TIE]
        rows.append(min(best, key=lambda at: (sizes[at], at)))
    return tuple(rows)


def _sizes(graph: Graph, choice: Choice) -> list[int]:
    """Elements of the parameters of each option, which stand in the order of the options."""
    by_child: dict[str, int] = {}
    for param in graph.params:
        if param.path.startswith(choice.path + ".") and not param.path.endswith("." + SCORES):
            child = param.path[len(choice.path) + 1 :].partition(".")[0]
            by_child[child] = by_child.get(child, 0) + param.value.type.numel().value
    found = list(by_child.values())
    return found if len(found) == len(choice.options) else [0] * len(choice.options)


def moved_weights(before: Graph, after: Graph, weights: "Weights") -> "dict[str, NDArray[np.generic]]":
    """The weights of a network whose choices were decided, taken from those it had while they were open."""
    import numpy as np

    parts = {}
    for row in after.instances:
        known = dict(row.statics)
        if "rows" in known:
            stem = row.path.rpartition(".")[0]
            parts[row.path + "."] = (stem + ".", [int(at) for at in known["rows"].split(", ")])
    shapes = {p.path: tuple(d.value for d in p.value.type.sizes) for p in after.params}
    found: dict[str, NDArray[np.generic]] = {}
    for path, shape in shapes.items():
        source, rows = path, None
        for prefix, (stem, which) in parts.items():
            if path.startswith(prefix):
                source, rows = stem + path[len(prefix) :], which
        array = np.asarray(weights[source])
        found[path] = array if rows is None or array.shape == shape else array[rows]
    return found
