"""Budgets: what a text may make the compiler do (codes E05..)."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from netdsl.check.report import mistake
from netdsl.check.values import CheckValue, ListValue, TupleValue
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import TensorType

#: Lists in lists: values of more levels would be walked too deeply.
MAX_NESTING = 64


@dataclass(slots=True)
class Work:
    """What one check of a file has done so far.

    Args:
        steps: see `Limits.steps`.
        nodes: of all networks, in evaluation mode.
        memos: checked bodies by mode and float type, which the networks share.
    """

    steps: int = 0
    nodes: int = 0
    memos: dict[Any, dict[Any, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Limits:
    """All can be raised by a flag of the command line.

    Args:
        nodes:     expanded graph nodes of all networks of a file.
        turns:     product of nested `repeat` and `for` counts.
        depth:     nested block calls.
        levels:    expressions and bodies inside of each other, over all nested calls.
        steps:     what the check may do: one for an expression, some for a turn or a call, over a whole file.
        params:    elements of all parameters.
        tensor_elements: elements of one tensor of constant shape.
        axes:      axes of one tensor.
        items:     items of a static list, letters of a string that is put together, results of an op.
    """

    nodes: int = 200_000
    turns: int = 100_000
    depth: int = 64
    levels: int = 4_000
    steps: int = 1_000_000
    params: int = 2**31
    tensor_elements: int = 2**40
    axes: int = 64
    items: int = 100_000

    def elements(self, t: TensorType, span: Span) -> None:
        """Raises: Mistake E0523: a tensor of constant shape has too many elements, or a tensor too many axes."""
        if t.rank > self.axes:
            raise mistake("E0523", f"a tensor has at most {self.axes} axes, and this one has {t.rank}", span)
        total = 1
        for axis in t.axes:
            if axis.size.is_const:
                total *= axis.size.value
        if total > self.tensor_elements:
            raise mistake("E0523", f"{t} has {total:,} elements, more than {self.tensor_elements:,}", span)

    def check_nodes(self, count: int, span: Span) -> None:
        """Raises: Mistake E0521."""
        if count > self.nodes:
            raise mistake(
                "E0521",
                f"the networks of this file expand to more than {self.nodes:,} nodes",
                span,
                help="raise the limit with `--max-nodes` if this is meant",
            )

    def check_params(self, types: Sequence[TensorType], span: Span) -> None:
        """Raises: Mistake E0523: all parameters together have too many elements."""
        total = sum(t.numel().value for t in types if t.is_static)
        if total > self.params:
            raise mistake(
                "E0523",
                f"the parameters of this network have {total:,} elements together, more than {self.params:,}",
                span,
                help="raise the limit with `--max-params` if this is meant",
            )

    def check_turns(self, count: int, span: Span) -> None:
        """Raises: Mistake E0522."""
        if count > self.turns:
            raise mistake("E0522", f"nested loops make {count:,} turns, more than {self.turns:,}", span)

    def check_items(self, count: int, span: Span) -> None:
        """Raises: Mistake E0527: a static list or string grows too long, or an op has too many results."""
        if count > self.items:
            raise mistake("E0527", f"this grows to {count:,} items, more than {self.items:,}", span)

    def count_items(self, value: CheckValue, span: Span) -> int:
        """Items of a list and of the lists inside it; 0 for anything else.

        Raises: Mistake E0527: they are too many, or nest too deeply.
        """
        count = 0
        level: list[CheckValue] = [value]
        for _ in range(MAX_NESTING):
            level = [item for outer in level if isinstance(outer, (ListValue, TupleValue)) for item in outer.items]
            count += len(level)
            self.check_items(count, span)
            if not level:
                return count
        raise mistake("E0527", f"lists nest more than {MAX_NESTING} deep", span)
