"""R11: the ways to write a recurrence."""

import numpy as np
import pytest

from tests.language.nets import Array, network, ops, output_type, paths, refused, run

X = "(x: f32[B, T, 3]) -> f32[B, T, 3]"


def sums(x: Array) -> Array:
    return np.cumsum(x, 1)


@pytest.fixture
def x() -> Array:
    return np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def test_a_body_carries_names_and_yields_steps(x: Array) -> None:
    net = network(X, "y = scan x[axis=1] from (s=zeros[B, 3]) {\ns = s + x\nyield s\n}\ny")
    np.testing.assert_allclose(run(net, x=x), sums(x), rtol=1e-6)
    assert 1 == ops(net).count("loop")


def test_carries_follow_the_yields_and_trailing_ones_may_be_left_out(x: Array) -> None:
    body = "scan x[axis=1] from (s=zeros[B, 3], n=zeros[B]) {\ns = s + x\nn = n + 1.0\nyield s, 2 * s\n}"
    header = "(x: f32[B, T, 3]) -> (a: f32[B, T, 3], b: f32[B, T, 3], s: f32[B, 3], n: f32[B])"
    found = run(network(header, f"a, b, s, n = {body}"), x=x)
    np.testing.assert_allclose(found["b"], 2 * sums(x), rtol=1e-6)
    np.testing.assert_allclose(found["s"], sums(x)[:, -1], rtol=1e-6)
    np.testing.assert_allclose(found["n"], [5, 5])
    np.testing.assert_allclose(run(network(X, f"a, b = {body}\nb"), x=x), 2 * sums(x), rtol=1e-6)
    refused(X, f"a, b, s, n, m = {body}\na", "E0347")


def test_several_and_computed_sequences_are_named(x: Array) -> None:
    body = "y = scan (a=2 * x, b=m)[axis=1] from (s=zeros[B, 3]) {\ns = select(b[:, none], s + a, s)\nyield s\n}\ny"
    net = network("(x: f32[B, T, 3], m: bool[B, T]) -> f32[B, T, 3]", body)
    mask = np.array([[True, False, True, True, False], [False, True, True, False, True]])
    np.testing.assert_allclose(run(net, x=x, m=mask), np.cumsum(2 * x * mask[:, :, None], 1), rtol=1e-6)


def test_a_cell_takes_the_step_and_the_carries(x: Array) -> None:
    before = """
block Add(x: float[.., D], s: float[.., D]) -> s2: float[.., D] { s2 = s + x }
block Out(x: float[.., D], s: float[.., D]) -> (y: float[..], s2: float[.., D]) {
    s2 = s + x
    y = sum[axis=-1](s2)
}
"""
    net = network(X, "y, last = scan Add over x[axis=1] from (zeros[B, 3])\ny + 0 * last[:, none]", before=before)
    np.testing.assert_allclose(run(net, x=x), sums(x), rtol=1e-6)
    net = network("(x: f32[B, T, 3]) -> f32[B, T]", "y = scan Out over x[axis=1] from (zeros[B, 3])\ny", before=before)
    np.testing.assert_allclose(run(net, x=x), sums(x).sum(-1), rtol=1e-5)


def test_a_cell_may_be_an_instance_shared_with_the_rest(x: Array) -> None:
    body = "let cell = GruCell[3]\nfirst = cell(x[:, 0], zeros[B, 3])\ny = scan cell over x[axis=1] from (first)\ny"
    net = network("(x: f32[B, T, 3]) -> f32[B, T, 3] where T >= 1", body)
    assert ["cell.weight_ih", "cell.weight_hh", "cell.bias_ih", "cell.bias_hh"] == paths(net)
    assert (2, 5, 3) == run(net, x=x).shape


