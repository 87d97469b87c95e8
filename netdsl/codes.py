"""What every code of a diagnostic means: `netdsl explain CODE` and the error index are made from this."""

import pkgutil
import re
from functools import cache
from importlib import import_module
from pathlib import Path

from netdsl.record import dataclass

_REPEATED = re.compile(r"<(\d+) times (.*?)>")


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Args:
        title: what went wrong, in general.
        explanation: why it is an error, and what to do.
        failing: a file that has this error and no other.
        fixed: the same file without it.

    In both files `<300 times (>` stands for three hundred `(`.
    """

    title: str
    explanation: str
    failing: str
    fixed: str


def expand(example: str) -> str:
    """The text of an example, with what is repeated in it written out."""
    return _REPEATED.sub(lambda match: match[2] * int(match[1]), example)


@cache
def all_codes() -> dict[str, Code]:
    """Every code, from the tables `CODES` of the modules `netdsl.codes_*`."""
    found: dict[str, Code] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("codes_"):
            table: dict[str, Code] = import_module(f"netdsl.{module.name}").CODES
            twice = found.keys() & table.keys()
            assert not twice, f"two tables explain {sorted(twice)}"
            found.update(table)
    return dict(sorted(found.items()))
