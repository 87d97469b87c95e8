"""The one way out: a call of a function that a plug-in registers."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import TensorType


@dataclass(frozen=True, slots=True)
class ExternCall(Op):
    """A plug-in's function, known by `plugin:function`; its result types are declared, not derived.

    Shapes: as declared by the `extern` header.
    Source: the entry-point group `netdsl.plugins`.
    """

    plugin: str
    statics: tuple[tuple[str, str], ...]
    results: tuple[TensorType, ...]

    name: ClassVar[str] = "extern_call"
    operands: ClassVar[tuple[str, ...]] = ("values*",)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        return self.results


OPS: tuple[type[Op], ...] = (ExternCall,)
