"""The codes of export and of running models: E071, E0802 and E081. No `.net` text alone shows them: no example."""

from netdsl.codes import Code

CODES: dict[str, Code] = {
    "E0710": Code(
        "an op that cannot be exported",
        "ONNX has no operator for it and no composition of operators computes it. The title says why.",
        "",
        "",
    ),
    "E0711": Code(
        "an element type that ONNX Runtime cannot compute with",
        "The op can be written in ONNX, but ONNX Runtime has no kernel for this element type, so the file would not "
        "load. Convert the operands with `cast[..]`.",
        "",
        "",
    ),
    "E0712": Code(
        "a size that no input shows",
        "A free dimension gets its value from the shapes of the inputs. This one is needed in the file, and no input "
        "has an axis of its size, or one that is linear in it, such as `2 * N + 1`. Give an input such an axis, or "
        "make the dimension static.",
        "",
        "",
    ),
    "E0802": Code(
        "a provider that is not usable",
        "ONNX Runtime would run the model on the CPU in silence. The provider that is asked for is the one that is "
        "used, or nothing runs. `netdsl doctor` shows what is installed.",
        "",
        "",
    ),
    "E0810": Code(
        "a model that cannot be run",
        "The file is no ONNX model, is damaged, lacks the file with its weights, or needs what this version of ONNX "
        "Runtime does not have. The title ends with the reason.",
        "",
        "",
    ),
    "E0811": Code(
        "inputs that are missing or unknown",
        "A model needs a value for each of its inputs and takes no other.",
        "",
        "",
    ),
    "E0812": Code(
        "an input of another type",
        "Element type, number of axes and sizes are those of the network's header; a free dimension has one value "
        "wherever it stands. Nothing is converted on its own.",
        "",
        "",
    ),
    "E0813": Code(
        "sizes that the network excludes",
        "The network's `where` clause is checked when a model is run.",
        "",
        "",
    ),
    "E0814": Code(
        "a value that the network excludes",
        "Elements of an `idx[N]` input lie in 0 to N - 1, those of an input with a range (`where x in 0..1`) "
        "lie in it.",
        "",
        "",
    ),
    "E0815": Code(
        "a model that failed while it ran",
        "ONNX Runtime refused the values, or ran out of memory. The title ends with its reason, and a note names the "
        "line of the `.net` file where that is known.",
        "",
        "",
    ),
}
