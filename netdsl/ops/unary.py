"""Functions of one float element: roots, exponentials, trigonometry, rounding."""

from dataclasses import dataclass
from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.tensor_type import TensorType, require_kind


@dataclass(frozen=True, slots=True)
class FloatFunction(Op):
    """One float tensor to one of the same type."""

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what=f"`{self.name}`")
        return (x,)


@dataclass(frozen=True, slots=True)
class Sqrt(FloatFunction):
    """√x; NaN for negative `x`. The gradient at 0 is inf.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not float.
    Source: torch.sqrt; ONNX Sqrt, opset 13.
    """

    name: ClassVar[str] = "sqrt"


@dataclass(frozen=True, slots=True)
class Rsqrt(FloatFunction):
    """1 / √x; inf at 0, NaN for negative `x`.

    Shapes: x (..) -> (..).
    Source: torch.rsqrt; ONNX Sqrt and Reciprocal, opset 13.
    """

    name: ClassVar[str] = "rsqrt"


@dataclass(frozen=True, slots=True)
class Reciprocal(FloatFunction):
    """1 / x; ±inf at 0.

    Shapes: x (..) -> (..).
    Source: torch.reciprocal; ONNX Reciprocal, opset 13.
    """

    name: ClassVar[str] = "reciprocal"


@dataclass(frozen=True, slots=True)
class Exp(FloatFunction):
    """e to the power x.

    Shapes: x (..) -> (..).
    Source: torch.exp; ONNX Exp, opset 13.
    """

    name: ClassVar[str] = "exp"


@dataclass(frozen=True, slots=True)
class Expm1(FloatFunction):
    """e to the power x, minus 1, without loss near 0.

    Shapes: x (..) -> (..).
    Source: torch.expm1; ONNX Exp and Tanh, opset 13: (eˣ + 1) tanh(x / 2).
    """

    name: ClassVar[str] = "expm1"


@dataclass(frozen=True, slots=True)
class Log(FloatFunction):
    """The natural logarithm; -inf at 0, NaN for negative `x`.

    Shapes: x (..) -> (..).
    Source: torch.log; ONNX Log, opset 13.
    """

    name: ClassVar[str] = "log"


@dataclass(frozen=True, slots=True)
class Log1p(FloatFunction):
    """The natural logarithm of 1 + x, without loss near 0; -inf at -1, NaN below.

    Shapes: x (..) -> (..).
    Source: torch.log1p; ONNX Log, opset 13, with the rounding of 1 + x put back.
    """

    name: ClassVar[str] = "log1p"


@dataclass(frozen=True, slots=True)
class Sin(FloatFunction):
    """The sine of `x` in radians; NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.sin; ONNX Sin, opset 7.
    """

    name: ClassVar[str] = "sin"


@dataclass(frozen=True, slots=True)
class Cos(FloatFunction):
    """The cosine of `x` in radians; NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.cos; ONNX Cos, opset 7.
    """

    name: ClassVar[str] = "cos"


@dataclass(frozen=True, slots=True)
class Tan(FloatFunction):
    """The tangent of `x` in radians; NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.tan; ONNX Tan, opset 7.
    """

    name: ClassVar[str] = "tan"


@dataclass(frozen=True, slots=True)
class Asin(FloatFunction):
    """The angle from -π/2 to π/2 whose sine is `x`; NaN outside -1 to 1.

    Shapes: x (..) -> (..).
    Source: torch.asin; ONNX Asin, opset 7.
    """

    name: ClassVar[str] = "asin"


@dataclass(frozen=True, slots=True)
class Acos(FloatFunction):
    """The angle from 0 to π whose cosine is `x`; NaN outside -1 to 1.

    Shapes: x (..) -> (..).
    Source: torch.acos; ONNX Acos, opset 7.
    """

    name: ClassVar[str] = "acos"


@dataclass(frozen=True, slots=True)
class Atan(FloatFunction):
    """The angle from -π/2 to π/2 whose tangent is `x`.

    Shapes: x (..) -> (..).
    Source: torch.atan; ONNX Atan, opset 7.
    """

    name: ClassVar[str] = "atan"


@dataclass(frozen=True, slots=True)
class Sinh(FloatFunction):
    """(eˣ - e⁻ˣ) / 2.

    Shapes: x (..) -> (..).
    Source: torch.sinh; ONNX Sinh, opset 9.
    """

    name: ClassVar[str] = "sinh"


@dataclass(frozen=True, slots=True)
class Cosh(FloatFunction):
    """(eˣ + e⁻ˣ) / 2.

    Shapes: x (..) -> (..).
    Source: torch.cosh; ONNX Cosh, opset 9.
    """

    name: ClassVar[str] = "cosh"


@dataclass(frozen=True, slots=True)
class Tanh(FloatFunction):
    """sinh x / cosh x; ±1 at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.tanh; ONNX Tanh, opset 13.
    """

    name: ClassVar[str] = "tanh"


@dataclass(frozen=True, slots=True)
class Erf(FloatFunction):
    """The error function: 2 / √π times the integral of e^(-t²) from 0 to x; ±1 at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.erf; ONNX Erf, opset 13.
    """

    name: ClassVar[str] = "erf"


@dataclass(frozen=True, slots=True)
class Floor(FloatFunction):
    """The largest whole number that is at most `x`. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.floor; ONNX Floor, opset 13.
    """

    name: ClassVar[str] = "floor"


@dataclass(frozen=True, slots=True)
class Ceil(FloatFunction):
    """The smallest whole number that is at least `x`. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.ceil; ONNX Ceil, opset 13.
    """

    name: ClassVar[str] = "ceil"


@dataclass(frozen=True, slots=True)
class Round(FloatFunction):
    """The nearest whole number, the even one of two. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.round; ONNX Round, opset 11.
    """

    name: ClassVar[str] = "round"


@dataclass(frozen=True, slots=True)
class Trunc(FloatFunction):
    """The whole number next to `x` towards zero. Its gradient is 0.

    Shapes: x (..) -> (..).
    Source: torch.trunc; ONNX Floor and Ceil, opset 13.
    """

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
