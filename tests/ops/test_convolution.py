"""Convolution and its transpose: types, values in three backends, counted operations."""

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from netdsl.dims import Dim, Facts
from netdsl.ops.convolution import Conv, ConvTranspose
from netdsl.tensor_type import F16, F32, F64, I64, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, evaluate

Shape = tuple[int | str, ...]
Case = tuple[Conv | ConvTranspose, list[Shape]]


def error(op: Conv | ConvTranspose, *types: TensorType, facts: Facts = Facts.EMPTY) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, facts)
    return caught.value


CONVS: list[Case] = [
    (Conv(), [("B", 3, "H"), (4, 3, 1), (4,)]),
    (Conv(padding=(1,)), [("B", 3, "H"), (4, 3, 3)]),
    (Conv((2,), (1, 2)), [("B", 3, "H"), (4, 3, 3), (4,)]),
    (Conv((2, 1), (1, 1, 2, 2), (1, 2)), [("B", 3, "H", "W"), (4, 3, 3, 3), (4,)]),
    (Conv((2, 3), (0, 2, 1, 0)), [("B", 2, "H", 8), (4, 2, 2, 3)]),
    (Conv((1,), (1,), (1,), 4), [("B", 4, "H", 5), (8, 1, 3, 3), (8,)]),
    (Conv((1,), (0,), (1,), 2), [("B", 4, 6, 5), (2, 2, 3, 1)]),
    (Conv((2,), (1,)), [("B", 2, 4, 5, 6), (3, 2, 3, 2, 3), (3,)]),
    (Conv((1,), (2, 1, 0, 1), mode="reflect"), [("B", 2, 4, 5), (3, 2, 3, 3)]),
    (Conv((2,), (2, 1, 0, 1), mode="replicate"), [("B", 2, 4, 5), (3, 2, 3, 3)]),
    (Conv((1,), (2, 1, 0, 1), mode="circular"), [("B", 2, 4, 5), (3, 2, 3, 3), (3,)]),
    (Conv((1,), (2,), mode="circular"), [("B", 2, 2), (3, 2, 3)]),
    (Conv((1,), (1,), mode="reflect"), [("B", 2, 2, 3, 4), (3, 2, 2, 2, 2)]),
    (Conv((16,)), [("B", 3, 32, 32), (8, 3, 16, 16), (8,)]),
    (Conv(), [(1, 1, 1, 1), (1, 1, 1, 1)]),
]
TRANSPOSES: list[Case] = [
    (ConvTranspose(), [("B", 3, "H"), (3, 4, 1), (4,)]),
    (ConvTranspose((2,), (1,)), [("B", 3, "H"), (3, 4, 4)]),
    (ConvTranspose((2, 3), (1, 0, 2, 1), (1, 2), (2, 1)), [("B", 3, "H", 4), (3, 2, 3, 3), (2,)]),
    (ConvTranspose((2,), (1,), (1,), (1,), 2), [("B", 4, 3, "W"), (4, 3, 3, 3), (6,)]),
    (ConvTranspose((1,), (2,)), [("B", 2, 5, 6), (2, 3, 2, 3)]),
    (ConvTranspose((2,), (0,), (1,), (3,)), [("B", 2, 5), (2, 3, 2)]),
    (ConvTranspose((3,), (0, 1)), [("B", 2, "H"), (2, 3, 2)]),
    (ConvTranspose((2,), (1,), (1,)), [("B", 2, 2, 3, 2), (2, 3, 3, 3, 3), (3,)]),
]


def spatial_facts(shape: Shape) -> Facts:
    """The facts under which every window fits: spatial sizes of at least 4."""
    facts = Facts.EMPTY
    for size in shape[2:]:
        if isinstance(size, str):
            facts = facts.with_bounds(size, 4, None)
    return facts


@pytest.mark.parametrize(("op", "shapes"), CONVS + TRANSPOSES, ids=lambda v: str(v))
def test_convolution_agrees_in_every_backend(op: Conv | ConvTranspose, shapes: list[Shape]) -> None:
    check_op(op, *(tensor(F32, *shape) for shape in shapes), facts=spatial_facts(shapes[0]), opsets=(18, 23))


