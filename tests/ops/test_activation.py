"""Activation functions in three backends."""

import warnings

import numpy as np
import pytest

from netdsl.backends.reference.context import Env
from netdsl.backends.reference.tables import TABLE
from netdsl.dims import Facts
from netdsl.ops.activation import (
    OPS,
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyRelu,
    LogSigmoid,
    Mish,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
)
from netdsl.ops.base import Op
from netdsl.tensor_type import BF16, F16, F32, F64, ShapeError, tensor
from tests.ops.harness import away_from, check_op, given, one_node

FLOATS = (F32, F64, F16)
ALL: list[Op] = [
    Relu(),
    LeakyRelu(),
    LeakyRelu(0.3),
    Elu(),
    Elu(0.5),
    Selu(),
    Celu(),
    Celu(2.0),
    Gelu(),
    Gelu(approximate=True),
    Silu(),
    Sigmoid(),
    LogSigmoid(),
    Softplus(),
    Softplus(2.5),
    Softsign(),
    HardSigmoid(),
    HardSwish(),
    Relu6(),
    Mish(),
    HardTanh(),
]
#: Those that have a value at ±inf.
BOUNDED: list[Op] = [op for op in ALL if not isinstance(op, Gelu | Silu | Mish | HardSwish | Softsign)]


def test_every_activation_is_tested() -> None:
    assert set(OPS) == {type(op) for op in ALL}


@pytest.mark.parametrize("op", ALL, ids=str)
def test_activations_agree(op: Op) -> None:
    kinks = away_from(0.0, 6.0, 3.0, -3.0, 1.0, -1.0, scale=3.0)
    check_op(op, (tensor(F32, "B", "N"), kinks), dtypes=FLOATS, gradients=True)


@pytest.mark.parametrize("op", ALL, ids=str)
def test_activations_agree_far_out(op: Op) -> None:
    """In groups of like size: the tolerance follows the largest value."""
    for points in ((-1000, -90), (-30, -12, -5, 0), (5, 12), (30, 90, 1000)):
        check_op(op, (tensor(F32, len(points)), given(*points)), dtypes=FLOATS)


@pytest.mark.parametrize("op", BOUNDED, ids=str)
def test_activations_agree_at_infinity(op: Op) -> None:
    check_op(op, (tensor(F32, 3), given(np.inf, -np.inf, np.nan)), dtypes=FLOATS)


@pytest.mark.parametrize("op", ALL, ids=str)
def test_bf16_agrees_in_torch(op: Op) -> None:
    check_op(op, tensor(BF16, "N"), backends=("torch",))


@pytest.mark.parametrize("op", ALL, ids=str)
def test_reference_does_not_overflow(op: Op) -> None:
    (node,) = one_node(op, [tensor(F64, 5)]).nodes
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        (y,) = TABLE[type(op)](node, (np.array([-1e4, -1.0, 0.0, 1.0, 1e4]),), Env({}))
    assert np.isfinite(y).all()


@pytest.mark.parametrize("op", [Celu(0.0), Softplus(-1.0), Celu(float("nan"))], ids=str)
def test_options_are_checked(op: Op) -> None:
    with pytest.raises(ShapeError) as caught:
        op.infer((tensor(F32, 2),), Facts.EMPTY)
    assert "E0219" == caught.value.code
