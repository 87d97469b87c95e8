"""The codes of syntax errors: E00 characters and words, E01 sentences, E05 limits of a text."""

from netdsl.codes import Code


def _in_body(line: str) -> str:
    return f"block F(a: float[.., D], b: float[.., D]) -> float[.., D] {{\n    {line}\n}}\n"


CODES: dict[str, Code] = {
    "E0001": Code(
        "a sign without meaning",
        "The text holds a sign that the language does not use. Statements end with their line, so there is no `;`; "
        "not is `~`, a power is `**`, and a choice is `if c { a } else { b }`.",
        _in_body("select(!(a > b), a, b)"),
        _in_body("select(~(a > b), a, b)"),
    ),
    "E0002": Code(
        "a string without an end",
        'A string starts and ends with `"` on one line. A line end inside is written `\\n`.',
        'const PATH = "weights\n',
        'const PATH = "weights"\n',
    ),
    "E0003": Code(
        "a string in single quotes",
        "Strings stand in double quotes only.",
        "const PATH = 'weights'\n",
        'const PATH = "weights"\n',
    ),
    "E0004": Code(
        "a backslash before a letter without meaning",
        'In a string, a backslash stands before `"`, `\\`, `n` (line end) or `t` (tab).',
        'const PATH = "data\\small"\n',
        'const PATH = "data\\\\small"\n',
    ),
    "E0005": Code(
        "a number in another spelling",
        "Numbers are written in base ten, with a digit on both sides of the point and of each `_`: `0.5`, `1.0`, "
        "`1e-5`, `5_717_416`. A name starts with a letter.",
        "const RATE = .5\n",
        "const RATE = 0.5\n",
    ),
    "E0006": Code(
        "a character that cannot be seen",
        "Control characters, invisible characters and marks that change the direction of text make a file look "
        "unlike what it says, so they are not accepted anywhere, not even in comments and strings.",
        "const A = 1 # \u202etext\n",
        "const A = 1 # text\n",
    ),
    "E0007": Code(
        "a letter outside ASCII in a name",
        "Names are ASCII letters, digits and `_`, because they become names in Python, in ONNX files and in "
        "weights. Comments and strings may hold any letter.",
        "const größe = 64\n",
        "const groesse = 64  # größe\n",
    ),
    "E0101": Code(
        "something else was expected",
        "The text up to here can only go on in the ways that the message lists.",
        "network A(x: f32[B, 4]) f32[B, 4] { x }\n",
        "network A(x: f32[B, 4]) -> f32[B, 4] { x }\n",
    ),
    "E0102": Code(
        "a bracket that is not closed",
        "Each `(`, `[` and `{` needs its partner. A declaration that starts in column 1 ends everything before it, "
        "so one missing bracket spoils one declaration only.",
        _in_body("max(a, (b + 1)"),
        _in_body("max(a, (b + 1))"),
    ),
    "E0103": Code(
        "a bracket that closes nothing, or closes another",
        "Brackets are closed in the order in which they were opened, the last one first.",
        _in_body("max(a, b))"),
        _in_body("max(a, b)"),
    ),
    "E0104": Code(
        "a keyword as a name",
        "Keywords are `const param state update let repeat for if else yield as in where scan decode fixed_point "
        "true false none`. They may name an argument, an attribute or a label, and nothing else.",
        _in_body("state = a + b"),
        _in_body("a + b"),
    ),
    "E0105": Code(
        "a chain of comparisons",
        "A comparison gives a boolean, and comparing that again is never meant. `&` binds tighter than `<`, so both "
        "sides stand in parentheses.",
        _in_body("select(0 < a < 1, a, b)"),
        _in_body("select((0 < a) & (a < 1), a, b)"),
    ),
    "E0106": Code(
        "an operator beside `|>` without parentheses",
        "`|>` binds more loosely than every operator, which is easily read the other way round: say with "
        "parentheses what goes into the stage.",
        _in_body("a + b |> relu"),
        _in_body("a + (b |> relu)"),
    ),
    "E0107": Code(
        "a label on something that makes no parameters",
        "A label names a call, or a stage of a pipe. In a sum, the call that is meant stands in parentheses with "
        "its label.",
        _in_body("a + relu(b) as act"),
        _in_body("a + (relu(b) as act)"),
    ),
    "E0108": Code(
        "a stage of a pipe that takes no input",
        "`x |> f` is `f(x)`: what follows `|>` is a block or an operation, maybe with brackets: `f[64]`, `f[64](y)`.",
        _in_body("a |> 2 |> relu"),
        _in_body("(2 * a) |> relu"),
    ),
    "E0109": Code(
        "a word or a sign of another language",
        "The language has its own spelling: `block` for a function, `~ & |` for logic, `true false none`, `else "
        "if`, and no `return`: the last expression of a body is its result.",
        _in_body("return a + b"),
        _in_body("a + b"),
    ),
    "E0110": Code(
        "arguments without a comma",
        "What stands in ( ) and [ ] is separated by commas; line ends inside do not count.",
        _in_body("max(a b)"),
        _in_body("max(a, b)"),
    ),
    "E0111": Code(
        "an argument by place after one by name",
        "Arguments without a name come first: their place says which input they are.",
        _in_body("select(condition=a > b, a, b)"),
        _in_body("select(a > b, a, b)"),
    ),
    "E0112": Code(
        "a declaration inside a body",
        "Blocks, networks, imports and the like stand at the top of the file. A block that only one other uses may "
        "stand above it.",
        _in_body("block G(c: float[..]) -> float[..] { c }"),
        "block G(c: float[..]) -> float[..] { c }\n" + _in_body("G(a) + b"),
    ),
    "E0113": Code(
        "an `if` without `else` where a value is needed",
        "The value must exist whichever side is taken.",
        _in_body("c = if training { a }\n    c + b"),
        _in_body("c = if training { a } else { b }\n    c + b"),
    ),
    "E0114": Code(
        "something other than a declaration at the top of the file",
        "A file is a list of declarations: `import`, `const`, `block`, `network`, `edge`, `monoid`, `extern`, "
        "`claim` and `recipe`. Statements stand in the body of one of them.",
        "SIZE = 64\n",
        "const SIZE = 64\n",
    ),
    "E0115": Code(
        "an assignment to something other than a name",
        "Values are given to names: tensors are never changed in place. A statement has one `=`; `==` compares.",
        _in_body("a[0] = b"),
        _in_body("c = a + b\n    c"),
    ),
    "E0116": Code(
        "two statements on one line",
        "A statement ends with its line. A comment starts with `#`, since `//` divides.",
        _in_body("c = a d = b"),
        _in_body("c = a\n    d = b\n    c + d"),
    ),
    "E0117": Code(
        "a fact that says nothing about a size",
        "What follows `where` is a list of comparisons, such as `D % heads == 0`, and of bounds, such as `B in 1..64`.",
        "block F[n: int](x: float[n]) -> float[n] where n { x }\n",
        "block F[n: int](x: float[n]) -> float[n] where n >= 1 { x }\n",
    ),
    "E0501": Code(
        "a file that is too long",
        "A file has at most 4,194,304 characters. Tables of that size belong in a weights file.",
        "# <4194304 times .>\n",
        "# short\n",
    ),
    "E0502": Code(
        "brackets that nest too deeply",
        "At most 200 brackets may be open at one place.",
        "const A = <201 times (>1<201 times )>\n",
        "const A = <199 times (>1<199 times )>\n",
    ),
    "E0503": Code(
        "a name that is too long",
        "A name has at most 256 characters.",
        "const <257 times a> = 1\n",
        "const <256 times a> = 1\n",
    ),
    "E0504": Code(
        "a number with too many digits",
        "A number has at most 40 digits.",
        "const A = <41 times 0>\n",
        "const A = <40 times 0>\n",
    ),
    "E0505": Code(
        "a number that no float can hold",
        "The greatest float is about 1.8e308. Where infinity is meant, write `inf`.",
        "const A = 1e400\n",
        "const A = 1e300\n",
    ),
    "E0506": Code(
        "an expression with too many levels",
        "Operators, calls and brackets may stand on top of each other at most 2,000 deep; a sum of many terms has "
        "one level a term. Name parts of it, or build a list and add that up.",
        "const A = 1<2000 times  + 1>\n",
        "const A = 1<1000 times  + 1>\n",
    ),
    "E0507": Code(
        "a file with too many words",
        "A file has at most 300,000 words and signs. Tables of that size belong in a weights file.",
        "const A = [<200000 times 1,>]\n",
        "const A = [<1000 times 1,>]\n",
    ),
}
