"""Claims: what must be true of a network, measured and tested."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl import syntax as s
from netdsl.check.claim_names import LAWS, MEASURES, PROPERTIES
from netdsl.check.report import mistake
from netdsl.check.statics import ARITHMETIC, COMPARISON
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.ir import Graph
from netdsl.record import dataclass
from netdsl.sampling import sample_inputs, sample_sizes, smallest_sizes, storage_dtype
from netdsl.tolerance import largest_difference

Array = NDArray[np.generic]
#: Runs the network on inputs: (inputs) -> outputs by name.
Runner = Callable[[Mapping[str, Array]], Mapping[str, Array]]

REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    "all": np.all,
    "any": np.any,
    "max": np.max,
    "min": np.min,
    "sum": np.sum,
    "mean": np.mean,
}
ELEMENTWISE: dict[str, Callable[[Any], Any]] = {"abs": np.abs, "finite": lambda x: np.all(np.isfinite(x))}


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim as written, whether it holds, and what was measured."""

    claim: s.Claim
    text: str
    holds: bool
    measured: str
    backend: str = "reference"


@dataclass(frozen=True, slots=True)
class Measured:
    """A value in a claim, and how it reads in the report."""

    value: Any
    text: str


def check_claim(
    claim: s.Claim,
    graph: Graph,
    runner: Runner,
    others: Callable[[str], Graph],
    *,
    flops: Callable[[Graph], Dim],
    backend: str = "reference",
) -> ClaimResult:
    """Evaluate one claim on a network's graph and on sampled runs.

    Args:   others: the graph of another network of the file, for `param_count(Other)`.
    Raises: Mistake: the claim is no boolean over measures, outputs and properties.
    """
    context = _Context(graph, runner, others, flops)
    result = _evaluate(claim.value, context)
    text = claim.span.source.text[claim.value.span.start : claim.value.span.end]
    if not isinstance(result.value, (bool, np.bool_)):
        raise mistake("E0370", f"a claim is true or false, and this is {result.text}", claim.value.span)
    return ClaimResult(claim, text, bool(result.value), result.text, backend)


@dataclass(eq=False)
class _Context:
    graph: Graph
    runner: Runner
    others: Callable[[str], Graph]
    flops: Callable[[Graph], Dim]
    outputs: "Mapping[str, Array] | None" = None

    def output(self, name: str) -> Array:
        if self.outputs is None:
            sizes = sample_sizes(self.graph, 3)
            self.outputs = self.runner(sample_inputs(self.graph, sizes))
        return self.outputs[name]


