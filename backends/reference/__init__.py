"""The definition of right: every op in numpy, float64."""

from netdsl.backends.reference.execute import RunResult, run
from netdsl.backends.reference.sizes import bind_sizes
from netdsl.backends.reference.tables import TABLE

__all__ = ["TABLE", "RunResult", "bind_sizes", "run"]
