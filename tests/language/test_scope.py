"""R10: what a name stands for, what may be assigned, and what a body returns; how tightly operators bind."""

import numpy as np
import pytest

import netdsl
from tests.language.nets import network, paths, refused, run

X = "(x: f32[B, 4]) -> f32[B, 4]"
ONES = np.ones((2, 4))


def value(body: str, **options: str) -> object:
    """What a body makes of ones; all elements are equal."""
    found = run(network(X, body, **options), x=ONES)
    assert np.ptp(found) == 0
    return float(found[0, 0])


# --- assignment --------------------------------------------------------------------------------------


def test_assignment_updates_the_nearest_binding() -> None:
    assert 8 == value("repeat 3 {\nx = x + x\n}\nx")
    assert 2 == value("y = x\nif true {\ny = y + x\n}\ny")


def test_an_input_may_be_assigned_and_the_caller_keeps_its_own() -> None:
    before = "block F(x: float[..]) -> float[..] {\n    x = x * 10\n    x\n}\n"
    assert 11 == value("F(x) + x", before=before)


def test_names_made_in_a_loop_stay_in_it() -> None:
    refused(X, "repeat 2 {\ny = x\n}\ny", "E0300")


def test_a_loops_names_are_constants() -> None:
    refused(X, "for i in 0..2 {\ni = 3\n}\nx", "E0345")


def test_an_if_defines_names_for_what_follows_only_on_both_sides() -> None:
    assert 3 == value("if 1 < 2 {\ny = x * 3\n} else {\ny = x * 4\n}\ny")
    refused(X, "if 1 < 2 {\ny = x * 3\n}\ny", "E0306")
    refused(X, "if 1 > 2 {\ny = x * 3\n}\ny", "E0306")
    assert 5 == value("if 1 < 2 {\nz = x * 5\nx = z\n}\nx")


def test_untaken_branches_are_checked_for_names_only() -> None:
    assert 1 == value("if 1 > 2 {\nx = x @ x @ x\n}\nx")
    refused(X, "if 1 > 2 {\nx = x + lost\n}\nx", "E0300")


@pytest.mark.parametrize(
    "body",
    [
        "param w: f32[4] ~ ones\nw = x\nx + w",
        "state s: f32[4] ~ ones\ns = x\nx",
        "let f = Linear[4]\nf = x\nf(x)",
        "const n = 3\nn = 4\nx * n",
        "B = 3\nx",
    ],
)
def test_declared_names_are_not_assigned(body: str) -> None:
    refused(X, body, "E0345")


def test_statics_are_not_assigned() -> None:
    refused("[n: int = 2](x: f32[B, 4]) -> f32[B, 4]", "n = 3\nx * n", "E0345")


def test_declarations_do_not_repeat() -> None:
    refused(X, "let f = Linear[4]\nlet f = Linear[4]\nf(x)", "E0311")
    refused(X, "param x: f32[4] ~ ones\nx", "E0311")


def test_a_local_may_have_the_name_of_a_library_block() -> None:
    assert 2 == value("relu = x * 2\nrelu")
    assert 3 == value("linear = x\nnorm = linear * 3\nnorm")


def test_a_file_may_have_its_own_block_of_a_library_name() -> None:
    before = "block Linear[out: int](x: float[B, I]) -> float[B, out] { zeros[B, out] + 7 }\n"
    assert 7 == value("x |> Linear[4]", before=before)
    # The library goes on with its own.
    assert [
        "feed_forward.up.weight",
        "feed_forward.up.bias",
        "feed_forward.down.weight",
        "feed_forward.down.bias",
    ] == paths(network(X, "x |> FeedForward[3]", before=before))


def test_an_unknown_name_gets_a_suggestion() -> None:
    assert "LayerNorm" in (refused(X, "x |> LayrNorm", "E0300").help or "")
    assert "`scale`" in (refused(X, "scale = x\nscael * 2", "E0300").help or "")


def test_errors_are_reported_together_and_once() -> None:
    refused(X, "a = x + lost\nb = a * 2\nc = x @ x\nb + c + gone", "E0300", "E0208", "E0300")


# --- results -----------------------------------------------------------------------------------------


def test_the_last_expression_is_the_result() -> None:
    assert 2 == value("x * 2")
    assert 4 == value("y = x * 2\ny + y")
    assert 6 == value("if true {\nx * 6\n} else {\nx\n}")


