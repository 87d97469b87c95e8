"""How close two results are, and how close they must be."""

import numpy as np
from numpy.typing import NDArray

from netdsl.tolerance_table import TOLERANCES as TOLERANCES


def largest_difference(expected: NDArray[np.generic], actual: NDArray[np.generic]) -> float:
    """Largest absolute difference; infinite where shapes differ or NaN meets a number."""
    if expected.shape != actual.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    a, b = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference)))


def allowed_difference(expected: NDArray[np.generic], dtype: str) -> float:
    """The largest difference that the table allows around `expected`; 0 for integers and bools."""
    if dtype not in TOLERANCES:
        return 0.0
    relative, absolute = TOLERANCES[dtype]
    finite = np.abs(np.asarray(expected, np.float64))
    finite = finite[np.isfinite(finite)]
    scale = float(finite.max()) if finite.size else 0.0
    return absolute + relative * max(scale, absolute)
