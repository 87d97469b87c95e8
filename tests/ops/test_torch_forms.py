"""Reductions, shapes, indexing and order under `torch.compile(fullgraph=True)` and `torch.export` with free sizes."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Dim, Facts, parse_dim
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.ops.cumulative import CumProd, CumSum
from netdsl.ops.indexing import OneHot, Scatter, ScatterAlong, Take, TakeAlong
from netdsl.ops.masks import LengthMask, Tril, TriMask
from netdsl.ops.pieces import Concat, Pad, Pick, Slice, Split, Stack, Unstack
from netdsl.ops.reduction import ReduceAny, ReduceMax, ReduceMean, ReduceMin, ReduceProd, ReduceSum, Variance
from netdsl.ops.shape import Broadcast, Flip, Reshape, Squeeze, Transpose, Unsqueeze
from netdsl.ops.softmax import LogSoftmax, LogSumExp, Softmax
from netdsl.ops.sorting import ArgMax, Sort, TopK
from netdsl.tensor_type import BOOL, F32, I64, TensorType, idx, tensor
from tests.ops.harness import run_reference

X = tensor(F32, "A", "N", 4)
INTO_N = TensorType(idx(X.axes[1]), tensor(F32, "K").axes)
ALONG_N = TensorType(INTO_N.dtype, tensor(F32, "A", "K", 4).axes)
UPDATES = tensor(F32, "A", "K", 4)


def dims(*sizes: int | str) -> tuple[Dim, ...]:
    return tuple(Dim.of(s) if isinstance(s, int) else parse_dim(s) for s in sizes)


FAMILIES: dict[str, list[tuple[Op, tuple[TensorType, ...]]]] = {
    "reduction": [
        *((op((1,)), (X,)) for op in (ReduceSum, ReduceMean, ReduceProd, ReduceMax, ReduceMin, Variance, LogSumExp)),
        (Variance((0, 1), True, 1), (X,)),
        (ReduceMax((0, 1)), (X,)),
        (ReduceAny((1,)), (TensorType(BOOL, X.axes),)),
        (Softmax(1), (X,)),
        (LogSoftmax(1), (X,)),
        (CumSum(1, True, True), (X,)),
        (CumProd(1, True), (X,)),
    ],
    "shape": [
        (Reshape(dims("A", "4 * N")), (X,)),
        (Reshape(dims("A * N", 2, 2)), (X,)),
        (Transpose((2, 0, 1)), (X,)),
        (Broadcast(dims("A", "A", "N", 4)), (X,)),
        (Unsqueeze(1), (X,)),
        (Squeeze(1), (tensor(F32, "A", 1, "N"),)),
        (Flip((1,)), (X,)),
        (Tril(), (X,)),
        (TriMask(*dims("A", "N")), ()),
        (LengthMask(Dim.of("N")), (tensor(I64, "A"),)),
    ],
    "pieces": [
        (Concat(1), (X, UPDATES)),
        (Stack(0), (X, X)),
        (Split(dims(1, "N - 1"), 1), (X,)),
        (Unstack(2), (X,)),
        (Slice(1, *dims(1, "N")), (X,)),
        (Slice(1, *dims(0, "N - 1"), 2), (X,)),
        (Pick(1, *dims(0)), (X,)),
        (Pad(((*dims(1, "A"),), (*dims(0, 2),)), value=1.5), (X,)),
        *((Pad(((*dims(1, 2),), (*dims(0, 0),)), mode), (X,)) for mode in ("reflect", "replicate", "circular")),
    ],
    "indexing": [
        (Take(1), (X, INTO_N)),
        (Take(1), (X, TensorType(INTO_N.dtype, tensor(F32, "K", 2).axes))),
        (TakeAlong(1), (X, ALONG_N)),
        *((Scatter(1, how), (X, INTO_N, UPDATES)) for how in ("none", "add", "mul", "max")),
        *((ScatterAlong(1, how), (X, ALONG_N, UPDATES)) for how in ("none", "add", "min")),
        (OneHot(Dim.of("A")), (tensor(I64, "A", "K"),)),
        (ArgMax(1), (X,)),
        (TopK(parse_dim("N - 1"), 1), (X,)),
        (Sort(1), (X,)),
    ],
}
FACTS = Facts.EMPTY.with_bounds("N", 4, None)


def joined(family: str) -> Graph:
    """All cases of a family in one graph, over one input of each type."""
    shared: dict[TensorType, Value] = {X: Value(X, "x")}
    nodes = []
    for op, types in FAMILIES[family]:
        operands = tuple(shared.setdefault(t, Value(t, f"x{len(shared)}")) for t in types)
        nodes.append(Node(op, operands, tuple(Value(t) for t in op.infer(types, FACTS))))
    results = [value for node in nodes for value in node.results]
    named = tuple((value.hint, value) for value in shared.values())
    return Graph(
        family, named, tuple((f"y{at}", value) for at, value in enumerate(results)), (), tuple(nodes), facts=FACTS
    )


def inputs(graph: Graph, sizes: dict[str, int]) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    made = []
    for _, value in graph.inputs:
        shape = tuple(size.evaluate(sizes) for size in value.type.sizes)
        kind = value.type.dtype.kind
        array = rng.normal(size=shape) if kind == "float" else rng.integers(0, 2 if kind == "bool" else 3, shape)
        dtype = {"float": torch.float32, "int": torch.int64, "bool": torch.bool}[kind]
        made.append(torch.from_numpy(np.asarray(array)).to(dtype))
    return made


def agree(module: torch.nn.Module, graph: Graph, sizes: dict[str, int]) -> None:
    tensors = inputs(graph, sizes)
    results = module(*tensors)
    arrays = [t.double().numpy() if t.is_floating_point() else t.numpy() for t in tensors]
    expected = run_reference(graph, arrays, sizes)
    for wanted, got in zip(expected, results if isinstance(results, tuple) else (results,), strict=True):
        np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-4, atol=1e-5, err_msg=f"{sizes}")


def free_sizes() -> Iterator[dict[str, int]]:
    for a, n, k in ((3, 5, 7), (4, 6, 9), (2, 8, 11)):
        yield {"A": a, "N": n, "K": k}


@pytest.mark.parametrize("family", FAMILIES)
def test_one_compilation_serves_all_sizes(family: str) -> None:
    graph = joined(family)
    torch._dynamo.reset()
    count = CompileCounter()
    compiled = torch.compile(build_module(graph, {}), fullgraph=True, dynamic=True, backend=count)
    for sizes in free_sizes():
        agree(compiled, graph, sizes)
    assert 1 == count.frame_count


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exported_program_keeps_sizes_free(family: str) -> None:
    graph = joined(family)
    named = {name: torch.export.Dim(name, min=4 if name == "N" else 1) for name in graph.free_dims}
    shapes = tuple(
        {at: named[str(size)] for at, size in enumerate(value.type.sizes) if not size.is_const}
        for _, value in graph.inputs
    )
    first, *others = free_sizes()
    program = torch.export.export(build_module(graph, {}), tuple(inputs(graph, first)), dynamic_shapes=shapes)
    for sizes in others:
        agree(program.module(), graph, sizes)
