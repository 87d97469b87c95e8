"""Parameters start as torch.nn's do, and their values follow from the seed and the path alone."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy import stats
from torch import nn

import netdsl
from netdsl.backends.onnx.model import build_model
from netdsl.diagnostics import NetError

Array = NDArray[Any]
#: Least probability of a difference as large as the one found, were the two distributions equal.
LEAST_P = 1e-3


def network(header: str, body: str) -> Any:
    return netdsl.load(f"network N{header} {{\n    {body}\n}}\n")["N"]


def parameter(init: str, shape: tuple[int, ...] = (200, 300), *, seed: int = 0, dtype: str = "f32") -> Array:
    """The initial value of one parameter `p` of `shape`."""
    axes = ", ".join(map(str, shape))
    declared = f"{dtype}[{axes}]" if shape else dtype
    return network(f"() -> {declared}", f"param p: {declared} ~ {init}\n    p + 0").weights(seed=seed)["p"]


def assert_same_distribution(expected: Array, actual: Array) -> None:
    """By the Kolmogorov-Smirnov test; equal where both are constant."""
    assert expected.shape == actual.shape
    if np.ptp(expected) == 0:
        np.testing.assert_array_equal(actual, expected)
        return
    assert stats.ks_2samp(expected.ravel(), actual.ravel()).pvalue > LEAST_P
    # No value lies past the expected ones by more than a few of the gaps between them.
    for edge in (np.min, np.max):
        assert abs(edge(actual)) <= 1.3 * abs(edge(expected))


# --- distributions ---------------------------------------------------------------------------------

DIRECT: dict[str, Callable[[torch.Tensor], object]] = {
    "normal": lambda t: nn.init.normal_(t),
    "normal[std=0.02, mean=1.5]": lambda t: nn.init.normal_(t, 1.5, 0.02),
    "uniform": lambda t: nn.init.uniform_(t, -1, 1),
    "uniform[0.3]": lambda t: nn.init.uniform_(t, -0.3, 0.3),
    "trunc_normal": lambda t: nn.init.trunc_normal_(t),
    "trunc_normal[std=0.02]": lambda t: nn.init.trunc_normal_(t, std=0.02),
    "trunc_normal[std=2, mean=1]": lambda t: nn.init.trunc_normal_(t, 1, 2),
    "trunc_normal[std=100, mean=2]": lambda t: nn.init.trunc_normal_(t, 2, 100),
    "trunc_normal[std=1.0, mean=-2]": lambda t: nn.init.trunc_normal_(t, -2, 1),
    "xavier_uniform": lambda t: nn.init.xavier_uniform_(t),
    "xavier_uniform[gain=1.7]": lambda t: nn.init.xavier_uniform_(t, 1.7),
    "xavier_normal": lambda t: nn.init.xavier_normal_(t),
    "kaiming_uniform": lambda t: nn.init.kaiming_uniform_(t),
    "kaiming_uniform[2.2360679]": lambda t: nn.init.kaiming_uniform_(t, math.sqrt(5)),
    "kaiming_normal": lambda t: nn.init.kaiming_normal_(t),
    "kaiming_normal[a=0.5]": lambda t: nn.init.kaiming_normal_(t, 0.5),
    "orthogonal": lambda t: nn.init.orthogonal_(t),
    "zeros": lambda t: nn.init.zeros_(t),
    "ones": lambda t: nn.init.ones_(t),
    "constant[0.25]": lambda t: nn.init.constant_(t, 0.25),
}


@pytest.mark.parametrize("shape", [(200, 300), (60, 20, 5, 3)])
@pytest.mark.parametrize("init", DIRECT)
def test_an_initialiser_is_torchs_in_distribution(init: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    expected = torch.empty(shape)
    DIRECT[init](expected)
    assert_same_distribution(expected.numpy(), parameter(init, shape))


def test_orthogonal_rows_or_columns_are_orthonormal() -> None:
    for shape in ((40, 25), (25, 40), (30, 2, 5)):
        flat = parameter("orthogonal[gain=2]", shape, dtype="f64").reshape(shape[0], -1)
        product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_the_identity_matrix_may_be_wide() -> None:
    np.testing.assert_array_equal(parameter("identity_matrix", (3, 5)), np.eye(3, 5))


def test_scalars_and_empty_parameters_start_too() -> None:
    assert () == parameter("normal", ()).shape
    assert (0, 4) == parameter("xavier_uniform", (0, 4)).shape
    assert (0,) == parameter("trunc_normal", (0,)).shape


LAYERS: dict[str, tuple[str, str, Callable[[], nn.Module]]] = {
    "Linear": ("(x: f32[B, 90]) -> f32[B, 700]", "x |> Linear[700] as a", lambda: nn.Linear(90, 700)),
    "Embedding": (
        "(i: idx[500][B]) -> f32[B, 60]",
        "i |> Embedding[500, 60] as a",
        lambda: nn.Embedding(500, 60),
    ),
    "Conv1d": (
        "(x: f32[B, 40, T]) -> f32[B, 200, T2] where T >= 5",
        "x |> Conv1d[200, kernel=5, groups=2] as a",
        lambda: nn.Conv1d(40, 200, 5, groups=2),
    ),
    "Conv2d": (
        "(x: f32[B, 30, 9, 9]) -> f32[B, 300, 7, 8]",
        "x |> Conv2d[300, (3, 2)] as a",
        lambda: nn.Conv2d(30, 300, (3, 2)),
    ),
    "Conv3d": (
        "(x: f32[B, 20, 9, 9, 9]) -> f32[B, 200, 7, 8, 9]",
        "x |> Conv3d[200, (3, 2, 1), groups=4] as a",
        lambda: nn.Conv3d(20, 200, (3, 2, 1), groups=4),
    ),
    "ConvTranspose1d": (
        "(x: f32[B, 40, 9]) -> f32[B, 200, T2]",
        "x |> ConvTranspose1d[200, kernel=5, groups=2] as a",
        lambda: nn.ConvTranspose1d(40, 200, 5, groups=2),
    ),
    "ConvTranspose2d": (
        "(x: f32[B, 300, 9, 9]) -> f32[B, 200, H, W]",
        "x |> ConvTranspose2d[200, (3, 2)] as a",
        lambda: nn.ConvTranspose2d(300, 200, (3, 2)),
    ),
    "ConvTranspose3d": (
        "(x: f32[B, 60, 9, 9, 9]) -> f32[B, 200, D, H, W]",
        "x |> ConvTranspose3d[200, (3, 2, 1), groups=4] as a",
        lambda: nn.ConvTranspose3d(60, 200, (3, 2, 1), groups=4),
    ),
    "LayerNorm": ("(x: f32[B, 9]) -> f32[B, 9]", "x |> LayerNorm as a", lambda: nn.LayerNorm(9)),
    "RmsNorm": ("(x: f32[B, 9]) -> f32[B, 9]", "x |> RmsNorm as a", lambda: nn.RMSNorm(9)),
    "GroupNorm": ("(x: f32[B, 9]) -> f32[B, 9]", "x |> GroupNorm[3] as a", lambda: nn.GroupNorm(3, 9)),
    "BatchNorm1d": ("(x: f32[B, 9]) -> f32[B, 9]", "x |> BatchNorm1d as a", lambda: nn.BatchNorm1d(9)),
    "BatchNorm2d": ("(x: f32[B, 9, 2, 2]) -> f32[B, 9, 2, 2]", "x |> BatchNorm2d as a", lambda: nn.BatchNorm2d(9)),
    "BatchNorm3d": (
        "(x: f32[B, 9, 2, 2, 2]) -> f32[B, 9, 2, 2, 2]",
        "x |> BatchNorm3d as a",
        lambda: nn.BatchNorm3d(9),
    ),
    "PRelu": ("(x: f32[B, 9]) -> f32[B, 9]", "x |> PRelu as a", nn.PReLU),
    "RnnCell": (
        "(x: f32[B, 70], h: f32[B, 200]) -> f32[B, 200]",
        "RnnCell[200](x, h) as a",
        lambda: nn.RNNCell(70, 200),
    ),
    "GruCell": (
        "(x: f32[B, 70], h: f32[B, 200]) -> f32[B, 200]",
        "GruCell[200](x, h) as a",
        lambda: nn.GRUCell(70, 200),
    ),
    "LstmCell": (
        "(x: f32[B, 70], h: f32[B, 200], c: f32[B, 200]) -> (h2: f32[B, 200], c2: f32[B, 200])",
        "LstmCell[200](x, h, c) as a",
        lambda: nn.LSTMCell(70, 200),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_starts_as_its_peer(name: str) -> None:
    header, body, peer = LAYERS[name]
    torch.manual_seed(0)
    expected = {k: v.numpy() for k, v in peer().state_dict().items() if k != "num_batches_tracked"}
    actual = {path.removeprefix("a."): value for path, value in network(header, body).weights(seed=2).items()}
    assert set(expected) == set(actual)
    for leaf, value in expected.items():
        assert_same_distribution(value, actual[leaf])


def test_weights_of_equal_shape_are_not_correlated() -> None:
    weights = network("(x: f32[B, 100]) -> f32[B, 100]", "x |> Linear[100] as a |> Linear[100] as b").weights(seed=1)
    correlation = np.corrcoef(weights["a.weight"].ravel(), weights["b.weight"].ravel())[0, 1]
    assert abs(correlation) < 4 / math.sqrt(10_000)


# --- numbers that mean nothing -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "code", "words"),
    [
        ("trunc_normal[std=0]", "E0324", "`std` of `trunc_normal` needs a number above 0"),
        ("trunc_normal[mean=5]", "E0324", "from -2 to 2"),
        ("normal[std=-1]", "E0324", "at least 0"),
        ("uniform[inf]", "E0324", "at least 0"),
        ("xavier_normal[gain=nan]", "E0324", "at least 0"),
        ("kaiming_normal[a=inf]", "E0324", "needs a number"),
        ("normal[1, std=2]", "E0331", "`std` is given twice"),
        ("normal[sd=2]", "E0330", "`normal` takes std, mean"),
        ("constant", "E0334", "`constant` needs `value`"),
        ("gauss", "E0350", "`gauss` is not an initialiser"),
    ],
)
def test_numbers_without_a_meaning_are_refused(init: str, code: str, words: str) -> None:
    with pytest.raises(NetError) as caught:
        parameter(init)
    (diagnostic,) = caught.value.diagnostics
    assert code == diagnostic.code
    assert words in diagnostic.title


@pytest.mark.parametrize(
    ("init", "shape"), [("orthogonal", ()), ("identity_matrix", (3,)), ("identity_matrix", (2, 2, 2))]
)
def test_matrices_fill_matrices_only(init: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(NetError) as caught:
        parameter(init, shape)
    assert ["E0205"] == [d.code for d in caught.value.diagnostics]


GOLDEN = {
    "uniform": [0.22584593296051025, 0.22405052185058594, 0.6433390378952026, -0.5887070894241333],
    "normal": [-1.613897442817688, 0.7066329717636108, -2.007112979888916, -0.42844364047050476],
}


# --- the seed and the path -------------------------------------------------------------------------

ONE = "x |> Linear[6] as a |> Linear[6] as b"
OTHER = "x |> Linear[6, bias=false] as first |> Linear[6] as b |> tanh |> Linear[6] as a"
NESTED = "for i in 0..2 as blocks {\n        x = x |> Mlp[[6], 6] as mlp\n    }\n    x"
HEADER = "(x: f32[B, 6]) -> f32[B, 6]"


def test_values_do_not_depend_on_order_or_company() -> None:
    one, other = (network(HEADER, body).weights(seed=5) for body in (ONE, OTHER))
    for path in ("a.weight", "a.bias", "b.weight", "b.bias"):
        np.testing.assert_array_equal(one[path], other[path])


def test_paths_and_seeds_change_every_drawn_value() -> None:
    net = network(HEADER, NESTED)
    weights = net.weights(seed=5)
    assert "blocks.1.mlp.layers.0.linear.weight" in weights
    drawn = list(weights.values()) + list(net.weights(seed=6).values())
    squares = [w for w in drawn if w.ndim == 2]
    assert 8 == len(squares)
    for i, left in enumerate(squares):
        for right in squares[i + 1 :]:
            assert not np.any(left == right)


def test_a_call_repeats() -> None:
    first, second = (network(HEADER, NESTED).weights(seed=9) for _ in range(2))
    for path, value in first.items():
        np.testing.assert_array_equal(value, second[path])


def test_the_streams_stay_what_they_are() -> None:
    """Published seeds keep their weights: a change of the generator or of its key is seen here."""
    for init, values in GOLDEN.items():
        np.testing.assert_array_equal(parameter(init, (4,), seed=3), np.asarray(values, np.float32))


MIXED = """network N(x: f32[B, 6], i: idx[5][B]) -> f32[B, 3] where B >= 1 {
    param scale: f16[6] ~ normal
    param shift: f64[6] ~ trunc_normal[std=0.5]
    param half: bf16[6] ~ xavier_uniform
    y = x * cast[f32](scale) + cast[f32](shift) + cast[f32](half) + (i |> Embedding[5, 6] as table)
    y |> BatchNorm1d as norm |> BiLstm0 as lstm |> Linear[3] as head
}

