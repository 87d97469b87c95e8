"""`netdsl show`: layers, totals, sizes, the graph."""

import re
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.nets import BAD, GOOD, TWO

SPECS = Path(__file__).parents[2] / "specs"
Net = Callable[..., Path]

REPEATED = """\
## The file.

## The network.
network Deep(x: f32[B, T, 4]) -> y: f32[B, T, 4] where T in 2..9 {
    repeat 3 as layers {
        x = x + (x |> FeedForward[8] as mlp)
    }
    let same = Linear[4]
    x |> same |> same
}
"""


def test_layers_and_totals_are_printed(run: Run, net: Net) -> None:
    out = run("show", net(GOOD), code=0).out
    assert re.search(r"^head +Linear\[out=2\] +f32\[B, 2\] +8 +12$", out, re.M)
    assert re.search(r"^parameters +8$", out, re.M) and "12 at B = 1; in general 12 * B" in out
    assert out.startswith("Line[width=2](x: f32[B, 3]) -> y: f32[B, 2]\nA line.\n")


def test_equal_layers_are_shown_once_and_shared_ones_marked(run: Run, net: Net) -> None:
    out = run("show", net(REPEATED), code=0).out
    assert out.startswith("The file.\n\nDeep(") and "\nThe network.\n" in out
    assert 1 == out.count("FeedForward") and "layers.0..2.mlp (× 3, each)" in out
    assert re.search(r"^same +Linear\[out=4\] .* 20 ", out, re.M) and re.search(r"^same .* shared ", out, re.M)
    assert "mlp.up" not in run("show", net(REPEATED), "--depth", "1", code=0).out


def test_sizes_set_where_flops_are_counted(run: Run, net: Net) -> None:
    path = net(REPEATED)
    assert "at B = 1, T = 2;" in run("show", path, code=0).out
    assert "at B = 4, T = 9;" in run("show", path, "--size", "B=4", "--size", "T=9", code=0).out
    assert "E0403" in run("show", path, "--size", "T=10", code=1).err
    assert "no free dimension `X`" in run("show", path, "--size", "X=1", code=2).err
    assert "not NAME=SIZE" in run("show", path, "--size", "T=-1", code=2).err


def test_json_holds_every_layer(run: Run, net: Net) -> None:
    document = run("show", net(REPEATED), "--json", code=0).document
    (network,) = document["networks"]
    assert "netdsl.show/1" == document["schema"] and "The network." == network["doc"]
    assert 3 * 76 + 20 == network["parameters"] and ["B", "T"] == network["free_dims"]
    paths = [row["path"] for row in network["layers"]]
    assert ["", "layers.0.mlp", "layers.0.mlp.up"] == paths[:3] and 2 == paths.count("same")
    assert network["flops_at_sizes"] == sum(2 * 2 * size for size in 3 * [4 * 8 * 2] + 2 * [4 * 4])


def test_ir_is_the_graph_as_text(run: Run, net: Net) -> None:
    from netdsl.ir_parser import parse_graph
    from netdsl.ir_text import print_graph

    text = run("show", net(GOOD), "--ir", code=0).out
    assert text == print_graph(parse_graph(text))
    assert text == run("show", net(GOOD), "--ir", "--json", code=0).document["networks"][0]["ir"]


def test_training_is_another_graph(run: Run) -> None:
    spec = SPECS / "vision" / "digits_cnn.net"
    assert "training" in run("show", spec, "--ir", "--training", code=0).out.splitlines()[0]
    assert "training" == run("show", spec, "--training", "--json", code=0).document["networks"][0]["mode"]


def test_one_network_of_several_can_be_named(run: Run, net: Net) -> None:
    path = net(TWO)
    out = run("show", path, code=0).out
    assert "First(" in out and "Second[k=2](" in out
    assert "First(" not in run("show", path, "Second", "--set", "k=4", code=0).out
    assert "did you mean `Second`?" in run("show", path, "Secnd", code=2).err
    assert "has no network" in run("show", net("const A = 1\n"), code=2).err


def test_wrong_files_are_reported(run: Run, net: Net) -> None:
    ran = run("show", net(BAD), code=1)
    assert "E0300" in ran.err and "" == ran.out
    document = run("show", net(BAD), "--json", code=1).document
    assert ["E0300"] == [d["code"] for d in document["diagnostics"]]
    assert "E0701" in run("show", "missing.net", code=2).err
    assert "E0701" in run("show", ".", code=2).err


def test_lowering_says_which_form_layers_got_and_why(run: Run, net: Net) -> None:
    text = (
        "import std.edges: BSpline\nnetwork Kan(x: f32[B, 2]) -> f32[B, 3] { x |> edges[3, BSpline[grid=60]] as phi }\n"
    )
    path = net(text)
    out = run("show", path, "--lowering", code=0).out
    assert "1 basis function and 1 product; 63 basis functions and 1 product" in out
    (document,) = run("show", path, "--lowering", "--json", code=0).document["networks"]
    assert "phi" == document["edges"][0]["path"]
    (spline,) = document["splines"]
    assert [True] == [form["chosen"] for form in spline["forms"] if form["chosen"]]
    truncated = next(form for form in spline["forms"] if form["name"] == "truncated")
    assert "may be off by" in truncated["reason"]
    wide = run("show", net(text.replace("2]", "784]").replace("=60", "=5")), "--lowering", code=0).out
    assert "onnx: its product is summed over the splines, one at a time" in wide
    assert "*  folded" in wide
    assert "no layer of it has more than one form" in run("show", net(GOOD), "--lowering", code=0).out
