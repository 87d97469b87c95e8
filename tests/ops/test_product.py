"""Products of matrices and tensors: types, values in three backends, counted operations."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from netdsl.dims import Dim, Facts
from netdsl.ops.product import Einsum, Matmul
from netdsl.tensor_type import (
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    Axis,
    DType,
    ShapeError,
    TensorType,
    tensor,
)
from tests.ops.harness import check_op, evaluate, integers


def error(op: Matmul | Einsum, *types: TensorType, facts: Facts = Facts.EMPTY) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        op.infer(types, facts)
    return caught.value


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (("N", "K"), ("K", "M")),
        (("B", "N", "K"), ("K", "M")),
        (("B", 1, "N", 3), ("H", 3, 2)),
        ((1, "N", 3), ("B", 3, 2)),
        (("K",), ("K", "M")),
        (("B", "N", "K"), ("K",)),
        (("K",), ("K",)),
        ((1, 1), (1, 1)),
    ],
)
def test_matmul_agrees_in_every_backend(a: tuple[int | str, ...], b: tuple[int | str, ...]) -> None:
    check_op(Matmul(), tensor(F32, *a), tensor(F32, *b), dtypes=(F32, F64))


def test_matmul_agrees_in_f16_and_has_the_right_gradient() -> None:
    check_op(Matmul(), tensor(F32, "N", 4), tensor(F32, 4, 2), dtypes=(F16,), gradients=True)


@pytest.mark.parametrize("dtype", [I64, I32, I16, I8, U8])
def test_integer_products_wrap_around(dtype: DType) -> None:
    high = 255 if dtype == U8 else 2 ** (min(dtype.bits, 32) - 1) - 1
    big = integers(0, high)
    check_op(Matmul(), (tensor(dtype, "N", 5), big), (tensor(dtype, 5, 3), big))
    check_op(Einsum("i k, j k, m -> i j"), (tensor(dtype, "N", 5), big), (tensor(dtype, 3, 5), big), tensor(dtype, 2))
    check_op(Einsum("i k -> i"), (tensor(dtype, "N", 5), big))


def test_matmul_keeps_row_and_column_names() -> None:
    (t,) = Matmul().infer((tensor(F32, "B", "N", "K"), tensor(F32, "K", "M")), Facts.EMPTY)
    assert tensor(F32, "B", "N", "M") == t
    (t,) = Matmul().infer((tensor(F32, "B", 3, "K"), tensor(F32, "K")), Facts.EMPTY)
    assert tensor(F32, "B", 3) == t


def test_matmul_names_both_inner_sizes() -> None:
    found = error(Matmul(), tensor(F32, "B", 197, 192), tensor(F32, 256, 64))
    assert ("E0203", "`@` needs equal inner dimensions: 192 and 256") == (found.code, found.title)
    assert ((0, 2), (1, 0)) == found.axes
    assert ((0, "f32[B, 197, 192]"), (1, "f32[256, 64]")) == found.labels


@pytest.mark.parametrize(
    ("code", "a", "b"),
    [
        ("E0207", tensor(F32, 2, "N"), tensor(F32, "M", 3)),
        ("E0208", tensor(F32, 2, Dim.of("N")), tensor(F32, Dim.of("M"), 3)),
        ("E0202", tensor(F32, 4, 2, 3), tensor(F32, 5, 3, 2)),
        ("E0205", tensor(F32), tensor(F32, 3)),
        ("E0201", tensor(F32, 2, 3), tensor(F64, 3, 2)),
        ("E0217", tensor(BOOL, 2, 3), tensor(BOOL, 3, 2)),
    ],
)
def test_matmul_refuses(code: str, a: TensorType, b: TensorType) -> None:
    assert code == error(Matmul(), a, b).code


def test_facts_prove_an_inner_size() -> None:
    facts = Facts.EMPTY.with_fact("==", Dim.of("D") % 2, 0)
    whole, halves = tensor(F32, 3, Dim.of("D")), tensor(F32, (Dim.of("D") // 2) * 2, 4)
    (t,) = Matmul().infer((whole, halves), facts)
    assert tensor(F32, 3, 4) == t


PATTERNS: list[tuple[str, list[tuple[int | str, ...]]]] = [
    ("n a b, n o c h w -> (a o) (b c) h w", [(4, 2, 3), (4, "O", 2, 3, 1)]),
    ("b h d, g h d e -> b g h e", [("B", 2, 3), (4, 2, 3, 5)]),
    ("... u m, ... v n, m n k -> ... (u v) k", [("B", 2, 3), ("B", 4, 5), (3, 5, 2)]),
    ("bij,bjk->bik", [("B", "I", 3), ("B", 3, 2)]),
    ("...ij,...jk->...ik", [("B", 1, 2, 3), ("H", 3, 4)]),
    ("b h n d, b h m d -> b h n m", [("B", 2, "N", 3), ("B", 2, "M", 3)]),
    ("b n d, d -> b n", [("B", "N", 3), (3,)]),
    ("d, b n d -> b n", [(3,), ("B", "N", 3)]),
    ("b d, b d -> b", [("B", "D"), ("B", "D")]),
    ("i, j -> i j", [("I",), ("J",)]),
    ("i, j -> j i", [("I",), ("J",)]),
    ("i, j ->", [("I",), ("J",)]),
    ("i j, k -> k", [("I", 3), ("K",)]),
    ("i i -> i", [("I", "I")]),
    ("b i j i -> j b", [("B", "I", 2, "I")]),
    ("i i ->", [("I", "I")]),
    ("i i i -> i", [(3, 3, 3)]),
    ("i i, i -> i", [("I", "I"), ("I",)]),
    ("a b -> b a", [("A", "B")]),
    ("a b -> (b a)", [("A", "B")]),
    ("a 1 b -> a b ()", [("A", 1, "B")]),
    ("i j, j k, k l -> i l", [("I", 2), (2, "K"), ("K", 3)]),
    ("i j, j k, k l -> l i", [(2, "J"), ("J", 3), (3, "L")]),
    ("a b c d, c d e f -> f a e b", [("A", 2, 3, 2), (3, 2, "E", 2)]),
    ("g i k, g k j, g -> g i j", [("G", 2, 3), ("G", 3, 2), ("G",)]),
    ("... -> ...", [("B", 2)]),
    ("... d, d -> d ...", [("B", 2, 3), (3,)]),
    ("x y, y x ->", [("X", "Y"), ("Y", "X")]),
]


@pytest.mark.parametrize(("pattern", "shapes"), PATTERNS, ids=[p for p, _ in PATTERNS])
def test_einsum_agrees_in_every_backend(pattern: str, shapes: list[tuple[int | str, ...]]) -> None:
    check_op(Einsum(pattern), *(tensor(F32, *shape) for shape in shapes), opsets=(18,))


def test_einsum_agrees_in_other_float_types_and_has_the_right_gradient() -> None:
    check_op(
        Einsum("n a b, n o c -> (a o) (b c)"),
        tensor(F32, 3, 2, "B"),
        tensor(F32, 3, 2, 2),
        dtypes=(F16, F64),
        gradients=True,
    )


def test_einsum_splits_an_axis_by_given_sizes() -> None:
    op = Einsum("(h d) n, h -> h n d", (("h", Dim.of("H")),))
    facts = Facts.EMPTY
    types = (tensor(F32, Dim.of("H") * 3, "N"), tensor(F32, "H"))
    (t,) = op.infer(types, facts)
    assert tensor(F32, "H", "N", 3) == t
    check_op(op, *types, opsets=(18,))
    divisible = Facts.EMPTY.with_fact("==", Dim.of("C") % 2, 0)
    check_op(Einsum("(h d) -> d h", (("h", Dim.of(2)),)), tensor(F32, "C"), facts=divisible, opsets=(18,))


def test_einsum_equals_numpy_on_classic_patterns() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
    np.testing.assert_allclose(evaluate(Einsum("bij,bjk->ki"), a, b), np.einsum("bij,bjk->ki", a, b), rtol=1e-12)
    c = rng.normal(size=(3, 4, 4))
    np.testing.assert_allclose(evaluate(Einsum("n i i -> n i"), c), np.einsum("nii->ni", c), rtol=1e-12)


def test_whole_axes_keep_their_names_and_merged_ones_have_none() -> None:
    op = Einsum("b n d, e d -> (b n) e 1")
    (t,) = op.infer((tensor(F32, "B", "N", "D"), tensor(F32, "E", "D")), Facts.EMPTY)
    one = Axis(None, Dim.of(1))
    assert TensorType(F32, (Axis(None, Dim.of("B") * Dim.of("N")), Axis("E", Dim.of("E")), one)) == t


@pytest.mark.parametrize(
    ("code", "pattern", "shapes", "text"),
    [
        ("E0216", "i j", [(2, 3)], "it needs one `->`"),
        ("E0216", "i j -> k", [(2, 3)], "`k` is on the right only"),
        ("E0216", "i j -> i i", [(2, 3)], "`i` is twice on the right"),
        ("E0216", "(i j -> i", [(2, 3)], "a `(` has no `)`"),
        ("E0216", "i j) -> i", [(2, 3)], "a `)` has no `(`"),
        ("E0216", "((i) j) -> i", [(6,)], "a bracket stands in a bracket"),
        ("E0216", "(... j) -> j", [(6,)], "`...` stands in a bracket"),
        ("E0216", "i $ -> i", [(2, 3)], "`$` is not an axis"),
        ("E0216", "... i -> i", [(2, 3)], "`...` is missing on the right"),
        ("E0216", "... i ... -> ...", [(2, 3)], "a term has `...` twice"),
        ("E0216", "i, j -> i", [(2,)], "it has 2 operands, found 1"),
        ("E0216", "(i j) -> i j", [(6,)], "the sizes of `i` and `j` are not given"),
        ("E0205", "i j k -> i", [(2, 3)], "needs 3 axes of operand 1, found 2: f32[2, 3]"),
        ("E0202", "i k, k j -> i j", [(2, 3), (4, 5)], "`k` of `einsum` needs equal sizes: 3 and 4"),
        ("E0202", "i 1 -> i", [(2, 3)], "`1` of `einsum` needs a size of 1, found 3"),
        ("E0202", "...i,i->...", [(2, 3, 4), (3,)], "needs equal sizes: 4 and 3"),
        ("E0207", "i k, k j -> i j", [(2, "K"), ("L", 5)], "two different axes"),
        ("E0208", "i k, k -> i", [(2, Dim.of("K")), (Dim.of("L"),)], "nothing says that K equals L"),
    ],
)
def test_einsum_refuses(code: str, pattern: str, shapes: list[tuple[int | str | Dim, ...]], text: str) -> None:
    found = error(Einsum(pattern), *(tensor(F32, *shape) for shape in shapes))
    assert code == found.code
    assert text in found.title


def test_einsum_refuses_a_split_that_is_not_proved() -> None:
    op = Einsum("(h d) -> h d", (("h", Dim.of(3)),))
    assert "E0202" == error(op, tensor(F32, 7)).code
    assert "E0208" == error(op, tensor(F32, Dim.of("C"))).code


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Matmul(), [(3, 4), (4, 5)]),
        (Matmul(), [(2, 1, 3, 4), (5, 4, 6)]),
        (Matmul(), [(2, 3, 4), (4,)]),
        (Matmul(), [(4,), (4,)]),
        (Einsum("n a b, n o c h w -> (a o) (b c) h w"), [(4, 2, 3), (4, 5, 6, 3, 3)]),
        (Einsum("b d, b d -> b"), [(2, 3), (2, 3)]),
        (Einsum("i, j -> i j"), [(2,), (3,)]),
        (Einsum("i j, k -> k"), [(2, 3), (4,)]),
        (Einsum("i j, j k, k l -> i l"), [(2, 3), (3, 4), (4, 5)]),
        (Einsum("i j x, j k -> i k"), [(2, 3, 7), (3, 4)]),
    ],
)
def test_flops_are_those_that_torch_counts(op: Matmul | Einsum, shapes: list[tuple[int, ...]]) -> None:
    from netdsl.backends.torch_fx.module import build_module
    from tests.ops.harness import one_node

    types = tuple(tensor(F32, *shape) for shape in shapes)
    module = build_module(one_node(op, types), {})
    with FlopCounterMode(display=False) as counter:
        module(*(torch.rand(shape) for shape in shapes))
    assert Dim.of(counter.get_total_flops()) == op.flops(types, op.infer(types, Facts.EMPTY))
