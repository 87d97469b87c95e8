"""Stopped and replaced gradients."""

import numpy as np
import pytest
import torch

from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Facts
from netdsl.ops.gradient import StopGradient, WithGradient
from netdsl.tensor_type import BF16, F16, F32, F64, I64, ShapeError, TensorType, tensor
from tests.ops.harness import check_op, given, one_node

STRAIGHT = one_node(WithGradient(), [tensor(F32, "N"), tensor(F32, "N")])


def test_values_agree() -> None:
    for dtypes in ((F32, F64, F16), (I64,)):
        check_op(StopGradient(), tensor(F32, "B", "N"), dtypes=dtypes)
    check_op(WithGradient(), tensor(F32, "B", "N"), tensor(F32, "B", "N"), dtypes=(F32, F64, F16))
    check_op(WithGradient(), tensor(BF16, "N"), tensor(BF16, "N"), backends=("torch",))


def test_value_is_exact_beside_a_proxy_that_is_not() -> None:
    proxy = given(np.nan, np.inf, 1e30, -1e-30)
    tight = {F32: (0.0, 0.0)}
    check_op(WithGradient(), (tensor(F32, 4), given(0.1, -0.3, 7e-9, 1e9)), (tensor(F32, 4), proxy), tolerance=tight)


def test_gradient_goes_to_the_proxy_alone() -> None:
    value, proxy = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    (build_module(STRAIGHT, {})(value, proxy) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert value.grad is None
    assert proxy.grad is not None
    assert [1.0, 2.0, 3.0] == proxy.grad.tolist()


def test_stopped_gradient_is_none() -> None:
    x = torch.ones(3, requires_grad=True)
    assert not build_module(one_node(StopGradient(), [tensor(F32, 3)]), {})(x).requires_grad


@pytest.mark.long
def test_replaced_gradient_compiles_as_one_graph() -> None:
    compiled = torch.compile(build_module(STRAIGHT, {}), fullgraph=True)
    for size in (3, 5):
        value, proxy = torch.randn(size), torch.randn(size, requires_grad=True)
        y = compiled(value, proxy)
        assert torch.equal(value, y)
        y.sum().backward()
        assert proxy.grad is not None
        assert [1.0] * size == proxy.grad.tolist()


def test_replaced_gradient_exports() -> None:
    n = torch.export.Dim("n", min=2, max=64)
    args = (torch.randn(3), torch.randn(3))
    program = torch.export.export(build_module(STRAIGHT, {}), args, dynamic_shapes=({0: n}, {0: n}))
    value = torch.randn(7)
    assert torch.equal(value, program.module()(value, torch.randn(7)))


@pytest.mark.parametrize(
    ("value", "proxy", "code"),
    [
        (tensor(F32, 2), tensor(F32, 2, 1), "E0205"),
        (tensor(F32, 1), tensor(F32, 2), "E0202"),
        (tensor(F32, "N"), tensor(F32, "M"), "E0207"),
        (tensor(F32, 2), tensor(F64, 2), "E0201"),
        (tensor(I64, 2), tensor(I64, 2), "E0217"),
    ],
    ids=str,
)
def test_shapes_must_be_equal(value: TensorType, proxy: TensorType, code: str) -> None:
    with pytest.raises(ShapeError) as caught:
        WithGradient().infer((value, proxy), Facts.EMPTY)
    assert code == caught.value.code
