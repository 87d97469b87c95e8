"""Constants, ranges and run-time sizes in three backends; dropout in torch and the reference."""

import numpy as np
import pytest

from netdsl.backends.onnx.tables import UNSUPPORTED
from netdsl.backends.reference import run
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full, Iota
from netdsl.tensor_type import BF16, BOOL, F16, F32, F64, I8, I16, I32, I64, U8, DType, ShapeError, tensor
from tests.ops.harness import check_op, evaluate, one_node

N, M = Dim.of("N"), Dim.of("M")
NUMBERS = (F64, F32, F16, I64, I32, I16, I8, U8)


@pytest.mark.parametrize("dtype", [*NUMBERS, BOOL], ids=str)
def test_creations_agree(dtype: DType) -> None:
    one: int | bool = True if dtype == BOOL else 1
    zero: int | bool = False if dtype == BOOL else 0
    check_op(Constant((one, zero, one, one, zero, one), (2, 3), dtype), opsets=(21,))
    check_op(Full((N, Dim.of(2), N * 2 + M), one, dtype), opsets=(21,))
    check_op(Eye(N, dtype), sizes={"N": (3, 1, 0, 100)}, opsets=(21,))
    if dtype != BOOL:
        check_op(Iota(N * 2, dtype), sizes={"N": (3, 1, 0, 40)}, opsets=(21,))


@pytest.mark.parametrize("op", [Constant((1.5,), (), BF16), Full((N,), 2.5, BF16), Iota(N, BF16)], ids=str)
def test_bf16_agrees_in_torch(op: Op) -> None:
    check_op(op, backends=("torch",))


def test_values_and_sizes() -> None:
    check_op(Constant((), (0, 3), F32))
    check_op(Constant((0.1, -2.5), (2,), F32), dtypes=(F32, F64, F16))
    check_op(Constant((7,), (), I64))
    check_op(Full((), 0.25))
    check_op(Full((Dim.of(100), Dim.of(100)), 0.25))
    check_op(Iota(Dim.of(5000)))
    check_op(Eye(Dim.of(70)))
    check_op(DimValue(N * M // 3 + 1), sizes={"N": (2, 0, 7), "M": (3, 1)})
    check_op(DimValue(Dim.of(12)))


def test_reference_values() -> None:
    assert [[1, 0], [2, 3]] == evaluate(Constant((1, 0, 2, 3), (2, 2), I64)).tolist()
    assert [0.0, 1.0, 2.0] == evaluate(Iota(Dim.of(3), F32)).tolist()
    assert 12 == evaluate(DimValue(Dim.of(12)))


def dropout_graph(p: float) -> Graph:
    x, y = Value(tensor(F32, "N"), "x"), Value(tensor(F32, "N"), "y")
    return Graph("drop", (("x", x),), (("y", y),), nodes=(Node(Dropout(p), (x,), (y,)),), training=True)


def test_dropout_keeps_the_mean() -> None:
    x = np.ones(20_000)
    y = run(dropout_graph(0.25), {"x": x}, {}, seed=3).outputs["y"]
    assert {0.0, 1 / 0.75} == set(np.unique(y))
    assert abs(y.mean() - 1.0) < 0.02
    assert not run(dropout_graph(1.0), {"x": x}, {}, seed=3).outputs["y"].any()


def test_dropout_without_a_seed_is_the_identity() -> None:
    x = np.arange(5.0)
    assert np.array_equal(x, run(dropout_graph(0.5), {"x": x}, {}).outputs["y"])


def test_dropout_of_one_seed_is_one_draw() -> None:
    x = np.ones(100)
    first, second = (run(dropout_graph(0.5), {"x": x}, {}, seed=7).outputs["y"] for _ in range(2))
    assert np.array_equal(first, second)


def test_dropout_drops_in_torch() -> None:
    import torch

    from netdsl.backends.torch_fx.module import build_module

    torch.manual_seed(0)
    y = build_module(dropout_graph(0.25), {})(torch.ones(20_000))
    assert {0.0, np.float32(1 / 0.75)} == set(np.unique(y.numpy()))
    assert abs(float(y.mean()) - 1.0) < 0.02


def test_dropout_is_never_exported() -> None:
    assert Dropout in UNSUPPORTED


@pytest.mark.parametrize(
    ("op", "code"),
    [
        (Constant((1, 2), (3,), I64), "E0202"),
        (Constant((1.5,), (), I64), "E0201"),
        (Constant((1,), (), BOOL), "E0201"),
        (Full((N,), 300, U8), "E0201"),
        (Full((N,), True, F32), "E0201"),
        (Iota(N, BOOL), "E0217"),
    ],
    ids=str,
)
def test_options_are_checked(op: Op, code: str) -> None:
    with pytest.raises(ShapeError) as caught:
        op.infer((), Facts.EMPTY)
    assert code == caught.value.code


def test_dropout_checks_its_options() -> None:
    for op, t, code in ((Dropout(1.5), tensor(F32, 2), "E0219"), (Dropout(0.5), tensor(I64, 2), "E0217")):
        with pytest.raises(ShapeError) as caught:
            op.infer((t,), Facts.EMPTY)
        assert code == caught.value.code


def test_sizes_of_creations_reach_the_graph() -> None:
    graph = one_node(Full((N, M)), [])
    assert ("M", "N") == graph.free_dims
