"""The contract of a pass: options, a guarantee, a new graph, and why it declined."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from netdsl.ir import Graph, Node

Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a pass promises of the function it leaves.

    Args:
        kind: `exact`: the same function; `within`: the stated bound; `learned`: a measured error against a budget.
        rtol, atol: the bound of `within`, relative to the output's largest magnitude and absolute.
    """

    kind: Literal["exact", "within", "learned"]
    rtol: float = 0.0
    atol: float = 0.0


#: Same function: in the float64 reference within 1e-9 of the output's largest magnitude, which is rounding.
EXACT = Guarantee("exact", rtol=1e-9, atol=1e-9)


def within(rtol: float, atol: float) -> Guarantee:
    """A function that differs by at most the stated bound."""
    return Guarantee("within", rtol, atol)


@dataclass(frozen=True, slots=True)
class Skip:
    """A rewrite that did not fire, and the condition that failed."""

    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class PassResult:
    """The new graph, how often the rewrite fired, and where it declined."""

    graph: Graph
    fired: int
    skips: tuple[Skip, ...] = field(default=())


class Pass(Protocol):
    """A frozen dataclass whose fields are the options. The input graph is never changed.

    The runner verifies and validates before and after; the pass does not.
    """

    name: ClassVar[str]
    guarantee: ClassVar[Guarantee]

    def run(self, graph: Graph) -> PassResult: ...
