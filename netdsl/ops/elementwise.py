"""Arithmetic on elements, select, clamp and cast. In all of them the sign of a zero is left open."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import (
    F32,
    DType,
    Kind,
    ShapeError,
    TensorType,
    broadcast_axes,
    require_kind,
    require_same_dtype,
)

_NUMBERS: tuple[Kind, ...] = ("float", "int")


def integer_range(dtype: DType) -> tuple[int, int]:
    """The least and the largest value of an int type."""
    if dtype.name == "u8":
        return 0, 255
    return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1


def require_number(value: float | bool, dtype: DType, *, what: str) -> None:
    """Raises: ShapeError: E0201: the number is not a value of the type."""
    if isinstance(value, bool) != (dtype.kind == "bool") or (isinstance(value, float) and not dtype.is_float):
        raise ShapeError("E0201", f"{what}: a {type(value).__name__} does not fit among {dtype} elements")
    if dtype.is_int:
        low, high = integer_range(dtype)
        if not low <= value <= high:
            raise ShapeError("E0201", f"{what}: {value} is outside the range of {dtype}, {low} to {high}")


class BinaryArithmetic(Op):
    """Two tensors of numbers of one element type, broadcast; indices become i64."""

    __slots__ = ()
    operands: ClassVar[tuple[str, ...]] = ("a", "b")
    #: How a message calls the op.
    sign: ClassVar[str] = ""

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        what = f"`{self.sign}`"
        for index, t in enumerate(types):
            require_kind(t, _NUMBERS, what=what, operand=index)
        dtype = require_same_dtype(types, what=what).storage
        return (TensorType(dtype, broadcast_axes(types, facts, what=what)),)


class Add(BinaryArithmetic):
    """a + b. Integers wrap around.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0217: bool; E0201: two element types; E0202, E0207, E0208: the axes do not fit.
    Source: torch.add; ONNX Add, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "add"
    sign: ClassVar[str] = "+"


class Sub(BinaryArithmetic):
    """a - b. Integers wrap around.

    Shapes: a, b broadcast -> y.
    Source: torch.sub; ONNX Sub, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "sub"
    sign: ClassVar[str] = "-"


class Mul(BinaryArithmetic):
    """a * b. Integers wrap around.

    Shapes: a, b broadcast -> y.
    Source: torch.mul; ONNX Mul, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "mul"
    sign: ClassVar[str] = "*"


class Div(BinaryArithmetic):
    """a / b, for floats: x / 0 is ±inf, 0 / 0 is NaN.

    Shapes: a, b broadcast -> y.
    Raises: ShapeError: E0217: integers.
    Source: torch.div; ONNX Div, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "div"
    sign: ClassVar[str] = "/"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        for index, t in enumerate(types):
            if t.dtype.is_int:
                raise ShapeError(
                    "E0217",
                    f"`/` needs float elements, found {t.dtype}",
                    operand=index,
                    help="write `//` for whole numbers, or convert: `cast[f32](..)`",
                )
        return BinaryArithmetic.infer(self, types, facts)


class FloorDiv(BinaryArithmetic):
    """The largest whole number that is at most a / b, as Python's `//`.

    Floats: exact, so `1.0 // 0.1` is 9; a // 0 is a / 0; NaN where `a` is infinite; the gradient is 0. An int divided
    by 0 has no value: torch and ONNX Runtime raise an error.

    Shapes: a, b broadcast -> y.
    Source: torch.div with rounding_mode="floor"; ONNX Mod, opset 13, and Div, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "floor_div"
    sign: ClassVar[str] = "//"


