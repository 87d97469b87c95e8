"""Convolution and its transpose over 1 to 3 spatial axes."""

from collections.abc import Sequence
from typing import Any

from netdsl.backends.onnx.context import Emitter, Lower
from netdsl.backends.onnx.emitter import GraphEmitter
from netdsl.backends.onnx.loops import Parts, lower_loop
from netdsl.backends.onnx.windows import onnx_pads, padded, windows, wrapped
from netdsl.dims import Dim, product
from netdsl.ir import Node, Region, Value
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach, Each
from netdsl.ops.loop import Loop
from netdsl.tensor_type import F64, I64

_PAD_MODES = {"reflect": "reflect", "replicate": "edge"}


def _conv(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, Conv)
    op = op.normalised(node.operand_types)
    x, weight, *bias = operands
    x_type, weight_type = node.operand_types[:2]
    is_double = x_type.dtype == F64
    padding = op.padding
    if op.mode == "circular":
        x = wrapped(e, x, padding)
    elif op.mode != "zeros" or is_double:
        x = padded(e, x, padding, x_type.dtype, mode=_PAD_MODES.get(op.mode, "constant"))
    if op.mode != "zeros":
        padding = (0,) * len(padding)
    kernel = weight_type.sizes[2:]
    if is_double:
        return (_conv_by_windows(e, node, (x, weight, *bias), op.stride, op.dilation, op.groups, kernel),)
    attributes: dict[str, Any] = {
        "strides": op.stride,
        "pads": onnx_pads(padding),
        "dilations": op.dilation,
        "group": op.groups,
    }
    if all(size.is_const for size in kernel):
        attributes["kernel_shape"] = [size.value for size in kernel]
    return e.node("Conv", x, weight, *bias, **attributes)


def _conv_by_windows(
    e: Emitter,
    node: Node,
    operands: tuple[str, ...],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    kernel: Sequence[Dim],
    *,
    is_transposed: bool = False,
) -> str:
    """Gathered windows and one MatMul a group: ONNX Runtime has no float64 Conv.

    Args: operands: the padded input, the weight and maybe the bias.
          is_transposed: the weight is (C, O // groups, *kernel), and its places run backwards.
    """
    x, weight, *bias = operands
    batch, outputs, *counts = node.result.type.sizes
    count = len(kernel)
    view = windows(e, x, counts, stride, kernel, dilation, flip=is_transposed)
    order = [0, 1, *range(3, 3 + 2 * count, 2), *range(2, 2 + 2 * count, 2)]
    (view,) = e.node("Transpose", view, perm=order)
    weight_sizes = node.operand_types[1].sizes
    inputs = weight_sizes[0] // groups if is_transposed else weight_sizes[1]
    places = product(kernel)
    columns = [batch, Dim.of(groups), inputs * places, product(counts)]
    (view,) = e.node("Reshape", view, e.shape(columns), allowzero=1)
    per_group = weight_sizes[1] if is_transposed else weight_sizes[0] // groups
    if is_transposed:
        (weight,) = e.node("Reshape", weight, e.shape([Dim.of(groups), inputs, per_group, places]), allowzero=1)
        (weight,) = e.node("Transpose", weight, perm=[0, 2, 1, 3])
    (weight,) = e.node("Reshape", weight, e.shape([Dim.of(groups), per_group, inputs * places]), allowzero=1)
    (y,) = e.node("MatMul", weight, view)
    (y,) = e.node("Reshape", y, e.shape([batch, outputs, *counts]), allowzero=1)
    if bias:
        (column,) = e.node("Unsqueeze", bias[0], e.constant(list(range(1, 1 + count)), I64))
        (y,) = e.node("Add", y, column)
    return y


def _conv_transpose(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    op = node.op
    assert isinstance(op, ConvTranspose)
    op = op.normalised(node.operand_types)
    x_type, weight_type = node.operand_types[:2]
    kernel = weight_type.sizes[2:]
    if x_type.dtype == F64:
        return (_double_conv_transpose(e, node, operands, op, kernel),)
    attributes: dict[str, Any] = {
        "strides": op.stride,
        "pads": onnx_pads(op.padding),
        "dilations": op.dilation,
        "group": op.groups,
        "output_padding": op.output_padding,
    }
    if all(size.is_const for size in kernel):
        attributes["kernel_shape"] = [size.value for size in kernel]
    return e.node("ConvTranspose", *operands, **attributes)


def _double_conv_transpose(
    e: Emitter, node: Node, operands: tuple[str, ...], op: ConvTranspose, kernel: Sequence[Dim]
) -> str:
    """A convolution of `x` with zeros between its elements: ONNX Runtime has no float64 ConvTranspose."""
    x, *others = operands
    x_type = node.operand_types[0]
    count = len(kernel)
    batch, channels, *sizes = x_type.sizes
    if max(op.stride) > 1:
        spaced = [batch, channels, *(d for size in sizes for d in (size, Dim.of(1)))]
        (x,) = e.node("Reshape", x, e.shape(spaced), allowzero=1)
        ends = [0] * count + [stride - 1 for stride in op.stride]
        axes = e.constant(list(range(3, 3 + 2 * count, 2)), I64)
        (x,) = e.node("Pad", x, e.constant(ends, I64), "", axes, mode="constant")
        merged = [batch, channels, *(size * stride for size, stride in zip(sizes, op.stride, strict=True))]
        (x,) = e.node("Reshape", x, e.shape(merged), allowzero=1)
    padding: list[Dim | int] = []
    for index, size in enumerate(kernel):
        reach = (size - 1) * op.dilation[index]
        added = op.output_padding[index] - (op.stride[index] - 1)
        padding += [reach - op.padding[2 * index], reach - op.padding[2 * index + 1] + added]
    x = padded(e, x, padding, x_type.dtype)
    ones = (1,) * count
    return _conv_by_windows(e, node, (x, *others), ones, op.dilation, op.groups, kernel, is_transposed=True)


def _each(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
    """A loop over the slices: `group` of Conv is a constant, and the number of slices need not be one.

    Windows and one batched MatMul, which need no loop, take twice the time for 8 slices of (16, 32, 32) to 32 channels
    by 3 x 3 kernels.
    """
    op = node.op
    assert isinstance(op, Each)
    assert isinstance(e, GraphEmitter)
    x, *own = op.slice_types(node.operand_types)
    result, shared, *steps = map(Value, (*op.slice_types((node.result.type,)), x, *own))
    is_shared = node.operand_types[0].sizes[0] == 1
    single = Node(op.slice, (shared, *steps), (result,))
    loop = Loop(0, node.result.type.sizes[0], len(operands) - is_shared, 0, 1)
    arguments = (*steps, shared) if is_shared else (shared, *steps)
    (whole, *rest) = operands
    if is_shared:
        (whole,) = e.node("Squeeze", whole, e.constant([0], I64))
    names, captured = ((*rest,), (whole,)) if is_shared else ((whole, *rest), ())
    parts = Parts(loop, Region(arguments, (single,), (result,)), names, None, 0, (), captured)
    return lower_loop(e, parts, _lower_slice)


def _lower_slice(e: GraphEmitter, nodes: Sequence[Node], names: dict[Value, str], wanted: Sequence[Value]) -> None:
    for node in nodes:
        (names[node.result],) = TABLE[type(node.op)](e, node, tuple(names[v] for v in node.operands))


TABLE: dict[type[Op], Lower] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    ConvEach: _each,
    ConvTransposeEach: _each,
}

UNSUPPORTED: dict[type[Op], str] = {}

EMPTY_REFUSED: dict[type[Op], str] = {}
