"""The codes of weights as values and of edges: E0366 to E0379."""

from netdsl.codes import Code


def _net(*lines: str, header: str = "(x: f32[B, 4]) -> f32[B, 4]", before: str = "") -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"{before}network A{header} {{\n{body}\n}}\n"


_ONE = "block One(x: float[.., 4]) -> float[.., 4] { x |> Linear[4] }\n"
_TWO = "block Two(x: float[.., 4]) -> float[.., 4] { x |> Linear[4] |> Linear[4] }\n"
_NORMED = "block Normed(x: float[N, 4]) -> float[N, 4] { x |> Linear[4] |> BatchNorm1d }\n"
_TABLE = "(x: f32[2, 4]) -> f32[2, 4]"
_HYPER = "(x: f32[K, B, 4], z: f32[K, 3]) -> f32[K, B, 4]"
_MADE = "{name}(x, **(z |> Linear[numel[{name}]] |> unpack[{name}]))"

CODES: dict[str, Code] = {
    "E0366": Code(
        "parameters of another block",
        "`F(x, **theta)` gives `F` every parameter that it would make, with the same paths and shapes. `params[F]`, "
        "`unpack[F]` and `pack[F]` make such a record.",
        _net("param theta: params[Two] ~ init_of[Two]", "One(x, **theta)", before=_ONE + _TWO),
        _net("param theta: params[Two] ~ init_of[Two]", "Two(x, **theta)", before=_ONE + _TWO),
    ),
    "E0367": Code(
        "a state in a mapped call",
        "A call with one set of weights for each row has no place for running statistics: all rows would write them. "
        "Nor have the sequences of a beam search.",
        _net(_MADE.format(name="Normed"), header=_HYPER, before=_NORMED),
        _net(_MADE.format(name="One"), header=_HYPER, before=_ONE),
    ),
    "E0368": Code(
        "leading axes that disagree",
        "Axes in front of given parameters map the call over them, so all given parameters must have the same.",
        _net(
            "Linear[4](x, weight=w, bias=b)",
            header="(x: f32[B, 4], w: f32[K, 4, 4], b: f32[M, 4]) -> f32[K, B, 4]",
        ),
        _net(
            "Linear[4](x, weight=w, bias=b)",
            header="(x: f32[B, 4], w: f32[K, 4, 4], b: f32[K, 4]) -> f32[K, B, 4]",
        ),
    ),
    "E0369": Code(
        "an operation that cannot be mapped",
        "Operations of plug-ins work on whole tensors, and nothing says what they do for each row.",
        _net("x |> each[Foreign]", header=_TABLE, before='extern Foreign(x: float[..]) -> float[..] = "plug:f"\n'),
        _net("x |> each[Linear[4]]", header=_TABLE),
    ),
    "E0371": Code(
        "an edge that is no function of one number",
        "An `edge` takes one number and gives one; `edges[out, E]` makes a copy for each pair of input and output.",
        _net("x |> edges[4, E]", before="edge E(x: float[4]) -> float { sum(x) }\n"),
        _net("x |> edges[4, E]", before="edge E(x: float) -> float { 2 * x }\n"),
    ),
}