def test_layers_of_a_body_have_one_set_of_parameters_for_all_steps(x: Array) -> None:
    body = "y = scan x[axis=1] from (s=zeros[B, 3]) {\ns = tanh(s + (x |> Linear[3, bias=false] as fc))\nyield s\n}\ny"
    net = network(X, body)
    assert ["fc.weight"] == paths(net)
    w = net.weights()["fc.weight"].astype(float)
    s, expected = np.zeros((2, 3)), []
    for t in range(5):
        s = np.tanh(s + x[:, t] @ w.T)
        expected.append(s)
    np.testing.assert_allclose(run(net, x=x), np.stack(expected, 1), rtol=1e-5, atol=1e-6)


def test_a_body_reads_what_is_outside(x: Array) -> None:
    body = """
param gain: f32[3] ~ constant[2]
shift = mean[axis=1](x)
y = scan x[axis=1] from (s=zeros[B, 3]) {
s = s + gain * x + shift
yield s * T
}
y
"""
    expected = (2 * sums(x) + np.arange(1, 6)[:, None] * x.mean(1)[:, None]) * 5
    np.testing.assert_allclose(run(network(X, body), x=x), expected, rtol=1e-4, atol=1e-5)


def test_a_count_needs_no_sequence() -> None:
    net = network(
        "[K: int = 4](x: f32[B]) -> f32[B, K]", "y, _ = scan K[axis=1] from (s=x) {\ns = s * 2\nyield s\n}\ny"
    )
    np.testing.assert_allclose(run(net, x=np.ones(2)), np.tile([2.0, 4, 8, 16], (2, 1)))
    net = network("(x: f32[B], z: f32[N]) -> f32[N, B]", "y, _ = scan N[axis=0] from (s=x) {\ns = s + 1\nyield s\n}\ny")
    np.testing.assert_allclose(run(net, x=np.zeros(2), z=np.zeros(3)), [[1, 1], [2, 2], [3, 3]])


def test_any_axis_and_both_directions(x: Array) -> None:
    body = "y = scan x[axis={axis}, reverse={reverse}] from (s=zeros[{shape}]) {{\ns = s + x\nyield s\n}}\ny"
    for axis, shape in ((0, "T, 3"), (1, "B, 3"), (-1, "B, T")):
        expected = np.cumsum(x, axis)
        np.testing.assert_allclose(
            run(network(X, body.format(axis=axis, reverse="false", shape=shape)), x=x), expected, rtol=1e-5
        )
        expected = np.flip(np.cumsum(np.flip(x, axis), axis), axis)
        np.testing.assert_allclose(
            run(network(X, body.format(axis=axis, reverse="true", shape=shape)), x=x), expected, rtol=1e-5
        )


def test_rows_of_other_lengths_freeze_and_yield_zeros(x: Array) -> None:
    header = "(x: f32[B, T, 3], n: i64[B]) -> (y: f32[B, T, 3], s: f32[B, 3])"
    body = "y, s = scan x[axis=1, length=n{reverse}] from (s=zeros[B, 3]) {{\ns = s + x\nyield s\n}}"
    lengths = np.array([2, 0])
    found = run(network(header, body.format(reverse="")), x=x, n=lengths)
    np.testing.assert_allclose(found["y"][0], np.concatenate([sums(x)[0, :2], np.zeros((3, 3))]), rtol=1e-6)
    np.testing.assert_allclose(found["y"][1], 0)
    np.testing.assert_allclose(found["s"], [x[0, :2].sum(0), np.zeros(3)], rtol=1e-6)
    found = run(network(header, body.format(reverse=", reverse=true")), x=x, n=lengths)
    np.testing.assert_allclose(found["y"][0, :2], [x[0, 0] + x[0, 1], x[0, 1]], rtol=1e-6)
    np.testing.assert_allclose(found["y"][0, 2:], 0)


