"""Files that are not what they should be, through the Python API: networks, weights and rename maps."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netdsl
from netdsl.diagnostics import NetError
from netdsl.rename import parse_map, read_map
from netdsl.weights import MAX_TENSORS, read_safetensors

NET = "network N[n: int = 1, f: float = 1.0, l: list = [1]](x: f32[B, 4]) -> f32[B, 4] { x |> Linear[4] as layer }\n"
Read = Callable[[Path], object]
READ: tuple[Read, ...] = (netdsl.load, read_safetensors, read_map)


def code(call: Callable[[], object]) -> str:
    """The code that a call raises; "" where it succeeds."""
    try:
        call()
    except NetError as error:
        return error.diagnostics[0].code
    return ""


@pytest.mark.parametrize("read", READ, ids=["load", "weights", "map"])
def test_only_regular_files_are_read(read: Read, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("pipe")
    (tmp_path / "file").write_text(NET)
    names = ("pipe", "loop", "dangling", "linked", ".", "missing", "missing/a", "file/a", "x" * 5_000, "a\0b", "\ud800")
    for name in names:
        assert "E0701" == code(lambda name=name: read(tmp_path / name)), name  # type: ignore[misc]
    for device in ("/dev/null", "/dev/zero", "/proc/self/mem"):
        assert "E0701" == code(lambda device=device: read(Path(device))), device  # type: ignore[misc]


# --- weights -------------------------------------------------------------------------------------


def tensor(shape: list[Any], start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


ROW = b'"a":{"dtype":"%s","shape":[1],"data_offsets":[0,4]}'

#: Headers, each with as many bytes of data as it is given with.
HEADERS: dict[str, tuple[object, int]] = {
    "nothing": (b"", 0),
    "a list": ([], 0),
    "null": (None, 0),
    "a number for a tensor": ({"a": 1}, 0),
    "open brackets": (b"[" * 100_000, 0),
    "open braces": (b'{"a":' * 100_000, 0),
    "tensors that overlap": ({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, 12),
    "tensors in one place": ({"a": tensor([2], 0, 8), "b": tensor([2], 0, 8)}, 8),
    "a hole": ({"a": tensor([2], 8, 16)}, 16),
    "less data": ({"a": tensor([2], 0, 8)}, 4),
    "more data": ({"a": tensor([2], 0, 8)}, 12),
    "an end before its start": ({"a": tensor([2], 8, 0)}, 8),
    "a start below nothing": ({"a": tensor([2], -8, 0)}, 8),
    "a size below nothing": ({"a": tensor([-2], 0, 8)}, 8),
    "a size that is no int": ({"a": tensor([1.5], 0, 4)}, 4),
    "sizes past 64 bits together": ({"a": tensor([2**62, 4], 0, 8)}, 8),
    "a size past 64 bits": ({"a": tensor([2**64], 0, 8)}, 8),
    "data beyond the end": ({"a": tensor([2**40], 0, 2**42)}, 8),
    "nothing of great sizes": ({"a": tensor([0, 2**62], 0, 0)}, 0),
    "nothing of great sizes in bf16": ({"a": tensor([0, 2**62], 0, 0, "BF16")}, 0),
    "many axes": ({"a": tensor([1] * 100, 0, 4)}, 4),
    "many axes in bf16": ({"a": tensor([1] * 100, 0, 2, "BF16")}, 2),
    "an unknown type": ({"a": tensor([1], 0, 4, "F99")}, 4),
    "a type that is not read": ({"a": tensor([4], 0, 4, "F8_E4M3")}, 4),
    "one name twice": (b"{" + ROW % b"F32" + b"," + ROW % b"F32" + b"}", 4),
    "one name in two types": (b"{" + ROW % b"F32" + b"," + ROW % b"I32" + b"}", 4),
    "one key twice": (b'{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}', 4),
    "half of a pair": (b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
    "metadata that is no text": ({"__metadata__": {"a": 1}}, 0),
    "too many tensors": ({f"t{i}": tensor([0], 0, 0) for i in range(MAX_TENSORS + 1)}, 0),
}


def written(path: Path, header: object, data: bytes, size: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if size is None else size) + text + data)
    return path


@pytest.mark.parametrize("name", HEADERS)
def test_weights_whose_header_is_wrong_are_refused(name: str, tmp_path: Path) -> None:
    header, size = HEADERS[name]
    path = written(tmp_path / "w.safetensors", header, bytes(size))
    assert "E0722" == code(lambda: read_safetensors(path))


@pytest.mark.parametrize("size", [0, 1, 10**6, 2 * 10**8, 2**63, 2**64 - 1])
def test_a_header_that_is_longer_than_its_file_is_refused(size: int, tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", b"{}", b"", size)
    assert "E0722" == code(lambda: read_safetensors(path))
    path.write_bytes(b"\0" * 3)
    assert "E0722" == code(lambda: read_safetensors(path))


def test_values_that_are_no_numbers_come_in_as_they_are(tmp_path: Path) -> None:
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    path = written(tmp_path / "w.safetensors", {"a": tensor([5], 0, 20)}, values.tobytes())
    assert values.tobytes() == read_safetensors(path)["a"].tobytes()


def test_weights_with_hostile_names_are_listed_and_printable(tmp_path: Path) -> None:
    names = ("", "\x1b[31m", "\u202e", "../../a", "__class__", "a" * 10_000)
    header = {name: tensor([1], 4 * i, 4 * i + 4) for i, name in enumerate(names)}
    path = written(tmp_path / "w.safetensors", header, bytes(4 * len(names)))
    net = netdsl.load(NET)["N"]
    assert "E0720" == code(lambda: net.weights(path))


# --- rename maps ---------------------------------------------------------------------------------

MAPS = (
    "\0",
    "a=" + "[" * 100_000,
    "a=" + "9" * 5_000,
    "a." * 5_000 + "b=1",
    "a=1979-99-99",
    "rule=1",
    "rule=[1]",
    "[[rule]]\n" * 20_000,
    f'[[rule]]\nfrom="{"*" * 1_000}"\nto="x"',
    f'[[rule]]\nfrom="{"{a}." * 1_000}"\nto="x"',
    '[[rule]]\nfrom="a"\nto="b"\ntranspose=[0, 0]',
    f'[[rule]]\nfrom="a"\nto="b"\ntranspose=[{"9" * 5_000}]',
    '[[rule]]\nfrom="../a"\nto="__class__"\nrun="reboot"',
)


@pytest.mark.parametrize("text", MAPS, ids=range(len(MAPS)))
def test_a_map_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(NetError) as caught:
        parse_map(text)
    assert {"E0723"} == {d.code for d in caught.value.diagnostics}
    assert len(caught.value.diagnostics) <= 50


# --- statics from outside ------------------------------------------------------------------------


def lists(depth: int) -> list[Any]:
    found: list[Any] = [1]
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"n": 10**30}, "E0321"),
        ({"n": -(2**63)}, "E0321"),
        ({"f": 10**400}, "E0321"),
        ({"l": [1, [2**70]]}, "E0321"),
        ({"l": lists(100)}, "E0527"),
        ({"l": [1] * 200_000}, "E0527"),
        ({"n": float("inf")}, "E0324"),
        ({"n": "__import__('os')"}, "E0324"),
        ({"f": float("nan")}, ""),
        ({"l": lists(60)}, ""),
    ],
    ids=range(10),
)
def test_statics_from_outside_are_bounded(values: dict[str, Any], expected: str) -> None:
    assert expected == code(lambda: netdsl.load(NET, **values)["N"])


def test_a_network_that_failed_can_be_had_with_other_statics() -> None:
    """What one call used up, steps and places for diagnostics, is no concern of the next."""
    module = netdsl.load("network N[n: int = 1](x: f32[B]) -> f32[B] {\n    repeat n { y = 1 + 1 }\n    x\n}\n")
    for _ in range(60):
        assert "E0522" == code(lambda: module["N"].set(n=10**6))
    for _ in range(5):
        assert "" == code(lambda: module["N"].set(n=50_000))


@pytest.mark.parametrize("claim", [" + ".join(["1"] * 1_900), "-" * 1_900 + "1", "(" * 190 + "1" + ")" * 190])
def test_a_deep_claim_is_no_hurdle(claim: str) -> None:
    assert "" == code(lambda: netdsl.load(NET + f"claim N: {claim} == 1\n")["N"])
