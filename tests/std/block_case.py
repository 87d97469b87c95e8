"""A block of the standard library in a network of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netdsl.api import Network, load
from netdsl.check.modules import PRELUDE, STD_MODULES

Sizes = Sequence[dict[str, int]]
IMPORTS = "".join(f"import std.{name}\n" for name in STD_MODULES if name not in PRELUDE)


@dataclass(frozen=True)
class Case:
    """A network around one block: its header's inputs and result, its body, and the sizes to try."""

    inputs: str
    result: str
    body: str
    sizes: Sizes
    where: str = ""

    def network(self, **statics: Any) -> Network:
        text = f"{IMPORTS}network N({self.inputs}) -> {self.result} {self.where} {{\n    {self.body}\n}}\n"
        return load(text, **statics)["N"]


def batches(*others: dict[str, int]) -> Sizes:
    """Batch 1, 3 and 0, each with the sizes given."""
    return [{"B": batch, **other} for batch in (1, 3, 0) for other in (others or ({},))]
