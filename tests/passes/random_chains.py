"""Random networks of layers, batch norms, scales and shifts of each channel, with labels and second readers between."""

import random

LAYERS = (
    "Conv2d[{c}, kernel=3, padding=1]",
    "Conv2d[{c}, kernel=1, bias=false]",
    "Conv2d[{c}, kernel=3, padding=1, groups={g}]",
    "ConvTranspose2d[{c}, kernel=3, padding=1]",
    "ConvTranspose2d[{c}, kernel=1, groups={g}, bias=false]",
)
AFFINE = (
    "x |> BatchNorm2d",
    "x * w{n}[:, none, none]",
    "w{n}[:, none, none] * x",
    "x + w{n}[:, none, none]",
    "x - w{n}[none, :, none, none]",
    "w{n}[:, none, none] - x",
    "x / (square(w{n}) + 1)[:, none, none]",
    "x * 0.7",
    "x - 2.0",
    "3.0 + x",
    "x * wide{n}",
)
FLAT = (
    "x |> BatchNorm1d",
    "x * v{n}",
    "v{n} + x",
    "x - v{n}",
    "x / (square(v{n}) + 1)",
    "x * -1.5",
    "x * x",
    "tanh(x)",
)


def random_chain(seed: int) -> str:
    """The text of one network, `Net`."""
    rng = random.Random(seed)
    lines: list[str] = []
    for n in range(rng.randint(2, 9)):
        kind = rng.random()
        label = f" as step{n}" if rng.random() < 0.3 else ""
        if kind < 0.4:
            groups = rng.choice((1, 2))
            lines.append("x = x |> " + rng.choice(LAYERS).format(c=4, g=groups) + label)
        elif kind < 0.85:
            lines.append(f"param w{n}: f32[4] ~ normal")
            lines.append(f"param wide{n}: f32[5, 1] ~ normal")
            lines.append("x = " + rng.choice(AFFINE).format(n=n))
        elif kind < 0.93:
            lines.append("x = relu(x)")
        else:
            lines.append("x = x + (x |> BatchNorm2d)")
    lines.append("x = mean[axis=[2, 3]](x)")
    for n in range(20, 20 + rng.randint(1, 5)):
        if rng.random() < 0.4:
            lines.append(f"x = x |> Linear[4, bias={rng.choice(('true', 'false'))}]")
        else:
            lines.append(f"param v{n}: f32[4] ~ normal")
            lines.append("x = " + rng.choice(FLAT).format(n=n))
    body = "\n    ".join(lines)
    return f"network Net(x: f32[B, 4, 5, 5]) -> f32[B, 4] {{\n    {body}\n    x\n}}\n"
