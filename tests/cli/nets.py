"""Small files that the tests of the command line work on."""

GOOD = """\
## A line.
network Line[width: int = 2](x: f32[B, 3]) -> y: f32[B, width] {
    x |> Linear[width] as head
}

claim Line: param_count == 8
claim Line: all(finite(y))
"""

BAD = """\
network Line(x: f32[B, 3]) -> y: f32[B, 2] {
    x |> Linaer[2]
}
"""

TWO = """\
network First(x: f32[B, 3]) -> y: f32[B, 3] {
    relu(x)
}

network Second[k: int = 2](x: f32[B, 3]) -> y: f32[B, k] {
    x |> Linear[k]
}
"""

FALSE_CLAIM = GOOD.replace("== 8", "== 9")
