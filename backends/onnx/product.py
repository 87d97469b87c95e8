"""Products of matrices and tensors."""

from collections.abc import Sequence

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.einsum_pattern import Contraction, Step, contract, parse_pattern
from netdsl.ops.product import Einsum, Matmul
from netdsl.tensor_type import I32, I64, DType

Labels = tuple[str, ...]


def _matmul(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """A vector on the right is a column: ONNX Runtime 1.32 fuses a transpose and a vector wrongly."""
    dtype = node.result.type.dtype
    a, b = _widened(e, dtype, operands)
    is_vector = [t.rank == 1 for t in node.operand_types]
    if is_vector != [False, True]:
        (product,) = e.node("MatMul", a, b)
    else:
        (column,) = e.node("Unsqueeze", b, e.constant([1], I64))
        (product,) = e.node("Squeeze", e.node("MatMul", a, column)[0], e.constant([-1], I64))
    return (_narrowed(e, dtype, product),)


def _einsum(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """Transposes, reshapes and one MatMul a step: ONNX Runtime's Einsum does the same, and slower."""
    op = node.op
    assert isinstance(op, Einsum)
    dtype = node.result.type.dtype
    plan = contract(parse_pattern(op.pattern), op.sizes, node.operand_types, None)
    xs = []
    for x, shape, t in zip(_widened(e, dtype, operands, I64), plan.shapes, node.operand_types, strict=True):
        xs.append(x if shape == t.sizes else e.node("Reshape", x, e.shape(shape), allowzero=1)[0])
    later = [set(plan.output).union(*plan.labels[index + 1 :]) for index in range(len(xs))]
    held, labels = _reduced(e, plan, xs[0], plan.labels[0], later[0])
    for index, step in enumerate(plan.steps(), 1):
        other, others = _reduced(e, plan, xs[index], plan.labels[index], later[index] | set(labels))
        held, labels = _join(e, plan, step, (held, labels), (other, others))
        held, labels = _reduced(e, plan, held, labels, later[index])
    (held,) = _transposed(e, held, labels, plan.output)
    if plan.merges:
        (held,) = e.node("Reshape", held, e.shape(node.result.type.sizes), allowzero=1)
    return (_narrowed(e, dtype, held, I64),)


def _reduced(e: Emitter, plan: Contraction, x: str, labels: Labels, kept: set[str]) -> tuple[str, Labels]:
    """`x` with the diagonals of labels that repeat, summed over the labels that nothing keeps."""
    while len(set(labels)) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        at = [index for index, other in enumerate(labels) if other == label][:2]
        rest = [index for index in range(len(labels)) if index not in at]
        size = plan.axes[label].size
        outer = tuple(labels[index] for index in rest)
        (x,) = e.node("Transpose", x, perm=[*rest, *at])
        (x,) = e.node("Reshape", x, e.shape([*(plan.axes[other].size for other in outer), size * size]), allowzero=1)
        ends, step = e.shape([size * size]), e.shape([size + 1])
        (x,) = e.node("Slice", x, e.constant([0], I64), ends, e.constant([len(outer)], I64), step)
        labels = (*outer, label)
    gone = [index for index, label in enumerate(labels) if label not in kept]
    if gone:
        (x,) = e.node("ReduceSum", x, e.constant(gone, I64), keepdims=0)
    return x, tuple(label for label in labels if label in kept)


def _join(
    e: Emitter, plan: Contraction, step: Step, left: tuple[str, Labels], right: tuple[str, Labels]
) -> tuple[str, Labels]:
    """The product of two tensors that have no label which only one of them has and nobody needs."""
    if not step.summed:
        return _outer(e, step, left, right), step.result
    if not step.left and not step.right:
        product = _outer(e, step, left, right, step.summed)
        axes = [len(step.batch) + index for index in range(len(step.summed))]
        return e.node("ReduceSum", product, e.constant(axes, I64), keepdims=0)[0], step.result
    # The rows of `left` are batch axes of MatMul where `right` has no batch: no reshape is needed.
    rows = step.left if step.batch or len(step.left) == 0 else step.left[-1:]
    leading = step.batch + step.left[: len(step.left) - len(rows)]
    (a,) = _transposed(e, left[0], left[1], leading + rows + step.summed)
    (b,) = _transposed(e, right[0], right[1], step.batch + step.summed + step.right)
    a = _grouped(e, plan, a, leading, (rows, step.summed))
    b = _grouped(e, plan, b, step.batch, (step.summed, step.right))
    (product,) = e.node("MatMul", a, b)
    whole = leading + rows + step.right
    if len(rows) != 1 or len(step.right) != 1:
        (product,) = e.node("Reshape", product, e.shape([plan.axes[label].size for label in whole]), allowzero=1)
    return product, whole


def _outer(e: Emitter, step: Step, left: tuple[str, Labels], right: tuple[str, Labels], inner: Labels = ()) -> str:
    """The product without a sum: batch, left, right, then `inner` axes."""
    whole = step.result + inner
    return e.node("Mul", *(_spread(e, x, labels, whole) for x, labels in (left, right)))[0]


def _spread(e: Emitter, x: str, labels: Labels, whole: Labels) -> str:
    """`x` with its axes in the order of `whole` and axes of size 1 for what it lacks."""
    (x,) = _transposed(e, x, labels, tuple(label for label in whole if label in labels))
    missing = [index for index, label in enumerate(whole) if label not in labels]
    while missing and missing[0] == 0:  # Leading axes of size 1 are added by broadcasting.
        missing = [index - 1 for index in missing[1:]]
    return e.node("Unsqueeze", x, e.constant(missing, I64))[0] if missing else x


def _grouped(e: Emitter, plan: Contraction, x: str, batch: Labels, groups: tuple[Labels, Labels]) -> str:
    """`x` with one axis for each group after the batch axes."""
    if all(len(group) == 1 for group in groups):
        return x
    sizes = [plan.axes[label].size for label in batch] + [plan.size(group) for group in groups]
    return e.node("Reshape", x, e.shape(sizes), allowzero=1)[0]


def _transposed(e: Emitter, x: str, labels: Labels, wanted: Labels) -> tuple[str, ...]:
    if labels == wanted:
        return (x,)
    return e.node("Transpose", x, perm=[labels.index(label) for label in wanted])


def _widened(e: Emitter, dtype: DType, xs: Sequence[str], least: DType = I32) -> list[str]:
    """Integers as ONNX Runtime multiplies (i32 at least) and sums them (i64). Wrapping commutes with both."""
    if not dtype.is_int or dtype.bits >= least.bits:
        return list(xs)
    return [e.node("Cast", x, to=e.tensor_dtype(least))[0] for x in xs]


def _narrowed(e: Emitter, dtype: DType, x: str, least: DType = I32) -> str:
    if not dtype.is_int or dtype.bits >= least.bits:
        return x
    return e.node("Cast", x, to=e.tensor_dtype(dtype))[0]


TABLE: dict[type[Op], Lower] = {Matmul: _matmul, Einsum: _einsum}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
