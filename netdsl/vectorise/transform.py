"""The transform: generated weights with extra axes, `each` and `edges` all stand on it."""

from collections.abc import Mapping, Sequence

from netdsl.dims import Dim, Facts
from netdsl.ir import Node, Value
from netdsl.vectorise.slices import Slices, Slot, Vectorised
from netdsl.vectorise.tables import REFUSED, RULES


def vectorise(
    nodes: Sequence[Node], mapped: Mapping[Value, Value], size: Dim, results: Sequence[Value], facts: Facts
) -> Vectorised:
    """`nodes` for all `size` slices at once.

    Nodes that read no mapped value stay as they are: computed once, shared by all slices. New nodes keep the spans
    and hints of the old ones and belong to instance 0, as what a body emits itself.

    Args:
        mapped:  for values that `nodes` read, the value outside with all slices on a leading axis of `size`. Every
                 other value from outside is shared by all slices.
        results: values of the body, in the result with a leading axis `size`, also where all slices are equal.
    Raises: NotVectorised: an op that reads a mapped value has no rule.
    """
    slices = Slices(size, facts, RULES, REFUSED)
    known = {value: Slot(outside, True) for value, outside in mapped.items()}
    slices.translate(nodes, known)
    lifted = tuple(slices.lifted(known.get(value, Slot(value, False))) for value in results)
    return Vectorised(tuple(slices.nodes), lifted, known)
