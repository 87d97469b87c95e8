"""Windows that slide over the spatial axes of (N, C, *spatial): attributes, sizes and names."""

from collections.abc import Sequence

from netdsl.dims import Dim, Facts, dmin
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType

MOST_SPATIAL_AXES = 3


def per_axis(values: tuple[int, ...], count: int, *, what: str, attribute: str, least: int) -> tuple[int, ...]:
    """One number for each spatial axis; a single one stands for all.

    Raises: ShapeError: E0219: another count, or a number below `least`.
    """
    return _filled(values, count, f" or {count}" if count > 1 else "", what=what, attribute=attribute, least=least)


def per_side(values: tuple[int, ...], count: int, *, what: str, attribute: str = "padding") -> tuple[int, ...]:
    """(before, after) of each spatial axis in turn; a single number stands for all.

    Raises: ShapeError: E0219: another count, or a number below 0.
    """
    wanted = f" or {2 * count} (before and after each axis)"
    return _filled(values, 2 * count, wanted, what=what, attribute=attribute, least=0)


def _filled(
    values: tuple[int, ...], count: int, wanted: str, *, what: str, attribute: str, least: int
) -> tuple[int, ...]:
    if len(values) not in (1, count):
        raise ShapeError("E0219", f"`{attribute}` of {what} takes 1 number{wanted}, found {len(values)}")
    for value in values:
        if value < least:
            raise ShapeError("E0219", f"`{attribute}` of {what} is at least {least}, found {value}")
    return values if len(values) == count else values * count


def spatial_count(x: TensorType, count: int, *, what: str) -> int:
    """The number of spatial axes, which is `count`.

    Raises: ShapeError: E0205: `x` has not two axes more; E0219: not 1 to 3.
    """
    if not 1 <= count <= MOST_SPATIAL_AXES:
        raise ShapeError("E0219", f"{what} has 1 to {MOST_SPATIAL_AXES} spatial axes, found {count}")
    if x.rank != count + 2:
        raise ShapeError(
            "E0205",
            f"{what} needs {count + 2} axes (batch, channels, {count} spatial), found {x.rank}: {x}",
            operand=0,
        )
    return count


def extents(kernel: Sequence[Dim | int], dilation: Sequence[int]) -> tuple[Dim, ...]:
    """How far each window reaches."""
    return tuple((Dim.of(k) - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def window_counts(
    sizes: Sequence[Dim], reach: Sequence[Dim], stride: Sequence[int], padding: Sequence[int], *, ceil: bool = False
) -> tuple[Dim, ...]:
    """How many windows fit on each axis.

    With `ceil` a last window may hang over the end, as long as it starts on the axis or its padding before.
    """
    counts = []
    for size, extent, step, before, after in zip(sizes, reach, stride, padding[::2], padding[1::2], strict=True):
        free = size + before + after - extent
        if not ceil:
            counts.append(free // step + 1)
            continue
        count = (free + step - 1) // step + 1
        is_short = extent.is_const and step <= extent.value - after
        counts.append(count if is_short else dmin(count, (size + before - 1) // step + 1))
    return tuple(counts)


def overhang(
    sizes: Sequence[Dim],
    counts: Sequence[Dim],
    reach: Sequence[Dim],
    stride: Sequence[int],
    padding: Sequence[int],
) -> tuple[Dim, ...]:
    """How far the last window of each axis reaches past the padded end; negative where something is left over."""
    return tuple(
        (count - 1) * step + extent - size - before - after
        for size, count, extent, step, before, after in zip(
            sizes, counts, reach, stride, padding[::2], padding[1::2], strict=True
        )
    )


@dataclass(frozen=True, slots=True)
class Need:
    """A spatial axis needs `size >= least`. Args: wrong, unknown: titles where that is refuted, and undecided."""

    axis: int
    size: Dim
    least: Dim
    wrong: str
    unknown: str


def window_needs(x: TensorType, reach: Sequence[Dim], padding: Sequence[int], *, what: str) -> list[Need]:
    """Each spatial axis has elements, and a window fits on it with its padding."""
    needs = element_needs(x, what=what)
    for index, extent in enumerate(reach):
        size = x.sizes[2 + index]
        around = padding[2 * index] + padding[2 * index + 1]
        added = f" ({size + around} with its padding)" if around else ""
        title = f"a window of {what} spans {extent}"
        wrong = f"{title}, more than the axis of size {size}{added}"
        unknown = f"{title}, and nothing says that it fits on the axis of size {size}{added}"
        needs.append(Need(2 + index, size, extent - around, wrong, unknown))
    return needs


def element_needs(x: TensorType, *, what: str) -> list[Need]:
    """Each spatial axis has elements: no backend slides windows over nothing."""
    title = f"{what} needs elements on each spatial axis"
    return [
        Need(at, size, Dim.of(1), f"{title}, found an axis of size {size}", f"{title}, and nothing says so of {size}")
        for at, size in enumerate(x.sizes[2:], 2)
    ]


def refuse(needs: Sequence[Need], facts: Facts) -> None:
    """Raises: ShapeError: E0209: a need is certainly not met."""
    for need in needs:
        if facts.prove(">=", need.size, need.least) is False:
            raise ShapeError("E0209", need.wrong, operand=0, axes=((0, need.axis),))


def demand(needs: Sequence[Need], facts: Facts) -> None:
    """Raises: ShapeError: E0208: nothing says that a need is met; that of a window before that of elements."""
    for need in reversed(needs):
        if facts.prove(">=", need.size, need.least) is None:
            help = f"add `where {need.size} >= {facts.simplify(need.least)}` to the header"
            raise ShapeError("E0208", need.unknown, operand=0, axes=((0, need.axis),), help=help)


def slid_axes(x: TensorType, counts: Sequence[Dim], facts: Facts) -> tuple[Axis, ...]:
    """The spatial axes of the result: one whose size provably stays is the same axis and keeps its name."""
    axes = []
    for axis, count in zip(x.axes[2:], counts, strict=True):
        size = facts.simplify(count)
        axes.append(axis if facts.prove_eq(size, axis.size) else Axis(None, size))
    return tuple(axes)