@pytest.mark.parametrize(("op", "shapes"), CONVS + TRANSPOSES, ids=lambda v: str(v))
def test_convolution_agrees_in_other_float_types(op: Conv | ConvTranspose, shapes: list[Shape]) -> None:
    facts = spatial_facts(shapes[0])
    check_op(op, *(tensor(F32, *shape) for shape in shapes), facts=facts, opsets=(21,), dtypes=(F16, F64))


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Conv((2,), (1, 2)), [(2, 2, 5), (2, 2, 3), (2,)]),
        (Conv((1,), (1,), (2,), 2, "circular"), [(1, 2, 4, 4), (2, 1, 2, 2)]),
        (ConvTranspose((2,), (1, 0), (1,)), [(2, 2, 3), (2, 2, 3), (2,)]),
    ],
)
def test_convolution_has_the_right_gradient(op: Conv | ConvTranspose, shapes: list[Shape]) -> None:
    check_op(op, *(tensor(F32, *shape) for shape in shapes), gradients=True, opsets=())


def test_a_weight_may_be_computed_and_its_kernel_free() -> None:
    facts = Facts.EMPTY.with_bounds("H", 6, None).with_bounds("K", 1, 5).with_bounds("O", 1, None)
    check_op(Conv(padding=(1,)), tensor(F32, "B", 2, "H"), tensor(F32, "O", 2, "K"), facts=facts, dtypes=(F32, F64))
    check_op(ConvTranspose((2,)), tensor(F32, "B", 2, "H"), tensor(F32, 2, "O", "K"), facts=facts, dtypes=(F32, F64))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_reference_equals_torch(count: int, groups: int) -> None:
    rng = np.random.default_rng(count)
    x, bias = rng.normal(size=(2, 4, *(7, 6, 5)[:count])), rng.normal(size=6)
    weight = rng.normal(size=(6, 4 // groups, *(3, 2, 2)[:count]))
    conv = (F.conv1d, F.conv2d, F.conv3d)[count - 1]
    wanted = conv(*map(torch.from_numpy, (x, weight, bias)), stride=2, padding=1, dilation=2, groups=groups)
    op = Conv((2,), (1,), (2,), groups)
    np.testing.assert_allclose(evaluate(op, x, weight, bias), wanted.numpy(), rtol=1e-12, atol=1e-12)
    weight = rng.normal(size=(4, 6 // groups, *(3, 2, 2)[:count]))
    transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[count - 1]
    wanted = transposed(
        *map(torch.from_numpy, (x, weight, bias)), stride=3, padding=1, output_padding=2, dilation=2, groups=groups
    )
    back = ConvTranspose((3,), (1,), (2,), (2,), groups)
    np.testing.assert_allclose(evaluate(back, x, weight, bias), wanted.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_are_those_of_torch(mode: str) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(4, 3, 3, 3))
    layer = torch.nn.Conv2d(3, 4, 3, padding=(2, 1), padding_mode=mode, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        wanted = layer(torch.from_numpy(x)).numpy()
    op = Conv((1,), (2, 2, 1, 1), mode=mode)
    np.testing.assert_allclose(evaluate(op, x, weight), wanted, rtol=1e-12, atol=1e-12)


def test_result_axes_carry_the_right_names() -> None:
    weight = tensor(F32, "O", "C", 3, 3)
    (same,) = Conv(padding=(1,)).infer((tensor(F32, "B", "C", "H", "W"), weight), Facts.EMPTY)
    assert tensor(F32, "B", "O", "H", "W") == same
    (half,) = Conv((2, 1), (1,)).infer((tensor(F32, "B", "C", "H", "W"), weight), Facts.EMPTY)
    assert tensor(F32, "B", "O", (Dim.of("H") + 1) // 2, "W").sizes == half.sizes
    assert ["B", "O", None, "W"] == [axis.name for axis in half.axes]
    even = Facts.EMPTY.with_fact("==", Dim.of("H") % 2, 0)
    (half,) = Conv((2, 1), (1,)).infer((tensor(F32, "B", "C", "H", "W"), weight), even)
    assert Dim.of("H") // 2 == half.sizes[2]
    (back,) = ConvTranspose((2,)).infer((tensor(F32, "B", "O", "H", "W"), tensor(F32, "O", "C", 2, 2)), Facts.EMPTY)
    assert tensor(F32, "B", "C", Dim.of("H") * 2, Dim.of("W") * 2) == back


@pytest.mark.parametrize(
    ("op", "kernel", "least", "help"),
    [
        (Conv(), 3, 3, "H >= 3"),
        (Conv(padding=(1,)), 3, 1, "H >= 1"),
        (Conv(padding=(2,)), 3, 1, "H >= 1"),
        (Conv(padding=(1,), dilation=(2,)), 3, 3, "H >= 3"),
        (Conv(padding=(1,), mode="reflect"), 3, 2, "H >= 2"),
        (Conv(padding=(2,), mode="circular"), 3, 2, "H >= 2"),
        (ConvTranspose(), 1, 1, "H >= 1"),
        (ConvTranspose((2,), padding=(2,)), 3, 2, "2 * H - 3 >= 1"),
    ],
)
def test_a_free_axis_must_be_shown_to_hold_a_window(
    op: Conv | ConvTranspose, kernel: int, least: int, help: str
) -> None:
    operands = tensor(F32, "B", 2, "H"), tensor(F32, 2, 2, kernel)

    def at_least(size: int) -> Facts:
        return Facts.EMPTY.with_fact(">=", Dim.of("H"), size)

    op.check_room(operands, at_least(least))
    with pytest.raises(ShapeError) as caught:
        op.check_room(operands, at_least(least - 1))
    assert ("E0208", ((0, 2),)) == (caught.value.code, caught.value.axes)
    assert f"add `where {help}` to the header" == caught.value.help
    empty = error(op, tensor(F32, "B", 2, 0), operands[1])
    assert "E0209" == empty.code and "needs elements on each spatial axis, found an axis of size 0" in empty.title


@pytest.mark.parametrize(
    ("code", "op", "shapes", "text"),
    [
        ("E0204", Conv(), [(1, 4, 5), (2, 3, 3)], "`conv` expects 3 input channels, found 4"),
        ("E0204", Conv(groups=2), [(1, 4, 5), (2, 3, 3)], "`conv` expects 6 input channels, found 4"),
        (
            "E0204",
            Conv(groups=2),
            [(1, 4, 5), (3, 2, 3)],
            "`conv` in 2 groups needs channels that they divide, found 3",
        ),
        ("E0208", Conv(groups=2), [(1, 4, 5), ("O", 2, 3)], "nothing says so of O"),
        ("E0209", Conv(), [(1, 3, 5, 2), (2, 3, 3, 3)], "a window of `conv` spans 3, more than the axis of size 2"),
        (
            "E0209",
            Conv(dilation=(3,), padding=(0, 1)),
            [(1, 3, 5), (2, 3, 3)],
            "the axis of size 5 (6 with its padding)",
        ),
        ("E0209", Conv(padding=(5,), mode="reflect"), [(1, 3, 5), (2, 3, 3)], "needs an axis of at least 6, found 5"),
        ("E0204", Conv(), [(1, 0, 5), (2, 0, 3)], "`conv` needs a weight with elements, found f32[2, 0, 3]"),
        ("E0205", Conv(), [(1, 3, 5), (2, 3, 3, 3)], "`conv` needs 4 axes (batch, channels, 2 spatial), found 3"),
        ("E0205", Conv(), [(1, 3, 5), (2, 3, 3), (2, 1)], "the bias of `conv` needs 1 axis, found 2"),
        ("E0204", Conv(), [(1, 3, 5), (2, 3, 3), (3,)], "the bias of `conv` needs 2 numbers, found 3"),
        ("E0207", Conv(), [(1, "C", 5), (2, "D", 3)], "two different axes: `C` and `D`"),
        ("E0208", Conv(), [(1, Dim.of("C"), 5), (2, 3, 3)], "nothing says that C equals 3"),
        ("E0219", Conv(), [(1, 3), (2, 3)], "`conv` has 1 to 3 spatial axes, found 0"),
        ("E0219", Conv((0,)), [(1, 3, 5), (2, 3, 3)], "`stride` of `conv` is at least 1, found 0"),
        ("E0219", Conv((1, 1)), [(1, 3, 5), (2, 3, 3)], "`stride` of `conv` takes 1 number, found 2"),
        ("E0219", Conv(padding=(1, 1, 1)), [(1, 3, 5, 5), (2, 3, 3, 3)], "takes 1 number or 4 (before and after"),
        ("E0219", Conv(padding=(-1,)), [(1, 3, 5), (2, 3, 3)], "`padding` of `conv` is at least 0, found -1"),
        ("E0219", Conv(groups=0), [(1, 3, 5), (2, 3, 3)], "`groups` of `conv` is at least 1, found 0"),
        ("E0219", Conv(mode="mirror"), [(1, 3, 5), (2, 3, 3)], "`mode` of `conv` is one of `zeros`, `reflect`"),
        ("E0204", ConvTranspose(), [(1, 3, 5), (2, 3, 3)], "`conv_transpose` expects 2 input channels, found 3"),
        ("E0219", ConvTranspose(output_padding=(1,)), [(1, 3, 5), (3, 2, 3)], "is below the stride of 1, found 1"),
        ("E0209", ConvTranspose(padding=(2,)), [(1, 3, 1), (3, 2, 2)], "leaves nothing of an axis of size 2"),
    ],
)
def test_convolution_refuses(
    code: str, op: Conv | ConvTranspose, shapes: list[tuple[int | str | Dim, ...]], text: str
) -> None:
    found = error(op, *(tensor(F32, *shape) for shape in shapes))
    assert text in found.title
    assert code == found.code


def test_convolution_is_for_one_float_type() -> None:
    assert "E0201" == error(Conv(), tensor(F32, 1, 3, 5), tensor(F64, 2, 3, 3)).code
    assert "E0217" == error(Conv(), tensor(I64, 1, 3, 5), tensor(I64, 2, 3, 3)).code


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Conv((2,), (1,), (1,), 2), [(3, 4, 9, 8), (6, 2, 3, 3), (6,)]),
        (Conv((1,), (2, 1)), [(3, 4, 9), (6, 4, 3)]),
        (ConvTranspose((2,), (1,), (1,), (1,), 2), [(3, 4, 5, 6), (4, 3, 3, 3)]),
    ],
)
def test_flops_are_those_that_torch_counts(op: Conv | ConvTranspose, shapes: list[tuple[int, ...]]) -> None:
    from netdsl.backends.torch_fx.module import build_module
    from tests.ops.harness import one_node

    types = tuple(tensor(F32, *shape) for shape in shapes)
    module = build_module(one_node(op, types), {})
    with FlopCounterMode(display=False) as counter:
        module(*(torch.rand(shape) for shape in shapes))
    assert Dim.of(counter.get_total_flops()) == op.flops(types, op.infer(types, Facts.EMPTY))


def test_reference_of_a_residual_network_takes_seconds_at_most() -> None:
    """The convolutions of ResNet-18 at 224 x 224, which are all of its work."""
    rng = np.random.default_rng(0)
    layers = [(3, 64, 7, 224, 2, 1), (64, 64, 3, 56, 1, 4), (128, 128, 3, 28, 1, 4), (256, 256, 3, 14, 1, 4)]
    layers.append((512, 512, 3, 7, 1, 4))
    start = time.process_time()
    for inputs, outputs, kernel, size, stride, repeats in layers:
        x, weight = rng.normal(size=(1, inputs, size, size)), rng.normal(size=(outputs, inputs, kernel, kernel))
        for _ in range(repeats):
            evaluate(Conv((stride,), (kernel // 2,)), x, weight)
    assert time.process_time() - start < 2.0
