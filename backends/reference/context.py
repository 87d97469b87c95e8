"""What a reference computation is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.tensor_type import DType

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Env:
    """The run-time sizes of the free dimensions, and the stream that random ops draw from (None in eval)."""

    sizes: Mapping[str, int]
    rng: np.random.Generator | None = field(default=None)

    def dim(self, dim: Dim) -> int:
        return dim.value if dim.is_const else dim.evaluate(self.sizes)

    def shape(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        return tuple(self.dim(d) for d in dims)


#: (node, operand arrays, env) -> result arrays. Every float type is computed in float64.
Compute = Callable[[Node, tuple[Array, ...], Env], tuple[Array, ...]]


def numpy_dtype(dtype: DType) -> np.dtype[np.generic]:
    """The numpy type in which the reference holds `dtype`: float64 for every float."""
    return np.dtype(
        {"float": "float64", "bool": "bool"}.get(dtype.kind)
        or {"idx": "int64", "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "u8": "uint8"}[dtype.name]
    )
