"""Every block of the standard library agrees in three ways, at small, odd and, where legal, empty sizes."""

from importlib.resources import files

import pytest

from netdsl.check.modules import STD_MODULES
from netdsl.parser import parse
from netdsl.source import Source
from netdsl.syntax import Block
from tests.std.block_case import Case, batches
from tests.std.graph_blocks import GRAPHS
from tests.std.three_way import assert_three_way, assert_training_agrees
from tests.std.time_blocks import TIME

ROWS = batches({"N": 2}, {"N": 1}, {"N": 0})
STEPS = [{"B": b, "T": t} for b, t in ((1, 1), (3, 5), (2, 8))]
EMPTY_STEPS = [{"B": b, "T": t} for b, t in ((2, 0), (0, 3), (0, 0))]
LINES = batches({"T": 9}, {"T": 12})
IMAGES = batches({"H": 8, "W": 9}, {"H": 11, "W": 7})
VOLUMES = batches({"D": 5, "H": 6, "W": 7})

GROUPS = [{"N": 3, "E": 7}, {"N": 1, "E": 4}, {"N": 4, "E": 1}, {"N": 2, "E": 0}]


def aggregator(brackets: str, result: str = "5", rows: str = "") -> Case:
    """An aggregator of rows of 5 elements, or of 5 for each place of the axes `rows`."""
    return Case(
        f"x: f32[E, 5{rows}], by: idx[N][E], nodes: f32[N]",
        f"f32[N, {result}{rows}]",
        f"x |> aggregate[{brackets}](by=by)",
        GROUPS,
    )


AGGREGATORS: dict[str, list[Case]] = {
    **{
        name: [aggregator(name), aggregator(name, rows=", 7")]
        for name in ("sum", "mean", "max", "min", "prod", "var", "std", "softmax")
    },
    **{
        name: [Case("x: f32[E, 5], by: idx[N][E], nodes: f32[N]", "f32[E, 5]", f"x |> {name[:-3]}(by=by)", GROUPS)]
        for name in ("softmax_by", "log_softmax_by")
    },
    "logsumexp": [aggregator("logsumexp[empty=-1]", rows=", 7")],
    "powermean": [aggregator("powermean[2.5]"), aggregator("powermean[-1, 0.1, 10]", rows=", 7")],
    "median": [aggregator("median")],
    "quantile": [aggregator(f"quantile[{q}]") for q in (0.25, 0.9)],
    "sort": [aggregator("sort[3]", "15")],
    "attention": [aggregator("attention[Linear[1]]"), aggregator("attention[Linear[4], Linear[4]]", "4")],
    "deepsets": [aggregator("deepsets[Mlp[[6], 3], Linear[4]]", "4")],
    "set2set": [aggregator("set2set[2]", "10")],
    "lstm": [aggregator("lstm[4]", "4")],
    "pna": [aggregator("pna[[mean, max], [unscaled, linear[1.5]]]", "20")],
    **{
        name: [Case("x: f32[N, 5], rows: f32[N, 1]", "f32[N, 5]", f"aggregators.{name}{mean}(x, abs(rows))", ROWS[:1])]
        for name, mean in (
            ("unscaled", ""),
            ("amplification", "[1.5]"),
            ("attenuation", "[1.5]"),
            ("linear", "[1.5]"),
            ("inverse_linear", "[1.5]"),
        )
    },
}

