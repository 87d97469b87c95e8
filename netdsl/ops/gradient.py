"""What flows backwards: stopped and replaced gradients."""

from typing import ClassVar

from netdsl.dims import Facts
from netdsl.ops.base import Op
from netdsl.tensor_type import ShapeError, TensorType, require_kind, require_same_dtype, unify_axis


class StopGradient(Op):
    """x; no gradient flows through it.

    Shapes: x (..) -> (..).
    Source: torch.Tensor.detach.
    """

    __slots__ = ()
    name: ClassVar[str] = "stop_gradient"

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        return types


class WithGradient(Op):
    """Forward `value`, bit by bit; the whole gradient goes to `proxy`, as if the result were that.

    Shapes: value (..), proxy (..) -> (..).
    Raises: ShapeError: E0205, E0202, E0207, E0208: two shapes; E0201: two element types; E0217: not float.
    Source: Bengio et al. 2013 (straight-through estimator); jax.custom_jvp.
    """

    __slots__ = ()
    name: ClassVar[str] = "with_gradient"
    operands: ClassVar[tuple[str, ...]] = ("value", "proxy")

    def infer(self, types: tuple[TensorType, ...], facts: Facts) -> tuple[TensorType, ...]:
        value, proxy = types
        for index, t in enumerate(types):
            require_kind(t, ("float",), what="`with_gradient`", operand=index)
        require_same_dtype(types, what="`with_gradient`")
        if value.rank != proxy.rank:
            raise ShapeError(
                "E0205",
                f"`with_gradient` needs two tensors of one shape: {value} and {proxy}",
                operand=1,
                labels=((0, str(value)), (1, str(proxy))),
            )
        axes = [
            unify_axis(a, b, facts, what="`with_gradient`", at=(at, at))
            for at, (a, b) in enumerate(zip(value.axes, proxy.axes, strict=True))
        ]
        return (value.with_axes(axes),)


OPS: tuple[type[Op], ...] = (StopGradient, WithGradient)
