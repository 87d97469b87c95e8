"""What an ONNX lowering is given."""

from collections.abc import Callable, Sequence
from typing import Protocol

from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.tensor_type import DType

Attribute = int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str]


class Emitter(Protocol):
    """Builds one ONNX graph; values are known by their names.

    A lowering emits standard operators that exist at `opset` (18 to 23) and returns the names of its results.
    """

    @property
    def opset(self) -> int: ...

    def node(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Attribute) -> "tuple[str, ...]":
        """Emit one node of the default domain; an absent optional input is `""`. Returns its output names."""
        ...

    def constant(self, values: object, dtype: DType, shape: Sequence[int] | None = None) -> str:
        """Name of an initializer; equal ones are shared. `values` is a number, nested sequences, or an ndarray."""
        ...

    def dim(self, dim: Dim) -> str:
        """Name of a 0-d i64 tensor with the run-time value of `dim` (an initializer where it is constant)."""
        ...

    def shape(self, dims: Sequence[Dim]) -> str:
        """Name of a 1-d i64 tensor with the run-time values of `dims`; parts that are constant are folded."""
        ...

    def tensor_dtype(self, dtype: DType) -> int:
        """The `onnx.TensorProto` code, for `Cast(to=..)`."""
        ...


#: (emitter, node, operand names) -> result names.
Lower = Callable[[Emitter, Node, tuple[str, ...]], tuple[str, ...]]
