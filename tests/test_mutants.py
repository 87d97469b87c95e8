"""Seeded bugs in shape rules and lowerings: the check of random networks must find each of them.

A mutant changes one row of a backend's table, or one shape rule, while the networks that hold its op are checked. It
counts as found when any of the first networks that hold the op fails the check.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch

from netdsl.backends.onnx import tables as onnx_tables
from netdsl.backends.torch_fx import tables as torch_tables
from netdsl.ir import Node
from netdsl.ops.activation import Gelu, LeakyRelu
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv
from netdsl.ops.cumulative import CumSum
from netdsl.ops.elementwise import Div, FloorDiv, Mod, Select, Sub
from netdsl.ops.loop import Loop
from netdsl.ops.masks import Tril
from netdsl.ops.normalisation import LayerNorm
from netdsl.ops.pieces import Concat, Pad, Slice
from netdsl.ops.pooling import AvgPool
from netdsl.ops.reduction import ReduceMean, ReduceSum, Variance
from netdsl.ops.shape import Transpose
from netdsl.ops.softmax import Softmax
from netdsl.ops.sorting import ArgMax, ArgMin, Sort, TopK
from netdsl.ops.unary import Ceil, Round
from tests.random_networks.agree import check
from tests.random_networks.coverage import Coverage
from tests.random_networks.generate import RandomNetwork, generate
from tests.random_networks.onnx_worker import OnnxRuntime

NETWORKS = 250
MOST = 25
Table = dict[type[Op], Any]


@dataclass(frozen=True)
class Mutant:
    """A bug: the op that must be in a network, and how the bug is put in for a while."""

    op: type[Op]
    install: Callable[[], Any]


def _row(table: Table, op: type[Op], made: Callable[[Any], Any]) -> Callable[[], Any]:
    @contextmanager
    def install() -> Iterator[None]:
        right = table[op]
        table[op] = made(right)
        try:
            yield
        finally:
            table[op] = right

    return install


def _attribute(table: Table, op: type[Op], change: Callable[[Any], Op]) -> Mutant:
    """The right lowering of a node whose attributes are wrong."""

    def made(right: Any) -> Any:
        def lower(e: Any, node: Node, operands: tuple[Any, ...]) -> Any:
            return right(e, replace(node, op=change(node.op)), operands)

        return lower

    return Mutant(op, _row(table, op, made))


def _operands(table: Table, op: type[Op], change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Mutant:
    def made(right: Any) -> Any:
        def lower(e: Any, node: Node, operands: tuple[Any, ...]) -> Any:
            order = change(tuple(range(len(operands))))
            other = replace(node, operands=tuple(node.operands[i] for i in order))
            return right(e, other, tuple(operands[i] for i in order))

        return lower

    return Mutant(op, _row(table, op, made))


def _as(table: Table, op: type[Op], other: Callable[[Any], Op]) -> Mutant:
    """The lowering of another op."""

    def made(right: Any) -> Any:
        def lower(e: Any, node: Node, operands: tuple[Any, ...]) -> Any:
            wrong = other(node.op)
            return table[type(wrong)](e, replace(node, op=wrong), operands)

        return lower

    return Mutant(op, _row(table, op, made))


def _truncated_floor_division(right: Any) -> Any:
    def lower(e: Any, node: Node, operands: tuple[Any, ...]) -> Any:
        return (torch.div(*operands, rounding_mode="trunc"),)

    return lower


def _shape_rule(op: type[Op], change: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]]) -> Mutant:
    @contextmanager
    def install() -> Iterator[None]:
        right = op.infer

        def infer(self: Any, types: tuple[Any, ...], facts: Any) -> tuple[Any, ...]:
            return change(self, right(self, types, facts))

        op.infer = infer  # type: ignore[method-assign]
        try:
            yield
        finally:
            op.infer = right  # type: ignore[method-assign]

    return Mutant(op, install)


def _reversed_axes(self: Any, results: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(t.with_axes(t.axes[::-1]) for t in results)


def _one_longer(self: Any, results: tuple[Any, ...]) -> tuple[Any, ...]:
    (t,) = results
    axis = t.axes[self.axis]
    longer = replace(axis, size=axis.size + 1)
    return (t.with_axes((*t.axes[: self.axis], longer, *t.axes[self.axis + 1 :])),)


_T: Table = torch_tables.TABLE
_O: Table = onnx_tables.TABLE

MUTANTS: dict[str, Mutant] = {
    "softmax over another axis": _attribute(_T, Softmax, lambda op: replace(op, axis=0 if op.axis else -1)),
    "softmax over another axis in ONNX": _attribute(_O, Softmax, lambda op: replace(op, axis=0 if op.axis else -1)),
    "a running sum from the other end": _attribute(_T, CumSum, lambda op: replace(op, reverse=not op.reverse)),
    "the smallest index for the largest": _as(_T, ArgMax, lambda op: ArgMin(op.axis, op.keep)),
    "concatenated in reverse": _operands(_T, Concat, lambda x: x[::-1]),
    "subtracted the other way round": _operands(_O, Sub, lambda x: x[::-1]),
    "divided the other way round": _operands(_T, Div, lambda x: x[::-1]),
    "a slice that stops one short": _attribute(_T, Slice, lambda op: replace(op, stop=op.stop - 1)),
    "padding after for padding before": _attribute(
        _O, Pad, lambda op: replace(op, padding=tuple((after, before) for before, after in op.padding))
    ),
    "another epsilon": _attribute(_T, LayerNorm, lambda op: replace(op, eps=op.eps * 1e4)),
    "the other gelu": _attribute(_O, Gelu, lambda op: replace(op, approximate=not op.approximate)),
    "floor division that truncates": Mutant(FloorDiv, _row(_T, FloorDiv, _truncated_floor_division)),
    "rounded up for rounded": _as(_T, Round, lambda op: Ceil()),
    "a sum for a mean": _as(_T, ReduceMean, lambda op: ReduceSum(op.axes, op.keep)),
    "another divisor of the variance": _attribute(
        _T, Variance, lambda op: replace(op, correction=1 - min(op.correction, 1))
    ),
    "a diagonal too far": _attribute(_O, Tril, lambda op: replace(op, diagonal=op.diagonal + 1)),
    "the smallest k": _attribute(_T, TopK, lambda op: replace(op, largest=not op.largest)),
    "sorted the other way": _attribute(_O, Sort, lambda op: replace(op, descending=not op.descending)),
    "a convolution without its bias": _operands(_T, Conv, lambda x: x[:2]),
    "padding that is not counted": _attribute(
        _O, AvgPool, lambda op: replace(op, count_include_pad=not op.count_include_pad)
    ),
    "the other branch": _operands(_T, Select, lambda x: (x[0], x[2], x[1])),
    "the loop runs backwards": _attribute(_T, Loop, lambda op: replace(op, reverse=not op.reverse)),
    "another slope": _attribute(_O, LeakyRelu, lambda op: replace(op, slope=-op.slope)),
    "the remainder the other way round": _operands(_T, Mod, lambda x: x[::-1]),
    "axes in another order": _shape_rule(Transpose, _reversed_axes),
    "a concatenation one too long": _shape_rule(Concat, _one_longer),
}


@cache
def networks() -> tuple[RandomNetwork, ...]:
    coverage = Coverage()
    return tuple(generate(seed, coverage) for seed in range(NETWORKS))


@pytest.fixture(scope="module")
def runtime() -> Iterator[OnnxRuntime]:
    worker = OnnxRuntime()
    yield worker
    worker.close()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_seeded_bug_is_found(name: str, runtime: OnnxRuntime) -> None:
    mutant = MUTANTS[name]
    holding = [n for n in networks() if any(isinstance(node.op, mutant.op) for node in n.graph.walk())]
    assert holding, "no network holds the op"
    for network in holding[:MOST]:
        check(network, runtime)  # sound without the bug
        with mutant.install():
            try:
                check(network, runtime)
            except Exception:  # noqa: BLE001 - whatever fails has found it
                return
    pytest.fail(f"{min(len(holding), MOST)} networks did not find it")
