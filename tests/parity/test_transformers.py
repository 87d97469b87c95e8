"""Parity with networks that were written elsewhere: Hugging Face transformers, random weights, no downloads.

Logits agree within 1e-4 in torch and in ONNX Runtime at batch 1, 3 and 8 and at three sequence lengths.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import transformers

import netdsl
from netdsl.backends.onnx.model import build_model
from netdsl.rename import read_map

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Case:
    """One network: its peer, its spec, its statics, and its inputs by batch (and length)."""

    peer: Callable[[], torch.nn.Module]
    spec: str
    network: str
    rename: str
    inputs: Callable[[int, int], dict[str, np.ndarray]]
    call: Callable[[torch.nn.Module, dict[str, torch.Tensor]], dict[str, torch.Tensor]]
    statics: dict[str, Any] = field(default_factory=dict)
    lengths: tuple[int, ...] = (0,)


def _image(side: int, rng: np.random.Generator, batch: int) -> dict[str, np.ndarray]:
    return {"image": rng.standard_normal((batch, 3, side, side)).astype(np.float32)}


def _logits(model: torch.nn.Module, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"logits": model(pixel_values=x["image"]).logits}


def _ids(vocab: int, batch: int, length: int) -> dict[str, np.ndarray]:
    return {"ids": np.random.default_rng(batch * 100 + length).integers(0, vocab, (batch, length))}


def vit(width: int, depth: int, heads: int, classes: int) -> Case:
    def peer() -> torch.nn.Module:
        config = transformers.ViTConfig(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            num_labels=classes,
            layer_norm_eps=1e-6,
        )
        config._attn_implementation = "eager"
        return transformers.ViTForImageClassification(config)

    return Case(
        peer,
        "vision/vit_tiny.net",
        "ViTTiny",
        "vit_transformers.toml",
        lambda batch, _: _image(224, np.random.default_rng(batch), batch),
        _logits,
        {"D": width, "depth": depth, "heads": heads, "classes": classes},
    )


def resnet(widths: list[int], classes: int, side: int) -> Case:
    def peer() -> torch.nn.Module:
        config = transformers.ResNetConfig(
            embedding_size=widths[0], hidden_sizes=widths, depths=[2, 2, 2, 2], layer_type="basic", num_labels=classes
        )
        return transformers.ResNetForImageClassification(config)

    return Case(
        peer,
        "vision/resnet18.net",
        "ResNet18",
        "resnet_transformers.toml",
        lambda batch, _: _image(side, np.random.default_rng(batch), batch),
        _logits,
        {"stages": [(w, 1 if i == 0 else 2) for i, w in enumerate(widths)], "classes": classes},
    )


def mobilenet(width: float, classes: int, side: int) -> Case:
    def peer() -> torch.nn.Module:
        config = transformers.MobileNetV2Config(
            depth_multiplier=width, tf_padding=False, num_labels=classes, layer_norm_eps=1e-5, finegrained_output=True
        )
        return transformers.MobileNetV2ForImageClassification(config)

    return Case(
        peer,
        "vision/mobilenet_v2.net",
        "MobileNetV2",
        "mobilenet_v2_transformers.toml",
        lambda batch, _: _image(side, np.random.default_rng(batch), batch),
        _logits,
        {"width": width, "classes": classes},
    )


def bert(vocab: int, width: int, depth: int, heads: int, ffn: int, lengths: tuple[int, ...]) -> Case:
    def peer() -> torch.nn.Module:
        config = transformers.BertConfig(
            vocab_size=vocab,
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=ffn,
        )
        config._attn_implementation = "eager"
        return transformers.BertModel(config)

    def inputs(batch: int, length: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch * 100 + length)
        mask = rng.random((batch, length)) < 0.8
        mask[:, 0] = True
        return {**_ids(vocab, batch, length), "segments": rng.integers(0, 2, (batch, length)), "mask": mask}

    def call(model: torch.nn.Module, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = model(input_ids=x["ids"], token_type_ids=x["segments"], attention_mask=x["mask"].long())
        return {"states": found.last_hidden_state, "pooled": found.pooler_output}

    statics = {"vocab": vocab, "D": width, "layers": depth, "heads": heads, "ffn": ffn}
    return Case(peer, "text/bert.net", "Bert", "bert_transformers.toml", inputs, call, statics, lengths)


def gpt2(vocab: int, width: int, depth: int, heads: int, lengths: tuple[int, ...]) -> Case:
    def peer() -> torch.nn.Module:
        config = transformers.GPT2Config(
            vocab_size=vocab, n_embd=width, n_layer=depth, n_head=heads, bos_token_id=0, eos_token_id=0
        )
        config._attn_implementation = "eager"
        return transformers.GPT2LMHeadModel(config)

    return Case(
        peer,
        "text/gpt2.net",
        "Gpt2",
        "gpt2_transformers.toml",
        lambda batch, length: _ids(vocab, batch, length),
        lambda model, x: {"logits": model(input_ids=x["ids"]).logits},
        {"vocab": vocab, "D": width, "layers": depth, "heads": heads},
        lengths,
    )


SMALL = {
    "resnet": resnet([8, 16, 24, 32], 10, 64),
    "mobilenet_v2": mobilenet(0.5, 10, 64),
    "vit": vit(48, 3, 3, 10),
    "bert": bert(99, 48, 2, 4, 96, (1, 7, 33)),
    "gpt2": gpt2(99, 48, 2, 4, (1, 7, 33)),
}
PUBLISHED = {
    "resnet": resnet([64, 128, 256, 512], 1000, 224),
    "mobilenet_v2": mobilenet(1.0, 1000, 224),
    "vit": vit(192, 12, 3, 1000),
    "bert": bert(30522, 768, 12, 12, 3072, (1, 17, 128)),
    "gpt2": gpt2(50257, 768, 12, 12, (1, 17, 128)),
}


def _randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Weights and running statistics that are far from their initial zeros and ones."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.3 * noise.abs())
            elif tensor.dim() < 2:
                tensor.add_(0.1 * noise)
            else:
                tensor.copy_(noise / max(tensor[0].numel(), 1) ** 0.5)
    return model.eval()


def check(case: Case) -> None:
    peer = _randomised(case.peer())
    network = netdsl.load(SPECS / case.spec, **case.statics)[case.network]
    theirs = {k: v.numpy() for k, v in peer.state_dict().items()}
    mapping = read_map(SPECS / "weights" / case.rename)
    weights = mapping.load(theirs)
    module = network.torch(weights=weights).eval()
    back = mapping.save(weights)
    assert all(np.array_equal(theirs[name], value) for name, value in back.items()), (
        "the rename map is not undone by itself"
    )
    model = build_model(network.graph, network.weights(weights))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for batch in (1, 3, 8):
        for length in case.lengths:
            inputs = case.inputs(batch, length)
            tensors = {k: torch.from_numpy(v) for k, v in inputs.items()}
            with torch.no_grad():
                expected = {k: v.numpy() for k, v in case.call(peer, tensors).items()}
                found = module(*tensors.values())
            outputs = found if isinstance(found, tuple) else (found,)
            ran = session.run(None, inputs)
            for name, in_torch, in_onnx in zip((n for n, _ in network.graph.outputs), outputs, ran, strict=True):
                scale = max(1.0, float(np.abs(expected[name]).max()))
                assert np.abs(expected[name] - in_torch.numpy()).max() <= TOLERANCE * scale, (
                    name,
                    batch,
                    length,
                    "torch",
                )
                assert np.abs(expected[name] - in_onnx).max() <= TOLERANCE * scale, (
                    name,
                    batch,
                    length,
                    "ONNX Runtime",
                )


@pytest.mark.parametrize("name", SMALL)
def test_reduced_width_agrees(name: str) -> None:
    check(SMALL[name])


@pytest.mark.long
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_size_agrees(name: str) -> None:
    check(PUBLISHED[name])
