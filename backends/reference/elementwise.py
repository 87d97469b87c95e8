"""Arithmetic on elements, select, clamp and cast."""

from collections.abc import Callable
from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env, numpy_dtype
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Div,
    FloorDiv,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Pow,
    Select,
    Sign,
    Sub,
)


def elementwise(function: Callable[..., Any]) -> Compute:
    """A computation that is one numpy function of the operands."""

    def compute(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
        return (function(*operands),)

    return compute


def _power(base: Any, exponent: Any) -> Any:
    if base.dtype.kind == "f":
        return np.power(base, exponent)
    is_inverse = exponent < 0
    inverse = np.where(base == 1, 1, np.where(base == -1, 1 - 2 * (exponent % 2), 0)).astype(base.dtype)
    return np.where(is_inverse, inverse, np.power(base, np.where(is_inverse, 0, exponent)))


def _clamp(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    (x,) = operands
    assert isinstance(node.op, Clamp)
    if node.op.low is not None:
        x = np.maximum(x, np.asarray(node.op.low, x.dtype))
    if node.op.high is not None:
        x = np.minimum(x, np.asarray(node.op.high, x.dtype))
    return (x,)


def _cast(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    return (operands[0].astype(numpy_dtype(node.result.type.dtype), copy=False),)


TABLE: dict[type[Op], Compute] = {
    Add: elementwise(np.add),
    Sub: elementwise(np.subtract),
    Mul: elementwise(np.multiply),
    Div: elementwise(np.divide),
    FloorDiv: elementwise(np.floor_divide),
    Mod: elementwise(np.mod),
    Pow: elementwise(_power),
    Maximum: elementwise(np.maximum),
    Minimum: elementwise(np.minimum),
    Neg: elementwise(np.negative),
    Abs: elementwise(np.abs),
    Sign: elementwise(np.sign),
    Clamp: _clamp,
    Select: elementwise(np.where),
    Cast: _cast,
}
