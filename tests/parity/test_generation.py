"""GPT-2's continuation, with carried keys and values, is that of transformers' `generate`, token by token."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import transformers

import netdsl
from netdsl.rename import read_map

SPECS = Path(__file__).parents[2] / "specs"
NEW = 64


def peer(vocab: int, width: int, depth: int, heads: int) -> transformers.GPT2LMHeadModel:
    """Random weights under which texts do not repeat themselves."""
    config = transformers.GPT2Config(
        vocab_size=vocab, n_embd=width, n_layer=depth, n_head=heads, bos_token_id=0, eos_token_id=None
    )
    config._attn_implementation = "eager"
    model = transformers.GPT2LMHeadModel(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            scale = 8 if ".wpe." in name else 2
            tensor.copy_(scale * noise / tensor[0].numel() ** 0.5 if tensor.dim() == 2 else tensor + 0.1 * noise)
    return model.eval()


def gap(model: transformers.GPT2LMHeadModel, text: torch.Tensor, new: torch.Tensor) -> np.ndarray:
    """How far the best token is ahead of the second at each new place."""
    with torch.no_grad():
        logits = model(input_ids=torch.cat([text, new], 1)).logits[:, text.shape[1] - 1 : -1]
    best = logits.topk(2).values
    return (best[..., 0] - best[..., 1]).numpy()


def check(folder: Path, vocab: int, width: int, depth: int, heads: int, lengths: tuple[int, ...]) -> None:
    model = peer(vocab, width, depth, heads)
    statics = {"vocab": vocab, "D": width, "layers": depth, "heads": heads, "new": NEW}
    network = netdsl.load(SPECS / "text" / "gpt2_continued.net")["Gpt2Continued"].set(**statics)
    theirs = {k: v.numpy() for k, v in model.state_dict().items()}
    weights = read_map(SPECS / "weights" / "gpt2_transformers.toml").load(theirs)
    network.onnx(folder / "gpt2.onnx", weights=weights, validate=False)
    session = onnxruntime.InferenceSession(folder / "gpt2.onnx", providers=["CPUExecutionProvider"])
    module = network.torch(weights=weights).eval()
    for rows, length in zip((2, 3, 1), lengths, strict=True):
        text = torch.from_numpy(np.random.default_rng(length).integers(0, vocab, (rows, length)))
        mask = torch.ones_like(text)
        with torch.no_grad():
            found = model.generate(text, attention_mask=mask, max_new_tokens=NEW, do_sample=False, pad_token_id=0)
            expected = found[:, length:]
            in_torch = module(text).numpy()
        assert len(expected.unique()) > NEW // 5
        assert gap(model, text, expected).min() > 1e-4, "no ties"
        np.testing.assert_array_equal(in_torch, expected.numpy())
        np.testing.assert_array_equal(session.run(None, {"ids": text.numpy()})[0], expected.numpy())


def log_probability(model: transformers.GPT2LMHeadModel, text: torch.Tensor, new: torch.Tensor) -> np.ndarray:
    """Of each continuation."""
    with torch.no_grad():
        logits = model(input_ids=torch.cat([text, new], 1)).logits[:, text.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(2, new[..., None]).sum((1, 2)).numpy()


@pytest.mark.parametrize(("width", "new"), [(2, 1), (2, 12), (4, 24)])
def test_a_small_model_searches_as_its_peer_does(width: int, new: int, tmp_path: Path) -> None:
    """Beam scores of transformers are divided by the length, which is one length."""
    sizes = 97, 48, 2, 4
    model = peer(*sizes)
    statics = dict(zip(("vocab", "D", "layers", "heads"), sizes, strict=True)) | {"new": new, "beam": width}
    network = netdsl.load(SPECS / "text" / "gpt2_continued.net")["Gpt2Continued"].set(**statics)
    weights = read_map(SPECS / "weights" / "gpt2_transformers.toml").load(
        {k: v.numpy() for k, v in model.state_dict().items()}
    )
    network.onnx(tmp_path / "gpt2.onnx", weights=weights, validate=False)
    session = onnxruntime.InferenceSession(tmp_path / "gpt2.onnx", providers=["CPUExecutionProvider"])
    module = network.torch(weights=weights).eval()
    ahead = 0
    for rows, length in ((1, 3), (4, 1), (8, 17)):
        text = torch.from_numpy(np.random.default_rng(length).integers(0, 97, (rows, length)))
        asked = {"attention_mask": torch.ones_like(text), "max_new_tokens": new, "do_sample": False, "pad_token_id": 0}
        with torch.no_grad():
            found = model.generate(text, num_beams=width, **asked)[:, length:]
            greedy = model.generate(text, **asked)[:, length:]
            in_torch = module(text).numpy()
        np.testing.assert_array_equal(in_torch, found.numpy())
        np.testing.assert_array_equal(session.run(None, {"ids": text.numpy()})[0], found.numpy())
        np.testing.assert_array_equal(network.reference({"ids": text.numpy()}, weights=weights)["continuation"], found)
        gain = log_probability(model, text, found) - log_probability(model, text, greedy)
        ahead += int((gain > 1e-3).sum())
    assert (ahead > 0) is (new > 1)


def test_a_small_model_continues_texts_as_its_peer_does(tmp_path: Path) -> None:
    check(tmp_path, 97, 48, 2, 4, (1, 5, 19))


@pytest.mark.long
def test_the_published_size_continues_texts_as_its_peer_does(tmp_path: Path) -> None:
    check(tmp_path, 50257, 768, 12, 12, (3, 9, 40))
