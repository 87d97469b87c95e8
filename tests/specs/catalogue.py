"""The networks of `specs/`: their files, their published counts of parameters, and small statics of the same shape."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netdsl
from netdsl.api import Network

SPECS = Path(__file__).parents[2] / "specs"


@dataclass(frozen=True)
class Spec:
    """One network of a file; `reduced` statics keep its structure and make it small.

    Args: decides: its outputs are indices, which have no gradient.
    """

    file: str
    param_count: int
    reduced: dict[str, Any]
    decides: bool = False

    @property
    def path(self) -> Path:
        return SPECS / self.file


_POINTERS = (("ConvexHull", 663_812), ("Delaunay", 663_812), ("Tsp", 663_810))

CATALOGUE = {
    **{
        f"{task}{taught}": Spec("time/pointers.net", count, {"hidden": 6}, decides=not taught)
        for taught in ("", "Taught")
        for task, count in _POINTERS
    },
    "LcmAggregation": Spec("graphs/lcm.net", 1_792, {"D": 5}),
    "SetReader": Spec("graphs/lcm.net", 7_018, {"D": 5}),
    "SumReader": Spec("graphs/lcm.net", 1_706, {"D": 5}),
    "FoldedAttention": Spec("graphs/lcm.net", 0, {}),
    "HopfieldAttention": Spec("time/hopfield.net", 13_568, {"D": 8, "heads": 2}),
    "Retrieval": Spec("time/hopfield.net", 0, {}),
    "Bags": Spec("time/hopfield.net", 4_065, {"bits": 5, "D": 8}),
    **{
        name: Spec("time/flashrnn.net", count, {"I": 5, "heads": 2, "size": 4})
        for name, count in (("Elman", 33_024), ("Gru", 99_328), ("Lstm", 132_096), ("Slstm", 132_096))
    },
    **{
        name: Spec("time/recurrent_review.net", count, {"I": 5, "hidden": 6})
        for name, count in (
            ("ElmanNet", 5_184),
            ("JordanNet", 2_120),
            ("Lstm1997", 15_552),
            ("Peephole", 20_928),
            ("Bidirectional", 141_312),
            ("Truncated", 20_992),
        )
    },
    **{name: Spec("time/hebbian.net", 0, {}) for name in ("Parallel", "Sequential", "Dense")},
    "Mip": Spec("hyper/mip.net", 26_097, {"hidden": [5, 7]}),
    "Plain": Spec("hyper/mip.net", 26_081, {"hidden": [5, 7]}),
    "OneTask": Spec("hyper/generators.net", 11_521, {"features": 4}),
    "ManyTasks": Spec("hyper/generators.net", 11_521, {"features": 4}),
    "ByOneLayer": Spec("hyper/generators.net", 11_527, {"features": 4}),
    "ByComponents": Spec("hyper/generators.net", 10_326, {"features": 4}),
    "ByChunks": Spec("hyper/generators.net", 1_662, {"features": 4}),
    "Unconditioned": Spec("hyper/generators.net", 11_661, {"width": 9}),
    "FromNoise": Spec("hyper/generators.net", 22_497, {}),
    "FromData": Spec("hyper/generators.net", 1_674, {}),
    "SoftlyShared": Spec("hyper/generators.net", 23_215, {"K": 3}),
    "Nested": Spec("hyper/generators.net", 57_945, {"tasks": 2}),
    "Recurrent": Spec("hyper/recurrent.net", 42_662, {"width": 8, "chunk": 100, "features": 4, "hidden": 6}),
    "Independent": Spec("hyper/recurrent.net", 13_542, {"width": 8, "chunk": 100, "features": 4}),
    "NeuMeta": Spec("hyper/neumeta.net", 1_738_782, {"h": 6, "frequencies": 3, "width": 8, "depth": 2}),
    "QuadraticMlp": Spec("tabular/quadratic.net", 10_398, {"hidden": [16, 8]}),
    "LinearMlp": Spec("tabular/quadratic.net", 3_466, {"hidden": [16, 8]}),
    "OneNeuron": Spec("tabular/quadratic.net", 9, {}),
    "OneLinearNeuron": Spec("tabular/quadratic.net", 3, {}),
    "ResNet20": Spec("vision/resnet20.net", 269_722, {"widths": [4, 8, 8], "depth": 1}),
    "PhcResNet20": Spec("vision/resnet20.net", 70_426, {"widths": [4, 8, 8], "depth": 1}),
    "QuadraticResNet20": Spec("vision/resnet20.net", 806_266, {"widths": [4, 8, 8], "depth": 1}),
    "Gcn": Spec("graphs/gcn.net", 23_063, {"F": 6, "hidden": 5, "classes": 3}),
    "Gat": Spec("graphs/gat.net", 92_373, {"F": 6, "hidden": 3, "heads": 2, "classes": 3}),
    "GatV2": Spec("graphs/gat.net", 184_604, {"F": 6, "hidden": 3, "heads": 2, "classes": 3}),
    "Sage": Spec("graphs/sage.net", 184_391, {"F": 6, "hidden": 5, "classes": 3}),
    "Dagnn": Spec("graphs/dagnn.net", 92_239, {"F": 6, "hidden": 5, "classes": 3, "K": 3}),
    "DagnnArxiv": Spec("graphs/dagnn.net", 43_857, {"F": 6, "hidden": 5, "classes": 3, "K": 2}),
    "Hgnn": Spec("graphs/hgnn.net", 46_119, {"F": 6, "hidden": 5, "classes": 3}),
    "HgnnPlus": Spec("graphs/hgnn.net", 46_119, {"F": 6, "hidden": 5, "classes": 3}),
    "Student": Spec("graphs/hgnn.net", 184_711, {"F": 6, "hidden": 5, "classes": 3}),
    "EgnnNet": Spec("graphs/egnn.net", 23_460, {"F": 2, "hidden": 5, "layers": 2, "most": 3}),
    "GinPnaNet": Spec("graphs/gin_pna.net", 46_917, {"F": 4, "hidden": 5, "layers": 2, "classes": 3}),
    "NcnNet": Spec("graphs/ncn.net", 11_842, {"F": 4, "hidden": 5}),
    "GaeNet": Spec("graphs/ncn.net", 1_056, {"F": 4, "hidden": 5}),
    "Agnn": Spec(
        "graphs/agnn.net",
        92_359,
        {"F": 6, "classes": 3, "layers": [(3, "sym_gat", 2, "max", True, "elu"), (4, "gcn", 1, "mean", False, "tanh")]},
    ),
    "Ppgn": Spec(
        "graphs/ppgn.net",
        140_416,
        {"features": [("ab ac ->", 0), ("ab bc -> a", 1)], "width": 4, "depth": 2, "out": 3},
    ),
    "BarlowTwins": Spec("vision/barlow_twins.net", 60_480, {"width": 4, "features": 8}),
    "Features": Spec("vision/barlow_twins.net", 19_008, {"width": 4}),
    "BarlowLoss": Spec("vision/barlow_twins.net", 0, {}),
    "Kan": Spec("kan/kan.net", 135, {}),
    "KanClassifier": Spec("kan/kan.net", 457_344, {}),
    "FormulaKan": Spec("kan/feynman.net", 135, {}),
    "Formulas": Spec("kan/feynman.net", 0, {}),
    "SKan": Spec("kan/skan.net", 414, {}),
    "KaratVit": Spec("kan/karat.net", 5_432_602, {"D": 6, "depth": 2, "r": 3, "count": 2, "patch": 4, "size": 8}),
    "Rows": Spec("kan/karat.net", 1_428, {"r": 3}),
    "NeuralField": Spec("fields/neural_field.net", 218_883, {"frequencies": 3, "width": 8}),
    "Classifier": Spec("tabular/mlp.net", 235_146, {"hidden": [16, 8]}),
    "Bert": Spec(
        "text/bert.net",
        109_482_240,
        {"vocab": 23, "D": 16, "layers": 2, "heads": 4, "ffn": 24, "positions": 40},
    ),
    "Gpt2": Spec("text/gpt2.net", 124_439_808, {"vocab": 23, "D": 16, "layers": 2, "heads": 4, "positions": 40}),
    "Gpt2Continued": Spec(
        "text/gpt2_continued.net",
        124_439_808,
        {"vocab": 23, "D": 16, "layers": 2, "heads": 4, "positions": 70, "new": 5},
        decides=True,
    ),
    "Tagger": Spec("text/tagger.net", 1_635_153, {"vocab": 23, "D": 6, "hidden": 5, "tags": 4}),
    "DigitsCnn": Spec("vision/digits_cnn.net", 58_634, {}),
    "Digits": Spec("vision/digits_small.net", 7_402, {}),
    "LeNet5": Spec("vision/lenet5.net", 61_706, {}),
    "MobileNetV2": Spec(
        "vision/mobilenet_v2.net",
        3_504_872,
        {"blocks": [(6, 16, 2), (6, 16, 1), (4, 24, 2)], "width": 0.5, "last": 32, "classes": 5},
    ),
    "ResNet18": Spec("vision/resnet18.net", 11_689_512, {"stages": [(4, 1), (6, 2), (8, 2), (8, 2)], "classes": 5}),
    "UNet": Spec("vision/unet.net", 31_037_698, {"width": 3}),
    "ViTTiny": Spec("vision/vit_tiny.net", 5_717_416, {"depth": 2, "D": 12, "classes": 7}),
}


def published(name: str) -> Network:
    """The network with its own statics."""
    return netdsl.load(CATALOGUE[name].path)[name]


def reduced(name: str) -> Network:
    """The network with small statics."""
    return netdsl.load(CATALOGUE[name].path, **CATALOGUE[name].reduced)[name]
