"""Networks that select their basis: the pooled sum, what is left when it is committed, and that selection finds the right family."""

from pathlib import Path

import numpy as np
import pytest
import torch

import netdsl
from netdsl.api import Network

SPEC = netdsl.load(Path(__file__).parents[2] / "specs" / "kan" / "skan.net")
SIZES = (9, 9, 5, 3)


def committed(
    net: Network, one: tuple[int, ...], two: tuple[int, ...]
) -> tuple[Network, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The network with these options, its weights, and the weights that chose them."""
    values = net.weights(seed=0)
    values["one.choose.scores"] = 60 * np.eye(4, dtype=np.float32)[list(one)]
    values["two.choose.scores"] = 60 * np.eye(4, dtype=np.float32)[list(two)]
    small, kept = net.commit(values)
    return small, kept, values


@pytest.mark.parametrize("one", [(0, 1, 2, 3, 0), (3, 3, 3, 3, 3), (2, 1, 2, 1, 2)])
def test_one_basis_is_left_for_each_node(one: tuple[int, ...]) -> None:
    small, kept, values = committed(SPEC["SKan"], one, (2,))
    assert sum(2 * SIZES[k] for k in one) + 5 * SIZES[2] == small.param_count
    assert () == small.graph.choices
    layers = [row for row in small.graph.instances if row.block == "edges" and row.path.startswith("one")]
    assert len(set(one)) == len(layers)
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    expected = SPEC["SKan"].reference({"x": x}, weights=values)["y"]
    np.testing.assert_allclose(small.reference({"x": x}, weights=kept)["y"], expected, atol=1e-6)


def test_the_committed_network_is_exported(tmp_path: Path) -> None:
    small, kept, _ = committed(SPEC["SKan"], (0, 1, 2, 3, 0), (1,))
    small.onnx(tmp_path / "small.onnx", weights=kept)
    assert (tmp_path / "small.onnx").stat().st_size > 0


#: Single numbers in, one out: each target suits one family of the pool.
TARGETS = {
    "kink": lambda x: np.abs(x - 0.1),
    "packet": lambda x: np.exp(-0.5 * (6 * x) ** 2) * (1 - (6 * x) ** 2),
    "wave": lambda x: np.cos(8 * x),
}
TEXT = """
import std.edges: BSpline, Chebyshev, Morlet, Rbf
edge Pool(x: float) -> float {{ choose[BSpline[grid=12], Chebyshev[3], Rbf[4], mode=soft](x) }}
edge First(x: float) -> float {{ BSpline[grid=12](x) }}
edge Second(x: float) -> float {{ Chebyshev[3](x) }}
edge Third(x: float) -> float {{ Rbf[4](x) }}
network N(x: f32[B, 1]) -> y: f32[B, 1] {{ x |> edges[1, {edge}] as phi }}
"""


def fitted(
    net: Network, x: np.ndarray, y: np.ndarray, seed: int, steps: int = 300
) -> tuple[float, dict[str, np.ndarray]]:
    """Root mean square error on the data after Adam, and the weights."""
    module = net.torch(seed=seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.mean((module(inputs) - wanted) ** 2)
        loss.backward()
        optimizer.step()
    weights = {k: v.detach().numpy() for k, v in module.state_dict().items()}
    return float(loss.detach()) ** 0.5, weights


@pytest.mark.parametrize("target", TARGETS)
def test_selection_finds_a_family_that_fits(target: str) -> None:
    x = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    y = TARGETS[target](x).astype(np.float32)
    singles = [fitted(netdsl.load(TEXT.format(edge=edge))["N"], x, y, 0)[0] for edge in ("First", "Second", "Third")]
    net = netdsl.load(TEXT.format(edge="Pool"))["N"]
    _, weights = fitted(net, x, y, 0)
    small, kept = net.commit(weights)
    module = small.torch(weights=kept)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.mean((module(torch.from_numpy(x)) - torch.from_numpy(y)) ** 2)
        loss.backward()
        optimizer.step()
    pooled = float(loss.detach()) ** 0.5
    assert pooled <= 1.1 * min(singles) or pooled < 1e-3, (pooled, singles)
    if target == "wave":
        assert pooled <= 0.5 * max(singles), (pooled, singles)
