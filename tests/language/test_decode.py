"""R11, R12: bounded loops that choose, and loops that stop by themselves."""

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from tests.language.nets import Array, network, output_type, refused, run

HEADER = "(x: f32[B, N, 2], w: f32[2, 2]) -> (order: idx[N][B, N], score: f32[B, N]) where N >= 1"
#: Points in an order, each once, by how they match the last one.
TOUR = """
order, score = decode N from (h=x[:, 0], mask=full[B, N, value=true, dtype=bool]){clauses} {{
logits = select(mask, sum[axis=-1](x * (h @ w)[:, none]), -30000.0)
pick, score = decide(logits{noise})
h = take_each(x, pick)
mask = mask & ~one_hot[N, dtype=bool](pick)
yield pick, score
}}
"""


def points(rows: int = 3, count: int = 5) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(rows, count, 2)), "w": rng.normal(size=(2, 2))}


def tour(x: Array, w: Array, *, target: Array | None = None, noise: Array | None = None) -> tuple[Array, Array]:
    """The same loop in plain numpy."""
    order, scores = np.zeros(x.shape[:2], int), np.zeros(x.shape[:2])
    x, w = x.astype(np.float32).astype(float), w.astype(np.float32).astype(float)
    for row in range(len(x)):
        h, free = x[row, 0], np.ones(x.shape[1], bool)
        for step in range(x.shape[1]):
            logits = np.where(free, x[row] @ (h @ w), -30000.0)
            chances = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
            pick = int(logits.argmax())
            if noise is not None:
                pick = int((logits - np.log(-np.log(noise[row, step]))).argmax())
            if target is not None:
                pick = int(target[row, step])
            order[row, step], scores[row, step] = pick, chances[pick]
            h, free[pick] = x[row, pick], False
    return order, scores


def test_the_largest_logit_is_picked_with_its_log_probability() -> None:
    net, inputs = network(HEADER, TOUR.format(clauses="", noise="")), points()
    found = run(net, **inputs)
    order, score = tour(**inputs)
    np.testing.assert_array_equal(found["order"], order)
    np.testing.assert_allclose(found["score"], score, atol=1e-5)
    assert "idx[N][B, N]" == output_type(net)


def test_a_given_target_is_picked_instead() -> None:
    header = HEADER.replace(") ->", ", target: idx[N][B, N]) ->")
    net, inputs = network(header, TOUR.format(clauses=" given target", noise="")), points()
    target = np.argsort(np.random.default_rng(1).random((3, 5)), -1)
    found = run(net, target=target, **inputs)
    order, score = tour(target=target, **inputs)
    np.testing.assert_array_equal(found["order"], order)
    np.testing.assert_allclose(found["score"], score, rtol=1e-5, atol=1e-5)


def test_a_target_that_is_none_is_decided() -> None:
    block = f"block Tour{HEADER.replace(') ->', ', target: idx[N][B, N] = none) ->')} {{"
    block += TOUR.format(clauses=" given target", noise="") + "}"
    inputs = points()
    np.testing.assert_array_equal(
        run(network(HEADER, "order, score = Tour(x, w)", before=block), **inputs)["order"], tour(**inputs)[0]
    )


def test_noise_that_is_given_samples() -> None:
    header = HEADER.replace(") ->", ", u: f32[B, N, N]) ->")
    net, inputs = network(header, TOUR.format(clauses=" given (u=u)", noise=", noise=u")), points()
    u = np.random.default_rng(2).uniform(0.01, 0.99, (3, 5, 5)).astype(np.float32)
    found = run(net, u=u, **inputs)
    order, score = tour(noise=u.astype(float), **inputs)
    np.testing.assert_array_equal(found["order"], order)
    np.testing.assert_allclose(found["score"], score, rtol=1e-5, atol=1e-5)


