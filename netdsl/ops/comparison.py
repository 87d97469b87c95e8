"""Comparisons, logic and tests of elements. All give bool."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.tensor_type import BOOL, Kind, TensorType, broadcast_axes, require_kind, require_same_dtype

_ALL: tuple[Kind, ...] = ("float", "int", "bool")
_NUMBERS: tuple[Kind, ...] = ("float", "int")


class BinaryTest(Op):
    """Two tensors of one element type, broadcast, to bool."""

    __slots__ = ()
    operands: ClassVar[tuple[str, ...]] = ("a", "b")
    #: How a message calls the op, and the kinds of elements that it takes.
    sign: ClassVar[str] = ""
    kinds: ClassVar[tuple[Kind, ...]] = _NUMBERS

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        what = f"`{self.sign}`"
        for index, t in enumerate(types):
            require_kind(t, self.kinds, what=what, operand=index)
        require_same_dtype(types, what=what)
        return (TensorType(BOOL, broadcast_axes(types, facts, what=what)),)


class Eq(BinaryTest):
    """a == b; false if one is NaN.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0201: two element types; E0202, E0207, E0208: the axes do not fit.
    Source: torch.eq; ONNX Equal, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "eq"
    sign: ClassVar[str] = "=="
    kinds: ClassVar[tuple[Kind, ...]] = _ALL


class Ne(BinaryTest):
    """a != b; true if one is NaN.

    Shapes: a, b broadcast -> y.
    Source: torch.ne; ONNX Equal, opset 13, and Not.
    """

    __slots__ = ()
    name: ClassVar[str] = "ne"
    sign: ClassVar[str] = "!="
    kinds: ClassVar[tuple[Kind, ...]] = _ALL


class Lt(BinaryTest):
    """a < b; false if one is NaN.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0217: bool.
    Source: torch.lt; ONNX Less, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "lt"
    sign: ClassVar[str] = "<"


class Le(BinaryTest):
    """a <= b; false if one is NaN.

    Shapes: a, b broadcast -> y.
    Source: torch.le; ONNX LessOrEqual, opset 16.
    """

    __slots__ = ()
    name: ClassVar[str] = "le"
    sign: ClassVar[str] = "<="


class Gt(BinaryTest):
    """a > b; false if one is NaN.

    Shapes: a, b broadcast -> y.
    Source: torch.gt; ONNX Greater, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "gt"
    sign: ClassVar[str] = ">"


class Ge(BinaryTest):
    """a >= b; false if one is NaN.

    Shapes: a, b broadcast -> y.
    Source: torch.ge; ONNX GreaterOrEqual, opset 16.
    """

    __slots__ = ()
    name: ClassVar[str] = "ge"
    sign: ClassVar[str] = ">="


class LogicalAnd(BinaryTest):
    """Both are true.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0217: not bool.
    Source: torch.logical_and; ONNX And, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "logical_and"
    sign: ClassVar[str] = "&"
    kinds: ClassVar[tuple[Kind, ...]] = ("bool",)


class LogicalOr(BinaryTest):
    """At least one is true.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0217: not bool.
    Source: torch.logical_or; ONNX Or, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "logical_or"
    sign: ClassVar[str] = "|"
    kinds: ClassVar[tuple[Kind, ...]] = ("bool",)


class LogicalXor(BinaryTest):
    """Just one is true.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0217: not bool.
    Source: torch.logical_xor; ONNX Xor, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "logical_xor"
    sign: ClassVar[str] = "logical_xor"
    kinds: ClassVar[tuple[Kind, ...]] = ("bool",)


class UnaryTest(Op):
    """One tensor of some kind to bool."""

    __slots__ = ()
    #: How a message calls the op, and the kind of elements that it takes.
    sign: ClassVar[str] = ""
    kind: ClassVar[Kind] = "float"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, (self.kind,), what=f"`{self.sign}`")
        return (x.with_dtype(BOOL),)


class LogicalNot(UnaryTest):
    """The opposite.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not bool.
    Source: torch.logical_not; ONNX Not, opset 1.
    """

    __slots__ = ()
    name: ClassVar[str] = "logical_not"
    sign: ClassVar[str] = "~"
    kind: ClassVar[Kind] = "bool"


class IsNan(UnaryTest):
    """The element is NaN.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not float.
    Source: torch.isnan; ONNX IsNaN, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "is_nan"
    sign: ClassVar[str] = "is_nan"


class IsInf(UnaryTest):
    """The element is inf or -inf.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not float.
    Source: torch.isinf; ONNX IsInf, opset 10.
    """

    __slots__ = ()
    name: ClassVar[str] = "is_inf"
    sign: ClassVar[str] = "is_inf"


OPS: tuple[type[Op], ...] = (
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    LogicalAnd,
    LogicalOr,
    LogicalXor,
    LogicalNot,
    IsNan,
    IsInf,
)
