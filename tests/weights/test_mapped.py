"""One set of weights for each row: a mapped call equals a Python loop over rows, in every backend, gradients included."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import netdsl

ROWS = 3
#: block, type of one row of its input, shape of that row; the sizes that its parameters need.
TARGETS = {
    "linear": ("Linear[5, I=4]", "f32[4]", (4,)),
    "linear over more axes": ("Linear[5, I=4]", "f32[2, 4]", (2, 4)),
    "mlp": ("Mlp[hidden=[6, 6], out=2, I=4]", "f32[4]", (4,)),
    "conv1d": ("Conv1d[6, kernel=3, padding=1, C=4]", "f32[4, 9]", (4, 9)),
    "conv2d": ("Conv2d[6, kernel=3, padding=1, C=4]", "f32[4, 8, 7]", (4, 8, 7)),
    "conv2d of a batch": ("Conv2d[6, kernel=3, stride=2, C=4]", "f32[2, 4, 8, 7]", (2, 4, 8, 7)),
    "conv2d in groups": ("Conv2d[6, kernel=[3, 1], groups=2, C=4]", "f32[4, 8, 7]", (4, 8, 7)),
    "conv2d around the edge": ('Conv2d[6, kernel=3, padding=1, mode="circular", C=4]', "f32[4, 8, 7]", (4, 8, 7)),
    "conv3d": ("Conv3d[2, kernel=2, C=3]", "f32[3, 4, 4, 4]", (3, 4, 4, 4)),
    "conv transpose": ("ConvTranspose2d[6, kernel=3, stride=2, C=4]", "f32[4, 5, 4]", (4, 5, 4)),
    "layer norm": ("LayerNorm[D=6]", "f32[3, 6]", (3, 6)),
    "rms norm": ("RmsNorm[D=6]", "f32[3, 6]", (3, 6)),
    "gru": ("Gru[5, I=4]", "f32[2, 3, 4]", (2, 3, 4)),
    "prelu": ("PRelu", "f32[5]", (5,)),
}


def text(block: str, row: str) -> str:
    inner = row.removeprefix("f32[")
    return f"""
network Row(x: {row}, v: f32[numel[{block}]]) -> float[..] {{
    {block}(x, **unpack[{block}](v))
}}

network Rows(x: f32[B, {inner}, v: f32[B, numel[{block}]]) -> float[..] {{
    theta: params[{block}][B] = unpack[{block}](v)
    {block}(x, **theta)
}}

network Shared(x: {row}, v: f32[B, numel[{block}]]) -> float[..] {{
    {block}(x, **unpack[{block}](v))
}}
"""


def draw(shape: tuple[int, ...], count: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, *shape)).astype(np.float32)
    return x, 0.5 * rng.standard_normal((rows, count)).astype(np.float32)


def gradients(module: torch.nn.Module, *inputs: np.ndarray) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The result and the gradients of a weighted sum of it."""
    tensors = [torch.from_numpy(a).requires_grad_() for a in inputs]
    result = module(*tensors)
    weights = torch.linspace(0.5, 1.5, result.numel()).reshape(result.shape)
    return result.detach(), list(torch.autograd.grad((weights * result).sum(), tensors))


@pytest.mark.parametrize("target", TARGETS)
def test_a_mapped_call_is_a_loop_over_rows(target: str, tmp_path: Path) -> None:
    block, row, shape = TARGETS[target]
    nets = netdsl.load(text(block, row))
    count = dict(nets["Row"].graph.inputs)["v"].type.sizes[0].value
    x, v = draw(shape, count)
    one, many = nets["Row"], nets["Rows"]
    expected = np.stack([one.reference({"x": x[i], "v": v[i]})["output"] for i in range(ROWS)])
    np.testing.assert_allclose(many.reference({"x": x, "v": v})["output"], expected, atol=1e-12)

    loop = [gradients(one.torch(), x[i], v[i]) for i in range(ROWS)]
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, v)]
    result = many.torch()(*tensors)
    weights = torch.linspace(0.5, 1.5, loop[0][0].numel()).reshape(loop[0][0].shape)
    found = torch.autograd.grad((weights * result).sum(), tensors)
    torch.testing.assert_close(result.detach(), torch.stack([r for r, _ in loop]), atol=1e-5, rtol=1e-5)
    for at, gradient in enumerate(found):
        torch.testing.assert_close(gradient, torch.stack([g[at] for _, g in loop]), atol=1e-5, rtol=1e-4)

    many.onnx(tmp_path / "many.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "many.onnx")
    for rows in (1, ROWS, 0):
        x, v = draw(shape, count, rows)
        (ran,) = session.run(None, {"x": x, "v": v})
        wanted = many.reference({"x": x, "v": v})["output"]
        np.testing.assert_allclose(ran, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_one_input_goes_through_every_set_of_weights(target: str) -> None:
    block, row, shape = TARGETS[target]
    nets = netdsl.load(text(block, row))
    count = dict(nets["Row"].graph.inputs)["v"].type.sizes[0].value
    x, v = draw(shape, count)
    expected = np.stack([nets["Row"].reference({"x": x[0], "v": v[i]})["output"] for i in range(ROWS)])
    np.testing.assert_allclose(nets["Shared"].reference({"x": x[0], "v": v})["output"], expected, atol=1e-12)
    found = nets["Shared"].torch()(torch.from_numpy(x[0]), torch.from_numpy(v)).detach()
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


def test_a_table_for_each_row() -> None:
    net = netdsl.load(
        "network N(ids: idx[7][B, T], w: f32[B, 7, 4]) -> f32[B, T, 4] { Embedding[7, 4](ids, weight=w) }"
    )["N"]
    rng = np.random.default_rng(0)
    ids, w = rng.integers(0, 7, (3, 5)), rng.standard_normal((3, 7, 4)).astype(np.float32)
    expected = np.stack([w[i][ids[i]] for i in range(3)])
    np.testing.assert_allclose(net.reference({"ids": ids, "w": w})["output"], expected, atol=1e-12)
    np.testing.assert_allclose(net.torch()(torch.from_numpy(ids), torch.from_numpy(w)), expected, atol=1e-6)


def test_two_leading_axes_map_one_inside_the_other() -> None:
    net = netdsl.load(
        "network N(x: f32[K, H, B, 4], v: f32[K, H, numel[Linear[5, I=4]]]) -> f32[K, H, B, 5] "
        "{ Linear[5](x, **unpack[Linear[5, I=4]](v)) }"
    )["N"]
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((2, 3, 6, 4)), rng.standard_normal((2, 3, 25))
    w, b = v[..., :20].reshape(2, 3, 5, 4), v[..., 20:]
    expected = np.einsum("khbi,khoi->khbo", x, w) + b[:, :, None]
    found = net.reference({"x": x.astype(np.float32), "v": v.astype(np.float32)})["output"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_matrix_for_each_row_is_one_batched_product() -> None:
    nets = netdsl.load(
        "network N(x: f32[B, T, 4], w: f32[B, 5, 4]) -> f32[B, T, 5] { Linear[5, bias=false](x, weight=w) }"
    )
    assert ["transpose", "matmul"] == [node.op.name for node in nets["N"].graph.walk()]
