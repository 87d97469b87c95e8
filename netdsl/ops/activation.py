"""Activation functions. At ±inf those of the form x times a gate (gelu, silu, mish, hard_swish) have no value."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.ops.unary import FloatFunction
from netdsl.record import dataclass
from netdsl.tensor_type import ShapeError, TensorType


class Relu(FloatFunction):
    """max(x, 0), with gradient 0 at 0.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0217: not float.
    Source: torch.nn.functional.relu; ONNX Relu, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "relu"


@dataclass(frozen=True, slots=True)
class LeakyRelu(FloatFunction):
    """x where it is positive, else slope * x; the gradient at 0 is `slope`.

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.leaky_relu; ONNX LeakyRelu, opset 16.
    """

    slope: float = 0.01

    name: ClassVar[str] = "leaky_relu"


@dataclass(frozen=True, slots=True)
class Elu(FloatFunction):
    """x where it is positive, else alpha * (eˣ - 1).

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.elu; ONNX Elu, opset 6.
    """

    alpha: float = 1.0

    name: ClassVar[str] = "elu"


class Selu(FloatFunction):
    """1.0507… times (x where it is positive, else 1.6732… * (eˣ - 1)).

    Shapes: x (..) -> (..).
    Source: Klambauer et al. 2017; torch.nn.functional.selu; ONNX Selu, opset 6.
    """

    __slots__ = ()
    name: ClassVar[str] = "selu"


@dataclass(frozen=True, slots=True)
class Celu(FloatFunction):
    """x where it is positive, else alpha * (e^(x / alpha) - 1).

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0219: `alpha` is not above 0.
    Source: Barron 2017; torch.nn.functional.celu; ONNX Celu, opset 12.
    """

    alpha: float = 1.0

    name: ClassVar[str] = "celu"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        _require_positive(self.alpha, "`alpha` of `celu`")
        return FloatFunction.infer(self, types, facts)


@dataclass(frozen=True, slots=True)
class Gelu(FloatFunction):
    """x times the probability that a standard normal number is below x.

    `approximate` takes x / 2 * (1 + tanh(√(2/π) (x + 0.044715 x³))) instead.

    Shapes: x (..) -> (..).
    Source: Hendrycks and Gimpel 2016; torch.nn.functional.gelu; ONNX Gelu, opset 20, Erf or Tanh before it.
    """

    approximate: bool = False

    name: ClassVar[str] = "gelu"


class Silu(FloatFunction):
    """x * sigmoid(x).

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.silu; ONNX Sigmoid and Mul, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "silu"


class Sigmoid(FloatFunction):
    """1 / (1 + e⁻ˣ); 0 at -inf, 1 at inf.

    Shapes: x (..) -> (..).
    Source: torch.sigmoid; ONNX Sigmoid, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "sigmoid"


class LogSigmoid(FloatFunction):
    """log(sigmoid(x)), without overflow: -softplus(-x).

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.logsigmoid; ONNX Softplus, opset 1.
    """

    __slots__ = ()
    name: ClassVar[str] = "log_sigmoid"


@dataclass(frozen=True, slots=True)
class Softplus(FloatFunction):
    """log(1 + e^(beta x)) / beta, without overflow.

    Shapes: x (..) -> (..).
    Raises: ShapeError: E0219: `beta` is not above 0.
    Source: torch.nn.functional.softplus; ONNX Softplus, opset 1.
    """

    beta: float = 1.0

    name: ClassVar[str] = "softplus"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        _require_positive(self.beta, "`beta` of `softplus`")
        return FloatFunction.infer(self, types, facts)


class Softsign(FloatFunction):
    """x / (1 + |x|); NaN at ±inf.

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.softsign; ONNX Softsign, opset 1.
    """

    __slots__ = ()
    name: ClassVar[str] = "softsign"


class HardSigmoid(FloatFunction):
    """x / 6 + 1/2, kept within 0 and 1.

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.hardsigmoid; ONNX HardSigmoid, opset 6.
    """

    __slots__ = ()
    name: ClassVar[str] = "hard_sigmoid"


class HardSwish(FloatFunction):
    """x * hard_sigmoid(x).

    Shapes: x (..) -> (..).
    Source: Howard et al. 2019; torch.nn.functional.hardswish; ONNX HardSwish, opset 14.
    """

    __slots__ = ()
    name: ClassVar[str] = "hard_swish"


class Relu6(FloatFunction):
    """min(max(x, 0), 6).

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.relu6; ONNX Clip, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "relu6"


class Mish(FloatFunction):
    """x * tanh(softplus(x)).

    Shapes: x (..) -> (..).
    Source: Misra 2019; torch.nn.functional.mish; ONNX Mish, opset 18.
    """

    __slots__ = ()
    name: ClassVar[str] = "mish"


class HardTanh(FloatFunction):
    """min(max(x, -1), 1).

    Shapes: x (..) -> (..).
    Source: torch.nn.functional.hardtanh; ONNX Clip, opset 13.
    """

    __slots__ = ()
    name: ClassVar[str] = "hard_tanh"


def _require_positive(value: float, what: str) -> None:
    if not value > 0:
        raise ShapeError("E0219", f"{what} needs a number above 0, found {value}")


OPS: tuple[type[Op], ...] = (
    Relu,
    LeakyRelu,
    Elu,
    Selu,
    Celu,
    Gelu,
    Silu,
    Sigmoid,
    LogSigmoid,
    Softplus,
    Softsign,
    HardSigmoid,
    HardSwish,
    Relu6,
    Mish,
    HardTanh,
)
