"""One seed is one set of weights: in the torch module, in the ONNX file, in safetensors and where claims are verified."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

import netdsl
from netdsl.agreement import Conditions
from tests.cli.conftest import Run, run  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[2]
#: Specs whose weights stand one by one in the ONNX file, with statics that make them small.
SPECS = {
    "vision/vit_tiny.net": ("ViTTiny", {"depth": 2, "classes": 7}),
    "vision/lenet5.net": ("LeNet5", {}),
    "text/gpt2.net": ("Gpt2", {"vocab": 50, "D": 24, "layers": 2, "heads": 2, "positions": 16}),
}


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("spec", SPECS)
def test_a_seed_gives_every_backend_the_same_bits(run: Run, spec: str, seed: int) -> None:  # noqa: F811
    name, statics = SPECS[spec]
    path = ROOT / "specs" / spec
    settings = [part for key, value in statics.items() for part in ("--set", f"{key}={value}")]
    run("build", path, "--seed", seed, "-o", "n.onnx", "--save-weights", "w.safetensors", *settings, code=0)

    net = netdsl.load(path, **statics)[name]
    verified = Conditions((), seed, is_initial=True).weights(net.graph)
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load("n.onnx").graph.initializer}
    saved, state = load_file("w.safetensors"), net.torch(seed=seed).state_dict()
    assert set(saved) == set(state) == set(verified)
    for key, value in verified.items():
        own = stored[key] if key in stored else stored[f"{key}.transposed"].T
        for found in (own, saved[key], state[key].numpy(), net.weights(seed=seed)[key]):
            assert (found.dtype, found.shape) == (value.dtype, value.shape) and found.tobytes() == value.tobytes(), key
    other = Conditions((), seed + 1, is_initial=True).weights(net.graph)
    assert any(np.any(other[key] != value) for key, value in verified.items())
