"""Sampling on grids: resizing, and reading an image at given places."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.windows import slid_axes, spatial_count
from netdsl.record import dataclass
from netdsl.tensor_type import ShapeError, TensorType, require_kind, require_same_dtype, unify_axis

if TYPE_CHECKING:
    from fractions import Fraction

MODES = ("nearest", "linear", "cubic")
PADDINGS = ("zeros", "border", "reflection")
#: A scale is the nearest fraction with a denominator up to this, so that 0.1 is a tenth and 1 / 3 a third.
LARGEST_DENOMINATOR = 10_000


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """`x` sampled anew on its spatial axes, to a `size` or by a `scale`; a single number stands for all axes.

    With a scale `s` an axis of size `n` gets `floor(n * s)` places. Place `i` of the result reads from
    - `nearest`: place floor(i * r), r being n / size, or 1 / s; computed exactly;
    - `linear`: (i + 0.5) * r - 0.5, between its two neighbours, ends repeated;
    - `cubic`: the same, between four neighbours, by cubic convolution with a = -0.75 (two spatial axes only).
    With `align_corners` (not for `nearest`) the first and last places of both coincide: r = (n - 1) / (size - 1),
    without the halves; one place alone reads the first.

    Shapes: x (N, C, *spatial) -> (N, C, *size).
    Raises: ShapeError: E0205: rank; E0209: an axis of size 0; E0219: attributes.
    Source: torch.nn.functional.interpolate (whose `nearest` rounds float32 products); ONNX Resize, opset 18.
    """

    size: tuple[Dim, ...] | None = None
    scale: tuple[float, ...] | None = None
    mode: str = "nearest"
    align_corners: bool = False

    name: ClassVar[str] = "resize"

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        count = spatial_count(types[0], max(types[0].rank - 2, 1), what="`resize`")
        if (self.size is None) == (self.scale is None):
            raise ShapeError("E0219", "`resize` takes `size` or `scale`, one of them")
        values = self.size or self.scale or ()
        if len(values) not in (1, count):
            raise ShapeError("E0219", f"`resize` takes 1 number or one for each of {count} axes, found {len(values)}")
        times = count if len(values) == 1 else 1
        if self.size is not None:
            return replace(self, size=tuple(Dim.of(size) for size in self.size) * times)
        assert self.scale is not None
        return replace(self, scale=tuple(float(scale) for scale in self.scale) * times)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        (x,) = types
        op = self.normalised(types)
        require_kind(x, ("float",), what="`resize`")
        if op.mode not in MODES:
            raise ShapeError("E0219", f"`mode` of `resize` is one of {_listed(MODES)}, found `{op.mode}`")
        if op.mode == "cubic" and x.rank != 4:
            raise ShapeError("E0219", f"`cubic` takes 2 spatial axes, found {x.rank - 2}")
        if op.mode == "nearest" and op.align_corners:
            raise ShapeError("E0219", "`align_corners` is for `linear` and `cubic`")
        for scale in op.scale or ():
            if not 0.0 < scale < float("inf"):
                raise ShapeError("E0219", f"`scale` of `resize` is above 0, found {scale}")
        sizes = op.result_sizes(types)
        for index, size in enumerate(sizes):
            if facts.prove("<", x.sizes[2 + index], 1) or facts.prove("<", size, 1):
                raise ShapeError(
                    "E0209",
                    f"`resize` needs sizes of at least 1, found {x.sizes[2 + index]} to {size}",
                    operand=0,
                    axes=((0, 2 + index),),
                )
        return (x.with_axes((*x.axes[:2], *slid_axes(x, sizes, facts))),)

    def result_sizes(self, types: tuple[TensorType, ...]) -> tuple[Dim, ...]:
        """The spatial sizes of the result of a normalised op."""
        if self.size is not None:
            return self.size
        ratios = [ratio_of(scale) for scale in self.scale or ()]
        return tuple(
            size * ratio.numerator // ratio.denominator for size, ratio in zip(types[0].sizes[2:], ratios, strict=True)
        )


@dataclass(frozen=True, slots=True)
class GridSample(Op):
    """`x` read at the places of `grid`, whose numbers go from -1 to 1 over `x`, the last spatial axis first.

    Without `align_corners` -1 and 1 are the outer edges of the first and last places, with it their centres. A place
    outside reads `zeros`, the nearest one inside (`border`), or its mirror image (`reflection`). `nearest` rounds
    halves to the even place; `cubic` (a = -0.75) is for two spatial axes. NaN in `grid` is left undefined.

    Shapes: x (N, C, H, W), grid (N, h, w, 2) -> (N, C, h, w); or (N, C, D, H, W) and (N, d, h, w, 3).
    Raises: ShapeError: E0204: the last axis of `grid`; E0205: ranks; E0202, E0207, E0208: batches; E0219: attributes.
    Source: torch.nn.functional.grid_sample; ONNX GridSample, opset 16 (float64 and 3 spatial axes: 20).
    """

    mode: str = "linear"
    padding: str = "zeros"
    align_corners: bool = False

    name: ClassVar[str] = "grid_sample"
    operands: ClassVar[tuple[str, ...]] = ("x", "grid")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        x, grid = types
        what = "`grid_sample`"
        require_same_dtype(types, what=what)
        require_kind(x, ("float",), what=what)
        if x.rank not in (4, 5):
            raise ShapeError(
                "E0205", f"{what} needs 4 or 5 axes (batch, channels, 2 or 3 spatial), found {x}", operand=0
            )
        if grid.rank != x.rank:
            raise ShapeError("E0205", f"the grid of {what} needs {x.rank} axes as well, found {grid}", operand=1)
        if self.mode not in MODES:
            raise ShapeError("E0219", f"`mode` of {what} is one of {_listed(MODES)}, found `{self.mode}`")
        if self.mode == "cubic" and x.rank != 4:
            raise ShapeError("E0219", f"`cubic` takes 2 spatial axes, found {x.rank - 2}")
        if self.padding not in PADDINGS:
            raise ShapeError("E0219", f"`padding` of {what} is one of {_listed(PADDINGS)}, found `{self.padding}`")
        if facts.prove_eq(grid.sizes[-1], x.rank - 2) is not True:
            raise ShapeError(
                "E0204",
                f"the grid of {what} needs {x.rank - 2} numbers a place, found {grid.sizes[-1]}",
                operand=1,
                axes=((1, x.rank - 1),),
            )
        for index, size in enumerate(x.sizes[2:]):
            if size == 0:
                raise ShapeError("E0209", f"{what} needs places to read, found {x}", operand=0, axes=((0, 2 + index),))
        batch = unify_axis(x.axes[0], grid.axes[0], facts, what=what, operands=(0, 1))
        return (x.with_axes((batch, x.axes[1], *grid.axes[1:-1])),)


def ratio_of(scale: float) -> "Fraction":
    """The fraction that a scale stands for."""
    from fractions import Fraction

    return Fraction(scale).limit_denominator(LARGEST_DENOMINATOR)


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


OPS: tuple[type[Op], ...] = (Resize, GridSample)
