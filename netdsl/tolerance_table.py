"""How close two results must be: one table, by element type."""

#: Element type -> (relative, absolute) tolerance; both scale with the largest magnitude of the expected result.
TOLERANCES: dict[str, tuple[float, float]] = {
    "f64": (1e-9, 1e-9),
    "f32": (1e-4, 1e-5),
    "f16": (1e-2, 1e-2),
    "bf16": (5e-2, 5e-2),
}
