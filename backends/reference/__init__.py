"""The definition of right: every op in numpy, float64."""

from netdsl.backends.reference.execute import RunResult, bind_sizes, run
from netdsl.backends.reference.tables import TABLE

__all__ = ["TABLE", "RunResult", "bind_sizes", "run"]
