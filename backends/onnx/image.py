"""Sampling on grids: resizing, and reading an image at given places."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.windows import arange
from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.image import GridSample, Resize, ratio_of
from netdsl.source import NO_SOURCE
from netdsl.tensor_type import F16, F32, F64, I64, DType

#: From this opset on GridSample has three spatial axes and, in ONNX Runtime, a float64 kernel.
_FULL_GRID_SAMPLE = 20
_OLD_GRID_MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}


def _resize(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """One Resize where its float32 arithmetic gives the places that are meant, else gathers and weights an axis."""
    op = node.op
    assert isinstance(op, Resize)
    op = op.normalised(node.operand_types)
    (x,) = operands
    dtype = node.result.type.dtype
    sizes, counts = node.operand_types[0].sizes[2:], op.result_sizes(node.operand_types)
    ratios = [ratio_of(scale) for scale in op.scale] if op.scale is not None else None
    scales = _exact_scales(op, sizes, counts, ratios)
    if dtype != F64 and scales is not None:
        return e.node("Resize", x, "", e.constant(scales, F32), **_resize_attributes(op, len(sizes)))
    is_whole = (
        ratios is None
        or op.align_corners
        or all(
            size.is_const and size.value * ratio.numerator % ratio.denominator == 0
            for size, ratio in zip(sizes, ratios, strict=True)
        )
    )
    if dtype != F64 and op.mode != "nearest" and is_whole:
        return e.node("Resize", x, "", "", e.shape(counts), **_resize_attributes(op, len(sizes)))
    for index, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        ratio = ratios[index] if ratios is not None else None
        if op.mode == "nearest":
            (x,) = e.node("Gather", x, _nearest_places(e, size, count, ratio), axis=2 + index)
        else:
            places = _places(e, size, count, ratio, align_corners=op.align_corners)
            x = _between(e, x, places, (2 + index, len(sizes) - 1 - index), size, op.mode, dtype)
    return (x,)


def _exact_scales(
    op: Resize, sizes: Sequence[Dim], counts: Sequence[Dim], ratios: Sequence[Fraction] | None
) -> list[float] | None:
    """Scales with which Resize finds the right places: whole ones for `nearest`, dyadic ones for the others."""
    if op.align_corners:
        return None
    if ratios is None:
        if op.mode != "nearest" or not all(d.is_const for d in (*sizes, *counts)):
            return None
        ratios = [Fraction(count.value, size.value) for size, count in zip(sizes, counts, strict=True)]
    if op.mode == "nearest":
        is_exact = all(ratio.denominator == 1 for ratio in ratios)
    else:
        is_exact = all(ratio.denominator & (ratio.denominator - 1) == 0 and ratio.numerator < 2**20 for ratio in ratios)
    return [float(ratio) for ratio in ratios] if is_exact else None


def _resize_attributes(op: Resize, count: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {"mode": op.mode, "axes": list(range(2, 2 + count))}
    if op.mode == "nearest":
        return {**attributes, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if op.mode == "cubic":
        attributes["cubic_coeff_a"] = -0.75
    return {**attributes, "coordinate_transformation_mode": "align_corners" if op.align_corners else "half_pixel"}


def _nearest_places(e: Emitter, size: Dim, count: Dim, ratio: Fraction | None) -> str:
    """floor(i / ratio) in integers, the ratio being count / size unless given."""
    if size.is_const and count.is_const:
        step = Fraction(size.value, count.value) if ratio is None else 1 / ratio
        places = np.arange(count.value) * step.numerator // step.denominator
        return e.constant(np.minimum(places, size.value - 1), I64)
    over = e.dim(size) if ratio is None else e.constant(ratio.denominator, I64, ())
    under = e.dim(count) if ratio is None else e.constant(ratio.numerator, I64, ())
    (product,) = e.node("Mul", arange(e, count), over)
    return e.node("Div", product, under)[0]


def _places(e: Emitter, size: Dim, count: Dim, ratio: Fraction | None, *, align_corners: bool) -> str:
    """The places (f64) that an axis is read at."""
    if size.is_const and count.is_const:
        numbers = np.arange(count.value)
        if align_corners:
            return e.constant(numbers * ((size.value - 1) / max(count.value - 1, 1)), F64)
        step = size.value / count.value if ratio is None else float(1 / ratio)
        return e.constant((numbers + 0.5) * step - 0.5, F64)
    (index,) = e.node("Cast", arange(e, count), to=e.tensor_dtype(F64))
    if align_corners:
        (last,) = e.node("Max", e.dim(count - 1), e.constant(1, I64, ()))
        return e.node("Mul", index, _quotient(e, e.dim(size - 1), last))[0]
    half = e.constant(0.5, F64, ())
    step_name = _quotient(e, e.dim(size), e.dim(count)) if ratio is None else e.constant(float(1 / ratio), F64, ())
    (scaled,) = e.node("Mul", e.node("Add", index, half)[0], step_name)
    return e.node("Sub", scaled, half)[0]


def _quotient(e: Emitter, over: str, under: str) -> str:
    wide = [e.node("Cast", x, to=e.tensor_dtype(F64))[0] for x in (over, under)]
    return e.node("Div", *wide)[0]


def _between(e: Emitter, x: str, places: str, at: tuple[int, int], size: Dim, mode: str, dtype: DType) -> str:
    """`x` read along an axis between its places, ends repeated. `at`: the axis, and the number of axes after it."""
    axis, tail = at
    if mode == "linear":
        (places,) = e.node("Max", places, e.constant(0.0, F64, ()))
    (below,) = e.node("Floor", places)
    (part,) = e.node("Sub", places, below)
    (first,) = e.node("Cast", below, to=e.tensor_dtype(I64))
    total = ""
    for offset, weight in _weights(e, part, mode):
        (index,) = e.node("Add", first, e.constant(offset, I64, ())) if offset else (first,)
        (index,) = e.node("Min", e.node("Max", index, e.constant(0, I64, ()))[0], e.dim(size - 1))
        (value,) = e.node("Gather", x, index, axis=axis)
        (factor,) = e.node("Cast", weight, to=e.tensor_dtype(dtype))
        if tail:
            (factor,) = e.node("Unsqueeze", factor, e.constant(list(range(1, 1 + tail)), I64))
        (value,) = e.node("Mul", value, factor)
        total = e.node("Add", total, value)[0] if total else value
    return total


def _weights(e: Emitter, part: str, mode: str) -> list[tuple[int, str]]:
    """(offset from the place below, weight in f64) of each neighbour, `part` being the way to the next place."""
    one = e.constant(1.0, F64, ())
    (rest,) = e.node("Sub", one, part)
    if mode == "linear":
        return [(0, rest), (1, part)]
    a = -0.75
    near, far = (a + 2, -(a + 3), 0.0, 1.0), (a, -5 * a, 8 * a, -4 * a)
    beyond = [e.node("Add", distance, one)[0] for distance in (part, rest)]
    return [
        (-1, _polynomial(e, beyond[0], far)),
        (0, _polynomial(e, part, near)),
        (1, _polynomial(e, rest, near)),
        (2, _polynomial(e, beyond[1], far)),
    ]


def _polynomial(e: Emitter, x: str, coefficients: Sequence[float]) -> str:
    """Horner's scheme, the highest power first."""
    (total,) = e.node("Mul", x, e.constant(coefficients[0], F64, ()))
    for coefficient in coefficients[1:-1]:
        (total,) = e.node("Add", total, e.constant(coefficient, F64, ()))
        (total,) = e.node("Mul", total, x)
    return e.node("Add", total, e.constant(coefficients[-1], F64, ()))[0]


