"""What a run of networks has covered: ops, and pairs of an op and one that reads its result."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from netdsl.ir import Graph, Node, Value

STRATA = 10


@dataclass(eq=False)
class Coverage:
    """Counts over the networks of one run; the generator prefers what was rare so far.

    Args:   stratum: runs that know nothing of each other prefer each their own part of all pairs.
    """

    ops: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    stratum: int = 0

    def seen(self, producer: str, consumer: str) -> float:
        if not producer:
            return 1.0
        is_own = crc32(f"{producer} {consumer}".encode()) % STRATA == self.stratum % STRATA
        return self.pairs[producer, consumer] + (0.0 if is_own else 1.5)

    def copy(self) -> "Coverage":
        return Coverage(self.ops.copy(), self.pairs.copy(), self.stratum)

    def count_op(self, name: str) -> None:
        self.ops[name] += 1

    def count_pair(self, producer: str, consumer: str) -> None:
        if producer:
            self.pairs[producer, consumer] += 1

    def rarity(self, name: str) -> float:
        """Above 1 for ops that were made less often than the average."""
        average = sum(self.ops.values()) / max(len(self.ops), 1)
        return float(((average + 1) / (self.ops[name] + 0.5)) ** 1.5)

    def add(self, graph: Graph) -> None:
        """Count what a graph holds, bodies of loops included."""
        self.ops.update(node.op.name for node in graph.walk())
        self.pairs.update(pairs_of(graph.nodes))


def pairs_of(nodes: Sequence[Node]) -> Iterable[tuple[str, str]]:
    """(producer, consumer) of each operand that a node makes, within one body."""
    makers: dict[Value, str] = {}
    for node in nodes:
        for value in node.operands:
            if value in makers:
                yield makers[value], node.op.name
        for region in node.regions:
            yield from pairs_of(region.nodes)
        for value in node.results:
            makers[value] = node.op.name