def test_samples_have_the_probabilities_of_the_softmax() -> None:
    body = "k = decode M from (n=zeros[B]) given (u=u) {\npick, _ = decide(x, noise=u)\nyield pick\n}\nk"
    net = network("(x: f32[B, 3], u: f32[B, M, 3]) -> i64[B, M]", body)
    u = np.random.default_rng(3).random((1, 4000, 3)).clip(1e-6, 1 - 1e-6)
    found = run(net, x=np.log([[0.2, 0.5, 0.3]]), u=u)
    np.testing.assert_allclose(np.bincount(found[0]) / 4000, [0.2, 0.5, 0.3], atol=0.03)


def test_rows_stop_by_themselves_and_yield_zeros() -> None:
    body = """
y, s, n = decode 6 from (s=x, n=zeros[B]) until s > limit {
s = 2 * s
n = n + 1
yield s
}
"""
    net = network("(x: f32[B], limit: f32) -> (y: f32[B, 6], s: f32[B], n: f32[B])", body)
    found = run(net, x=[1.0, 3.0, 100.0], limit=20.0)
    np.testing.assert_allclose(found["y"], [[2, 4, 8, 16, 32, 0], [6, 12, 24, 0, 0, 0], [200, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(found["s"], [32, 24, 200])
    np.testing.assert_allclose(found["n"], [5, 3, 1])


@pytest.mark.parametrize("head", ["scan x[axis=1]", "scan T[axis=1]"])
def test_a_scan_stops_too(head: str) -> None:
    body = f"y, s = {head} from (s=zeros[B]) until s >= 3 {{\ns = s + 1\nyield s\n}}\ny"
    found = run(network("(x: f32[B, T]) -> f32[B, T]", body), x=np.zeros((2, 5)))
    np.testing.assert_allclose(found, [[1, 2, 3, 0, 0]] * 2)


def test_until_sees_what_the_body_made_and_what_was_before() -> None:
    body = "y, s = decode 9 from (s=x) until abs(s - before.s) < step {\nstep = 0.01\ns = s / 2\nyield s\n}\ny"
    found = run(network("(x: f32[B]) -> f32[B, 9]", body), x=[0.05, 0.016])
    np.testing.assert_allclose(found[:, :3], [[0.025, 0.0125, 0.00625], [0.008, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(found[:, 3:], 0)


def test_one_scalar_condition_stops_all_rows() -> None:
    body = "y, n = decode 5 from (n=zeros[B]) until sum(n) >= 4 {\nn = n + 1\nyield n\n}\ny"
    np.testing.assert_allclose(run(network("(x: f32[B]) -> f32[B, 5]", body), x=[0, 0]), [[1, 2, 0, 0, 0]] * 2)


def test_lengths_and_conditions_go_together() -> None:
    body = "y, s = decode 5[length=n] from (s=x) until s > 7 {\ns = s * 2\nyield s\n}\ny"
    found = run(network("(x: f32[B], n: i64[B]) -> f32[B, 5]", body), x=[1.0, 1, 4], n=[2, 5, 5])
    np.testing.assert_allclose(found, [[2, 4, 0, 0, 0], [2, 4, 8, 0, 0], [8, 0, 0, 0, 0]])


def test_a_fixed_point_returns_its_carried_values_and_each_row_stops_by_itself() -> None:
    body = """
s, n = fixed_point steps from (s=x, n=zeros[B]) until abs(s - before.s) < 0.001 {
s = cos(s)
n = n + 1
}
"""
    header = "[steps: int = 40](x: f32[B]) -> (s: f32[B], n: f32[B])"
    found = run(network(header, body), x=[0.0, 0.739])
    np.testing.assert_allclose(found["s"], [0.739085] * 2, atol=1e-3)
    alone = [float(run(network(header, body), x=[x])["n"][0]) for x in (0.0, 0.739)]
    assert alone == found["n"].tolist() and alone[0] > alone[1]
    np.testing.assert_allclose(run(network(header, body, steps=0), x=[3.0])["s"], [3.0])


def test_gradients_of_a_fixed_point_are_those_of_the_equation() -> None:
    """s = tanh(a s + x): ds/dx = t / (1 - a t) with t = 1 - s²."""
    body = "s = fixed_point 200[gradient={}] from (s=0 * x) until abs(s - before.s) < 1e-6 {{\ns = tanh(0.5 * s + x)\n}}\ns"
    for form in ("steps", "implicit"):
        module = network("(x: f32[B]) -> f32[B]", body.format(form)).torch()
        for call in (module, torch.compile(module, fullgraph=True, backend="aot_eager")):
            x = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
            s = call(x)
            s.sum().backward()
            slope = 1 - s.detach() ** 2
            torch.testing.assert_close(x.grad, slope / (1 - 0.5 * slope), rtol=1e-4, atol=1e-4)
    torch._dynamo.reset()


def test_truncated_gradients_end_after_so_many_steps() -> None:
    body = "y = scan x[axis=1, truncate={}] from (h=zeros[B]) {{\nh = 0.5 * h + x\nyield h\n}}\ny"
    full = network("(x: f32[B, T]) -> f32[B, T]", body.replace(", truncate={}", "").format()).torch()

    def gradient(module: torch.nn.Module) -> torch.Tensor:
        x = torch.zeros(1, 7, requires_grad=True)
        module(x)[:, -1].sum().backward()
        assert x.grad is not None
        return x.grad[0]

    for steps in (1, 3, 7, 9):
        module = network("(x: f32[B, T]) -> f32[B, T]", body.format(steps)).torch()
        expected = gradient(full).clone()
        expected[: (6 // steps) * steps] = 0
        torch.testing.assert_close(gradient(module), expected)
        torch.testing.assert_close(gradient(torch.compile(module, fullgraph=True, backend="aot_eager")), expected)
    torch._dynamo.reset()


def test_truncated_cells_are_cut_too() -> None:
    body = "y = scan GruCell[3] over x[axis=1{}] from (zeros[B, 3])\ny"
    for cut, zero in (("", False), (", truncate=2", True)):
        module = network("(x: f32[B, T, 3]) -> f32[B, T, 3]", body.format(cut)).torch()
        x = torch.randn(2, 4, 3, requires_grad=True)
        module(x)[:, -1].sum().backward()
        assert x.grad is not None and bool((x.grad[:, :2] == 0).all()) is zero


def test_a_list_is_carried_item_by_item() -> None:
    body = """
y, us = decode 3 from (us=[x, 2 * x]) {
us = [us[1], us[0] + us[1]]
yield us[0]
}
y + 0 * us[1][:, none]
"""
    np.testing.assert_allclose(run(network("(x: f32[B]) -> f32[B, 3]", body), x=[1.0]), [[2, 3, 5]])
    longer = "y, us = decode 3 from (us=[x]) {\nus = us + [x]\nyield x\n}\ny"
    refused("(x: f32[B]) -> f32[B, 3]", longer, "E0360")


def test_take_each_reads_one_slice_of_each_row() -> None:
    rng = np.random.default_rng(4)
    x, at = rng.normal(size=(2, 3, 4, 5)).astype(np.float32), rng.integers(0, 4, (2, 3))
    net = network("(x: f32[A, B, N, D], i: idx[N][A, B]) -> f32[A, B, D]", "take_each(x, i)")
    np.testing.assert_allclose(run(net, x=x, i=at), np.take_along_axis(x, at[..., None, None], 2)[:, :, 0])
    refused("(x: f32[B, N], z: f32[M], i: idx[M][B]) -> f32[B]", "take_each(x, i)", "E0218")
    refused("(x: f32[B, N], i: idx[N][A]) -> f32[B]", "take_each(x, i)", "E0207")
    refused("(x: f32[B], i: i64[B]) -> f32[B]", "take_each(x, i)", "E0205")
    refused("(x: f32[B, N], i: f32[B]) -> f32[B]", "take_each(x, i)", "E0217")


def test_a_decoder_is_one_file_for_every_length() -> None:
    module = network(HEADER, TOUR.format(clauses="", noise="")).torch()
    counter = CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend=counter, dynamic=True)
    for count in (5, 9, 12, 17, 3):
        inputs = {k: torch.tensor(v, dtype=torch.float32, requires_grad=True) for k, v in points(2, count).items()}
        again = {k: v.detach().clone().requires_grad_() for k, v in inputs.items()}
        (order, score), (other, same) = module(**inputs), compiled(**again)
        score.sum().backward()
        same.sum().backward()
        assert torch.equal(order, other)
        for name in inputs:
            torch.testing.assert_close(again[name].grad, inputs[name].grad, rtol=1e-5, atol=1e-5)
    assert 1 == counter.frame_count


@pytest.mark.parametrize(
    "body",
    [
        "y = fixed_point 3 from (h=x) {\nh = h + 1\n}\nx",
        "y = fixed_point 3 from (h=x) until h[:, 0] > 3 {\nh = h + 1\nyield h\n}\nx",
        "y = fixed_point 3 from (h=x) until h[:, 0] > 3 given x {\nh = h + 1\n}\nx",
        "y = decode 3 from (h=x) until h[:, 0] {\nyield h\n}\nx",
        "y = decode 3[reverse=true] from (h=x) {\nyield h\n}\nx",
        "y = decode 3[turns=4] from (h=x) {\nyield h\n}\nx",
        "y = decode D from (h=x) given x {\nyield h[:, 0]\n}\nx",
        "pick, score = decide(x)\nx",
    ],
)
def test_clauses_fit_their_loop(body: str) -> None:
    refused("(x: f32[B, D]) -> f32[B, D] where D >= 1", body, "E0362")


def test_conditions_are_those_of_the_rows() -> None:
    refused("(x: f32[B, 3]) -> f32[B, 3]", "y, h = decode 3 from (h=x) until h > 1 {\nyield h[:, 0]\n}\nx", "E0361")
    refused("(x: f32[B, 3]) -> f32[B, 3]", "y, n = decode 3 from (n=1) until x[:, 0] > 1 {\nyield x\n}\nx", "E0361")


FORMS = {
    "scan": "y, s = scan x[axis=1] from (s=zeros[B, 2]) until s[:, 0] > 4 {\ns = tanh(s @ w + x) + 1\nyield s\n}\nsum(y)",
    "fixed_point": "s = fixed_point T from (s=zeros[B, 2]) until norm(s - before.s) < 0.001 {\n"
    "s = tanh(0.1 * (s @ w) + x[:, 0])\n}\nsum(s)",
}


@pytest.mark.parametrize("form", FORMS)
def test_loops_that_stop_compile_once_and_export_with_every_length(form: str) -> None:
    module = network("(x: f32[B, T, 2], w: f32[2, 2]) -> f32 where T >= 1", FORMS[form]).torch()
    counter = CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend=counter, dynamic=True)
    auto = torch.export.Dim.AUTO
    given = [torch.randn(3, 6, 2), torch.randn(2, 2)]
    exported = torch.export.export(module, tuple(given), dynamic_shapes=({0: auto, 1: auto}, None)).module()
    for steps in (5, 9, 12, 17, 7):
        x = torch.randn(4, steps, 2, generator=torch.Generator().manual_seed(steps))
        leaves = [[x.clone().requires_grad_(), given[1].clone().requires_grad_()] for _ in range(2)]
        results = [call(*values) for call, values in zip((module, compiled), leaves, strict=True)]
        for result in results:
            result.backward()
        torch.testing.assert_close(*results)
        for a, b in zip(*leaves, strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(exported(x, given[1]), results[0], rtol=1e-5, atol=1e-5)
    assert 1 == counter.frame_count
