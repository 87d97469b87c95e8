"""R2 to R5: names of axes, sizes that must be proved, broadcasting, and what stays free."""

import numpy as np
import pytest

from netdsl.ir import Graph
from tests.language.nets import network, output_type, refused, run
from tests.std.three_way import assert_three_way


def facts(graph: Graph) -> list[str]:
    return [f"{left} {op} {right}" for op, left, right in graph.facts.items]


# --- R3: an axis is a name and a size ----------------------------------------------------------------


def test_two_names_never_match_even_at_one_size() -> None:
    finding = refused("(x: f32[A, B], y: f32[B, A]) -> f32[A, B] where A == 4, B == 4", "x + y", "E0213")
    assert "can only be 4" in finding.title
    finding = refused("(x: f32[A, B], y: f32[B, A]) -> f32[A, B] where A == B", "x + y", "E0207")
    assert "two different axes" in finding.title
    assert "rename" in (finding.help or "")


def test_swapped_axes_of_a_static_size_are_caught() -> None:
    header = "[N: int = 8, D: int = 8](x: f32[B, N, D], w: f32[N, D]) -> f32[B, N, D]"
    assert (1, 8, 8) == run(network(header, "x + w"), x=np.ones((1, 8, 8)), w=np.ones((8, 8))).shape
    refused(header, "x + w.T", "E0207")
    refused(header, "x.T", "E0214")


def test_rename_gives_an_axis_another_name() -> None:
    header = "(x: f32[B, N, 4]) -> f32[B, N, 4]"
    body = "k = rename[N, S](x)\nv = rename[N, S](2 * x)\nscores: f32[B, N, S] = x @ k.T\nsoftmax(scores) @ v"
    np.testing.assert_allclose(run(network(header, body), x=np.ones((2, 3, 4))), 2)
    refused(header, "k = rename[N, S](x)\nsoftmax((x @ k.T).T) @ k", "E0207")


def test_rename_needs_exactly_one_axis_of_that_name() -> None:
    refused("(x: f32[B, N]) -> f32[B, N]", "rename[M, S](x)", "E0207")
    refused("(x: f32[N, N]) -> f32[N, N]", "rename[N, S](x)", "E0207")


def test_literals_lowercase_statics_and_arithmetic_carry_no_name() -> None:
    header = "[n: int = 8, D: int = 8](x: f32[B, D]) -> f32[B, D]"
    body = "param a: f32[n] ~ zeros\nparam b: f32[8] ~ zeros\nparam c: f32[4 + 4] ~ zeros\nx + a + b + c"
    assert "f32[B, D=8]" == output_type(network(header, body)) or "f32[B, 8]" == output_type(network(header, body))
    refused("[D: int = 8, E: int = 8](x: f32[B, D]) -> f32[B, D]", "param a: f32[E] ~ zeros\nx + a", "E0207")


def test_names_are_local_to_a_header() -> None:
    before = """
block First(x: float[B, N, D]) -> float[B, D] { x[:, 0] }
block Swap(x: float[N, B]) -> float[B, N] { x.T }
"""
    net = network(
        "(x: f32[B, T, 4], y: f32[T, B]) -> f32[B, 4]", "First(x) + sum[axis=1](Swap(y))[:, none]", before=before
    )
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4)), np.ones((3, 2))
    np.testing.assert_allclose(run(net, x=x, y=y), x[:, 0].astype(np.float32) + 3, rtol=1e-6)
    refused("(y: f32[T, B]) -> f32[T, B]", "Swap(y)", "E0214", before=before)


def test_one_name_of_a_callee_binds_one_axis_of_the_caller() -> None:
    before = "block Same(x: float[N], y: float[N]) -> float[N] { x + y }\n"
    refused("(x: f32[A], y: f32[B]) -> f32[A] where A == B", "Same(x, y)", "E0207", before=before)


def test_whole_axes_keep_their_names_through_moves() -> None:
    header = "(x: f32[B, N, D]) -> f32[D, N, B]"
    for body in (
        "transpose[2, 1, 0](x)",
        'rearrange["b n d -> d n b"](x)',
        'einsum["b n d -> d n b"](x)',
    ):
        x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
        np.testing.assert_allclose(run(network(header, body), x=x), x.transpose(2, 1, 0), rtol=1e-6)
        refused(header.replace("[D, N, B]", "[N, D, B]"), body, "E0214")


