"""The codes of budgets beyond one text's own limits: E052."""

from netdsl.codes import Code

CODES: dict[str, Code] = {
    "E0521": Code(
        "too many nodes",
        "The unrolled networks of a file have more nodes and calls together than the limit of 200,000, which "
        "`--max-nodes` raises.",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 99_999 {\n        x = x + 1 + x * 2 - x\n    }\n    x\n}\n",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 99 {\n        x = x + 1 + x * 2 - x\n    }\n    x\n}\n",
    ),
    "E0522": Code(
        "too many turns",
        "The counts of nested `repeat` and `for` loops, multiplied, are larger than the limit of 100,000, which "
        "`--max-turns` raises.",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 1_000_000 {\n        x = -x\n    }\n    x\n}\n",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 10 {\n        x = -x\n    }\n    x\n}\n",
    ),
    "E0523": Code(
        "a tensor too large to make",
        "A tensor of constant shape has at most 2^40 elements and any tensor at most 64 axes. All parameters of a "
        "network together have at most 2^31 elements, which `--max-params` raises.",
        "network A(x: f32[B, 4]) -> f32[B, 4] {\n    param w: f32[100_000, 100_000, 100_000] ~ zeros\n"
        "    x + w[0, 0, : 4]\n}\n",
        "network A(x: f32[B, 4]) -> f32[B, 4] {\n    param w: f32[1, 1, 10] ~ zeros\n    x + w[0, 0, : 4]\n}\n",
    ),
    "E0524": Code(
        "too many imported files", "At most 1,000 files, 32 deep, with 200,000 words and signs together.", "", ""
    ),
    "E0525": Code(
        "a size that grows too large to write",
        "An expression of sizes has at most 512 terms, each a product of at most 64 sizes. It nests `//`, `%`, `min` "
        "and `max` at most 64 deep, and each of these is written in at most 1,000 letters.",
        "network A(x: f32[P, Q, R], y: f32[(P + Q + R) ** 40]) -> f32[P, Q, R] {\n    x\n}\n",
        "network A(x: f32[P, Q, R], y: f32[(P + Q + R) ** 4]) -> f32[P, Q, R] {\n    x\n}\n",
    ),
    "E0526": Code(
        "calls nest too deeply",
        "Blocks and constant functions may call each other, and themselves over statics, at most 64 deep; expressions "
        "inside of each other, with those of the calls around them, at most 4,000 deep.",
        "block F(x: float[..]) -> float[..] {\n    F(x)\n}\nnetwork A(x: f32[4]) -> f32[4] {\n    F(x)\n}\n",
        "block F(x: float[..]) -> float[..] {\n    -x\n}\nnetwork A(x: f32[4]) -> f32[4] {\n    F(x)\n}\n",
    ),
    "E0527": Code(
        "a list or a string that grows too long",
        "A static list has at most 100,000 items, with those of the lists inside it, which nest at most 64 deep. A "
        "string that is put together has at most as many letters, and an operation at most as many results.",
        "const A = ntuple(1, 200_000)\n",
        "const A = ntuple(1, 2)\n",
    ),
    "E0528": Code(
        "a file that takes too long to check",
        "An expression that is evaluated is one step; a turn of a loop, a call, a long list and a long size are some, "
        "and a file may take 1,000,000 steps. Constant functions that call themselves twice are soon there.",
        "const f(n: int, s: int): int = if n == 0 { s } else { f(n - 1, 2 * s) + f(n - 1, 2 * s + 1) }\n"
        "const A = f(40, 0)\n",
        "const f(n: int, s: int): int = if n == 0 { s } else { f(n - 1, 2 * s) }\nconst A = f(40, 1)\n",
    ),
}
