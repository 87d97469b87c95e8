"""The codes of budgets beyond one text's own limits: E052."""

from netdsl.codes import Code

CODES: dict[str, Code] = {
    "E0521": Code(
        "too many nodes",
        "The unrolled network is larger than the limit.",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 99_999 {\n        x = x + 1 + x * 2 - x\n    }\n    x\n}\n",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 99 {\n        x = x + 1 + x * 2 - x\n    }\n    x\n}\n",
    ),
    "E0522": Code(
        "too many turns",
        "The counts of nested loops, multiplied, are larger than the limit.",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 1_000_000 {\n        x = -x\n    }\n    x\n}\n",
        "network A(x: f32[4]) -> f32[4] {\n    repeat 10 {\n        x = -x\n    }\n    x\n}\n",
    ),
    "E0523": Code(
        "a tensor too large to make",
        "A tensor of constant shape, or a parameter, has more elements than the limit.",
        "network A(x: f32[B, 4]) -> f32[B, 4] {\n    param w: f32[100_000, 100_000, 100_000] ~ zeros\n    x + w[0, 0, : 4]\n}\n",
        "network A(x: f32[B, 4]) -> f32[B, 4] {\n    param w: f32[1, 1, 10] ~ zeros\n    x + w[0, 0, : 4]\n}\n",
    ),
    "E0524": Code("too many imported files", "At most 1,000 files, 32 deep.", "", ""),
    "E0525": Code(
        "a size that grows too large to write",
        "An expression of sizes has more than 512 terms, or nests too deeply.",
        "",
        "",
    ),
    "E0526": Code(
        "calls nest too deeply",
        "Blocks may call each other, and themselves over statics, at most 64 deep.",
        "block F(x: float[..]) -> float[..] {\n    F(x)\n}\nnetwork A(x: f32[4]) -> f32[4] {\n    F(x)\n}\n",
        "block F(x: float[..]) -> float[..] {\n    -x\n}\nnetwork A(x: f32[4]) -> f32[4] {\n    F(x)\n}\n",
    ),
}
