"""Modules of the specs are ordinary torch modules: copied, moved, saved, trained, and strict about their arguments."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from netdsl.backends.torch_fx.entry_checks import InputError
from netdsl.sampling import sample_sizes
from netdsl.tolerance import TOLERANCES
from tests.specs.catalogue import CATALOGUE, reduced
from tests.specs.torch_calls import flat, module_of, moved_to, tensors
from tests.std.three_way import stored_weights

#: Specs with numbers for results: indices have no float type and no gradient.
MEASURED = [name for name, spec in CATALOGUE.items() if not spec.decides]
#: Specs with something to train: losses and formulas have no parameters.
TRAINED = [name for name in MEASURED if CATALOGUE[name].param_count]


def some_sizes(name: str) -> dict[str, int]:
    graph = reduced(name).graph
    return sample_sizes(graph, 3)


def error(expected: torch.Tensor, actual: torch.Tensor) -> float:
    """Largest difference beside the largest magnitude."""
    wanted = expected.detach().double()
    return float((wanted - actual.detach().double()).abs().max() / wanted.abs().max().clamp_min(1e-6))


@pytest.mark.parametrize("name", CATALOGUE)
def test_keys_are_paths_and_survive_a_file(name: str, tmp_path: Path) -> None:
    net = reduced(name)
    module = module_of(net)
    paths = {p.path for p in net.graph.params}
    assert paths == set(module.state_dict())
    assert {p.path for p in net.graph.params if p.kind == "param"} == {n for n, _ in module.named_parameters()}
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    other = net.torch(seed=9)
    other.load_state_dict(load_file(tmp_path / "w.safetensors"))
    given = tensors(net, some_sizes(name))
    for a, e in zip(flat(other.eval()(*given)), flat(module.eval()(*given)), strict=True):
        assert torch.equal(e, a)
    for a, e in zip(
        flat(net.torch(weights=tmp_path / "w.safetensors").eval()(*given)), flat(module(*given)), strict=True
    ):
        assert torch.equal(e, a)


@pytest.mark.parametrize("name", TRAINED)
def test_a_copy_is_its_own(name: str) -> None:
    net = reduced(name)
    module = module_of(net).eval()
    other = copy.deepcopy(module)
    given = tensors(net, some_sizes(name))
    before = flat(module(*given))
    for a, e in zip(flat(other(*given)), before, strict=True):
        assert torch.equal(e, a)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    assert any(not torch.equal(a, e) for a, e in zip(flat(other(*given)), before, strict=True))
    assert all(torch.equal(a, e) for a, e in zip(flat(module(*given)), before, strict=True))


#: Products of products, whose values leave the range of the type.
OVERFLOWS = {("QuadraticResNet20", torch.float16)}
#: Relative error that rounding of every step may add up to, beside the double module.
CLOSE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1.5e-1}


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", MEASURED)
def test_a_moved_module_stays_close(name: str, dtype: torch.dtype) -> None:
    if (name, dtype) in OVERFLOWS:
        pytest.skip("its values leave the range of the type")
    net = reduced(name)
    given = tensors(net, some_sizes(name))
    exact = flat(module_of(net).eval().double()(*moved_to(torch.float64, given)))
    moved = module_of(net).eval().to(dtype)
    results = flat(moved(*moved_to(dtype, given)))
    for a, e in zip(results, exact, strict=True):
        assert dtype == a.dtype and torch.float64 == e.dtype
        assert error(e, a) <= CLOSE[dtype]
    assert all(p.dtype == dtype for p in moved.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_a_moved_module_trains(name: str) -> None:
    net = reduced(name)
    module = module_of(net).to(torch.bfloat16).train()
    given = tensors(net, some_sizes(name))
    results = flat(module(*moved_to(torch.bfloat16, given)))
    torch.stack([r.float().square().mean() for r in results]).sum().backward()
    for path, parameter in module.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), path


#: Generators of large networks move slowly.
STEPS = {"NeuMeta": 100}
#: What cannot fit any number: probabilities of sequences, nodes that share their hyperedges, places that move by little.
BOUND = ("Taught", "Hgnn", "HgnnPlus", "EgnnNet")


@pytest.mark.parametrize("name", [name for name in TRAINED if not name.endswith(BOUND)])
def test_a_few_steps_lower_the_loss(name: str) -> None:
    torch.manual_seed(0)
    net = reduced(name)
    module = net.torch(seed=0)
    assert module.training
    given = tensors(net, some_sizes(name))
    targets = [torch.randn_like(r).tanh() / 2 for r in flat(module(*given))]
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    losses = []
    for _ in range(STEPS.get(name, 25)):
        optimizer.zero_grad()
        results = flat(module(*given))
        loss = torch.stack([nn.functional.mse_loss(r, t) for r, t in zip(results, targets, strict=True)]).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.9 * losses[0]


@pytest.mark.parametrize("name", ["DigitsCnn", "ResNet18", "MobileNetV2", "UNet"])
def test_modes_differ_where_statistics_or_dropout_do(name: str) -> None:
    net = reduced(name)
    module = module_of(net)
    given = tensors(net, some_sizes(name))
    state = {k: v.clone() for k, v in module.state_dict().items()}
    evaluated = module.eval()(*given)
    assert torch.equal(evaluated, module(*given))
    assert all(torch.equal(v, module.state_dict()[k]) for k, v in state.items())
    trained = module.train()(*given)
    assert not torch.equal(evaluated, trained)
    moved = [k for k, v in state.items() if not torch.equal(v, module.state_dict()[k])]
    assert moved == [k for k in state if "running" in k]
    assert not torch.equal(evaluated, module.eval()(*given))


def test_outputs_are_named_in_order() -> None:
    module = reduced("Bert").torch()
    assert ("states", "pooled") == module.output_names
    states, pooled = module(*tensors(reduced("Bert"), {"B": 2, "T": 3}))
    assert [(2, 3, 16), (2, 16)] == [tuple(states.shape), tuple(pooled.shape)]
    assert ("logits",) == reduced("Tagger").torch().output_names


def test_arguments_go_by_name_too() -> None:
    module = reduced("Tagger").torch().eval()
    ids, length = tensors(reduced("Tagger"), {"B": 2, "T": 3})
    assert torch.equal(module(ids, length), module(length=length, ids=ids))


I64 = torch.int64
REFUSED = [
    ("ViTTiny", [torch.zeros(2, 3, 224)], "`image` is f32[B, 3, 224, 224], found f32[2, 3, 224]: 4 axes, found 3"),
    (
        "ViTTiny",
        [torch.zeros(2, 3, 224, 200)],
        "`image` is f32[B, 3, 224, 224], found f32[2, 3, 224, 200]: axis 3 is 224, found 200",
    ),
    ("ViTTiny", [torch.zeros(2, 3, 224, 224).double()], "`image` is f32[B, 3, 224, 224], found f64[2, 3, 224, 224]"),
    ("Gpt2", [torch.zeros(2, 5)], "`ids` is idx[23][B, T], found f32[2, 5]"),
    ("Gpt2", [torch.full((2, 5), 23)], "`ids` holds indices below 23, found 23"),
    ("Gpt2", [torch.full((2, 5), -1)], "`ids` holds indices below 23, found -1"),
    ("Gpt2", [torch.zeros(2, 41, dtype=I64)], "the network needs `T <= 40`, found T = 41"),
    ("Gpt2", [torch.zeros(2, 0, dtype=I64)], "the network needs `T >= 1`, found T = 0"),
    (
        "Bert",
        [torch.zeros(2, 5, dtype=I64), torch.zeros(2, 6, dtype=I64), torch.ones(2, 5, dtype=torch.bool)],
        "`segments` is idx[2][B, T], found i64[2, 6]: axis 1 is T = 5, found 6",
    ),
    ("UNet", [torch.zeros(1, 3, 20, 32)], "the network needs `H % 16 == 0`, found H = 20"),
    ("Classifier", [[0.0] * 784], "`x` is f32[B, 784], found something that is no tensor"),
]


@pytest.mark.parametrize(("name", "given", "message"), REFUSED, ids=[f"{n} {i}" for i, (n, _, _) in enumerate(REFUSED)])
def test_arguments_are_checked_in_the_words_of_the_header(name: str, given: list[torch.Tensor], message: str) -> None:
    module = reduced(name).torch()
    for mode in (True, False):
        with pytest.raises(InputError) as caught:
            module.train(mode)(*given)
        assert message == str(caught.value)


def test_weights_that_were_trained_reach_onnx(tmp_path: Path) -> None:
    import onnxruntime

    net = reduced("DigitsCnn")
    module = module_of(net)
    for _ in range(3):
        module(torch.randn(5, 1, 8, 8))
    report = net.onnx(tmp_path / "n.onnx", weights=module)
    session = onnxruntime.InferenceSession(str(report.path), providers=["CPUExecutionProvider"])
    x = torch.randn(4, 1, 8, 8)
    (found,) = session.run(None, {"image": x.numpy()})
    expected = module.eval()(x).detach().numpy()
    relative, absolute = TOLERANCES["f32"]
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute * max(1.0, np.abs(expected).max()))


def test_weights_in_hand_are_not_shared_with_the_module() -> None:
    net = reduced("Classifier")
    weights = stored_weights(net.graph)
    module = net.torch(weights=weights)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert all(value.any() for value in weights.values())