def test_slices_merges_and_concats_drop_names() -> None:
    header = "(x: f32[N, D], y: f32[M, D]) -> f32[A, D] where N >= 1, M >= 1"
    net = network(header, "concat[axis=0](x, y)[1:]")
    assert "f32[M + N - 1, D]" == output_type(net)
    assert (4, 2) == run(net, x=np.ones((3, 2)), y=np.ones((2, 2))).shape


def test_an_underscore_takes_any_axis() -> None:
    before = "block Row(x: float[_, _, D]) -> float[D] { x[0, 0] }\n"
    net = network("(x: f32[A, B, 4], y: f32[B, A, 4]) -> f32[4] where A >= 1, B >= 1", "Row(x) + Row(y)", before=before)
    assert (4,) == run(net, x=np.ones((2, 3, 4)), y=np.ones((3, 2, 4))).shape


# --- R4: broadcasting ----------------------------------------------------------------------------------


def test_only_literal_ones_without_a_name_stretch() -> None:
    header = "(x: f32[B, N], y: f32[B, 1], z: f32[1, N], s: f32) -> f32[B, N]"
    net = network(header, "x + y * z + s + ones[1] + 2")
    x, y, z = np.ones((2, 3)), np.array([[1.0], [2]]), np.array([[1.0, 2, 3]])
    np.testing.assert_allclose(run(net, x=x, y=y, z=z, s=np.float32(5)), x + y * z + 8)


def test_a_symbolic_size_never_counts_as_one() -> None:
    refused("(x: f32[N], y: f32[M]) -> f32[N]", "x + y", "E0207")
    refused("(x: f32[N], y: f32[2 * M]) -> f32[N]", "x + y", "E0208")
    refused("[K: int = 1](x: f32[N], y: f32[K]) -> f32[N]", "x + y", "E0207")


def test_missing_left_axes_are_added() -> None:
    net = network("(x: f32[B, N, 4], y: f32[N, 4], z: f32[4]) -> f32[B, N, 4]", "x * y + z")
    assert (2, 3, 4) == run(net, x=np.ones((2, 3, 4)), y=np.ones((3, 4)), z=np.ones(4)).shape


def test_dots_are_the_same_axes_all_over_a_header() -> None:
    before = "block Add(x: float[.., D], y: float[.., D]) -> float[.., D] { x + y }\n"
    for header in ("(x: f32[4], y: f32[4]) -> f32[4]", "(x: f32[A, B, 4], y: f32[A, B, 4]) -> f32[A, B, 4]"):
        network(header, "Add(x, y)", before=before)
    refused("(x: f32[A, 4], y: f32[4]) -> f32[A, 4]", "Add(x, y)", "E0205", before=before)
    refused("(x: f32[A, 4], y: f32[1, 4]) -> f32[A, 4]", "Add(x, y)", "E0208", before=before)


def test_dots_may_stand_in_the_middle_or_at_the_end() -> None:
    before = """
block Ends(x: float[A, .., D]) -> float[A, .., D] { x * 2 }
block Tail(x: float[A, ..]) -> float[A, ..] { x * 3 }
"""
    net = network("(x: f32[B, N, 4]) -> f32[B, N, 4]", "Tail(Ends(x))", before=before)
    np.testing.assert_allclose(run(net, x=np.ones((1, 2, 4))), 6)


# --- R5: sizes are proved ------------------------------------------------------------------------------


