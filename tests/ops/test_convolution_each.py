"""Convolutions with a kernel for each slice: types, values in three backends, compiled and exported."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Dim, Facts
from netdsl.ops.convolution import Conv, ConvEach, ConvTranspose, ConvTransposeEach
from netdsl.tensor_type import F16, F32, F64, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, one_node
from tests.ops.test_convolution import CONVS, TRANSPOSES, Shape, spatial_facts

CASES = [CONVS[at] for at in (1, 3, 5, 7, 8, 10)] + [TRANSPOSES[at] for at in (1, 2, 3, 5, 7)]


def each(op: Conv | ConvTranspose) -> ConvEach | ConvTransposeEach:
    """The op on slices."""
    whole = ConvEach if isinstance(op, Conv) else ConvTransposeEach
    return whole(**{f.name: getattr(op, f.name) for f in dataclasses.fields(op)})


def error(op: ConvEach | ConvTransposeEach, *types: TensorType) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, Facts.EMPTY)
    return caught.value


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=lambda v: str(v))
def test_convolution_of_slices_agrees_in_every_backend(op: Conv | ConvTranspose, shapes: list[Shape]) -> None:
    types = [tensor(F32, "S", *shape) for shape in shapes]
    check_op(each(op), *types, facts=spatial_facts(shapes[0]), dtypes=(F32, F16, F64), opsets=(21,))


@pytest.mark.parametrize(("op", "shapes"), CASES[::3], ids=lambda v: str(v))
def test_an_input_may_be_shared_by_all_slices(op: Conv | ConvTranspose, shapes: list[Shape]) -> None:
    x, *own = shapes
    types = [tensor(F32, 1, *x), *(tensor(F32, "S", *shape) for shape in own)]
    check_op(each(op), *types, facts=spatial_facts(x), opsets=(18,))


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (ConvEach((2,), (1, 2)), [("S", 2, 2, 5), ("S", 2, 2, 3), ("S", 2)]),
        (ConvEach((1,), (1,), (2,), 2, "circular"), [("S", 1, 2, 4, 4), ("S", 2, 1, 2, 2)]),
        (ConvTransposeEach((2,), (1, 0), (1,)), [(1, 2, 2, 3), ("S", 2, 2, 3), ("S", 2)]),
    ],
)
def test_convolution_of_slices_has_the_right_gradient(
    op: ConvEach | ConvTransposeEach, shapes: list[tuple[int | str, ...]]
) -> None:
    check_op(op, *(tensor(F32, *shape) for shape in shapes), gradients=True, sizes={"S": (2,)}, opsets=())


@pytest.mark.parametrize("op", [ConvEach((2,), (1,)), ConvTransposeEach((2,), (1,))])
def test_groups_may_be_free_under_compile_and_export(op: ConvEach | ConvTransposeEach) -> None:
    module = build_module(one_node(op, [tensor(F32, "S", *s) for s in [(2, 3, 6, 6), (3, 3, 3, 3), (3,)]]), {})
    given = {n: [torch.rand(n, *s) for s in [(2, 3, 6, 6), (3, 3, 3, 3), (3,)]] for n in (2, 5, 7)}
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    slices = torch.export.Dim("slices", min=2, max=64)
    exported = torch.export.export(module, tuple(given[5]), dynamic_shapes=({0: slices},) * 3).module()
    for values in given.values():
        torch.testing.assert_close(compiled(*values), module(*values))
        torch.testing.assert_close(exported(*values), module(*values))


def test_convolution_of_slices_refuses() -> None:
    wrong = error(ConvEach(), tensor(F32, "S", 2, 3, 5), tensor(F32, "S", 4, 2, 3))
    assert ("E0204", ((0, 2), (1, 2))) == (wrong.code, wrong.axes)
    assert "E0207" == error(ConvEach(), tensor(F32, "S", 2, 3, 5), tensor(F32, "R", 4, 3, 3)).code
    assert "E0202" == error(ConvEach(), tensor(F32, 2, 2, 3, 5), tensor(F32, 3, 4, 3, 3)).code
    assert "E0202" == error(ConvEach(), tensor(F32, 1, 2, 3, 5), tensor(F32, 3, 4, 3, 3), tensor(F32, 2, 4)).code
    assert "E0205" == error(ConvEach(), tensor(F32, "S", 3, 5), tensor(F32, "S", 4, 3, 3)).code


@pytest.mark.parametrize("op", [ConvEach(), ConvTransposeEach()])
def test_flops_are_those_that_torch_counts(op: ConvEach | ConvTransposeEach) -> None:
    types = tuple(tensor(F32, *shape) for shape in [(4, 2, 3, 6, 6), (4, 3, 3, 3, 3)])
    module = build_module(one_node(op, types), {})
    with FlopCounterMode(display=False) as counter:
        module(*(torch.rand([d.value for d in t.sizes]) for t in types))
    assert Dim.of(counter.get_total_flops()) == op.flops(types, op.infer(types, Facts.EMPTY))