def measure(name: str, graph: Graph, flops: Callable[[Graph], Dim]) -> int:
    """A measure of a graph; FLOPs are counted at the smallest legal sizes."""
    if name == "param_count":
        return sum(p.value.type.numel().value for p in graph.params if p.kind == "param")
    if name == "state_count":
        return sum(p.value.type.numel().value for p in graph.params if p.kind == "state")
    if name == "bytes":
        return sum(p.value.type.numel().value * p.value.type.dtype.bits // 8 for p in graph.params)
    if name == "layers":
        return len({i.path for i in graph.instances})
    return flops(graph).evaluate(smallest_sizes(graph))


def _evaluate(expr: s.Expr, context: _Context) -> Measured:
    match expr:
        case s.Paren():
            return _evaluate(expr.inner, context)
        case s.Literal():
            return Measured(expr.value, expr.text)
        case s.Unary() if expr.op == "-":
            inner = _evaluate(expr.operand, context)
            return Measured(-inner.value, f"-{inner.text}")
        case s.Unary():
            inner = _evaluate(expr.operand, context)
            return Measured(np.logical_not(inner.value), f"~({inner.text})")
        case s.Binary():
            return _binary(expr, context)
        case s.Name():
            return _name(expr, context)
        case s.Call() if isinstance(expr.func, s.Name):
            return _call(expr, expr.func.id, context)
        case s.Index() if isinstance(expr.base, s.Name) and expr.base.id in PROPERTIES:
            return _property(expr, expr.base.id, context)
    raise mistake(
        "E0370",
        "a claim is made of measures, outputs, numbers and properties",
        expr.span,
        help=f"measures are {', '.join(MEASURES)}; properties are {', '.join(PROPERTIES)}",
    )


def _binary(expr: s.Binary, context: _Context) -> Measured:
    left, right = _evaluate(expr.left, context), _evaluate(expr.right, context)
    if expr.op in COMPARISON:
        value = COMPARISON[expr.op](left.value, right.value)
        shown = left.text if not isinstance(left.value, np.ndarray) else "an output"
        number = _number(left.value)
        return Measured(value, f"{shown} is {number}" if isinstance(expr.left, (s.Name, s.Call, s.Binary)) else shown)
    if expr.op in ("&", "|"):
        value = np.logical_and(left.value, right.value) if expr.op == "&" else np.logical_or(left.value, right.value)
        return Measured(value if isinstance(value, np.ndarray) else bool(value), f"{left.text}; {right.text}")
    if expr.op in ARITHMETIC:
        try:
            return Measured(ARITHMETIC[expr.op](left.value, right.value), f"{left.text} {expr.op} {right.text}")
        except ZeroDivisionError:
            raise mistake("E0321", "a claim divides by zero", expr.span) from None
    raise mistake("E0370", f"`{expr.op}` has no meaning in a claim", expr.op_span)


def _number(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, int):
        return f"{value:_}"
    if isinstance(value, np.ndarray):
        return f"between {value.min():.6g} and {value.max():.6g}" if value.size else "empty"
    return f"{value:.6g}"


def _name(expr: s.Name, context: _Context) -> Measured:
    if expr.id in MEASURES:
        return Measured(measure(expr.id, context.graph, context.flops), expr.id)
    if expr.id in PROPERTIES:
        return _property(s.Index(expr.span, expr, ()), expr.id, context)
    outputs = [n for n, _ in context.graph.outputs]
    if expr.id in outputs:
        return Measured(context.output(expr.id), expr.id)
    known = [*MEASURES, *PROPERTIES, *outputs]
    near = suggest(expr.id, known)
    raise mistake(
        "E0300",
        f"nothing is named `{expr.id}` in a claim",
        expr.span,
        help=f"did you mean `{near}`?" if near else f"a claim knows {', '.join(known)}",
    )


def _call(expr: s.Call, name: str, context: _Context) -> Measured:
    if len(expr.args) == 1 and name in MEASURES and isinstance(expr.args[0].value, s.Name):
        other = expr.args[0].value.id
        return Measured(measure(name, context.others(other), context.flops), f"{name}({other})")
    if len(expr.args) == 1 and (name in REDUCTIONS or name in ELEMENTWISE):
        inner = _evaluate(expr.args[0].value, context)
        value = (REDUCTIONS.get(name) or ELEMENTWISE[name])(inner.value)
        if isinstance(value, np.generic):
            value = value.item()
        return Measured(value, f"{name}({inner.text})")
    near = suggest(name, [*MEASURES, *REDUCTIONS, *ELEMENTWISE])
    raise mistake(
        "E0300",
        f"nothing is named `{name}` in a claim",
        expr.func.span,
        help=f"did you mean `{near}`?" if near else None,
    )


def _property(expr: s.Index, name: str, context: _Context) -> Measured:
    """Run the network on an input and on its image; both sides must agree within `within`."""
    dim: str | None = None
    within = 1e-5
    for arg in expr.args:
        if arg.name == "within" and isinstance(arg.value, s.Literal) and isinstance(arg.value.value, (int, float)):
            within = float(arg.value.value)
        elif arg.name is None and isinstance(arg.value, s.Name):
            dim = arg.value.id
        else:
            raise mistake("E0370", f"`{name}` is written `{name}[N, within=1e-5]`", arg.span)
    graph = context.graph
    if name in LAWS:
        return _law(expr, name, within, context)
    if name == "batch_independent":
        dim = dim or next(iter(graph.free_dims), None)
    if dim is None or dim not in graph.free_dims:
        raise mistake(
            "E0370",
            f"`{name}` needs a free dimension of the network",
            expr.span,
            help=f"free dimensions are {', '.join(graph.free_dims) or 'none'}",
        )
    sizes = sample_sizes(graph, 5)
    inputs = sample_inputs(graph, sizes, 1)
    order = np.random.default_rng(2).permutation(sizes[dim])
    plain = context.runner(inputs)
    if name == "batch_independent":
        order = order[: max(1, sizes[dim] // 2)]
    moved = context.runner({n: _permute(_renumbered(inputs[n], v, dim, order), v, dim, order) for n, v in graph.inputs})
    worst = 0.0
    for output, value in graph.outputs:
        expected = plain[output] if name == "permutation_invariant" else _permute(plain[output], value, dim, order)
        gap = np.abs(np.asarray(expected, np.float64) - np.asarray(moved[output], np.float64))
        worst = max(worst, float(gap.max()) if gap.size else 0.0)
    return Measured(worst <= within, f"largest difference {worst:.3g}")


def _law(expr: s.Index, name: str, within: float, context: _Context) -> Measured:
    """Combine sampled elements in two ways; both must agree within `within`."""
    graph = context.graph
    inputs, outputs = [n for n, _ in graph.inputs], [n for n, _ in graph.outputs]
    count = len(outputs)
    types = [v.type.without_names() for _, v in (*graph.inputs, *graph.outputs)]
    first = types[:count]
    if types != first * 3:
        raise mistake("E0370", f"`{name}` is a law of monoids, which make one element of two", expr.span)
    sizes = sample_sizes(graph, 5)
    a, b, c = ([sample_inputs(graph, sizes, seed)[n] for n in inputs[:count]] for seed in (1, 2, 3))

    def combined(left: Sequence[Array], right: Sequence[Array]) -> list[Array]:
        found = context.runner(dict(zip(inputs, (*left, *right), strict=True)))
        stored = (storage_dtype(t.dtype.storage.name) for t in first)
        return [np.asarray(found[n]).astype(dtype) for n, dtype in zip(outputs, stored, strict=True)]

    if name == "commutative":
        pairs = combined(a, b), combined(b, a)
    else:
        pairs = combined(combined(a, b), c), combined(a, combined(b, c))
    worst = max(largest_difference(left, right) for left, right in zip(*pairs, strict=True))
    return Measured(worst <= within, f"largest difference {worst:.3g}")


def _renumbered(array: Array, value: Any, dim: str, order: NDArray[np.int64]) -> Array:
    """Indices that point into the axis, when its elements stand in another order."""
    table = value.type.dtype.table
    return np.argsort(order)[array] if table is not None and table.size == Dim.of(dim) else array


def _permute(array: Array, value: Any, dim: str, order: NDArray[np.int64]) -> Array:
    for axis, a in enumerate(value.type.axes):
        if a.size == Dim.of(dim):
            array = np.take(array, order, axis)
    return array
