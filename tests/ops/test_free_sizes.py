"""What torch adds to the checks of one op: sizes stay free under export and compile, and bf16 agrees."""

import numpy as np
import pytest
import torch

from netdsl.backends.torch_fx.module import build_module
from netdsl.dims import Dim, Facts
from netdsl.ops.base import Op
from netdsl.ops.convolution import Conv, ConvTranspose
from netdsl.ops.image import GridSample, Resize
from netdsl.ops.normalisation import BatchNorm, GroupNorm, LayerNorm, Moments, RmsNorm
from netdsl.ops.pooling import AdaptiveAvgPool, AvgPool, MaxPool
from netdsl.ops.product import Einsum, Matmul
from netdsl.ops.spectral import Irfft, Rfft
from netdsl.tensor_type import BF16, F32, tensor
from tests.ops.harness import check_op, one_node

Shape = tuple[int | str, ...]
LEAST = 6
CASES: list[tuple[Op, list[Shape]]] = [
    (Matmul(), [("B", 3), (3,)]),
    (Einsum("b h d, g h d e -> b (g h e)"), [("B", 2, 3), (4, 2, 3, 5)]),
    (Einsum("i i, i -> i"), [("H", "H"), ("H",)]),
    (Conv((2,), (1, 0), mode="reflect"), [("B", 3, "H"), (4, 3, 3)]),
    (ConvTranspose((2,), (1, 0)), [("B", 3, "H"), (3, 4, 3)]),
    (MaxPool((3,), (2,), (1, 0), ceil=True), [("B", 2, "H")]),
    (MaxPool((2, 2)), [("B", 2, "H", 6)]),
    (AvgPool((3,), (2,), (1, 0), False, ceil=True), [("B", 2, "H")]),
    (AvgPool((2, 2, 2)), [("B", 2, 4, 4, "H")]),
    (AdaptiveAvgPool((3, 2)), [("B", 2, "H", 7)]),
    (LayerNorm(), [("B", "H")]),
    (RmsNorm(), [("B", 4), (4,)]),
    (GroupNorm(2), [("B", 4, "H")]),
    (BatchNorm(), [("B", 3, "H"), (3,), (3,), (3,), (3,)]),
    (Moments((0, 2)), [("B", 3, "H")]),
    (Resize(scale=(2.0,)), [("B", 3, "H")]),
    (Resize((Dim.of(5),)), [("B", 3, "H")]),
    (Resize(scale=(1.3,), mode="linear"), [("B", 3, "H")]),
    (Resize((Dim.of(5), Dim.of(4)), mode="cubic"), [("B", 3, "H", 6)]),
    (GridSample(), [("B", 3, "H", 5), ("B", "H", 2, 2)]),
    (Rfft(), [("B", "H")]),
    (Irfft(Dim.of(8)), [("B", 5, 2)]),
]


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=lambda value: str(value))
def test_sizes_stay_free(op: Op, shapes: list[Shape]) -> None:
    facts = Facts.EMPTY.with_bounds("H", LEAST, None)
    module = build_module(one_node(op, [tensor(F32, *shape) for shape in shapes], facts), {})
    free = {"B": torch.export.Dim("B"), "H": torch.export.Dim("H", min=LEAST)}
    dynamic = [{at: free[size] for at, size in enumerate(shape) if isinstance(size, str)} for shape in shapes]
    exported = torch.export.export(module, _inputs(shapes, 3, 8), dynamic_shapes=dynamic).module()
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch, size in ((3, 8), (5, 11)):
        inputs = _inputs(shapes, batch, size)
        expected = _flat(module(*inputs))
        for other in (exported, compiled):
            for wanted, actual in zip(expected, _flat(other(*inputs)), strict=True):
                np.testing.assert_allclose(actual.detach().numpy(), wanted.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("op", "shapes"), [case for case in CASES if len(case[1]) < 5], ids=lambda value: str(value))
def test_bf16_agrees_in_torch(op: Op, shapes: list[Shape]) -> None:
    facts = Facts.EMPTY.with_bounds("H", LEAST, None) if any("H" in shape for shape in shapes) else Facts.EMPTY
    check_op(op, *(tensor(BF16, *shape) for shape in shapes), facts=facts, backends=("torch",))


def _inputs(shapes: list[Shape], batch: int, size: int) -> tuple[torch.Tensor, ...]:
    values = {"B": batch, "H": size}
    generator = torch.Generator().manual_seed(0)
    sizes = [[values[s] if isinstance(s, str) else s for s in shape] for shape in shapes]
    return tuple(torch.rand(s, generator=generator) for s in sizes)


def _flat(result: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)
