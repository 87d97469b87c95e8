"""`netdsl verify`: claims and backends, what fails and how it is said."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import netdsl
from netdsl import agreement
from tests.cli.conftest import Run
from tests.cli.nets import BAD, FALSE_CLAIM, GOOD

Net = Callable[..., Path]


def test_claims_and_backends_hold(run: Run, net: Net) -> None:
    out = run("verify", net(GOOD), code=0).out
    assert "param_count is 8" in out and "FAIL" not in out
    for line in ("torch = reference", "onnx = reference", "y at B = 1 ", "y at B = 3 ", "y at B = 33 "):
        assert line in out


def test_json_holds_what_was_measured(run: Run, net: Net) -> None:
    document = run("verify", net(GOOD), "--seed", 4, "--json", code=0).document
    assert ("netdsl.verify/1", 4, {}) == tuple(document[k] for k in ("schema", "seed", "missing"))
    (network,) = document["networks"]
    assert [("param_count == 8", "reference"), *(("all(finite(y))", b) for b in ("reference", "torch", "onnx"))] == [
        (c["text"], c["backend"]) for c in network["claims"]
    ]
    assert 6 == len(network["agreements"]) and all(row["difference"] <= row["allowed"] for row in network["agreements"])


def test_a_false_claim_is_shown_with_both_places(run: Run, net: Net) -> None:
    ran = run("verify", net(FALSE_CLAIM), code=1)
    assert "FAIL  claim param_count == 9" in ran.out
    assert "error[E0401]: the claim `param_count == 9` does not hold: param_count is 8" in ran.err
    assert "net.net:6:13" in ran.err and "the network that it is about" in ran.err
    document = run("verify", net(FALSE_CLAIM), "--json", code=1).document
    assert ["E0401"] == [d["code"] for d in document["diagnostics"]]


def test_claims_may_set_statics(run: Run, net: Net) -> None:
    text = GOOD + "claim Line[width=5]: param_count == 20\nclaim Line[4]: param_count == 16\n"
    out = run("verify", net(text), code=0).out
    assert "Line[width=5]" in out and "param_count is 20" in out and "Line[4]" in out
    assert "E0330" in run("verify", net(GOOD + "claim Line[widht=5]: param_count == 20\n"), code=1).err


def test_a_network_without_defaults_is_verified_as_its_claims_say(run: Run, net: Net) -> None:
    text = GOOD.replace("width: int = 2", "width: int").split("claim")[0] + "claim Line[width=5]: param_count == 20\n"
    out = run("verify", net(text), code=0).out
    assert "Line[width=5]" in out and "torch = reference" in out
    assert "E0334" in run("verify", net(text.split("claim")[0]), code=1).err


def test_a_seed_means_the_same_weights_everywhere(run: Run, net: Net) -> None:
    """Bit for bit: `verify --initial --seed`, `build --seed` and `torch(seed=)`."""
    path = net(GOOD)
    run("verify", path, "--initial", "--seed", 5, code=0)
    run("build", path, "--seed", 5, "-o", "five.onnx", code=0)
    network = netdsl.load(path)["Line"]
    weights = agreement.Conditions((), 5, is_initial=True).weights(network.graph)
    state = network.torch(seed=5).state_dict()
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load("five.onnx").graph.initializer}
    for name, array in weights.items():
        assert array.tobytes() == state[name].numpy().tobytes()
        assert any(array.tobytes() in (s.tobytes(), s.T.tobytes()) for s in stored.values())


def test_claims_may_compare_networks(run: Run, net: Net) -> None:
    text = GOOD + "network Half(x: f32[B, 3]) -> y: f32[B, 1] {\n    x |> Linear[1]\n}\n"
    assert "FAIL" not in run("verify", net(text + "claim Half: 2 * param_count == param_count(Line)\n"), code=0).out
    assert "E0300" in run("verify", net(text + "claim Half: param_count == param_count(Lime)\n"), code=1).err
    assert "did you mean `Line`?" in run("verify", net(text + "claim Lime: param_count == 1\n"), code=1).err


def test_a_backend_that_differs_is_a_finding(run: Run, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded fault: the torch runner drops the sign of the bias."""
    true_runner = agreement.torch_runner

    def faulty(graph: object, weights: dict[str, np.ndarray]) -> object:
        return true_runner(graph, weights | {"head.bias": -weights["head.bias"]})  # type: ignore[arg-type]

    monkeypatch.setattr(agreement, "torch_runner", faulty)
    ran = run("verify", net(GOOD), code=1)
    assert "error[E0402]" in ran.err and "between torch and the reference" in ran.err
    assert 3 == ran.out.count("FAIL")


def test_missing_backends_are_named(run: Run, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "NEEDS", {"torch": ("no_such_package", "torch"), "onnx": ("no_such_package", "cpu")})
    ran = run("verify", net(GOOD), code=0)
    assert "torch is left out" in ran.err and "pip install 'netdsl[torch]'" in ran.err and "param_count is 8" in ran.out
    assert {"torch", "onnx"} == set(run("verify", net(GOOD), "--json", code=0).document["missing"])
    assert "E0801" in run("verify", net(GOOD), "--require-all", code=3).err


def test_wrong_files_are_reported(run: Run, net: Net) -> None:
    assert "E0300" in run("verify", net(BAD), code=1).err
    assert "E0701" in run("verify", "missing.net", code=2).err
    assert "has no network `Lin`" in run("verify", net(GOOD), "-n", "Lin", code=2).err


@pytest.mark.parametrize(
    "claim",
    [
        "3",
        "param_count",
        "param_count == y",
        'param_count == "8"',
        "param_count / 0 == 1",
        "nothing == 1",
        "y + 1",
        "permutation_invariant",
        "permutation_invariant[C]",
        "batch_independent[within=x]",
        "all(y, y)",
        "max(y) < [1]",
        "param_count == param_count(3)",
        "y.T == y",
        "abs(param_count) ** 4000 > 1",
    ],
)
def test_a_claim_that_makes_no_sense_is_a_finding(run: Run, net: Net, claim: str) -> None:
    ran = run("verify", net(GOOD + f"claim Line: {claim}\n"))
    assert ran.code in (0, 1), ran
    if ran.code:
        assert "error[E0" in ran.err


def test_a_deep_claim_is_measured_or_refused(run: Run, net: Net) -> None:
    for value in (" + ".join(["1"] * 900) + " == 900", "(" * 150 + "1" + ")" * 150 + " == 1"):
        assert run("verify", net(GOOD + f"claim Line: {value}\n")).code in (0, 1, 4)


def test_a_plug_in_runs_only_where_it_is_allowed(run: Run, net: Net) -> None:
    text = 'extern F(x: f32[B, 3]) -> f32[B, 3] = "no_such_plugin:f"\n'
    text += "network N(x: f32[B, 3]) -> y: f32[B, 3] {\n    F(x)\n}\n"
    assert "is not allowed" in run("verify", net(text), code=1).err
    assert "is not installed" in run("verify", net(text), "--allow-plugin", "no_such_plugin", code=1).err


def test_a_network_of_fixed_sizes_has_no_batch(run: Run, net: Net) -> None:
    text = "network Fixed(x: f32[3]) -> y: f32[3] {\n    relu(x)\n}\nclaim Fixed: batch_independent\n"
    assert "error[E0" in run("verify", net(text), code=1).err
