"""Budgets: what a text may make the compiler do (codes E05..)."""

from dataclasses import dataclass

from netdsl.check.report import mistake
from netdsl.source import Span
from netdsl.tensor_type import TensorType


@dataclass(slots=True)
class Limits:
    """All can be raised by a flag of the command line.

    Args:
        nodes:     expanded graph nodes.
        turns:     product of nested `repeat` and `for` counts.
        depth:     nested block calls.
        params:    elements of all parameters.
        tensor_elements: elements of one tensor of constant shape.
    """

    nodes: int = 200_000
    turns: int = 100_000
    depth: int = 64
    params: int = 2**31
    tensor_elements: int = 2**40

    def elements(self, t: TensorType, span: Span) -> None:
        """Raises: Mistake E0523: a tensor of constant shape has too many elements."""
        total = 1
        for axis in t.axes:
            if axis.size.is_const:
                total *= axis.size.value
        if total > self.tensor_elements:
            raise mistake("E0523", f"{t} has {total:,} elements, more than {self.tensor_elements:,}", span)

    def check_nodes(self, count: int, span: Span) -> None:
        """Raises: Mistake E0521."""
        if count > self.nodes:
            raise mistake("E0521", f"the network expands to more than {self.nodes:,} nodes", span,
                          help="raise the limit with `--max-nodes` if this is meant")

    def check_turns(self, count: int, span: Span) -> None:
        """Raises: Mistake E0522."""
        if count > self.turns:
            raise mistake("E0522", f"nested loops make {count:,} turns, more than {self.turns:,}", span)
