"""Cases of the library's pointers and memories."""

from tests.std.block_case import Case, batches

SEQUENCES = batches({"N": 2}, {"N": 1}, {"N": 4})
STATES = batches({"N": 3, "S": 2}, {"N": 1, "S": 1}, {"N": 4, "S": 0})


def pointer(call: str, result: str = "N") -> list[Case]:
    """A query and the keys, all of them seen and some of them."""
    given = "q: f32[B, 3], k: f32[B, N, 4]"
    return [
        Case(given, f"f32[B, {result}]", f"pointer.{call}(q, k)", SEQUENCES),
        Case(f"{given}, n: i64[B]", f"f32[B, {result}]", f"pointer.{call}(q, k, length_mask[N](n))", SEQUENCES),
    ]


TIME: dict[str, list[Case]] = {
    "Pointer": [*pointer("Pointer[6]"), *pointer("Pointer[6, glimpses=2]")],
    "DotPointer": [*pointer("DotPointer[6]"), *pointer("DotPointer[6, glimpses=1]")],
    "Glimpse": pointer("Glimpse[5]", "5"),
    "masked": [
        Case("x: f32[B, N], m: bool[B, N]", "f32[B, N]", "pointer.masked(x, m)", SEQUENCES),
        Case("x: f32[B, N]", "f32[B, N]", "pointer.masked(x)", SEQUENCES),
    ],
    "Hopfield": [
        Case("r: f32[B, S, 4], y: f32[B, N, 6]", "f32[B, S, 4]", f"memory.Hopfield[{statics}](r, y)", STATES)
        for statics in ("0.5", "beta=0.7, heads=2", "beta=0.5, steps=3, heads=2, tol=0.0")
    ],
    "HopfieldPooling": [
        Case("y: f32[B, N, 4]", "f32[B, 3, 4]", "memory.HopfieldPooling[beta=0.5, count=3, steps=2](y)", SEQUENCES)
    ],
    "HopfieldLayer": [
        Case(
            "r: f32[B, S, 4]", "f32[B, S, 4]", "memory.HopfieldLayer[beta=0.5, count=5](r)", batches({"S": 3}, {"S": 0})
        )
    ],
    "retrieve": [
        Case(
            "q: f32[B, 2, S, 4], k: f32[B, 2, N, 4]",
            "f32[B, 2, S, 4]",
            "memory.retrieve[0.5, 4, tol=0.0](q, k)",
            STATES,
        )
    ],
    "hopfield_energy": [
        Case(
            "x: f32[S, 4], p: f32[N, 4]",
            "f32[S]",
            "memory.hopfield_energy[0.5](x, p)",
            [{"S": 3, "N": 4}, {"S": 1, "N": 1}, {"S": 0, "N": 2}],
            "where N >= 1",
        )
    ],
}
