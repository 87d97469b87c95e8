"""The codes of types and sizes: E02."""

from netdsl.codes import Code


def _net(header: str, *lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"network A{header} {{\n{body}\n}}\n"


_TWO = "(x: f32[B, 4], y: f32[B, 4]) -> f32[B, 4]"

CODES: dict[str, Code] = {
    "E0201": Code(
        "two element types meet",
        "Two tensors never change their element type on their own: convert one with `cast[..]`. A number "
        "takes the type "
        "of the tensor beside it, so a fraction does not fit among integers.",
        _net("(x: f32[4], n: i64[4]) -> f32[4]", "x + n"),
        _net("(x: f32[4], n: i64[4]) -> f32[4]", "x + cast[f32](n)"),
    ),
    "E0202": Code(
        "two sizes differ",
        "Axes are aligned from the right and must have equal sizes. Only an unnamed axis of literal size 1 stretches.",
        _net("(x: f32[B, 4], y: f32[B, 5]) -> f32[B, 4]", "x + y"),
        _net("(x: f32[B, 4], y: f32[B, 1]) -> f32[B, 4]", "x + y"),
    ),
    "E0203": Code(
        "inner sizes of a matrix product differ",
        "`a @ b` needs the last axis of `a` to be as long as the second-last of `b`.",
        _net("(x: f32[B, 3], w: f32[4, 5]) -> f32[B, 5]", "x @ w"),
        _net("(x: f32[B, 4], w: f32[4, 5]) -> f32[B, 5]", "x @ w"),
    ),
    "E0204": Code(
        "an operand has another size than the operator needs",
        "A weight, a bias or a table belongs to the axis that it works on, and its size follows from it.",
        _net("(x: f32[B, 3, 8], w: f32[6, 4, 3]) -> f32[B, 6, 6]", "conv[[1], [0, 0], [1]](x, w)"),
        _net("(x: f32[B, 4, 8], w: f32[6, 4, 3]) -> f32[B, 6, 6]", "conv[[1], [0, 0], [1]](x, w)"),
    ),
    "E0205": Code(
        "another number of axes",
        "A header says how many axes an input has; `..` stands for any number of further ones.",
        _net("(x: f32[B, 4]) -> f32[B, 8]", "x[:, :, 0]"),
        _net("(x: f32[B, 8, 4]) -> f32[B, 8]", "x[:, :, 0]"),
    ),
    "E0206": Code(
        "an axis that the operand does not have",
        "Axes count from 0, or from -1 backwards.",
        _net("(x: f32[B, 4]) -> f32[B]", "sum[axis=2](x)"),
        _net("(x: f32[B, 4]) -> f32[B]", "sum[axis=1](x)"),
    ),
    "E0207": Code(
        "two axes of different names meet",
        "A named axis matches an axis of the same name, or one without a name. That two axes happen to be equally long "
        "does not make them the same.",
        _net("(x: f32[N, M]) -> f32[N, M]", "x + x.T"),
        _net("(x: f32[N, N]) -> f32[N, N]", "x + x.T"),
    ),
    "E0208": Code(
        "nothing says that two sizes are equal",
        "Sizes that are known only at run time must be proved equal from the header's `where` clauses.",
        _net("(x: f32[B, 2 * (H // 2)], y: f32[B, H]) -> f32[B, H]", "y + x"),
        _net("(x: f32[B, 2 * (H // 2)], y: f32[B, H]) -> f32[B, H] where H % 2 == 0", "y + x"),
    ),
    "E0209": Code(
        "a size out of range",
        "Sizes lie between 0 and 2147483647. A window must fit into its padded input.",
        _net("(x: f32[B, 4]) -> f32[B, 2 - 3]", "zeros[B, 2 - 3]"),
        _net("(x: f32[B, 4]) -> f32[B, 3 - 2]", "zeros[B, 3 - 2]"),
    ),
    "E0210": Code(
        "a `where` clause does not hold",
        "A block says in its header what must be true of its sizes, and a call breaks it.",
        "block Halves(x: float[B, D]) -> float[B, D // 2] where D % 2 == 0 {\n    x[:, : D // 2]\n}\n"
        + _net("(x: f32[B, 5]) -> f32[B, 2]", "Halves(x)"),
        "block Halves(x: float[B, D]) -> float[B, D // 2] where D % 2 == 0 {\n    x[:, : D // 2]\n}\n"
        + _net("(x: f32[B, 4]) -> f32[B, 2]", "Halves(x)"),
    ),
    "E0211": Code(
        "nothing says that a `where` clause holds",
        "What a called block needs must follow from the facts in the network's own header.",
        "block Halves(x: float[B, D]) -> float[B, D // 2] where D % 2 == 0 {\n    x[:, : D // 2]\n}\n"
        + _net("(x: f32[B, D]) -> f32[B, D // 2]", "Halves(x)"),
        "block Halves(x: float[B, D]) -> float[B, D // 2] where D % 2 == 0 {\n    x[:, : D // 2]\n}\n"
        + _net("(x: f32[B, D]) -> f32[B, D // 2] where D % 2 == 0", "Halves(x)"),
    ),
    "E0212": Code(
        "a free dimension sizes a parameter",
        "A parameter is made when building, so its shape must be known then. A dimension that the header "
        "leaves free is "
        "known only at run time.",
        _net("(x: f32[B, F]) -> f32[B, 7]", "x |> Linear[7]"),
        _net("[F: int = 16](x: f32[B, F]) -> f32[B, 7]", "x |> Linear[7]"),
    ),
    "E0213": Code(
        "a free dimension that can only be one number",
        "Dimensions left free stay free in every artefact. Where the facts leave one value, write it.",
        _net("(x: f32[B, N]) -> f32[B, N] where N == 5", "relu(x)"),
        _net("(x: f32[B, 5]) -> f32[B, 5]", "relu(x)"),
    ),
    "E0214": Code(
        "a value is not what was declared",
        "A result, an annotated name and an updated state have the declared type.",
        _net("(x: f32[B, 4]) -> f32[B, 5]", "relu(x)"),
        _net("(x: f32[B, 4]) -> f32[B, 4]", "relu(x)"),
    ),
    "E0215": Code(
        "`reshape` changes the number of elements",
        "The products of the sizes before and after must be equal.",
        _net("(x: f32[4]) -> f32[3]", "reshape[3](x)"),
        _net("(x: f32[4]) -> f32[2, 2]", "reshape[2, 2](x)"),
    ),
    "E0216": Code(
        "a pattern that does not fit",
        "A pattern of `rearrange` or `einsum` names every axis of its operand; names in parentheses share "
        "one axis, and "
        "all but one of their sizes must be known.",
        _net("(x: f32[B, 4]) -> f32[4, B]", 'rearrange["b c d -> c b d"](x)'),
        _net("(x: f32[B, 4]) -> f32[4, B]", 'rearrange["b c -> c b"](x)'),
    ),
    "E0217": Code(
        "another kind of elements",
        "Some operators take floats only, some bools only. Arithmetic on bools needs a `cast`.",
        _net("(x: i64[B, 4]) -> f32[B, 4]", "x |> LayerNorm"),
        _net("(x: i64[B, 4]) -> f32[B, 4]", "cast[f32](x) |> LayerNorm"),
    ),
    "E0218": Code(
        "indices into another table",
        "`idx[N]` points into an axis of size N and nothing else.",
        _net("[D: int = 4](i: idx[10][B]) -> f32[B, D]", "i |> Embedding[20, D]"),
        _net("[D: int = 4](i: idx[20][B]) -> f32[B, D]", "i |> Embedding[20, D]"),
    ),
    "E0219": Code(
        "an attribute out of range",
        "A static in the brackets of an operator has another value than the operator takes.",
        _net(_TWO, "reshape[-1, -1](x) + y"),
        _net(_TWO, "reshape[-1, 4](x) + y"),
    ),
    "E0220": Code(
        "indices into an axis that no input has",
        "How many rows a table has is read from the inputs: indices alone do not say it.",
        _net("(g: graph[N, E]) -> f32[E]", "ones[E]"),
        _net("(g: graph[N, E], x: f32[N]) -> f32[E]", "x[g.src]"),
    ),
}
