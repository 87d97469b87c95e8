"""Products of matrices and tensors."""

from string import ascii_letters
from typing import Any

import numpy as np

from netdsl.backends.reference.context import Array, Compute, Env
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.einsum_pattern import contract, parse_pattern
from netdsl.ops.product import Einsum, Matmul


def _matmul(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    a, b = operands
    return (np.asarray(np.matmul(a, b)),)


def _einsum(node: Node, operands: tuple[Array, ...], env: Env) -> tuple[Array, ...]:
    op = node.op
    assert isinstance(op, Einsum)
    plan = contract(parse_pattern(op.pattern), op.sizes, node.operand_types, None)
    letters = dict(zip(plan.axes, ascii_letters, strict=False))
    split: list[Any] = [a.reshape(env.shape(shape)) for a, shape in zip(operands, plan.shapes, strict=True)]
    terms = ",".join("".join(letters[label] for label in labels) for labels in plan.labels)
    output = "".join(letters[label] for label in plan.output)
    joined = np.einsum(f"{terms}->{output}", *split, optimize=True)
    return (np.asarray(joined, operands[0].dtype).reshape(env.shape(node.result.type.sizes)),)


TABLE: dict[type[Op], Compute] = {Matmul: _matmul, Einsum: _einsum}
