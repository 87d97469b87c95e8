"""The codes of names and statics: E030 to E033."""

from netdsl.codes import Code


def _net(*lines: str, header: str = "(x: f32[B, 4]) -> f32[B, 4]", before: str = "") -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"{before}network A{header} {{\n{body}\n}}\n"


_TWO = "block Two[n: int](x: float[.., D]) -> float[.., D] {\n    x * n\n}\n"

CODES: dict[str, Code] = {
    "E0300": Code(
        "an unknown name",
        "Nothing of this name is in the body, the file, its imports or the prelude.",
        _net("rleu(x)"),
        _net("relu(x)"),
    ),
    "E0301": Code(
        "a tensor is needed",
        "Operators work on tensors; statics stand in square brackets.",
        _net('relu("x")'),
        _net("relu(x)"),
    ),
    "E0302": Code(
        "a value must be known when building",
        "Counts of `repeat`, conditions of `if` and statics of kind int are decided when building. A dimension that "
        "the header leaves free is known only at run time.",
        _net("repeat B as turns {", "    x = relu(x)", "}", "x"),
        _net("repeat 3 as turns {", "    x = relu(x)", "}", "x"),
    ),
    "E0303": Code(
        "a size is needed",
        "The axes of a type are sizes: numbers, dimensions and arithmetic on them.",
        _net("x + zeros[B, relu]"),
        _net("x + zeros[B, 4]"),
    ),
    "E0304": Code(
        "a type in another form",
        "A tensor type is an element type and one group of axes; `idx[N][axes]` has a table.",
        _net("x", header="(x: f32[B][4]) -> f32[B, 4]"),
        _net("x"),
    ),
    "E0305": Code(
        "`..` where no leading axes are known",
        "`..` stands once in a type, and means the same axes in the whole header.",
        _net("param w: f32[.., 4] ~ zeros", "x + w"),
        _net("param w: f32[4] ~ zeros", "x + w"),
    ),
    "E0306": Code(
        "a name that is defined on one side of an `if`",
        "What is used after an `if` must be defined on both sides.",
        _net("if false { y = x }", "relu(y)"),
        _net("y = x", "if false { y = -x }", "relu(y)"),
    ),
    "E0307": Code(
        "a recipe is used as a value",
        "A recipe says how a network is deployed; it is no block.",
        _net("r(x)", before="recipe r = A\n"),
        _net("relu(x)", before="recipe r = A\n"),
    ),
    "E0310": Code(
        "an unknown type",
        "Element types are f64, f32, f16, bf16, i64, i32, i16, i8, u8, bool, idx[N], and the "
        "caller's float, int and num. Types of statics are int, dim, float, bool, str, dtype, block, list, tuple, any.",
        _net("x", header="(x: float23[B, 4]) -> f32[B, 4]"),
        _net("x"),
    ),
    "E0311": Code(
        "a name is declared twice",
        "A file's blocks and a body's parameters, lets and constants have different names.",
        _net("let f = Linear[4]", "let f = Linear[4]", "f(x)"),
        _net("let f = Linear[4]", "f(x)"),
    ),
    "E0312": Code(
        "an unknown module",
        "`import std.NAME` names a module of the standard library; a file is named by its path.",
        "import std.atention: SelfAttention\n",
        "import std.attention: SelfAttention\n",
    ),
    "E0313": Code(
        "a name that a module does not have",
        "Only a module's own public names can be imported; `_name` is private.",
        "import std.attention: SelfAtention\n",
        "import std.attention: SelfAttention\n",
    ),
    "E0314": Code(
        "an import outside the project",
        "A file is imported by a relative path ending in `.net`, inside the project folder.",
        'import "/etc/blocks.net": X\n',
        "import std.attention: attend\n",
    ),
    "E0315": Code(
        "an import of an address",
        "Compiling never touches the network: imports name files.",
        'import "https://example.org/a.net": X\n',
        "import std.attention: attend\n",
    ),
    "E0316": Code("imports form a cycle", "Move what both files need into a third one.", "", ""),
    "E0317": Code(
        "an imported file cannot be read",
        "It must be a regular UTF-8 file of at most 4 MiB; links are not followed.",
        "",
        "",
    ),
    "E0320": Code(
        "an operator does not take these values",
        "Tensors and numbers are calculated with; blocks, lists and strings are not.",
        'const N = "a" * 2\n',
        'const N = "a" + "b"\n',
    ),
    "E0321": Code(
        "a number without a value",
        "The result is not a number of 64 bits, or divides by zero.",
        _net("x * (1 / 0)"),
        _net("x * (1 / 2)"),
    ),
    "E0322": Code(
        "a constant that is not known when building",
        "A constant is a number, a string, a list or the like. It does not need itself, and no tensor.",
        "const A = B + 1\nconst B = A\n",
        "const A = B + 1\nconst B = 1\n",
    ),
    "E0323": Code(
        "another number of arguments",
        "The header of a block, or the signature of an operator, says what it takes.",
        _net("relu(x, x)"),
        _net("relu(x)"),
    ),
    "E0324": Code(
        "another kind of static",
        "Each static has a kind: an int, a float, a bool, a string, an element type, a block or a list.",
        _net('Two["a"](x)', before=_TWO),
        _net("Two[2](x)", before=_TWO),
    ),
    "E0325": Code(
        "a part of an index out of place",
        "Slices and `..` stand inside an index or a type; an index has no named parts.",
        _net("x[axis=1]", header="(x: f32[B, 4]) -> f32[B]"),
        _net("x[:, 1]", header="(x: f32[B, 4]) -> f32[B]"),
    ),
    "E0326": Code(
        "an index past the end",
        "Entries count from 0, or from -1 backwards.",
        _net("x[:, 4]", header="(x: f32[B, 4]) -> f32[B]"),
        _net("x[:, 3]", header="(x: f32[B, 4]) -> f32[B]"),
    ),
    "E0327": Code(
        "a value that takes no arguments",
        "Blocks, operators and functions are called; tensors and numbers are not.",
        _net("x(x)"),
        _net("relu(x)"),
    ),
    "E0328": Code(
        "an unknown field",
        "A tensor has `.T`; a named tuple has its fields; a `let` instance its parameters.",
        _net("x.H"),
        _net("x.T.T"),
    ),
    "E0329": Code(
        "`**` out of place", "`**record` gives the parameters of a called block.", _net("relu(**x)"), _net("relu(x)")
    ),
    "E0330": Code(
        "an unknown argument name",
        "The name before `=` is a static or an input of what is called.",
        _net("Two[m=2](x)", before=_TWO),
        _net("Two[n=2](x)", before=_TWO),
    ),
    "E0331": Code(
        "an argument is given twice",
        "Each static and each input takes one value.",
        _net("Two[2, n=2](x)", before=_TWO),
        _net("Two[n=2](x)", before=_TWO),
    ),
    "E0333": Code(
        "a label is used twice",
        "Labels are unique within a block, because they name parameters.",
        _net("x |> Linear[4] as f |> Linear[4] as f"),
        _net("x |> Linear[4] as f |> Linear[4] as g"),
    ),
    "E0334": Code(
        "a static is missing",
        "A static without a default must be given in square brackets.",
        _net("Two(x)", before=_TWO),
        _net("Two[2](x)", before=_TWO),
    ),
    "E0335": Code(
        "the sizes of an instance are not known yet",
        "A `let` instance gets its sizes from its first call.",
        _net("let e = Linear[4]", "w = e.weight", "e(x) @ w"),
        _net("let e = Linear[4]", "y = e(x)", "y @ e.weight"),
    ),
    "E0336": Code(
        "something of another kind of block",
        "`per` belongs to an `edge`, `identity` to a `monoid`, and both are used through `edges` and `aggregate`.",
        _net("param w: f32[4] per out ~ zeros", "x + w"),
        _net("param w: f32[4] ~ zeros", "x + w"),
    ),
    "E0337": Code(
        "a loop that makes parameters has no label",
        "The label names the parameters of each turn: `blocks.0.weight`.",
        _net("repeat 2 {", "    x = x |> Linear[4]", "}", "x"),
        _net("repeat 2 as blocks {", "    x = x |> Linear[4]", "}", "x"),
    ),
    "E0338": Code(
        "a shared instance is called with other sizes",
        "A `let` instance has one set of parameters, so every call must need the same.",
        _net("let f = Linear[2]", "f(x) + f(x[:, : 3])", header="(x: f32[B, 4]) -> f32[B, 2]"),
        _net("let f = Linear[2]", "f(x) + f(-x)", header="(x: f32[B, 4]) -> f32[B, 2]"),
    ),
}