CASES: dict[str, list[Case]] = {
    **AGGREGATORS,
    **GRAPHS,
    **TIME,
    "Linear": [
        Case("x: f32[B, N, 5]", "f32[B, N, 3]", "x |> Linear[3]", ROWS),
        Case("x: f32[5]", "f32[3]", "x |> Linear[3, bias=false]", [{}]),
        Case("x: f32[B, 0]", "f32[B, 3]", "x |> Linear[3]", batches()),
    ],
    "Embedding": [Case("ids: idx[11][B, N]", "f32[B, N, 4]", "ids |> Embedding[11, 4]", ROWS)],
    "Dropout": [Case("x: f32[B, N]", "f32[B, N]", "x |> Dropout[0.5]", ROWS)],
    "Mlp": [
        Case("x: f32[B, 5]", "f32[B, 2]", "x |> Mlp[[8, 6], 2]", batches()),
        Case("x: f32[B, 5]", "f32[B, 2]", "x |> Mlp[[], 2, act=tanh, bias=false]", batches()),
        Case("x: f32[B, 5]", "f32[B, 2]", "x |> Mlp[[7], 2, act=leaky_relu[0.2], drop=0.3]", batches()),
    ],
    "FeedForward": [Case("x: f32[B, N, 6]", "f32[B, N, 6]", "x |> FeedForward[9, drop=0.1]", ROWS)],
    "Glu": [Case("x: f32[B, N, 6]", "f32[B, N, 3]", "x |> Glu", ROWS)],
    "PRelu": [Case("x: f32[B, N]", "f32[B, N]", "x |> PRelu", ROWS)],
    "Conv1d": [
        Case("x: f32[B, 4, T]", "f32[B, 6, T2]", "x |> Conv1d[6, kernel=3]", LINES, "where T >= 3"),
        Case(
            "x: f32[B, 4, T]",
            "f32[B, 6, T2]",
            "x |> Conv1d[6, kernel=3, stride=2, padding=2, dilation=2, groups=2]",
            LINES,
            "where T >= 1",
        ),
        *(
            Case(
                "x: f32[B, 4, T]",
                "f32[B, 6, T]",
                f'x |> Conv1d[6, kernel=5, padding=2, bias=false, mode="{mode}"]',
                LINES,
                "where T >= 4",
            )
            for mode in ("zeros", "reflect", "replicate", "circular")
        ),
    ],
    "Conv2d": [
        Case("x: f32[B, 4, H, W]", "f32[B, 6, H2, W2]", "x |> Conv2d[6, 3]", IMAGES, "where H >= 3, W >= 3"),
        Case(
            "x: f32[B, 4, H, W]",
            "f32[B, 6, H2, W2]",
            "x |> Conv2d[6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, bias=false]",
            IMAGES,
            "where H >= 3, W >= 1",
        ),
        *(
            Case(
                "x: f32[B, 4, H, W]",
                "f32[B, 4, H2, W2]",
                f'x |> Conv2d[4, 3, stride=2, padding=(1, 2), groups=4, mode="{mode}"]',
                IMAGES,
                "where H >= 4, W >= 4",
            )
            for mode in ("reflect", "replicate", "circular")
        ),
    ],
    "Conv3d": [
        Case(
            "x: f32[B, 2, D, H, W]",
            "f32[B, 4, D2, H2, W2]",
            "x |> Conv3d[4, (2, 3, 1), stride=(1, 2, 2), padding=(1, 0, 1), groups=2]",
            VOLUMES,
            "where D >= 1, H >= 3, W >= 1",
        ),
        Case(
            "x: f32[B, 2, D, H, W]",
            "f32[B, 4, D, H, W]",
            'x |> Conv3d[4, 3, padding=1, bias=false, mode="circular"]',
            VOLUMES,
            "where D >= 2, H >= 2, W >= 2",
        ),
    ],
    "ConvTranspose1d": [
        Case(
            "x: f32[B, 4, T]",
            "f32[B, 6, T2]",
            "x |> ConvTranspose1d[6, kernel=4, stride=3, padding=1, output_padding=2, groups=2]",
            LINES,
            "where T >= 1",
        ),
        Case(
            "x: f32[B, 4, T]",
            "f32[B, 6, T2]",
            "x |> ConvTranspose1d[6, 3, dilation=2, bias=false]",
            LINES,
            "where T >= 1",
        ),
    ],
    "ConvTranspose2d": [
        Case(
            "x: f32[B, 4, H, W]",
            "f32[B, 2, H2, W2]",
            "x |> ConvTranspose2d[2, (3, 4), stride=(2, 3), padding=(1, 0), output_padding=(1, 0), groups=2]",
            IMAGES,
            "where H >= 1, W >= 1",
        )
    ],
    "ConvTranspose3d": [
        Case(
            "x: f32[B, 2, D, H, W]",
            "f32[B, 3, D2, H2, W2]",
            "x |> ConvTranspose3d[3, (2, 3, 1), stride=(2, 1, 2), dilation=(1, 2, 1), bias=false]",
            VOLUMES,
            "where D >= 1, H >= 1, W >= 1",
        )
    ],
    **{
        f"{kind}1d": [
            Case("x: f32[B, 3, T]", "f32[B, 3, T2]", f"x |> {kind}1d[3]", LINES, "where T >= 3"),
            Case("x: f32[B, 3, T]", "f32[B, 3, T2]", f"x |> {kind}1d[3, stride=2, padding=1]", LINES, "where T >= 1"),
        ]
        for kind in ("MaxPool", "AvgPool")
    },
    **{
        f"{kind}2d": [
            Case("x: f32[B, 3, H, W]", "f32[B, 3, H2, W2]", f"x |> {kind}2d[2]", IMAGES, "where H >= 2, W >= 2"),
            Case(
                "x: f32[B, 3, H, W]",
                "f32[B, 3, H2, W2]",
                f"x |> {kind}2d[(3, 2), stride=(1, 2), padding=(1, 0)]",
                IMAGES,
                "where H >= 2, W >= 2",
            ),
        ]
        for kind in ("MaxPool", "AvgPool")
    },
    **{
        f"{kind}3d": [
            Case(
                "x: f32[B, 2, D, H, W]",
                "f32[B, 2, D2, H2, W2]",
                f"x |> {kind}3d[(2, 3, 2), stride=2, padding=(1, 1, 0)]",
                VOLUMES,
                "where D >= 2, H >= 2, W >= 2",
            )
        ]
        for kind in ("MaxPool", "AvgPool")
    },
    "LayerNorm": [
        Case("x: f32[B, N, 6]", "f32[B, N, 6]", "x |> LayerNorm", ROWS),
        Case("x: f32[B, N, 6]", "f32[B, N, 6]", "x |> LayerNorm[1e-3, affine=false]", ROWS),
    ],
    "RmsNorm": [Case("x: f32[B, N, 6]", "f32[B, N, 6]", "x |> RmsNorm", ROWS)],
    "GroupNorm": [
        Case("x: f32[B, 6, H, W]", "f32[B, 6, H, W]", "x |> GroupNorm[3]", IMAGES),
        Case("x: f32[B, 6]", "f32[B, 6]", "x |> GroupNorm[2]", batches()),
    ],
    "BatchNorm1d": [Case("x: f32[B, 5]", "f32[B, 5]", "x |> BatchNorm1d", batches())],
    "BatchNorm2d": [Case("x: f32[B, 5, H, W]", "f32[B, 5, H, W]", "x |> BatchNorm2d[eps=1e-3]", IMAGES)],
    "BatchNorm3d": [Case("x: f32[B, 5, D, H, W]", "f32[B, 5, D, H, W]", "x |> BatchNorm3d", VOLUMES)],
    "attend": [
        Case(
            "q: f32[B, 2, N, 4], k: f32[B, 2, S, 4], v: f32[B, 2, S, 3], mask: bool[B, 1, 1, S]",
            "f32[B, 2, N, 3]",
            f"attention.attend{brackets}(q, k, v{mask})",
            [{"B": 2, "N": 4, "S": 4}, {"B": 1, "N": 3, "S": 5}, {"B": 0, "N": 3, "S": 2}, {"B": 2, "N": 0, "S": 3}],
        )
        for brackets, mask in (("", ""), ("[causal=true]", ""), ("", ", mask"), ("[causal=true]", ", mask"))
    ],
    "SelfAttention": [
        Case(
            "x: f32[B, N, 8], mask: bool[B, N]",
            "f32[B, N, 8]",
            f"attention.SelfAttention[{brackets}](x{mask})",
            batches({"N": 1}, {"N": 5}),
        )
        for brackets, mask in (
            ("2", ""),
            ("4, causal=true", ""),
            ("2, bias=false", ", mask"),
            ("1, causal=true, drop=0.1", ", mask"),
        )
    ],
    "CrossAttention": [
        Case(
            "x: f32[B, N, 8], memory: f32[B, S, 6], mask: bool[B, S]",
            "f32[B, N, 8]",
            f"attention.CrossAttention[2{brackets}](x, memory{mask})",
            batches({"N": 1, "S": 4}, {"N": 5, "S": 1}, {"N": 3, "S": 7}),
        )
        for brackets, mask in (("", ""), (", bias=false", ", mask"))
    ],
    "LearnedPositions": [
        Case(
            "x: f32[B, N, 4]",
            "f32[B, N, 4]",
            "x |> attention.LearnedPositions[7]",
            batches({"N": 1}, {"N": 7}, {"N": 0}),
            "where N <= 7",
        )
    ],
    "Rotary": [
        Case(
            "x: f32[B, 2, N, 6]",
            "f32[B, 2, N, 6]",
            "x |> attention.Rotary",
            batches({"N": 1}, {"N": 9}, {"N": 0}),
        )
    ],
    "RnnCell": [Case("x: f32[B, 3], h: f32[B, 4]", "f32[B, 4]", "RnnCell[4](x, h)", batches())],
    "GruCell": [Case("x: f32[B, N, 3], h: f32[B, N, 4]", "f32[B, N, 4]", "GruCell[4](x, h)", ROWS)],
    "LstmCell": [
        Case(
            "x: f32[B, 3], h: f32[B, 4], c: f32[B, 4]",
            "(h2: f32[B, 4], c2: f32[B, 4])",
            "LstmCell[4](x, h, c)",
            batches(),
        )
    ],
    **{
        f"{prefix}{kind}": [
            Case(
                "x: f32[B, T, 3]" + (", length: i64[B]" if length else ""),
                f"f32[B, T, {8 if prefix else 4}]",
                f"x |> {prefix}{kind}[4{reverse}]({length})",
                [*STEPS, *EMPTY_STEPS],
            )
            for length in ("", "length")
            for reverse in (("",) if prefix else ("", ", reverse=true"))
        ]
        for kind in ("Rnn", "Gru", "Lstm")
        for prefix in ("", "Bi")
    },
    "dot": [Case("a: f32[B, N, 4], b: f32[B, N, 4]", "f32[B, N]", "dot(a, b)", ROWS)],
    "norm": [Case("x: f32[B, N, 4]", "f32[B, N]", "norm(x)", ROWS)],
    "square": [
        Case("x: f32[B, N]", "f32[B, N]", "square(x)", ROWS),
        Case("x: i64[B, N]", "i64[B, N]", "square(x)", ROWS),
    ],
    **{
        name: [Case("x: f32[B, 3, H, W]", "f32[B, 3]", f"{name}(x)", IMAGES, "where H >= 1, W >= 1")]
        for name in ("global_avg_pool", "global_max_pool")
    },
    "squared_distance": [
        Case(
            "a: f32[M, 3], b: f32[N, 3]",
            "f32[M, N]",
            "squared_distance(a, b)",
            [{"M": 4, "N": 5}, {"M": 1, "N": 1}, {"M": 0, "N": 3}],
        )
    ],
    "pixel_shuffle": [
        Case("x: f32[B, 12, H, W]", "f32[B, 3, 2 * H, 2 * W]", "pixel_shuffle[2](x)", IMAGES),
    ],
    "fourier_features": [
        Case("x: f32[B, N, 2]", "f32[B, N, 12]", "fourier_features[3](x)", ROWS),
    ],
    "conv_edges": [
        Case(
            "x: f32[B, 2, 5, 6]",
            "f32[B, 3, 3, 5]",
            "x |> edges.conv_edges[3, edges.Fourier[2], kernel=[3, 2], stride=[2, 1], padding=[1, 0]]",
            batches(),
        )
    ],
    "Trunk": [
        Case("x: f32[B, N, 4]", "f32[B, N, 5]", f"x |> hyper.Trunk[[6, 5]{more}]", ROWS)
        for more in ("", ', act=tanh, fan="fan_out"')
    ],
    "unit_circle": [Case("x: f32[B, N, 3]", "f32[B, N, 6]", "x |> hyper.unit_circle", ROWS)],
    "UnitLinear": [Case("x: f32[B, N, 4]", "f32[B, N, 5]", "x |> hyper.UnitLinear[5]", ROWS)],
    "joined": [Case("x: f32[B, N, 3, 5]", "f32[B, N, 14]", "x |> hyper.joined[Linear[2, I=6]]", ROWS)],
    **{
        name: [
            Case("x: f32[B, N, 4]", f"f32[B, N, {size}]", f"x |> hyper.{name}[{target}{more}]", ROWS)
            for target, size in (("Linear[3, I=5]", 18), ("Mlp[[6], 2, I=5]", 50), ("LayerNorm[D=4]", 8))
        ]
        for name, more in (
            ("Heads", ', "own"'),
            ("AtOnce", ', "fan_out"'),
            ("Components", ", width=6"),
            ("Chunks", ", size=7, width=6"),
        )
    },
    "Scaled": [Case("x: f32[B, N, 18]", "f32[B, N, 18]", "x |> hyper.Scaled[Linear[3, I=5]]", ROWS)],
    "kronecker_sum": [
        Case("a: f32[2, 2, 2], f: f32[2, 3, 4, 5]", "f32[6, 8, 5]", "hyper.kronecker_sum(a, f)", [{}]),
        Case("a: f32[2, 2, 2], f: f32[2, 3, 4]", "f32[6, 8]", "hyper.kronecker_sum(a, f)", [{}]),
    ],
    "PhmLinear": [
        Case("x: f32[B, N, 6]", "f32[B, N, 4]", f"x |> hyper.PhmLinear[4, n=2{bias}]", ROWS)
        for bias in ("", ", bias=false")
    ],
    **{
        f"PhcConv{axes}d": [
            Case(
                f"x: f32[B, 6, {sizes}]",
                f"f32[B, 4, {out}]",
                f"x |> hyper.PhcConv{axes}d[4, n=2, kernel=3, stride=2, padding=1{bias}]",
                batches(),
            )
            for bias in ("", ", bias=false")
        ]
        for axes, sizes, out in ((1, "7", "4"), (2, "7, 6", "4, 3"), (3, "7, 6, 5", "4, 3, 3"))
    },
}


def declared() -> set[str]:
    """Every public block of the library; an edge is no block that can be called."""
    names = set()
    for module in STD_MODULES:
        text = files("netdsl.std").joinpath(f"{module}.net").read_text("utf-8")
        items = parse(Source(module, text)).items
        names |= {item.header.name for item in items if isinstance(item, Block) and item.kind != "edge"}
    return {name for name in names if not name.startswith("_")}


def test_every_block_of_the_library_has_a_case() -> None:
    assert {name for name in declared() if not name.startswith("_")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_reference_torch_and_onnx_runtime_agree(name: str) -> None:
    for case in CASES[name]:
        assert_three_way(case.network(), case.sizes, opsets=(18, 21, 23))


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"])
def test_training_agrees_with_the_reference(name: str) -> None:
    for case in CASES[name]:
        assert_training_agrees(case.network(), [s for s in case.sizes if s["B"]])
