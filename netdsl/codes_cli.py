"""The codes of the command line: paths, arrays, claims that fail, backends that differ, what is missing here."""

from netdsl.codes import Code

CODES: dict[str, Code] = {
    "E0401": Code(
        "a claim that does not hold",
        "`netdsl verify` measured what the claim speaks of, on a backend, and found it false. The message shows the "
        "measured figure. Either the network is not what it was meant to be, or the claim is out of date.",
        "",
        "",
    ),
    "E0402": Code(
        "a backend that differs from the reference",
        "PyTorch or ONNX Runtime gave another result than the float64 reference, for the same weights and inputs, by "
        "more than the element type allows. This is a fault of the backend or of its lowering, not of the network: "
        "report it with the file.",
        "",
        "",
    ),
    "E0403": Code(
        "sizes that no call could have",
        "The sizes asked for break a fact that the network states with `where`, or no sizes were found that satisfy "
        "all of them. Choose other sizes with `--size NAME=SIZE`.",
        "",
        "",
    ),
    "E0706": Code(
        "an input file that is not what it should be",
        "An array is read from a `.npy` file as numpy writes it, with numbers or bools in it, of at most 4 GiB. "
        "Archives, pickled objects and files that are shorter than their header says are refused.",
        "",
        "",
    ),
    "E0707": Code(
        "a new file that exists already",
        "`netdsl new` never writes over a file. Choose another name, or remove the file first.",
        "",
        "",
    ),
    "E0708": Code(
        "a call that the command does not take",
        "A command, an option or an argument is missing, unknown, given twice, or has another value than it takes. "
        "Nothing was read or written. `netdsl --help` lists the commands, and `netdsl COMMAND --help` what each takes.",
        "",
        "",
    ),
    "E0801": Code(
        "a package that is not installed",
        "The command needs a package that is an extra of netdsl: PyTorch comes with `pip install 'netdsl[torch]'`, "
        "ONNX Runtime with `pip install 'netdsl[cpu]'`, or `'netdsl[gpu]'` where there is a CUDA device, and "
        "Matplotlib with `pip install 'netdsl[plot]'`. "
        "`netdsl doctor` shows what is there.",
        "",
        "",
    ),
}
