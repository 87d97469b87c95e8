"""What a primitive is: a name, attributes, operands, and the rule for its result types."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import ClassVar, Self

from netdsl.dims import Dim, Facts
from netdsl.record import dataclass
from netdsl.tensor_type import TensorType, normal_axis


@dataclass(frozen=True, slots=True)
class Op:
    """A primitive with its attributes. The dataclass fields are the attributes, in surface order:
    `softmax[axis=-1](x)` makes `Softmax(axis=-1)`; a field with `metadata={"variadic": True}` takes all
    remaining positional brackets (`broadcast[B, 1, D](x)`), one with `metadata={"pairs": True}` all named ones that are
    no field, as (name, size) pairs (`einsum["(h d) -> h d", h=3](x)`).

    Attribute values are int, float, bool, str, None, DType, Dim, or tuples of these. A `Dim` may be symbolic:
    its run-time value follows from the shapes of the network's inputs.
    """

    name: ClassVar[str] = ""
    #: Operand names; `bias?` may be left out (from the right), `xs*` takes any number and stands last.
    operands: ClassVar[tuple[str, ...]] = ("x",)

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        """Types of the results.

        Raises: ShapeError: the operands do not fit.
        """
        raise NotImplementedError(self.name)

    def check_room(self, types: tuple[TensorType, ...], facts: Facts) -> None:
        """Demand what `infer` lets pass and only sizes at run time can break: that windows fit on their axes.

        Raises: ShapeError: E0208: nothing says so.
        """

    def axis_rank(self, types: tuple[TensorType, ...]) -> int:
        """The rank that negative `axis` and `axes` attributes count from."""
        return types[0].rank if types else 0

    def normalised(self, types: tuple[TensorType, ...]) -> Self:
        """The same op with every `axis` and `axes` attribute counted from 0.

        Raises: ShapeError: E0206: an axis out of range.
        """
        changes: dict[str, object] = {}
        for f in fields(self):
            if f.name not in ("axis", "axes"):
                continue
            value = getattr(self, f.name)
            rank = self.axis_rank(types)
            what = f"`{self.name}`"
            if isinstance(value, int) and (value < 0 or value >= rank):
                changes[f.name] = normal_axis(value, rank, what=what)
            elif isinstance(value, tuple):
                normal = tuple(normal_axis(a, rank, what=what) for a in value)
                if normal != value:
                    changes[f.name] = normal
        return replace(self, **changes) if changes else self

    def sample_rank(self, types: tuple[TensorType, ...]) -> int | None:
        """Axes of one sample, where `x` is samples behind one batch axis; the language takes any number of them."""
        return None

    def flops(self, types: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> Dim:
        """Floating-point operations as `torch.utils.flop_counter` counts them: products and convolutions only."""
        return _ZERO

    def dims(self) -> Iterator[Dim]:
        """Every symbolic size among the attributes."""
        for f in fields(self):
            yield from _dims_in(getattr(self, f.name))


_ZERO = Dim.of(0)


def _dims_in(value: object) -> Iterator[Dim]:
    if isinstance(value, Dim):
        if not value.is_const:
            yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _dims_in(item)
