"""The loop: one op behind `scan`, `decode` and `fixed_point`."""

from typing import ClassVar

from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, ShapeError, TensorType


@dataclass(frozen=True, slots=True)
class Loop(Op):
    """A bounded loop over `count` steps with one isolated region.

    Operands, in order: `sequences` tensors with the scanned axis at position `axis`; then, if `has_length`, one
    i64 tensor of lengths, shaped like the leading axes of every carry and every yield; then `carries` initial values;
    then the captured values. The region's arguments are: one step of each sequence (the axis removed), the carries, the
    captured values. Its results are: the next carries (same types), then one value for each yield, then, if
    `has_until`, a bool shaped like the rows that stop. The last `states` of the carries are states that the body
    updates: they have no rows, and every step changes them.

    Results of the op, in order: the yields stacked at position `axis` with size `count`, then the final carries.
    `reverse` takes the steps from last to first; yields stay at the place of their step. Past a row's length the
    carries freeze and the yields are zero; so too once its `until` held (the step where it first holds counts).
    With `reverse` the steps at or past a row's length come first and are skipped. `count` 0 returns the initial
    carries.

    Gradients run through all steps. With `truncate` they are cut each so many steps: there, carries are constants.
    With `implicit` the final carries count as a fixed point of the body, whatever steps led to it.

    Source: ONNX Scan, opset 11, and Loop, opset 21; jax.lax.scan.
    """

    axis: int
    count: Dim
    sequences: int
    carries: int
    yields: int
    reverse: bool = False
    has_length: bool = False
    has_until: bool = False
    states: int = 0
    truncate: int = 0
    implicit: bool = False

    name: ClassVar[str] = "loop"
    operands: ClassVar[tuple[str, ...]] = ("values*",)

    def normalised(self, types: tuple[TensorType, ...]) -> "Loop":
        return self

    def step_types(self, types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        """Types of the region's arguments: steps, carries, captured."""
        steps = []
        for index in range(self.sequences):
            t = types[index]
            if not 0 <= self.axis < t.rank:
                raise ShapeError(
                    "E0206", f"`scan` has no axis {self.axis}: its sequence has {t.rank} axes", operand=index
                )
            steps.append(t.with_axes(t.axes[: self.axis] + t.axes[self.axis + 1 :]))
        return (*steps, *types[self.sequences + self.has_length :])

    def stacked(self, step: TensorType, name: str | None = None) -> TensorType:
        """Type of a yield stacked over the steps."""
        at = min(self.axis, step.rank)
        return step.with_axes((*step.axes[:at], Axis(name, self.count), *step.axes[at:]))

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        raise TypeError("the result types of a loop follow from its region: use `loop_results`")


def has_rows(t: TensorType, lengths: TensorType, facts: Facts) -> bool:
    """Whether the leading axes of a carry or a yield are surely the rows that have these lengths."""
    return t.rank >= lengths.rank and all(
        facts.prove_eq(a, b) is True for a, b in zip(t.sizes, lengths.sizes, strict=False)
    )


def loop_results(
    op: Loop, types: tuple[TensorType, ...], region_results: tuple[TensorType, ...]
) -> tuple[TensorType, ...]:
    """Result types of a loop from its operand types and its region's result types."""
    name = types[0].axes[op.axis].name if op.sequences else None
    yields = region_results[op.carries : op.carries + op.yields]
    first_carry = op.sequences + op.has_length
    return (*(op.stacked(t, name) for t in yields), *types[first_carry : first_carry + op.carries])
