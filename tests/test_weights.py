"""Weights go out and come in as safetensors, and what does not fit is listed whole."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

import netdsl
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.weights import random_weights, read_safetensors, write_safetensors

TEXT = """network N(x: f32[B, 4]) -> f32[B, 2] where B >= 1 {
    param scale: f32 ~ ones
    (x * scale) |> BatchNorm1d as norm |> Linear[3] as up |> Linear[2] as down
}
"""
PATHS = [
    "scale",
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
    "up.weight",
    "up.bias",
    "down.weight",
    "down.bias",
]


@pytest.fixture
def net() -> Any:
    return netdsl.load(TEXT)["N"]


def refused(call: Any, *args: Any, **options: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(NetError) as caught:
        call(*args, **options)
    return tuple(caught.value.diagnostics)


# --- what does not fit -------------------------------------------------------------------------------


def test_every_missing_extra_and_misshaped_tensor_is_listed(net: Any) -> None:
    weights = net.weights()
    del weights["up.bias"], weights["scale"]
    weights["down.weight"] = weights["down.weight"].T
    weights["norm.weight"] = np.ones((4, 1), np.float32)
    weights["up.biass"] = np.zeros(3, np.float32)
    weights["epoch"] = np.int64(3)
    (diagnostic,) = refused(net.weights, weights)
    assert "E0720" == diagnostic.code
    assert "the weights do not fit the network: 6 tensors differ" == diagnostic.title
    assert [
        "missing: `scale` []",
        "shape: `norm.weight` is [4], found [4, 1]",
        "missing: `up.bias` [3] (there is `up.biass`)",
        "shape: `down.weight` is [2, 3], found [3, 2]",
        "extra: `up.biass` [3]",
        "extra: `epoch` []",
    ] == list(diagnostic.notes)


def test_one_difference_is_one(net: Any) -> None:
    (diagnostic,) = refused(net.weights, {**net.weights(), "more": np.zeros(1)})
    assert "the weights do not fit the network: 1 tensor differs" == diagnostic.title


def test_element_types_must_be_numbers_of_the_kind(net: Any) -> None:
    weights = net.weights()
    weights["up.bias"] = np.array(["a", "b", "c"])
    weights["down.bias"] = np.zeros(2, complex)
    weights["scale"] = np.asarray(2)  # integers become floats
    (diagnostic,) = refused(net.weights, weights)
    assert ["type: `up.bias` is f32, found <U1", "type: `down.bias` is f32, found complex128"] == list(diagnostic.notes)


def test_an_integer_state_takes_no_floats() -> None:
    net = netdsl.load("network N(x: f32[B]) -> f32[B] {\n    state n: i64 ~ zeros\n    x + cast[f32](n)\n}\n")["N"]
    (diagnostic,) = refused(net.weights, {"n": np.float32(1.5)})
    assert ["type: `n` is i64, found float32"] == list(diagnostic.notes)
    assert 2 == net.weights({"n": np.int32(2)})["n"]


def test_torch_and_onnx_refuse_what_does_not_fit(net: Any, tmp_path: Path) -> None:
    weights = net.weights()
    del weights["scale"]
    for call in (net.torch, lambda **o: net.onnx(tmp_path / "n.onnx", **o), lambda **o: net.reference({}, **o)):
        (diagnostic,) = refused(call, weights=weights)
        assert "E0720" == diagnostic.code
    assert not (tmp_path / "n.onnx").exists()


# --- sources -----------------------------------------------------------------------------------------


def test_a_module_a_mapping_and_a_file_give_the_same_weights(net: Any, tmp_path: Path) -> None:
    module = net.torch(seed=4)
    module(torch.randn(5, 4))  # the running statistics move
    state = module.state_dict()
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    sources: list[Any] = [module, state, {k: v.numpy() for k, v in state.items()}, tmp_path / "w.safetensors"]
    sources.append(str(tmp_path / "w.safetensors"))
    for source in sources:
        found = net.weights(source)
        assert PATHS == list(found)
        for path, value in found.items():
            np.testing.assert_array_equal(value, state[path].numpy())


def test_a_file_that_was_written_reads_back_the_same(net: Any, tmp_path: Path) -> None:
    weights = net.weights(seed=2)
    write_safetensors(tmp_path / "w.safetensors", weights)
    back = read_safetensors(tmp_path / "w.safetensors")
    assert set(PATHS) == set(back)
    for path, value in weights.items():
        assert value.dtype == back[path].dtype
        np.testing.assert_array_equal(value, back[path])
    for path, value in net.torch(weights=tmp_path / "w.safetensors").state_dict().items():
        np.testing.assert_array_equal(weights[path], value.numpy())


def test_the_same_tensors_give_the_same_bytes(net: Any, tmp_path: Path) -> None:
    weights = net.weights()
    write_safetensors(tmp_path / "a.safetensors", weights)
    write_safetensors(tmp_path / "b.safetensors", dict(reversed(weights.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "bf16"])
def test_tensors_of_any_float_type_serve_a_network_of_any(dtype: str, tmp_path: Path) -> None:
    net = netdsl.load(f"network N(x: {dtype}[B, 4]) -> {dtype}[B, 3] {{ x |> Linear[3] }}\n")["N"]
    for stored in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        tensors = {k: v.detach().to(stored) for k, v in net.torch(seed=1).state_dict().items()}
        safetensors.torch.save_file(tensors, tmp_path / "w.safetensors")
        for source in (tmp_path / "w.safetensors", tensors):
            for path, value in net.torch(weights=source).state_dict().items():
                assert torch.equal(tensors[path].to(value.dtype), value)


def test_bf16_files_are_read_bit_by_bit(tmp_path: Path) -> None:
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    values = bits.view(torch.bfloat16)
    stored = {"a": values.reshape(256, 256), "b": torch.ones(2), "c": torch.empty(0, 3, dtype=torch.bfloat16)}
    safetensors.torch.save_file({**stored, "d": torch.tensor(0.5, dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    found = read_safetensors(tmp_path / "w.safetensors")
    assert {"a", "b", "c", "d"} == set(found)
    np.testing.assert_array_equal(found["a"], values.reshape(256, 256).float().numpy())
    assert [(0, 3), ()] == [found["c"].shape, found["d"].shape]
    assert 0.5 == found["d"]


# --- files that are not read ---------------------------------------------------------------------------


class _Trap:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('a pickle was run')",))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".PT", ".ckpt", ".npz", ".npy", ".joblib"])
def test_pickles_are_refused_by_name(net: Any, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(pickle.dumps(_Trap()))
    (diagnostic,) = refused(net.weights, path)
    assert "E0721" == diagnostic.code


def test_a_pickle_under_another_name_is_not_run(net: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(pickle.dumps(_Trap()))
    assert ["E0722"] == [d.code for d in refused(net.weights, path)]


def test_a_damaged_file_is_a_diagnostic(net: Any, tmp_path: Path) -> None:
    whole = safetensors.numpy.save({k: np.asarray(v) for k, v in net.weights().items()})
    rng = np.random.default_rng(0)
    size = int.from_bytes(whole[:8], "little")
    damaged = [whole[:n] for n in (0, 1, 7, 8, 9, 100, 8 + size, len(whole) - 1)]
    damaged += [whole + b"x", rng.bytes(500), (2**60).to_bytes(8, "little") + whole[8:], b"\0" * 100]
    damaged += [whole[:8] + b"[" * size + whole[8 + size :], whole.replace(b"data_offsets", b"date_offsets")]
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(content)
        assert ["E0722"] == [d.code for d in refused(read_safetensors, path)], number


def test_other_element_types_are_named(tmp_path: Path) -> None:
    safetensors.torch.save_file({"z": torch.zeros(2, dtype=torch.complex64)}, tmp_path / "w.safetensors")
    (diagnostic,) = refused(read_safetensors, tmp_path / "w.safetensors")
    assert "E0722" == diagnostic.code
    assert ("`z` is C64",) == diagnostic.notes


@pytest.mark.parametrize("name", ["none.safetensors", "."])
def test_a_file_that_is_not_there_is_a_diagnostic(name: str, tmp_path: Path) -> None:
    assert ["E0701"] == [d.code for d in refused(read_safetensors, tmp_path / name)]


# --- weights for validation ------------------------------------------------------------------------------


def test_random_weights_are_never_degenerate(net: Any) -> None:
    values = random_weights(net.graph.params, 3)
    assert PATHS == list(values)
    for path in ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        assert len(set(values[path].tolist())) == values[path].size
        assert not {0.0, 1.0} & set(values[path].tolist())
    assert (values["norm.running_var"] > 0).all()
    again = random_weights(net.graph.params, 3)
    assert all(np.array_equal(values[path], again[path]) for path in PATHS)
    other = random_weights(net.graph.params, 4)
    assert not any(np.array_equal(values[path], other[path]) for path in PATHS)
