"""Aggregators against PyTorch Geometric: results and gradients within 1e-5, empty groups included."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.nn import aggr

import netdsl

#: Group 2 and the last two have no rows; group 1 has one.
BY = torch.tensor([4, 0, 0, 3, 4, 4, 0, 3, 1, 4, 3, 3, 0, 4])
GROUPS, WIDTH = 7, 6


@dataclass(frozen=True)
class Case:
    """An aggregator beside its peer.

    Args:
        text:  in the brackets of `aggregate`; `out` is the width of its result.
        names: the peer's path of each of our parameters.
        is_sorted: the peer takes sorted groups only.
    """

    text: str
    peer: Callable[[], Any]
    out: int = WIDTH
    names: dict[str, str] | None = None
    is_sorted: bool = False


#: Of the training data; the peer holds the means in f32.
HISTOGRAM = torch.tensor([0, 0, 0, 4])
_DEGREES = torch.arange(HISTOGRAM.numel(), dtype=torch.float32).repeat_interleave(HISTOGRAM)
LINEAR, LOG = float(_DEGREES.mean()), float((_DEGREES + 1).log().mean())
SCALERS = f"[unscaled, amplification[{LOG}], attenuation[{LOG}], linear[{LINEAR}], inverse_linear[{LINEAR}]]"
_LSTM = {f"cell.{p}": f"lstm.{p}_l0" for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
CASES = {
    **{
        name: Case(name, peer)
        for name, peer in {
            "sum": aggr.SumAggregation,
            "mean": aggr.MeanAggregation,
            "max": aggr.MaxAggregation,
            "min": aggr.MinAggregation,
            "prod": aggr.MulAggregation,
            "var": aggr.VarAggregation,
            "std": aggr.StdAggregation,
            "median": aggr.MedianAggregation,
            "softmax": aggr.SoftmaxAggregation,
        }.items()
    },
    "softmax of a temperature": Case("softmax[0.3]", lambda: aggr.SoftmaxAggregation(0.3)),
    "powermean": Case("powermean[2.5]", lambda: aggr.PowerMeanAggregation(2.5)),
    **{f"quantile {q}": Case(f"quantile[{q}]", lambda q=q: aggr.QuantileAggregation(q)) for q in (0.0, 0.25, 0.5, 1.0)},
    "sort": Case("sort[3]", lambda: aggr.SortAggregation(3), 3 * WIDTH, is_sorted=True),
    "attention": Case(
        "attention[Linear[1]]",
        lambda: aggr.AttentionalAggregation(nn.Linear(WIDTH, 1)),
        names={"gate.weight": "gate_nn.weight", "gate.bias": "gate_nn.bias"},
    ),
    "attention by features": Case(
        "attention[Linear[5], Linear[5]]",
        lambda: aggr.AttentionalAggregation(nn.Linear(WIDTH, 5), nn.Linear(WIDTH, 5)),
        5,
        {f"{a}.{p}": f"{b}.{p}" for a, b in (("gate", "gate_nn"), ("map", "nn")) for p in ("weight", "bias")},
    ),
    "deepsets": Case(
        "deepsets[Linear[5], Linear[4]]",
        lambda: aggr.DeepSetsAggregation(nn.Linear(WIDTH, 5), nn.Linear(5, 4)),
        4,
        {
            f"{a}.{p}": f"{b}.{p}"
            for a, b in (("each_row", "local_nn"), ("whole", "global_nn"))
            for p in ("weight", "bias")
        },
    ),
    "set2set": Case(
        "set2set[3]",
        lambda: aggr.Set2Set(WIDTH, 3),
        2 * WIDTH,
        _LSTM,
    ),
    "PNA": Case(
        f"pna[[mean, min, std], {SCALERS}]",
        lambda: aggr.DegreeScalerAggregation(
            ["mean", "min", "std"],
            ["identity", "amplification", "attenuation", "linear", "inverse_linear"],
            HISTOGRAM,
        ),
        15 * WIDTH,
    ),
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def modules(case: Case, dtype: torch.dtype) -> tuple[Any, Any]:
    """Ours and the peer, with the same weights."""
    kind = "f32" if dtype == torch.float32 else "f64"
    text = f"x: {kind}[E, {WIDTH}], by: idx[N][E], nodes: {kind}[N]) -> {kind}[N, {case.out}]"
    net = netdsl.load(f"network T({text} {{\n    x |> aggregate[{case.text}](by=by) as a\n}}\n")["T"]
    torch.manual_seed(0)
    ours, peer = net.torch(), case.peer().to(dtype)
    if case.names is not None:
        theirs = peer.state_dict()
        ours.load_state_dict({f"a.{mine}": theirs[name] for mine, name in case.names.items()})
    return ours, peer


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_aggregator_equals_its_peer(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    ours, peer = modules(case, dtype)
    by = BY.sort().values if case.is_sorted else BY
    rng = np.random.default_rng(3)
    rows = torch.from_numpy(rng.normal(size=(BY.numel(), WIDTH))).to(dtype)
    weights = torch.from_numpy(rng.normal(size=(GROUPS, case.out))).to(dtype)
    found = []
    for module, more in ((ours, (by, torch.zeros(GROUPS, dtype=dtype))), (peer, (by, None, GROUPS))):
        x = rows.clone().requires_grad_()
        result = module(x, *more)
        if name == "powermean":  # a group without rows gives 0 here, and the lower bound of the rows there
            result = result * (by.bincount(minlength=GROUPS) > 0)[:, None]
        (result * weights).sum().backward()
        found.append([result.detach(), x.grad, *(p.grad for _, p in sorted(_renamed(case, module)))])
    for actual, expected in zip(*found, strict=True):
        scale = max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale)


def _renamed(case: Case, module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Parameters under the peer's paths."""
    names = {f"a.{mine}": theirs for mine, theirs in (case.names or {}).items()}
    return [(names.get(path, path), p) for path, p in module.named_parameters()]


def test_an_lstm_reads_the_rows_of_each_group_in_their_order() -> None:
    """The peer pads groups with zeros and reads on; where groups are of one size it does not."""
    case = Case("lstm[5]", lambda: aggr.LSTMAggregation(WIDTH, 5), 5, _LSTM)
    ours, peer = modules(case, torch.float64)
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.normal(size=(BY.numel(), WIDTH))).requires_grad_()
    found = ours(x, BY, torch.zeros(GROUPS, dtype=torch.float64))
    found.sum().backward()
    actual = [found.detach(), x.grad]
    x.grad = None
    alone = [peer(x[g == BY], torch.zeros(int((g == BY).sum()), dtype=torch.int64)) for g in range(GROUPS) if g in BY]
    sum(a.sum() for a in alone).backward()
    expected = torch.zeros(GROUPS, 5, dtype=torch.float64)
    expected[BY.unique()] = torch.cat(alone).detach()
    for got, wanted in zip(actual, (expected, x.grad), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)
