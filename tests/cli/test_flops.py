"""`Network.flops` counts what `torch.utils.flop_counter` counts."""

from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import netdsl
from netdsl.agreement import chosen_sizes
from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.sampling import sample_inputs

SPECS = Path(__file__).parents[2] / "specs"
#: File, statics that make it small, and sizes.
CASES = {
    "mlp": ("tabular/mlp.net", {}, {"B": 3}),
    "lenet5": ("vision/lenet5.net", {}, {"B": 2}),
    "digits_cnn": ("vision/digits_cnn.net", {}, {"B": 2}),
    "resnet18": ("vision/resnet18.net", {}, {"B": 1, "H": 65, "W": 48}),
    "mobilenet_v2": ("vision/mobilenet_v2.net", {}, {"B": 1, "H": 32, "W": 40}),
    "unet": ("vision/unet.net", {"width": 8}, {"B": 1, "H": 32, "W": 32}),
    "vit_tiny": ("vision/vit_tiny.net", {"depth": 2}, {"B": 2}),
    "bert": ("text/bert.net", {"layers": 1, "D": 64, "ffn": 128, "heads": 4}, {"B": 2, "T": 5}),
    "gpt2": ("text/gpt2.net", {"layers": 1, "D": 64, "heads": 4, "vocab": 100}, {"B": 2, "T": 7}),
    "tagger": ("text/tagger.net", {"vocab": 50}, {"B": 2, "T": 5}),
    "neural_field": ("fields/neural_field.net", {}, {"N": 11}),
}


@pytest.mark.parametrize("name", CASES)
def test_flops_equal_those_of_torch(name: str) -> None:
    path, statics, sizes = CASES[name]
    module = netdsl.load(SPECS / path, **statics)
    network = module[next(iter(module))]
    graph = network.graph
    known = {n: size for n, size in sizes.items() if n in graph.free_dims}
    assert known == sizes and graph.facts.satisfies(sizes), (graph.free_dims, chosen_sizes(graph, 0))
    arrays = sample_inputs(graph, sizes)
    if "length" in arrays:
        arrays["length"][:] = sizes["T"]  # shorter rows cost torch less; ours is what a call can cost
    inputs = [torch.from_numpy(arrays[n]).to(torch_dtype(v.type.dtype)) for n, v in graph.inputs]
    model = network.torch().eval()
    # the counter passes by the CPU's fused attention and recurrences
    plain = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
    with plain[0], plain[1], FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    assert counter.get_total_flops() == network.flops(**sizes)
