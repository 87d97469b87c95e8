"""Running statistics and dropout against torch.nn, in training and in evaluation."""

import pytest
import torch
from torch import nn

from tests.parity.torch_nn_case import DTYPES, Case, assert_near, compare, copy_weights, network

NORMS = {
    "BatchNorm1d": ("x: f32[B, 5] -> f32[B, 5]", lambda: nn.BatchNorm1d(5), ((7, 5), (2, 5), (16, 5))),
    "BatchNorm2d": (
        "x: f32[B, 5, H, W] -> f32[B, 5, H, W]",
        lambda: nn.BatchNorm2d(5),
        ((3, 5, 4, 6), (1, 5, 2, 1), (2, 5, 7, 3)),
    ),
    "BatchNorm3d": (
        "x: f32[B, 5, D, H, W] -> f32[B, 5, D, H, W]",
        lambda: nn.BatchNorm3d(5),
        ((3, 5, 2, 4, 3), (1, 5, 1, 2, 1), (2, 5, 3, 1, 2)),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMS)
def test_batch_norm_trains_and_evaluates_as_its_peer(name: str, dtype: torch.dtype) -> None:
    header, make, shapes = NORMS[name]
    case = Case(f"{header} = x |> {name}", make, ())
    module, peer = case.module(dtype), make().to(dtype)
    copy_weights(peer, module, {})
    for shape in shapes:
        step = Case(case.text, make, (shape,))
        compare(step, dtype, train=True, module=module, peer=peer)
        compare(step, dtype, train=False, module=module, peer=peer)
    for name, tensor in peer.state_dict().items():
        if name != "num_batches_tracked":
            (ours,) = (t for path, t in module.state_dict().items() if path.endswith(f".{name}"))
            assert_near(ours, tensor, name)


def test_batch_norm_takes_its_momentum_and_eps() -> None:
    text = "x: f32[B, 5] -> f32[B, 5] = x |> BatchNorm1d[momentum=0.3, eps=0.1]"
    case = Case(text, lambda: nn.BatchNorm1d(5, eps=0.1, momentum=0.3), ((6, 5),))
    for train in (True, False):
        compare(case, torch.float64, train=train)


def test_a_shared_norm_called_twice_counts_both_calls() -> None:
    body = "let norm = BatchNorm1d\n    a = norm(x)\n    b = norm(y * 3)"
    text = f"x: f32[B, 5], y: f32[B, 5] -> (a: f32[B, 5], b: f32[B, 5]) = {body}"
    case = Case(text, lambda: nn.BatchNorm1d(5), ((6, 5), (6, 5)), call=lambda peer, x, y: (peer(x), peer(y * 3)))
    module, peer = case.module(torch.float64), case.peer().double()
    copy_weights(peer, module, {})
    for _ in range(3):
        compare(case, torch.float64, train=True, module=module, peer=peer)
    assert_near(module.state_dict()["norm.running_mean"], peer.running_mean, "the mean")
    assert_near(module.state_dict()["norm.running_var"], peer.running_var, "the variance")
    compare(case, torch.float64, train=False, module=module, peer=peer)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_dropout_is_its_peer(p: float) -> None:
    module = network(f"x: f32[B, N] -> f32[B, N] = x |> Dropout[{p}]").torch()
    x = torch.rand(200, 300) + 1
    torch.manual_seed(7)
    expected = nn.Dropout(p)(x)
    torch.manual_seed(7)
    actual = module(x)
    kept = actual != 0
    torch.testing.assert_close(actual[kept], (x / (1 - p))[kept])
    assert abs(float(kept.double().mean()) - (1 - p)) < 4 * (p * (1 - p) / x.numel()) ** 0.5 + 1e-9
    assert abs(float(kept.double().mean()) - float((expected != 0).double().mean())) < 0.01
    torch.manual_seed(7)
    assert torch.equal(actual, module(x))
    torch.manual_seed(8)
    assert p == 0.0 or not torch.equal(actual, module(x))
    assert torch.equal(x, module.eval()(x))