class Mod(BinaryArithmetic):
    """a - b * (a // b): it has the sign of `b`, as Python's `%`.

    Floats: NaN where `b` is 0 or `a` is infinite. An int modulo 0 has no value: torch and ONNX Runtime raise an error.

    Shapes: a, b broadcast -> y.
    Source: torch.remainder; ONNX Mod, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "mod"
    sign: ClassVar[str] = "%"


class Pow(BinaryArithmetic):
    """a to the power b.

    Floats: NaN for a negative `a` with a fractional `b`; x ** 0 and 1 ** x are 1, also for NaN. Ints: a negative
    power is rounded towards zero (0 or ±1), except that 0 has none; results past 2^53 or past the type have no value.

    Shapes: a, b broadcast -> y.
    Source: torch.pow; ONNX Pow, opset 15.
    """

    __slots__ = ()
    name: ClassVar[str] = "pow"
    sign: ClassVar[str] = "**"


class Maximum(BinaryArithmetic):
    """The larger of each two elements; NaN if one is NaN. At a tie each gets half of the gradient.

    Shapes: a, b broadcast -> y.
    Source: torch.maximum; ONNX Max, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "maximum"
    sign: ClassVar[str] = "max"


class Minimum(BinaryArithmetic):
    """The smaller of each two elements; NaN if one is NaN. At a tie each gets half of the gradient.

    Shapes: a, b broadcast -> y.
    Source: torch.minimum; ONNX Min, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "minimum"
    sign: ClassVar[str] = "min"


class UnaryArithmetic(Op):
    """One tensor of numbers; indices become i64."""

    __slots__ = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, _NUMBERS, what=f"`{self.name}`")
        return (x.with_dtype(x.dtype.storage),)


class Neg(UnaryArithmetic):
    """-x. Integers wrap around: the least value is its own negative, and u8 counts modulo 256.

    Shapes: x (..) -> (..).
    Source: torch.neg; ONNX Neg, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "neg"


class Abs(UnaryArithmetic):
    """|x|, with gradient 0 at 0. The least integer of a type is its own absolute value.

    Shapes: x (..) -> (..).
    Source: torch.abs; ONNX Abs, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "abs"


class Sign(UnaryArithmetic):
    """-1, 0 or 1; NaN for NaN. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: numpy.sign; ONNX Sign, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "sign"


@dataclass(frozen=True, slots=True)
class Clamp(UnaryArithmetic):
    """min(max(x, low), high); a bound that is none does not limit. NaN stays NaN; `high` wins where `low > high`.

    The gradient is that of `x` from `low` to `high`, both included, and 0 elsewhere.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0201: a bound is not a value of the element type.
    Source: torch.clamp; ONNX Clip, opset 13.
    """

    low: float | int | None = None
    high: float | int | None = None

    name: ClassVar[str] = "clamp"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        results = UnaryArithmetic.infer(self, types, facts)
        for bound in (self.low, self.high):
            if bound is not None:
                require_number(bound, results[0].dtype, what="`clamp`")
        return results


class Select(Op):
    """`a` where `cond` is true, else `b`. What is not chosen has no influence, NaN included.

    Shapes: cond, a, b broadcast -> y.
    Raises: ShapeError: E0217: `cond` is not bool; E0201: `a` and `b` have two element types.
    Source: torch.where; ONNX Where, opset 16.
    """

    __slots__ = ()
    name: ClassVar[str] = "select"
    operands: ClassVar[tuple[str, ...]] = ("cond", "a", "b")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        require_kind(types[0], ("bool",), what="`select`")
        try:
            dtype = require_same_dtype(types[1:], what="`select`")
        except ShapeError as error:
            error.operand = 2
            error.labels = tuple((index + 1, text) for index, text in error.labels)
            raise
        return (TensorType(dtype, broadcast_axes(types, facts, what="`select`")),)


@dataclass(frozen=True, slots=True)
class Cast(Op):
    """x as another element type.

    A float becomes the integer next to it towards zero, a wider integer keeps its low bits, a number becomes true
    unless it is 0 (NaN is true), true becomes 1. A float that the integer type does not hold has no value.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: the new type is of indices.
    Source: torch.Tensor.to; ONNX Cast, opset 13.
    """

    dtype: DType = F32

    name: ClassVar[str] = "cast"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        if self.dtype.table is not None:
            raise ShapeError("E0217", f"`cast` makes no indices: found {self.dtype}", operand=0)
        return (types[0].with_dtype(self.dtype),)


OPS: tuple[type[Op], ...] = (
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    Maximum,
    Minimum,
    Neg,
    Abs,
    Sign,
    Clamp,
    Select,
    Cast,
)
