"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.tensor_type import TensorType, require_kind


class FloatFunction(Op):
    """One float tensor to one of the same type."""

    __slots__ = ()

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what=f"`{self.name}`")
        return (x,)


class Sqrt(FloatFunction):
    """√x; NaN for negative `x`. The gradient at 0 is inf.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not float.
    Source: torch.sqrt; ONNX Sqrt, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "sqrt"


class Rsqrt(FloatFunction):
    """1 / √x; inf at 0, NaN for negative `x`.

    Shapes: x (..) -> (..).
    Source: torch.rsqrt; ONNX Sqrt and Reciprocal, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "rsqrt"


class Reciprocal(FloatFunction):
    """1 / x; ±inf at 0.

    Shapes: x (..) -> (..).
    Source: torch.reciprocal; ONNX Reciprocal, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "reciprocal"


class Exp(FloatFunction):
    """e to the power x.

    Shapes: x (..) -> (..).
    Source: torch.exp; ONNX Exp, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "exp"


class Expm1(FloatFunction):
    """e to the power x, minus 1, without loss near 0.

    Shapes: x (..) -> (..).
    Source: torch.expm1; ONNX Exp and Tanh, opset 13: (eˣ + 1) tanh(x / 2).
    """

    __slots__ = ()
    name: ClassVar[str] = "expm1"


class Log(FloatFunction):
    """The natural logarithm; -inf at 0, NaN for negative `x`.

    Shapes: x (..) -> (..).
    Source: torch.log; ONNX Log, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "log"


class Log1p(FloatFunction):
    """The natural logarithm of 1 + x, without loss near 0; -inf at -1, NaN below.

    Shapes: x (..) -> (..).
    Source: torch.log1p; ONNX Log, opset 13, with the rounding of 1 + x put back.
    """

    __slots__ = ()
    name: ClassVar[str] = "log1p"


class Sin(FloatFunction):
    """The sine of `x` in radians; NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.sin; ONNX Sin, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "sin"


class Cos(FloatFunction):
    """The cosine of `x` in radians; NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.cos; ONNX Cos, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "cos"


class Tan(FloatFunction):
    """The tangent of `x` in radians; NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.tan; ONNX Tan, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "tan"


class Asin(FloatFunction):
    """The angle from -π/2 to π/2 whose sine is `x`; NaN outside -1 to 1.

    Shapes: x (..) -> (..).
    Source: torch.asin; ONNX Asin, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "asin"


class Acos(FloatFunction):
    """The angle from 0 to π whose cosine is `x`; NaN outside -1 to 1.

    Shapes: x (..) -> (..).
    Source: torch.acos; ONNX Acos, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "acos"


class Atan(FloatFunction):
    """The angle from -π/2 to π/2 whose tangent is `x`.

    Shapes: x (..) -> (..).
    Source: torch.atan; ONNX Atan, opset 7.
    """

    __slots__ = ()
    name: ClassVar[str] = "atan"


class Sinh(FloatFunction):
    """(eˣ - e⁻ˣ) / 2.

    Shapes: x (..) -> (..).
    Source: torch.sinh; ONNX Sinh, opset 9.
    """

    __slots__ = ()
    name: ClassVar[str] = "sinh"


class Cosh(FloatFunction):
    """(eˣ + e⁻ˣ) / 2.

    Shapes: x (..) -> (..).
    Source: torch.cosh; ONNX Cosh, opset 9.
    """

    __slots__ = ()
    name: ClassVar[str] = "cosh"


class Tanh(FloatFunction):
    """sinh x / cosh x; ±1 at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.tanh; ONNX Tanh, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "tanh"


class Erf(FloatFunction):
    """The error function: 2 / √π times the integral of e^(-t²) from 0 to x; ±1 at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.erf; ONNX Erf, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "erf"


class Floor(FloatFunction):
    """The largest whole number that is at most `x`. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.floor; ONNX Floor, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "floor"


class Ceil(FloatFunction):
    """The smallest whole number that is at least `x`. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.ceil; ONNX Ceil, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "ceil"


class Round(FloatFunction):
    """The nearest whole number, the even one of two. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.round; ONNX Round, opset 11.
    """

    __slots__ = ()
    name: ClassVar[str] = "round"


class Trunc(FloatFunction):
    """The whole number next to `x` towards zero. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.trunc; ONNX Floor and Ceil, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "trunc"


OPS: tuple[type[Op], ...] = (
    Sqrt,
    Rsqrt,
    Reciprocal,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Erf,
    Floor,
    Ceil,
    Round,
    Trunc,
)
