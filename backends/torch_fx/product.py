"""Products of matrices and tensors."""

from string import ascii_letters

import torch
from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter, Lower
from netdsl.ir import Node
from netdsl.ops.base import Op
from netdsl.ops.einsum_pattern import contract, parse_pattern
from netdsl.ops.product import Einsum, Matmul
from netdsl.tensor_type import I64


def _matmul(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    a, b = operands
    left, right = node.operand_types
    if right.rank == 1:
        # A product of matrices is counted by torch's flop counter, one with a vector is not.
        column = e.call(torch.matmul, a.unsqueeze(0) if left.rank == 1 else a, b.unsqueeze(-1)).squeeze(-1)
        return (column.squeeze(0) if left.rank == 1 else column,)
    return (e.call(torch.matmul, a, b),)


def _einsum(e: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    op = node.op
    assert isinstance(op, Einsum)
    plan = contract(parse_pattern(op.pattern), op.sizes, node.operand_types, None)
    dtype = node.result.type.dtype
    is_narrow = dtype.is_int and dtype != I64
    letters = dict(zip(plan.axes, ascii_letters, strict=False))

    def term(labels: tuple[str, ...]) -> str:
        return "".join(letters[label] for label in labels)

    xs = []
    for x, shape, t in zip(operands, plan.shapes, node.operand_types, strict=True):
        split = x if shape == t.sizes else x.reshape(e.shape(shape))
        xs.append(split.to(torch.int64) if is_narrow else split)
    held, labels = xs[0], plan.labels[0]
    steps = list(plan.steps())
    for index, step in enumerate(steps):
        result = plan.output if index == len(steps) - 1 else step.result
        right = plan.labels[index + 1]
        held = e.call(torch.einsum, f"{term(labels)},{term(right)}->{term(result)}", held, xs[index + 1])
        labels = result
    if not steps and labels != plan.output:
        held = e.call(torch.einsum, f"{term(labels)}->{term(plan.output)}", held)
    if is_narrow:
        held = held.to(e.dtype(dtype))
    return (held.reshape(e.shape(node.result.type.sizes)) if plan.merges else held,)


TABLE: dict[type[Op], Lower] = {Matmul: _matmul, Einsum: _einsum}

UNSUPPORTED: dict[type[Op], str] = {}
