"""Random networks as text: generated weights (shared, one set a row, nested), `each`, and edges of random functions."""

import random
from dataclasses import dataclass

POINTWISE = ("relu", "tanh", "silu", "gelu", "sigmoid")


@dataclass
class Writer:
    """Writes one network; `kinds` collects what it is made of."""

    rng: random.Random
    kinds: set[str]

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def width(self) -> int:
        return self.rng.choice((1, 2, 3, 5, 8))

    # --- blocks whose parameters are generated ---

    def block(self, name: str, ins: int, outs: int) -> str:
        """A block from [.., ins] to [.., outs], of layers that any leading axes go through."""
        stages = ["x"]
        width = ins
        for _ in range(self.rng.randint(0, 2)):
            kind = self.pick("linear", "norm", "gated", "mlp")
            if kind == "linear":
                width = self.width()
                stages.append(f"Linear[{width}{self.pick('', ', bias=false')}] |> {self.pick(*POINTWISE)}")
            elif kind == "norm":
                stages.append(self.pick("LayerNorm", "RmsNorm"))
            elif kind == "gated":
                width = self.width()
                stages.append(f"Linear[{2 * width}] |> Glu")
            else:
                width = self.width()
                stages.append(f"Mlp[hidden=[{self.width()}], out={width}, act={self.pick(*POINTWISE)}]")
        stages.append(f"Linear[{outs}]")
        return f"block {name}(x: float[.., {ins}]) -> float[.., {outs}] {{\n    {' |> '.join(stages)}\n}}\n"

    def generated(self) -> str:
        """A network whose layers get their parameters from a generator."""
        ins, outs, z = self.width(), self.width(), self.width()
        kind = self.pick("shared", "per row", "nested", "keyword", "mixed", "two levels")
        self.kinds.add(kind)
        head = f"block T(x: float[.., {ins}]) -> float[.., {outs}]"
        text = self.block("T", ins, outs)
        assert text.startswith(head)
        body: list[str] = []
        x, result = f"f32[B, {ins}]", f"f32[B, {outs}]"
        given = f"f32[{z}]"
        made = f"Linear[numel[T]{self.pick('', ', bias=false')}]"
        if kind == "shared":
            body = [f"theta = z |> {self.pick(*POINTWISE)} |> {made} |> unpack[T]", "T(x, **theta)"]
        elif kind == "per row":
            given = f"f32[B, {z}]"
            x, result = self.pick(f"f32[B, {ins}]", f"f32[B, N, {ins}]"), ""
            body = [f"theta: params[T][B] = z |> {made} |> unpack[T]", "T(x, **theta)"]
            result = x.replace(f" {ins}]", f" {outs}]")
        elif kind == "nested":
            text += f"block G(z: float[.., {z}]) -> float[.., numel[T]] {{\n    z |> {made}\n}}\n"
            body = ["outer = c |> Linear[numel[G]] |> unpack[G]", "T(x, **(G(z, **outer) |> unpack[T]))"]
            return self.network(text, f"x: {x}, z: {given}, c: f32[2]", result, body)
        elif kind == "keyword":
            given = f"f32[B, {z}]"
            body = [
                f"w = z |> Linear[{ins * outs}] |> reshape[B, {outs}, {ins}]",
                f"Linear[{outs}{self.pick('', ', bias=false')}](x, weight=w)",
            ]
        elif kind == "mixed":
            body = [
                "param base: params[T] ~ init_of[T]",
                f"delta = z |> {made} |> unpack[T]",
                f"T(x, **(base {self.pick('+', '-', '*')} {self.rng.choice((0.1, 0.5, 2.0))} * delta))",
            ]
        else:
            given = f"f32[K, B, {z}]"
            x, result = self.pick(f"f32[K, B, {ins}]", f"f32[B, {ins}]"), f"f32[K, B, {outs}]"
            if x.startswith("f32[B"):
                body = [
                    f"theta: params[T][K, B] = z |> {made} |> unpack[T]",
                    f"T(broadcast[K, B, {ins}](x), **theta)",
                ]
            else:
                body = [f"theta: params[T][K, B] = z |> {made} |> unpack[T]", "T(x, **theta)"]
        return self.network(text, f"x: {x}, z: {given}", result, body)

    def each(self) -> str:
        """Slices with parameters of their own."""
        self.kinds.add("each")
        ins, outs, heads = self.width(), self.width(), self.rng.randint(1, 4)
        axis = self.pick("0", "1")
        x = f"f32[{heads}, B, {ins}]" if axis == "0" else f"f32[B, {heads}, {ins}]"
        result = x.replace(f" {ins}]", f" {outs}]")
        return self.network(self.block("T", ins, outs), f"x: {x}", result, [f"x |> each[T, axis={axis}]"])

    # --- edges ---

    def scalar(self, depth: int) -> str:
        """A function of x without parameters, bounded so that stacks of layers stay finite."""
        if depth == 0:
            return self.pick("x", "x", "tanh(x)", "sin(2 * x)", "0.5")
        kind = self.pick("sum", "product", "function")
        a, b = self.scalar(depth - 1), self.scalar(depth - 1)
        if kind == "sum":
            return f"({a} {self.pick('+', '-')} {b})"
        if kind == "product":
            return f"tanh({a} * {b})"
        return f"{self.pick('silu', 'tanh', 'sin', 'cos', 'relu')}({a} + {b})"

    def vector(self, size: int) -> str:
        """`size` functions of x."""
        kind = self.pick("stack", "splines", "polynomials", "bumps")
        if kind == "splines" and size > 3:
            return f"bspline[{size - 3}, 3](x)"
        if kind == "polynomials" and size > 1:
            return f'polynomials["{self.pick("chebyshev", "legendre")}", {size - 1}](tanh(x))'
        if kind == "bumps":
            return f"exp(-square(x - cast[float](iota[{size}])))"
        parts = [self.scalar(1) for _ in range(size)]
        return f"stack({', '.join(p if 'x' in p else f'{p} + 0 * x' for p in parts)})"

    def edge(self, name: str) -> str:
        """A random edge; most are linear in their parameters."""
        lines: list[str] = []
        terms: list[str] = []
        for at in range(self.rng.randint(1, 3)):
            per = self.pick("", "", "", " per out", " per in", " per layer")
            kind = self.pick("scaled", "dot", "dot", "bias", "inner", "plain")
            self.kinds.add(f"edge {kind}{per}")
            if kind == "dot":
                size = self.rng.randint(1, 6)
                lines.append(f"param p{at}: float[{size}]{per} ~ normal")
                terms.append(f"dot(p{at}, {self.vector(size)})")
            elif kind == "plain":
                terms.append(self.scalar(2) + " + 0 * x")
            else:
                lines.append(f"param p{at}: float{per} ~ normal")
                inner = {"scaled": f"p{at} * {self.scalar(2)}", "bias": f"p{at}", "inner": f"tanh(x - p{at})"}
                terms.append(inner[kind])
        signs = "".join(f" {self.pick('+', '-')} ({t})" for t in terms[1:])
        result = f"0 * x + ({terms[0]}){signs}"
        inner_text = "\n    ".join([*lines, result])
        return f"edge {name}(x: float) -> float {{\n    {inner_text}\n}}\n"

    def edges(self) -> str:
        """One or two layers of edges."""
        self.kinds.add("edges")
        ins, middle, outs = self.width(), self.width(), self.width()
        lead = self.pick("B, ", "B, N, ", "")
        text = self.edge("E") + self.edge("F")
        body = [f"x |> edges[{middle}, E] |> edges[{outs}, F]" if self.rng.random() < 0.5 else f"x |> edges[{outs}, E]"]
        return self.network(text, f"x: f32[{lead}{ins}]", f"f32[{lead}{outs}]", body)

    def network(self, before: str, inputs: str, result: str, body: list[str]) -> str:
        lines = "\n    ".join(body)
        return f"{before}\nnetwork N({inputs}) -> {result} {{\n    {lines}\n}}\n"


def write(seed: int, kinds: set[str]) -> str:
    """The network of one seed."""
    writer = Writer(random.Random(seed), kinds)
    choice = writer.rng.random()
    return writer.generated() if choice < 0.4 else writer.each() if choice < 0.5 else writer.edges()