def test_lengths_are_those_of_the_rows_of_yields() -> None:
    header = "(x: f32[B, T, 3], n: i64[B]) -> f32[B, T, 3]"
    body = "y, s = scan x[axis=1, length=n] from (s=zeros[B, 3]) {{\ns = s + x\nyield {yields}\n}}\nx"
    found = refused(header, body.format(yields="s, s[0]"), "E0361")
    assert "`length` is i64[B], and the yield f32[3] has other rows" == found.title
    assert found.primary is not None
    span = found.primary.span
    assert "s[0]" == span.source.text[span.start : span.end]
    for yields in ("mean(s)", "s.T", "zeros[B + 1, 3]"):
        refused(header, body.format(yields=yields), "E0361")
    network(header, body.format(yields="s, s[:, 0], zeros[B]"))
    cell = "block Cell(x: f32[B, 3], h: f32[B, 3]) -> (y: f32[3], h: f32[B, 3]) { y = h[0]\nh = x + h\n}"
    refused(header, "y = scan Cell over x[axis=1, length=n] from (zeros[B, 3])\nx", "E0361", before=cell)


def test_no_steps_give_the_initial_values() -> None:
    header = "(x: f32[B, T, 3]) -> (y: f32[B, T, 3], s: f32[B, 3])"
    net = network(header, "y, s = scan x[axis=1] from (s=ones[B, 3]) {\ns = s + x\nyield s\n}")
    found = run(net, x=np.zeros((2, 0, 3)))
    assert (2, 0, 3) == found["y"].shape
    np.testing.assert_allclose(found["s"], 1)


def test_loops_nest(x: Array) -> None:
    body = """
y = scan x[axis=0] from (s=zeros[T, 3]) {
s = s + x
z = scan s[axis=0] from (r=zeros[3]) {
r = r + s
yield r
}
yield z
}
y
"""
    np.testing.assert_allclose(run(network(X, body), x=x), np.cumsum(np.cumsum(x, 0), 1), rtol=1e-5, atol=1e-6)


def test_carries_may_be_of_any_type(x: Array) -> None:
    header = "(x: f32[B, T, 3]) -> (best: f32[B, T], at: i64[B, T], seen: bool[B, T])"
    body = """
best, at, seen = scan x[axis=1] from (m=full[B, value=-100.0], i=full[B, value=0, dtype=i64], ok=full[B, value=0, dtype=i64]) {
top = max[axis=1](x)
i = i + 1
m = max(m, top)
yield m, i, m > 0
}
"""
    found = run(network(header, body), x=x)
    np.testing.assert_allclose(found["best"], np.maximum.accumulate(x.max(-1), 1), rtol=1e-6)
    np.testing.assert_array_equal(found["at"], np.tile(np.arange(1, 6), (2, 1)))
    assert bool == found["seen"].dtype


def test_only_carried_names_are_assigned_in_a_body() -> None:
    refused(X, "z = x\ny = scan x[axis=1] from (s=zeros[B, 3]) {\nz = z + 1\ns = s + x\nyield s\n}\ny", "E0346")
    refused(
        X, "y = scan x[axis=1] from (s=zeros[B, 3]) {\nparam w: f32[3] ~ ones\ns = s + x * w\nyield s\n}\ny", "E0349"
    )


def test_a_carry_keeps_its_type() -> None:
    refused(X, "y = scan x[axis=1] from (s=zeros[B, 2]) {\ns = x\nyield x\n}\ny", "E0360")


def test_options_are_needed_and_known() -> None:
    refused(X, "y = scan x from (s=zeros[B, 3]) {\nyield s\n}\ny", "E0357")
    refused(X, "y = scan x[axis=3] from (s=zeros[B, 3]) {\nyield s\n}\ny", "E0206")
    refused(X, "y = scan x[axis=1] from (zeros[B, 3]) {\nyield x\n}\ny", "E0358")


def test_the_axes_of_a_yield_keep_their_names() -> None:
    body = "y, s = scan x[axis=1] from (s=zeros[B, D]) {\ns = s + x\nyield s\n}\nargmax[axis=2](y)"
    assert "idx[D][B, T]" == output_type(network("(x: f32[B, T, D]) -> idx[D][B, T] where D >= 1", body))


def test_the_axis_of_a_result_keeps_its_name() -> None:
    net = network(
        "(x: f32[B, T, 3]) -> f32[B, T, 3]", "y = scan x[axis=1] from (s=zeros[B, 3]) {\ns = s + x\nyield s\n}\nx + y"
    )
    assert "f32[B, T, 3]" == output_type(net)
