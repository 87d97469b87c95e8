"""Which run-time sizes of the inputs give which free dimension."""

from collections.abc import Sequence
from dataclasses import dataclass

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.dims import Dim, Facts
from netdsl.tensor_type import TensorType


@dataclass(frozen=True, slots=True)
class Solution:
    """A symbol is `(size of the axis at source + rest) // factor`.

    Args: source: (input, axis), or None where a fact alone gives the symbol.
    """

    source: tuple[int, int] | None
    rest: Dim
    factor: Dim


class SizePlan:
    """How each free dimension follows from the sizes of the inputs and the facts.

    An axis that is the symbol itself comes first, then axes and equations linear in one unsolved symbol.
    """

    def __init__(self, types: Sequence[TensorType], facts: Facts) -> None:
        #: In the order in which they can be computed.
        self.solutions: dict[str, Solution] = {}
        pending: list[tuple[tuple[int, int] | None, Dim]] = []
        for index, tensor_type in enumerate(types):
            for at, size in enumerate(tensor_type.sizes):
                if size.is_const:
                    continue
                name = str(size)
                if name in size.symbols:
                    self.solutions.setdefault(name, Solution((index, at), Dim.of(0), Dim.of(1)))
                else:
                    pending.append(((index, at), size))
        pending += [(None, left - right) for op, left, right in facts.items if op == "=="]
        while self._solve_one(pending):
            pass

    def _solve_one(self, pending: list[tuple[tuple[int, int] | None, Dim]]) -> bool:
        for item in pending:
            source, size = item
            unknown = [name for name in size.symbols if name not in self.solutions]
            if len(unknown) != 1:
                continue
            split = _linear(size, unknown[0])
            if split is None:
                continue
            factor, rest = split
            self.solutions[unknown[0]] = Solution(source, -rest, factor)
            pending.remove(item)
            return True
        return False

    def solution(self, name: str) -> Solution:
        """Raises: NetError: E0712: no size of an input tells the symbol."""
        if name not in self.solutions:
            raise NetError(
                Diagnostic(
                    "E0712",
                    f"the size `{name}` cannot be read from the inputs",
                    notes=("no input has an axis of this size, or one that is linear in it",),
                    help=f"give an input an axis of size `{name}`",
                )
            )
        return self.solutions[name]


def _linear(size: Dim, name: str) -> tuple[Dim, Dim] | None:
    """`(factor, rest)` with `size == factor * name + rest` and `name` in neither, or None."""
    rest = size.substitute({name: 0})
    factor = size.substitute({name: 1}) - rest
    if name in factor.symbols or size != factor * Dim.of(name) + rest:
        return None
    return factor, rest
