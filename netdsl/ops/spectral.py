"""The discrete Fourier transform of real numbers, and back. Complex numbers are pairs on a last axis of size 2."""

from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType, require_kind


@dataclass(frozen=True, slots=True)
class Rfft(Op):
    """The transform of real numbers along `axis`, not normalised: the frequencies 0 to n // 2 as (real, imaginary).

    Frequency k is the sum over t of x[t] * exp(-2 pi i k t / n).

    Shapes: x (.., n, ..) -> (.., n // 2 + 1, .., 2).
    Raises: ShapeError: E0206; E0209: nothing to transform; E0205: a scalar.
    Source: numpy.fft.rfft; torch.fft.rfft; ONNX DFT, opset 17. The error of ONNX Runtime is at most 1e-6 of the largest
            result in float32, 1e-11 in float64 (tested to a length of 5,003).
    """

    axis: int = -1

    name: ClassVar[str] = "rfft"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what="`rfft`")
        if x.rank == 0:
            raise ShapeError("E0205", f"`rfft` needs an axis, found the scalar {x}", operand=0)
        axis = self.normalised(types).axis
        length = x.sizes[axis]
        if facts.prove("<", length, 1):
            raise ShapeError("E0209", f"`rfft` needs numbers to transform, found {x}", operand=0, axes=((0, axis),))
        count = facts.simplify(length // 2 + 1)
        axes = (*x.axes[:axis], Axis(None, count), *x.axes[axis + 1 :], Axis(None, Dim.of(2)))
        return (x.with_axes(axes),)


@dataclass(frozen=True, slots=True)
class Irfft(Op):
    """The `n` real numbers whose transform is `x`: the inverse of `rfft`, with the factor 1 / n.

    `axis` counts among the axes before the pairs. The imaginary part of frequency 0, and for an even `n` that of
    frequency n // 2, is not read.

    Shapes: x (.., n // 2 + 1, .., 2) -> (.., n, ..).
    Raises: ShapeError: E0204: another number of frequencies, or no pairs; E0208; E0206; E0209: `n`; E0205: no axis.
    Source: numpy.fft.irfft; torch.fft.irfft; ONNX DFT, opset 17.
    """

    n: Dim
    axis: int = -1

    name: ClassVar[str] = "irfft"

    def axis_rank(self, types: tuple[TensorType, ...]) -> int:
        return max(types[0].rank - 1, 0) if types else 0

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        require_kind(x, ("float",), what="`irfft`")
        if x.rank < 2:
            raise ShapeError("E0205", f"`irfft` needs an axis of frequencies and one of pairs, found {x}", operand=0)
        axis = self.normalised(types).axis
        if facts.prove_eq(x.sizes[-1], 2) is not True:
            raise ShapeError(
                "E0204",
                f"`irfft` needs pairs (real, imaginary) on the last axis, found {x}",
                operand=0,
                axes=((0, x.rank - 1),),
            )
        length = Dim.of(self.n)
        if facts.prove("<", length, 1):
            raise ShapeError("E0209", f"`irfft` makes at least 1 number, found n = {length}")
        count = length // 2 + 1
        equal = facts.prove_eq(x.sizes[axis], count)
        if equal is None:
            raise ShapeError(
                "E0208",
                f"`irfft` to {length} numbers needs {count} frequencies, and nothing says that {x.sizes[axis]} is that",
                operand=0,
                axes=((0, axis),),
                help=f"add `where {x.sizes[axis]} == {count}` to the header",
            )
        if not equal:
            raise ShapeError(
                "E0204",
                f"`irfft` to {length} numbers needs {count} frequencies, found {x.sizes[axis]}",
                operand=0,
                axes=((0, axis),),
            )
        return (x.with_axes((*x.axes[:axis], Axis(None, length), *x.axes[axis + 1 : -1])),)


OPS: tuple[type[Op], ...] = (Rfft, Irfft)
