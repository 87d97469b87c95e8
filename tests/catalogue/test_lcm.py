"""Learnable commutative monoids: the peer, order, depth, second largest of a set, and one that is invariant."""

import numpy as np
import pytest
import torch
from torch_geometric.nn import aggr

import netdsl
from tests.catalogue.training import train
from tests.language.nets import network
from tests.specs.catalogue import SPECS

NETS = netdsl.load(SPECS / "graphs" / "lcm.net")
LCM = (SPECS / "graphs" / "lcm.net").read_text("utf-8")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_groups_of_one_size_equal_the_peer(size: int) -> None:
    """Results and gradients; the peer takes sorted groups, which it pads with zeros: here there are none."""
    ours = NETS["LcmAggregation"].torch()
    peer = aggr.LCMAggregation(8, 16)
    names = {f"project.{p}": f"lin.{p}" for p in ("weight", "bias")}
    names |= {f"lcm.f.{p}": f"gru_cell.{p}" for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    theirs = dict(peer.named_parameters())
    ours.load_state_dict({mine: theirs[name].detach() for mine, name in names.items()} | {"lcm.e": torch.zeros(16)})
    by = torch.arange(6).repeat_interleave(size)
    x = torch.randn(6 * size, 8, generator=torch.Generator().manual_seed(size))
    found, expected = ours(x, by, torch.zeros(6)), peer(x, by, dim_size=6)
    np.testing.assert_allclose(found.detach(), expected.detach(), atol=1e-5)
    (found**2).sum().backward()
    (expected**2).sum().backward()
    for mine, p in ours.named_parameters():
        if mine != "lcm.e" and (size > 1 or "project" in mine):
            assert p.grad is not None
            np.testing.assert_allclose(
                p.grad, theirs[names[mine]].grad, atol=1e-5 * max(1.0, float(p.grad.abs().max()))
            )


def test_a_short_group_beside_a_long_one_is_what_it_is_alone() -> None:
    module = NETS["LcmAggregation"].torch().eval()
    x = torch.randn(12, 8, generator=torch.Generator().manual_seed(0))
    by = torch.tensor([1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1])
    alone = module(x[by == 0], torch.zeros(3, dtype=torch.int64), torch.zeros(1))
    np.testing.assert_allclose(alone[0].detach(), module(x, by, torch.zeros(3))[0].detach(), atol=1e-6)


def test_an_untrained_monoid_sees_the_order_of_its_rows() -> None:
    """Commutative it is by construction; the order of three and more rows matters until it is trained not to."""
    net = NETS["LcmAggregation"]
    module = net.torch().eval()
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    pairs, whole = torch.arange(20).repeat_interleave(2), torch.zeros(40, dtype=torch.int64)
    swapped = torch.arange(40).reshape(20, 2).flip(1).flatten()
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(4)
        assert torch.equal(module(x, pairs, torch.zeros(20)), module(x[swapped], pairs, torch.zeros(20)))
        plain, turned = module(x, whole, torch.zeros(1)), module(x.flip(0).roll(1, 0), whole, torch.zeros(1))
    assert float((plain - turned).norm() / plain.norm()) > 0.1


@pytest.mark.parametrize("size", [2**k for k in range(4, 15)])
def test_the_number_of_levels_grows_with_the_logarithm(size: int) -> None:
    """One group among 2^14 rows: the levels are those of the group, not of all rows."""
    module = NETS["LcmAggregation"].torch().eval()
    (loop,) = (m for m in module.modules() if type(m).__name__ == "LoopModule")
    steps = []
    loop.step.register_forward_hook(lambda *_: steps.append(1))
    by = torch.cat([torch.zeros(size, dtype=torch.int64), torch.arange(1, 2**14 - size + 1)])
    with torch.no_grad():
        module(torch.zeros(2**14, 8), by, torch.zeros(2**14 + 1))
    assert np.log2(size) == len(steps)


def test_an_exact_monoid_is_carried_over_from_another() -> None:
    """g⁻¹(g(a) + g(b)) folds to the same in every order."""
    text = "(x: f32[E, 4], by: idx[N][E], n: f32[N]) -> f32[N, 4]"
    module = network(text, "aggregate[Transported](x, by=by)", before=LCM).torch().eval()
    generator = torch.Generator().manual_seed(0)
    x, by = torch.randn(60, 4, generator=generator), torch.randint(0, 5, (60,), generator=generator)
    order = torch.randperm(60, generator=generator)
    plain, turned = module(x, by, torch.zeros(5)), module(x[order], by[order], torch.zeros(5))
    np.testing.assert_allclose(plain, turned, atol=1e-6 * float(plain.abs().max()))


def test_folded_attention_is_softmax_attention() -> None:
    net = network(
        "(logit: f32[E, 1], value: f32[E, D], by: idx[N][E], n: f32[N]) -> f32[N, D]",
        "(softmax(logit, by=by) * value) |> aggregate[sum](by=by)",
    )
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(50, 1, generator=generator) * 20, torch.randn(50, 3, generator=generator)
    more = torch.randint(0, 6, (50,), generator=generator), torch.zeros(7)
    found = NETS["FoldedAttention"].torch().eval()(*given, *more)
    np.testing.assert_allclose(found, net.torch().eval()(*given, *more), atol=1e-6)


def sets(
    generator: torch.Generator, count: int, low: int, high: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Digits, the sets that they belong to, and the second largest of each set."""
    by = torch.arange(count).repeat_interleave(torch.randint(low, high + 1, (count,), generator=generator))
    digits = torch.randint(0, 10, by.shape, generator=generator)
    ranked = (by * 10 + digits).sort().values
    ends = by.bincount().cumsum(0)
    return digits, by, ranked[ends - 2] % 10


def test_a_learned_monoid_reads_longer_sets_than_it_saw() -> None:
    """Second largest of 2 to 8 digits, then of 9 to 32: a sum of learned features does not reach that far."""
    accuracy = {}
    for name in ("SetReader", "SumReader"):
        module = NETS[name].torch(seed=0)

        def loss(generator: torch.Generator, module: torch.nn.Module = module) -> torch.Tensor:
            digits, by, target = sets(generator, 64, 2, 8)
            return torch.nn.functional.cross_entropy(module(digits, by, torch.zeros(64)), target)

        train(module.parameters(), loss, steps=400, rate=3e-3, seed=1, decay=True)
        digits, by, target = sets(torch.Generator().manual_seed(7), 400, 9, 32)
        with torch.no_grad():
            found = module(digits, by, torch.zeros(400)).argmax(-1)
        accuracy[name] = float((found == target).float().mean())
    assert accuracy["SetReader"] > 0.75 > 0.5 > accuracy["SumReader"]