def _grid_sample(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, GridSample)
    x_type = node.operand_types[0]
    if e.opset < _FULL_GRID_SAMPLE and (x_type.dtype == F64 or x_type.rank == 5):
        found = "f64" if x_type.dtype == F64 else "3 spatial axes"
        raise _refusal(node, f"`grid_sample` with {found} needs opset {_FULL_GRID_SAMPLE}, found {e.opset}")
    modes = _OLD_GRID_MODES if e.opset < _FULL_GRID_SAMPLE else {}
    attributes: dict[str, Any] = {
        "mode": modes.get(op.mode, op.mode),
        "padding_mode": op.padding,
        "align_corners": int(op.align_corners),
    }
    if x_type.dtype != F16:
        return e.node("GridSample", *operands, **attributes)
    wide = [e.node("Cast", x, to=e.tensor_dtype(F32))[0] for x in operands]
    (y,) = e.node("GridSample", *wide, **attributes)
    return e.node("Cast", y, to=e.tensor_dtype(F16))


def _refusal(node: Node, title: str) -> NetError:
    span = node.spans[0]
    return NetError(
        Diagnostic(
            "E0711",
            title,
            None if span.source is NO_SOURCE else Label(span),
            help=f"export with `--opset {_FULL_GRID_SAMPLE}`",
        )
    )


TABLE: dict[type[Op], Lower] = {Resize: _resize, GridSample: _grid_sample}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