def test_named_outputs_are_assigned_in_any_order() -> None:
    net = network("(x: f32[B]) -> (a: f32[B], b: f32[B])", "b = x * 2\na = b + 1")
    assert ["a", "b"] == list(run(net, x=np.ones(1)))
    assert [3.0, 2.0] == [float(v[0]) for v in run(net, x=np.ones(1)).values()]
    assert ("a", "b") == net.torch().output_names


def test_one_named_output_may_be_the_last_expression() -> None:
    for body in ("x * 2", "y = x * 2"):
        net = network("(x: f32[B]) -> y: f32[B]", body)
        assert ["y"] == [name for name, _ in net.graph.outputs]


def test_several_outputs_may_be_a_tuple_at_the_end() -> None:
    net = network("(x: f32[B]) -> (a: f32[B], b: i64)", "(x, 3)")
    found = run(net, x=np.ones(1))
    assert (1.0, 3) == (float(found["a"][0]), int(found["b"]))


def test_callers_take_results_apart_by_place_and_by_name() -> None:
    before = """
block Two(x: float[..]) -> (double: float[..], triple: float[..]) {
    double = 2 * x
    triple = 3 * x
}
"""
    assert 2 + 3 == value("a, b = Two(x)\na + b", before=before)
    assert 3 * 10 + 2 == value("r = Two(x)\nr.triple * 10 + r.double", before=before)
    assert 3 == value("_, b = Two(x)\nb", before=before)
    assert "did you mean `triple`" in (refused(X, "Two(x).tripel", "E0328", before=before).help or "")
    refused(X, "a, b, c = Two(x)\na", "E0347", before=before)


def test_a_result_is_needed_and_nothing_is_lost() -> None:
    refused("(x: f32[B]) -> (a: f32[B], b: f32[B])", "a = x", "E0341")
    refused("(x: f32[B]) -> (a: f32[B], f32[B])", "a = x", "E0341")
    refused(X, "y = x", "E0341")
    refused(X, "x * 2\nx", "E0344")


# --- operators ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x + x * 2 ** 2", 5),
        ("-x ** 2 + 10", 9),
        ("(x + 1) * (x + 2)", 6),
        ("2 - 3 - 4 + x * 0", -5),
        ("2 ** 3 ** 2 + x * 0", 512),
        ("12 / 2 / 3 * x", 2),
        ("(x * 7) // 2 + (x * 7) % 2", 4),
        ("-7 * x // 2", -4),
        ("select((x > 0) & ~(x > 2) | (x == 9), x * 3, x)", 3),
        ("cast[f32](x >= 1) + cast[f32](x != 1)", 1),
        ("x |> square |> dropout[0.5] |> max(5)", 5),
        ("(x + 1) |> square", 4),
        ("x + (x |> square |> dropout[0.1])", 2),
        ("max(x, 2, x * 3) - min(x, 0.5)", 2.5),
        ("clamp[0, 0.25](x)", 0.25),
    ],
)
def test_operators_bind_as_written(expression: str, expected: float) -> None:
    assert expected == pytest.approx(value(expression))


def test_comparisons_are_loose_and_do_not_chain() -> None:
    refused(X, "select(x > 0 & x < 2, x, -x)", "E0105")
    refused(X, "select(0 < x < 2, x, -x)", "E0105")


def test_a_pipe_passes_its_left_as_the_first_tensor() -> None:
    net = network("(q: f32[B, 4], k: f32[B, 4]) -> f32[B]", "q |> dot(k) |> relu")
    np.testing.assert_allclose(run(net, q=ONES, k=2 * ONES), [8, 8])


def test_pipes_go_over_lines() -> None:
    assert 4 == value("x\n|> square\n|> max(4)")
    net = netdsl.load(
        "network N(x: f32[B]) -> f32[B] {\n    y = x  # first\n        |> square\n        # between\n        |> relu\n    y\n}\n"
    )
    np.testing.assert_allclose(run(net["N"], x=np.full(1, 3.0)), [9])


def test_an_operator_left_of_a_pipe_needs_parentheses() -> None:
    refused(X, "x + x |> square", "E0106")


def test_matrices_multiply_over_the_last_axes() -> None:
    net = network(
        "(a: f32[B, N, 3], b: f32[3, M], v: f32[3]) -> (c: f32[B, N, M], d: f32[B, N])", "c = a @ b\nd = a @ v"
    )
    rng = np.random.default_rng(0)
    a, b, v = (rng.normal(size=s).astype(np.float32) for s in ((2, 4, 3), (3, 5), (3,)))
    found = run(net, a=a, b=b, v=v)
    np.testing.assert_allclose(found["c"], a @ b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["d"], a @ v, rtol=1e-5, atol=1e-6)
