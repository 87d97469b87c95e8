"""`netdsl build`: the files it writes, and those it refuses to write."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Run
from tests.cli.nets import BAD, GOOD, TWO

Net = Callable[..., Path]


def test_a_model_with_its_metadata_is_written(run: Run, net: Net) -> None:
    out = run("build", net(GOOD), "-o", "line.onnx", code=0).out
    assert "share-common-nodes" in out and "line.onnx:" in out
    model = onnx.load("line.onnx")
    onnx.checker.check_model(model, full_check=True)
    metadata = {p.key: p.value for p in model.metadata_props}
    assert "Line" == metadata["netdsl.network"] and "true" == metadata["netdsl.validated"]
    assert 64 == len(metadata["netdsl.source_sha256"]) and "share-common-nodes" in metadata["netdsl.passes"]
    assert 21 == model.opset_import[0].version


def test_the_same_call_gives_the_same_bytes(run: Run, net: Net) -> None:
    path = net(GOOD)
    run("build", path, "-o", "a.onnx", code=0)
    run("build", path, "-o", "b.onnx", code=0)
    run("build", path, "-o", "c.onnx", "--seed", 1, code=0)
    first, second, third = (Path(n).read_bytes() for n in ("a.onnx", "b.onnx", "c.onnx"))
    assert first == second and first != third


def test_json_holds_a_row_for_each_pass(run: Run, net: Net) -> None:
    document = run("build", net(GOOD), "-o", "a.onnx", "--opset", 18, "--json", code=0).document
    assert ("netdsl.build/1", "Line", 18) == (document["schema"], document["network"], document["opset"])
    assert Path("a.onnx").stat().st_size == document["size_bytes"]
    assert {"name", "guarantee", "fired", "nodes_before", "nodes_after", "seconds", "largest_error"} == set(
        document["passes"][0]
    )
    assert document["passes"][0]["largest_error"] is not None
    document = run("build", net(GOOD), "-o", "a.onnx", "--no-validate", "--json", code=0).document
    assert document["passes"][0]["largest_error"] is None


def test_weights_go_out_and_come_in(run: Run, net: Net) -> None:
    path = net(GOOD)
    run("build", path, "-o", "a.onnx", "--save-weights", "w.safetensors", "--seed", 3, code=0)
    assert {"head.weight": (2, 3), "head.bias": (2,)} == {k: v.shape for k, v in load_file("w.safetensors").items()}
    run("build", path, "-o", "b.onnx", "--weights", "w.safetensors", code=0)
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()


def test_foreign_names_are_mapped(run: Run, net: Net) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 2)).astype(np.float32)
    save_file({"fc.kernel": weight, "fc.bias": np.ones(2, np.float32)}, "theirs.safetensors")
    Path("map.toml").write_text(
        '[[rule]]\nfrom = "fc.kernel"\nto = "head.weight"\ntranspose = true\n'
        '[[rule]]\nfrom = "fc.bias"\nto = "head.bias"\n'
    )
    call = ("build", net(GOOD), "--weights", "theirs.safetensors", "--save-weights", "ours.safetensors")
    assert "missing: `head.weight`" in run(*call, code=1).err
    run(*call, "--rename", "map.toml", code=0)
    np.testing.assert_array_equal(weight.T, load_file("ours.safetensors")["head.weight"])


def test_labels_become_outputs(run: Run, net: Net) -> None:
    text = GOOD.replace("as head", "as head |> relu as active |> tanh as last")
    path = net(text.replace("claim", "# claim"))
    document = run("build", path, "-o", "a.onnx", "--tap", "h*", "--tap", "active", "--json", code=0).document
    assert ["y", "head", "active"] == document["outputs"]
    assert document["outputs"] == [output.name for output in onnx.load("a.onnx").graph.output]
    ran = run("run", "a.onnx", "--input", "x=random", "--size", "B=3", "--json", code=0).document["outputs"]
    y, head, active = (np.array(output["values"]) for output in ran)
    np.testing.assert_allclose(np.maximum(head, 0), active)
    np.testing.assert_allclose(np.tanh(active), y, atol=1e-6)


def test_a_tap_that_no_label_matches_is_a_wrong_call(run: Run, net: Net) -> None:
    err = run("build", net(GOOD), "-o", "a.onnx", "--tap", "haed", code=2).err
    assert "error[E0380]: no label of `Line` matches `haed`" in err and "help: did you mean `head`?" in err
    assert "help: labels are head" in run("build", "net.net", "-o", "a.onnx", "--tap", "x.*", code=2).err
    assert not Path("a.onnx").exists()


def test_several_networks_need_a_name(run: Run, net: Net) -> None:
    path = net(TWO)
    assert "First, Second" in run("build", path, "-o", "a.onnx", code=2).err
    run("build", path, "-n", "Second", "-o", "a.onnx", "--set", "k=7", code=0)
    assert 7 == onnx.load("a.onnx").graph.output[0].type.tensor_type.shape.dim[1].dim_value


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        ("missing/a.onnx", 2, "E0704"),
        (".", 2, "E0702"),
        ("net.net", 2, "would be replaced"),
        ("./sub/../net.net", 2, "would be replaced"),
        ("link.onnx", 2, "E0703"),
        ("/proc/a.onnx", 2, "E07"),
        ("/dev/full", 2, "E0702"),
    ],
)
def test_outputs_that_are_refused(run: Run, net: Net, output: str, code: int, message: str) -> None:
    path = net(GOOD)
    Path("sub").mkdir()
    Path("link.onnx").symlink_to("target.onnx")
    before = path.read_bytes()
    assert message in run("build", path, "-o", output, code=code).err
    assert before == path.read_bytes() and not Path("target.onnx").exists()


def test_what_is_asked_for_must_make_sense(run: Run, net: Net) -> None:
    path = net(GOOD)
    assert "nothing is to be written" in run("build", path, code=2).err
    assert "needs `--weights`" in run("build", path, "-o", "a.onnx", "--rename", "m.toml", code=2).err
    run("build", path, "-o", "a.onnx", "--opset", 17, code=2)
    run("build", path, "-o", "a.onnx", "--seed", -1, code=2)
    assert "did you mean `width`" in run("build", path, "-o", "a.onnx", "--set", "widht=1", code=2).err
    assert "would be replaced" in run("build", path, "-o", "a", "--save-weights", "a", code=2).err


def test_wrong_inputs_write_nothing(run: Run, net: Net) -> None:
    Path("w.pt").write_bytes(b"\x80\x04.")
    Path("w.safetensors").write_bytes(b"\xff" * 100)
    Path("bad.toml").write_text("[[rule")
    os.mkfifo("pipe.safetensors")
    path = net(GOOD)
    for call, code, message in (
        (("--weights", "pipe.safetensors"), 2, "not a regular file"),
        (("--weights", "net.net", "--rename", "pipe.safetensors"), 1, "E0722"),
        (("--weights", "missing.safetensors"), 2, "E0701"),
        (("--weights", "w.pt"), 1, "E0721"),
        (("--weights", "w.safetensors"), 1, "E0722"),
        (("--weights", "."), 2, "E0701"),
    ):
        assert message in run("build", path, "-o", "a.onnx", *call, code=code).err
        assert json.loads(run("build", path, "-o", "a.onnx", "--json", *call, code=code).out)["diagnostics"]
    assert "E0300" in run("build", net(BAD), "-o", "a.onnx", code=1).err
    assert not Path("a.onnx").exists()


def test_the_source_hash_follows_every_text_and_no_path(run: Run, net: Net, tmp_path: Path) -> None:
    import netdsl
    from netdsl.export import source_sha256

    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        net(
            'import "inner.net": Inner\n\nnetwork N(x: f32[B, 3]) -> y: f32[B, 3] {\n    Inner(x)\n}\n',
            f"{folder}/n.net",
        )
        net("block Inner(x: float[B, D]) -> float[B, D] {\n    relu(x)\n}\n", f"{folder}/inner.net")
    net("block Inner(x: float[B, D]) -> float[B, D] {\n    tanh(x)\n}\n", "three/inner.net")
    one, two, three = (source_sha256(netdsl.load(f"{folder}/n.net")["N"]) for folder in ("one", "two", "three"))
    assert one == two != three


def test_choices_are_made_on_the_command_line(run: Run, net: Net) -> None:
    path = net(
        "network N(x: f32[B, 4]) -> f32[B, 2] { x |> Linear[choose[3, 5]] |> choose[relu, tanh] as act |> Linear[2] }"
    )
    refused = run("build", path, "-o", "n.onnx", code=1)
    assert "E0604" in refused.err and "--choose choose=.." in refused.err
    run("build", path, "-o", "n.onnx", "--choose", "choose=5", "--choose", "act=tanh", code=0)
    graph = onnx.load("n.onnx").graph
    assert ["MatMul", "Add", "Tanh", "MatMul", "Add"] == [n.op_type for n in graph.node]
    assert (4, 5) in {tuple(t.dims) for t in graph.initializer}
    assert "is among 3, 5" in run("build", path, "-o", "n.onnx", "--choose", "choose=4", code=1).err
    for wrong in ("choose", "=5", "choose="):
        assert "PATH=OPTION" in run("build", path, "-o", "n.onnx", "--choose", wrong, code=2).err
    assert (
        "given twice" in run("build", path, "-o", "n.onnx", "--choose", "act=relu", "--choose", "act=tanh", code=2).err
    )