def test_facts_of_a_header_prove_its_sizes() -> None:
    header = "(x: f32[B, H, W]) -> f32[B, H, W] where H % 2 == 0"
    body = 'rearrange["b (h p) w -> b h (p w)", p=2](x) |> rearrange["b h (p w) -> b (h p) w", p=2]'
    net = network(header, body)
    assert ["H % 2 == 0"] == facts(net.graph)
    x = np.random.default_rng(0).normal(size=(1, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(run(net, x=x), x, rtol=1e-6)
    finding = refused(header.replace(" where H % 2 == 0", ""), body, "E0216")
    assert "where H % 2 == 0" in (finding.help or "")


def test_a_callees_facts_are_proved_at_the_call() -> None:
    before = "block Heads[heads: int](x: float[B, D]) -> float[B, D] where D % heads == 0 { x }\n"
    network("(x: f32[B, 12]) -> f32[B, 12]", "Heads[4](x)", before=before)
    assert "D is 12" in refused("(x: f32[B, 12]) -> f32[B, 12]", "Heads[5](x)", "E0210", before=before).title
    header = "(x: f32[B, N]) -> f32[B, N]"
    finding = refused(header, "Heads[4](x)", "E0211", before=before)
    assert "where N % 4 == 0" in (finding.help or "")
    network(f"{header} where N % 8 == 0", "Heads[4](x)", before=before)


def test_facts_may_be_ranges_and_relations() -> None:
    net = network("(x: f32[B, N], y: f32[B, M]) -> f32[B, N] where B in 1..64, N <= M, M == 2 * N", "x + y[:, :N]")
    assert {"B >= 1", "B <= 64"} <= set(facts(net.graph)) or net.graph.facts.satisfies({"B": 64, "N": 1, "M": 2})
    assert not net.graph.facts.satisfies({"B": 65, "N": 1, "M": 2})
    assert not net.graph.facts.satisfies({"B": 1, "N": 1, "M": 3})
    assert (2, 3) == run(net, x=np.ones((2, 3)), y=np.ones((2, 6))).shape


def test_contradictions_are_found() -> None:
    refused("(x: f32[N]) -> f32[N] where N >= 4, N <= 3", "x", "E0210")
    refused("[n: int = 3](x: f32[N]) -> f32[N] where n > 3", "x", "E0210")


def test_sizes_may_be_computed() -> None:
    header = "(x: f32[B, N]) -> f32[B, min(N, 4) + max(N, 4) - 4]"
    assert (2, 7) == run(network(header, "x"), x=np.ones((2, 7))).shape
    header = "(x: f32[B, 2 * N + 1]) -> f32[B, N + 1]"
    net = network(header, "x[:, :N + 1]")
    assert (1, 3) == run(net, x=np.ones((1, 5))).shape


def test_a_declared_type_is_an_assertion() -> None:
    header = "(x: f32[B, N]) -> f32[B, N]"
    network(header, "y: f32[B, N] = x * 2\ny")
    refused(header, "y: f32[N, B] = x * 2\ny", "E0214")
    refused(header, "y: f64[B, N] = x * 2\ny", "E0214")
    refused(header, "y: f32[B, N, 1] = x * 2\ny", "E0214")


# --- R2: free dimensions -----------------------------------------------------------------------------


def test_free_dimensions_stay_free() -> None:
    net = network("(x: f32[B, T, 4]) -> (y: f32[B, T, 4], m: f32[B, 4])", "y = x * 2\nm = mean[axis=1](x)")
    assert ("B", "T") == net.graph.free_dims
    for batch, steps in ((1, 1), (3, 5), (2, 1)):
        assert (batch, 4) == run(net, x=np.ones((batch, steps, 4)))["m"].shape


def test_a_free_dimension_that_sizes_a_parameter_is_an_error_at_the_parameter() -> None:
    finding = refused("(x: f32[B, F]) -> f32[B, 7]", "x |> Linear[7]", "E0212")
    assert "free dimension" in finding.title and "weight" in finding.title
    assert "make it static: `network N[F: int]`" == finding.help


def test_a_free_dimension_is_no_static_int() -> None:
    refused("(x: f32[B, T]) -> f32[B, T]", "repeat T {\nx = x + 1\n}\nx", "E0302")
    refused("(x: f32[B, T]) -> f32[B, T]", "reshape[B, T](x |> dropout[T])", "E0324")


def test_the_same_dimension_may_be_static_with_a_default() -> None:
    header = "[F: int = 5](x: f32[B, F]) -> f32[B, 7]"
    assert (5,) == (network(header, "x |> Linear[7]").graph.inputs[0][1].type.sizes[1].value,)
    assert (6,) == (network(header, "x |> Linear[7]", F=6).graph.inputs[0][1].type.sizes[1].value,)
    refused("[F: int](x: f32[B, F]) -> f32[B, 7]", "x |> Linear[7]", "E0334")


# --- R1: three kinds of number -------------------------------------------------------------------------


def test_a_size_in_arithmetic_is_a_scalar_of_the_type_beside_it() -> None:
    net = network(
        "(x: f32[B, N], i: i64[B]) -> (a: f32[B, N], b: i64[B], c: f32)", "a = x * N + B\nb = i + N\nc = N / B"
    )
    found = run(net, x=np.ones((2, 6)), i=np.array([1, 2]))
    np.testing.assert_allclose(found["a"], 8)
    np.testing.assert_array_equal(found["b"], [7, 8])
    assert 3.0 == found["c"]


def test_sizes_and_floats_make_scalars() -> None:
    net = network("(x: f32[B, N]) -> f32[B, N]", "x * (2.0 / N) + sqrt(N) + 0.5 * N - N ** 0.5 + exp(0 * N)")
    np.testing.assert_allclose(run(net, x=np.ones((1, 4))), np.full((1, 4), 0.5 + 2 + 2 - 2 + 1))


def test_a_size_may_stand_where_a_dim_is_wanted() -> None:
    before = "block Fill[n: dim](x: float[B]) -> float[B, n] { x[:, none] + zeros[n] }\n"
    net = network("(x: f32[B], y: f32[M]) -> f32[B, M + 1]", "Fill[M + 1](x)", before=before)
    assert (2, 5) == run(net, x=np.ones(2), y=np.ones(4)).shape


# --- indexing ------------------------------------------------------------------------------------------

INDEXED = [
    ("x[0]", "f32[T, 4]", lambda x: x[0]),
    ("x[:, -1]", "f32[B, 4]", lambda x: x[:, -1]),
    ("x[.., 0]", "f32[B, T]", lambda x: x[..., 0]),
    ("x[:, 1:3]", "f32[B, 2, 4]", lambda x: x[:, 1:3]),
    ("x[:, :-1]", "f32[B, T - 1, 4]", lambda x: x[:, :-1]),
    ("x[:, T - 2:]", "f32[B, 2, 4]", lambda x: x[:, -2:]),
    ("x[::2, 1::3]", "f32[(B + 1) // 2, (T + 1) // 3, 4]", lambda x: x[::2, 1::3]),
    ("x[:, :T - 1:2, 1:3:5]", "f32[B, T // 2, 1]", lambda x: x[:, :-1:2, 1:3:5]),
    ("x[:, none, .., none]", "f32[B, 1, T, 4, 1]", lambda x: x[:, None, ..., None]),
    ("x.T", "f32[B, 4, T]", lambda x: x.swapaxes(1, 2)),
    ("x[:, [2, 0][1]]", "f32[B, 4]", lambda x: x[:, 0]),
]


@pytest.mark.parametrize(("expression", "expected", "numpy"), INDEXED, ids=[e for e, _, _ in INDEXED])
def test_indices_are_numpys(expression: str, expected: str, numpy: object) -> None:
    net = network(f"(x: f32[B, T, 4]) -> {expected} where B >= 1, T >= 3", expression)
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    assert callable(numpy)
    np.testing.assert_array_equal(run(net, x=x), numpy(x))


def test_slices_with_a_step_agree_in_all_backends() -> None:
    header = (
        "(x: f32[B, 7]) -> (every: f32[(B + 1) // 2, 7], rest: f32[B - 1, 3], half: f32[(B + 3) // 4, 2]) where B >= 1"
    )
    body = "every = x[::[1, 2, 3][::2][0] + 1]\nrest = x[1:, ::3]\nhalf = x[0 : (B + 1) // 2 : 2, 2::4]"
    assert_three_way(network(header, body), [{"B": 1}, {"B": 3}, {"B": 8}])


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_slice_with_a_step_is_numpys_at(size: int) -> None:
    net = network("(x: f32[B, T]) -> f32[(B + 1) // 2, (T + 2) // 3]", "x[::2, ::3]")
    assert_three_way(net, [{"B": size, "T": 3 - size}, {"B": size, "T": size}, {"B": 4, "T": size}])
    x = np.arange(12.0 * size).reshape(size, 12)
    np.testing.assert_array_equal(run(net, x=x), x[::2, ::3])


def test_indices_gather_rows() -> None:
    net = network("(x: f32[N, 4], i: idx[N][B, 2]) -> f32[B, 2, 4]", "x[i]")
    x, i = np.arange(12.0).reshape(3, 4), np.array([[0, 2], [1, 1]])
    np.testing.assert_array_equal(run(net, x=x, i=i), x[i])


def test_an_index_points_into_its_own_axis_only() -> None:
    refused("(x: f32[N, 4], y: f32[M], i: idx[M][B]) -> f32[B, 4]", "x[i]", "E0218")


def test_indices_past_the_end_are_refused() -> None:
    refused("(x: f32[B, 3]) -> f32[B]", "x[:, 3]", "E0326")
    refused("(x: f32[B, 3]) -> f32[B]", "x[0, 0, 0]", "E0205")
