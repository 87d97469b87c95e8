"""`where x in 0..1`: values are checked where data enters, drawn within, and kept through every form of a network."""

from pathlib import Path

import numpy as np
import pytest
import torch

import netdsl
from netdsl import runtime
from netdsl.backends.torch_fx import InputError
from netdsl.diagnostics import NetError
from netdsl.ir import Range
from netdsl.ir_parser import parse_graph
from netdsl.ir_source import source_of
from netdsl.ir_text import print_graph
from netdsl.sampling import sample_inputs

TEXT = """
network R[most: float = 0.1](x: f32[B, 3], y: f64[B], n: i64[B], z: f32[B]) -> (a: f32[B, 3], b: f64[B])
    where x in -most..most, y in 0..inf, n in 2..5, B >= 1 {
    param w: float[3] ~ ones
    a = x * w + z[:, none] * cast[f32](n)[:, none]
    b = sqrt(y)
}
"""
NET = netdsl.load(TEXT)["R"]
WANTED = (Range("x", -0.1, 0.1), Range("y", 0.0, np.inf), Range("n", 2.0, 5.0))


def test_the_graph_holds_them_in_each_of_its_forms() -> None:
    assert NET.graph.ranges == WANTED
    text = print_graph(NET.graph)
    assert parse_graph(text).ranges == WANTED and print_graph(parse_graph(text)) == text
    assert netdsl.load(source_of(NET.graph))["R"].graph.ranges == WANTED
    assert NET.set(most=2.0).graph.ranges[0] == Range("x", -2.0, 2.0)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_drawn_lies_within(seed: int) -> None:
    drawn = sample_inputs(NET.graph, {"B": 1000}, seed)
    assert np.abs(drawn["x"]).max() <= np.float32(0.1) and np.abs(drawn["x"]).max() > 0.099
    assert drawn["y"].min() >= 0 and drawn["y"].max() > 2
    assert set(drawn["n"]) == {2, 3, 4, 5}
    assert np.abs(drawn["z"]).max() > 1


def inputs(**changed: object) -> dict[str, np.ndarray]:
    """Values at the very ends of their ranges, but for what is given."""
    found = {
        "x": np.full((2, 3), 0.1, np.float32),
        "y": np.zeros(2),
        "n": np.array([2, 5]),
        "z": np.full(2, -9, np.float32),
    }
    found.update({name: np.asarray(value, found[name].dtype) for name, value in changed.items()})
    return found


OUTSIDE = {
    "x": np.full((2, 3), 0.2),
    "y": [0.0, -1e-300],
    "n": [2, 6],
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_lies_outside_is_refused_in_torch_and_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    module, wrong = NET.torch(), inputs(**{name: OUTSIDE[name]})
    module(*(torch.from_numpy(a) for a in inputs().values()))
    with pytest.raises(InputError, match=rf"`{name}` lies in .*, found"):
        module(*(torch.from_numpy(a) for a in wrong.values()))
    NET.onnx(tmp_path / "r.onnx")
    session = runtime.Session.load(tmp_path / "r.onnx")
    session.run(inputs())
    with pytest.raises(NetError) as error:
        session.run(wrong)
    assert ["E0814"] == [d.code for d in error.value.diagnostics]
    with pytest.raises(NetError) as error:
        NET.onnx(tmp_path / "bound.onnx", bind={name: wrong[name]})
    assert ["E0602"] == [d.code for d in error.value.diagnostics]


def test_a_value_that_is_no_number_lies_nowhere() -> None:
    wrong = inputs(x=np.full((2, 3), np.nan))
    with pytest.raises(InputError, match="found nan to nan"):
        NET.torch()(*(torch.from_numpy(a) for a in wrong.values()))


def test_random_inputs_of_a_model_lie_within(tmp_path: Path) -> None:
    NET.onnx(tmp_path / "r.onnx")
    session = runtime.Session.load(tmp_path / "r.onnx")
    session.run(runtime.random_inputs(session, ["x", "y", "n", "z"], {"B": 500}))


def test_a_module_with_ranges_compiles_and_moves_to_another_type() -> None:
    module = NET.torch()
    given = [torch.from_numpy(a) for a in inputs().values()]
    for one, other in zip(module(*given), torch.compile(module, fullgraph=True, backend="eager")(*given), strict=True):
        torch.testing.assert_close(one, other)
    half = netdsl.load("network H(x: f32[B]) -> f32[B] where x in 0..0.1 { x * 2 }")["H"].torch().to(torch.bfloat16)
    half(torch.full((2,), 0.1, dtype=torch.bfloat16))