block BiLstm0(x: float[B, D]) -> float[B, 8] {
    (x[:, none] |> BiLstm[4])[:, 0]
}
"""


@pytest.mark.parametrize("seed", [0, 3, 2**40])
def test_torch_onnx_and_numpy_hold_the_same_bits(seed: int, tmp_path: Path) -> None:
    net = netdsl.load(MIXED)["N"]
    weights = net.weights(seed=seed)
    state = net.torch(seed=seed).state_dict()
    net.onnx(tmp_path / "n.onnx", seed=seed)
    files = (onnx.load(tmp_path / "n.onnx"), build_model(net.graph, weights))
    assert set(weights) == set(state)
    for path, value in weights.items():
        tensor = state[path]
        assert torch.equal(torch.from_numpy(value).to(tensor.dtype), tensor), path
        bits = tensor.view(torch.int16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
        for model in files:
            assert_holds(model, path, bits, as_f32=tensor.float().numpy())


def assert_holds(model: onnx.ModelProto, path: str, bits: Array, *, as_f32: Array) -> None:
    """The initializer of that name, maybe cast or transposed; a recurrent operator has its gates in its own order."""
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    if f"{path}.folded" in stored:
        assert np.array_equal(stored[f"{path}.folded"], as_f32), path
    elif path in stored:
        assert np.array_equal(stored[path].view(bits.dtype), bits), path
    elif f"{path}.transposed" in stored:
        assert np.array_equal(stored[f"{path}.transposed"], bits.T), path
    else:
        cell = path.rpartition(".")[0]
        assert cell.endswith("lstm_cell")
        operands = [a.ravel() for name, a in stored.items() if name.startswith(cell)]
        assert np.isin(bits, np.concatenate(operands)).all(), path


def test_a_seed_of_a_double_network_fills_double_weights() -> None:
    value = parameter("normal", (50,), dtype="f64")
    assert np.float64 == value.dtype
    assert np.any(value != value.astype(np.float32))
