"""Monoids as aggregators: a balanced tree in the order of the rows, tuples, identities, weights, gradients (rule R14)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from netdsl.agreement import Conditions, verify_session
from netdsl.check.network import Session
from netdsl.diagnostics import NetError
from netdsl.ops.loop import Loop
from netdsl.source import Source
from tests.language.nets import network, paths, refused, run
from tests.std.three_way import assert_three_way

MONOIDS = """
monoid Less(a: float[..], b: float[..]) -> float[..] {
    identity: 7
    a - b
}
monoid Gated[D: int](a: float[.., D], b: float[.., D]) -> float[.., D] {
    param e: float[D] ~ normal
    identity: e
    let f = GruCell[D]
    (f(a, b) + f(b, a)) / 2
}
monoid LogSumExp(
    a: (s: float[.., D], m: float[.., 1]),
    b: (s: float[.., D], m: float[.., 1])
) -> (s: float[.., D], m: float[.., 1]) {
    identity: (zeros, -inf)
    m = max(a.m, b.m)
    (a.s * exp(a.m - m) + b.s * exp(b.m - m), m)
}
monoid Longest(a: (length: i64[..], at: i64[..]), b: (length: i64[..], at: i64[..])) -> (length: i64[..], at: i64[..]) {
    identity: (0, -1)
    is_left = a.length >= b.length
    (select(is_left, a.length, b.length), select(is_left, a.at, b.at))
}
"""
GROUPS = [{"N": 3, "E": 9}, {"N": 1, "E": 6}, {"N": 4, "E": 1}, {"N": 2, "E": 0}]
WIDE = "(x: f32[E, 4], by: idx[N][E], nodes: f32[N]) -> f32[N, 4]"


def tree(rows: list[Any], combine: Callable[[Any, Any], Any], empty: Any) -> Any:
    """Pairs (0, 1), (2, 3), .. on each level; an odd last one passes through."""
    while len(rows) > 1:
        pairs = [combine(a, b) for a, b in zip(rows[::2], rows[1::2], strict=False)]
        rows = pairs + (rows[-1:] if len(rows) % 2 else [])
    return rows[0] if rows else empty


def test_rows_are_paired_in_their_order_and_an_odd_one_passes_through() -> None:
    net = network("(x: f32[E], by: idx[N][E], n: f32[N]) -> f32[N]", "aggregate[Less](x, by=by)", before=MONOIDS)
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 5, 8, 13, 32, 33):
        x = rng.integers(-9, 9, 3 * count).astype(np.float32)
        by = rng.permutation([0] * count + [2] * (2 * count))
        found = run(net, x=x, by=by, n=np.zeros(4))
        expected = [tree(list(x[by == g]), lambda a, b: a - b, 7) for g in range(4)]
        np.testing.assert_array_equal(expected, found)


def test_backends_agree_at_small_and_empty_sizes() -> None:
    assert_three_way(network(WIDE, "x |> aggregate[Gated[4]](by=by)", before=MONOIDS), GROUPS, opsets=(18, 21, 23))
    header = "(s: f32[E, 4], m: f32[E, 1], by: idx[N][E], n: f32[N]) -> (s2: f32[N, 4], m2: f32[N, 1])"
    body = "r = aggregate[LogSumExp]((s=s, m=m), by=by)\ns2 = r.s\nm2 = r.m"
    assert_three_way(network(header, body, before=MONOIDS), GROUPS, opsets=(18, 21, 23))


def test_a_carrier_may_be_a_tuple_of_named_fields() -> None:
    header = "(length: i64[E], by: idx[N][E], n: f32[N]) -> (most: i64[N], at: i64[N])"
    net = network(
        header, "r = aggregate[Longest]((length=length, at=iota[E]), by=by)\nmost = r.length\nat = r.at", before=MONOIDS
    )
    found = run(net, length=np.array([3, 9, 9, 1, 4]), by=np.array([2, 2, 2, 0, 0]), n=np.zeros(3))
    assert ([4, 0, 9], [4, -1, 1]) == (found["most"].tolist(), found["at"].tolist())


def test_rows_may_have_more_axes_than_the_header_names() -> None:
    net = network(
        "(x: f32[E, 3, 4], by: idx[N][E], n: f32[N]) -> f32[N, 3, 4]", "x |> aggregate[Gated[4]](by=by)", before=MONOIDS
    )
    flat = network(WIDE, "x |> aggregate[Gated[4]](by=by)", before=MONOIDS)
    rng = np.random.default_rng(1)
    x, by, weights = rng.normal(size=(7, 3, 4)), rng.integers(0, 4, 7), net.torch().state_dict()
    flat_weights = {path: w.numpy() for path, w in weights.items()}
    whole = run(net, flat_weights, x=x, by=by, n=np.zeros(5))
    for at in range(3):
        np.testing.assert_allclose(
            run(flat, flat_weights, x=x[:, at], by=by, nodes=np.zeros(5)), whole[:, at], atol=1e-6
        )


def test_all_levels_and_both_orders_share_one_set_of_parameters() -> None:
    names = ["e", *(f"f.{p}" for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))]
    net = network(WIDE, "x |> aggregate[Gated[4]](by=by)", before=MONOIDS)
    assert [f"gated.{name}" for name in names] == paths(net)
    labelled = network(WIDE, "x |> aggregate[Gated[4]](by=by) as agg", before=MONOIDS)
    assert [f"agg.{name}" for name in names] == paths(labelled)
    shared = "let m = Gated[4]\naggregate[m](x, by=by) + aggregate[m](x, by=by) + m(aggregate[m](x, by=by), nodes[:, none] + zeros[N, 4])"
    assert [f"m.{name}" for name in names] == paths(network(WIDE, shared, before=MONOIDS))
    several = network(
        "(x: f32[E, 4], by: idx[N][E], n: f32[N]) -> f32[N, 12]",
        "x |> aggregate[[mean, Gated[4], Gated[4]]](by=by) as agg",
        before=MONOIDS,
    )
    assert [f"agg.{m}.{name}" for m in ("gated", "gated_2") for name in names] == paths(several)


def test_gradients_are_those_of_the_tree() -> None:
    text = WIDE.replace("f32", "f64")
    module = network(text, "x |> aggregate[Gated[4]](by=by)", before=MONOIDS).torch()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(21, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    by = torch.randint(0, 4, (21,), generator=generator)
    weights = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    state = {path.removeprefix("gated."): p for path, p in module.named_parameters()}
    cell = torch.nn.GRUCell(4, 4, dtype=torch.float64)
    cell.load_state_dict({path.removeprefix("f."): p.detach() for path, p in state.items() if path != "e"})
    identity = state["e"].detach().clone().requires_grad_()
    (module(x, by, torch.zeros(6, dtype=torch.float64)) * weights).sum().backward()
    found = [x.grad, state["e"].grad, *(state[f"f.{path}"].grad for path, _ in cell.named_parameters())]

    def combine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (cell(a, b) + cell(b, a)) / 2

    x.grad = None
    groups = [tree([x[i : i + 1] for i in torch.nonzero(by == g).flatten()], combine, identity[None]) for g in range(6)]
    (torch.cat(groups) * weights).sum().backward()
    for actual, expected in zip(found, (x.grad, identity.grad, *(p.grad for p in cell.parameters())), strict=True):
        assert actual is not None and expected is not None
        np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 9, 17, 1000])
def test_the_number_of_levels_is_logarithmic(rows: int) -> None:
    """Steps of the one loop, as torch takes them; the first is taken also where nothing is to be combined."""
    module = network(WIDE, "x |> aggregate[Gated[4]](by=by)", before=MONOIDS).torch().eval()
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    (loop,) = (m for m in module.modules() if type(m).__name__ == "LoopModule")
    loop.step.register_forward_hook(count)
    module(torch.randn(rows + 9, 4), torch.tensor([0] * rows + list(range(1, 10))), torch.zeros(12))
    assert max(int(np.ceil(np.log2(rows))), 1) == steps


def test_a_monoid_is_one_loop_in_the_graph() -> None:
    net = network(WIDE, "x |> aggregate[Gated[4]](by=by)", before=MONOIDS)
    assert 1 == sum(isinstance(node.op, Loop) for node in net.graph.walk())


@pytest.mark.parametrize(
    ("monoid", "code"),
    [
        ("monoid M(a: float[..], b: float[..]) -> float[..] {\n    a + b\n}", "E0336"),
        ("monoid M(a: float[..]) -> float[..] {\n    identity: 0\n    a\n}", "E0336"),
        (
            "monoid M(a: float[.., D], b: float[.., D]) -> float[.., 2 * D] {\n    identity: 0\n    concat[axis=-1](a, b)\n}",
            "E0214",
        ),
        ("monoid M(a: float[..], b: float[..]) -> float[..] {\n    identity: (0, 0)\n    a + b\n}", "E0214"),
        ("monoid M(a: float[..], b: float[..]) -> float[..] {\n    identity: oh\n    a + b\n}", "E0300"),
        ("block M(a: float[..], b: float[..]) -> float[..] {\n    identity: 0\n    a + b\n}", "E0324"),
    ],
)
def test_what_is_no_monoid_is_named(monoid: str, code: str) -> None:
    refused("(x: f32[E, 4], by: idx[N][E], n: f32[N]) -> f32[N, 4]", "aggregate[M](x, by=by)", code, before=monoid)


@pytest.mark.parametrize(
    ("call", "code"),
    [("(x)", "E0323"), ("(x, x, by=by)", "E0323"), ("(x, by=x)", "E0217"), ("(n, by=by)", "E0207")],
)
def test_what_is_no_fold_is_named(call: str, code: str) -> None:
    header = "(x: f32[E, 4], by: idx[N][E], n: f32[N, 4]) -> f32[N, 4]"
    refused(header, f"aggregate[Gated[4]]{call}", code, before=MONOIDS)


def test_a_monoid_that_nothing_folds_is_looked_through() -> None:
    text = "monoid M(a: float[..], b: float[..]) -> float[..] {\n    identity: oh\n    a + nope\n}"
    session = Session(Source("m.net", text), None, None)
    session.check_all()
    assert ["E0300", "E0300"] == [d.code for d in session.reporter.diagnostics]


CLAIMS = f"""{MONOIDS}
claim Less: ~commutative[within=0.1] & ~associative[within=0.1]
claim Gated: commutative[within=0]
claim Gated[D=5]: ~associative[within=0.01]
claim LogSumExp: commutative[within=0] & associative[within=1e-6]
claim Longest: associative[within=0]
claim Less: commutative
"""


def test_laws_are_claims_that_are_tested_on_every_backend() -> None:
    session = Session(Source("laws.net", CLAIMS), None, None)
    conditions = Conditions(("torch", "onnx"))
    found = [
        (v.network, r.text, r.backend, r.holds)
        for v in verify_session(session, list(session.subjects), {}, conditions)
        for r in v.claims
    ]
    wrong = [row for row in found if not row[3]]
    assert [("Less", "commutative", backend, False) for backend in ("reference", "torch", "onnx")] == wrong
    assert 6 * 3 == len(found)


def test_laws_are_of_monoids() -> None:
    text = "network N(x: f32[B, 4]) -> f32[B, 4] { x }\nclaim N: commutative\nmonoid M(a: f32, b: f32) -> f32 {\n    identity: 0\n    a + b\n}\nclaim M: comutative"
    session = Session(Source("laws.net", text), None, None)
    session.check_all()
    assert ["E0300"] == [d.code for d in session.reporter.diagnostics]
    with pytest.raises(NetError, match="E0370"):
        list(verify_session(session, ["N"], {}, Conditions(())))
