"""A vectorised body against a loop over its slices."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netdsl.dims import Dim
from netdsl.ir import Graph, Node, Region, Value
from netdsl.tensor_type import F64, Axis
from netdsl.vectorise import vectorise
from netdsl.verify import verify
from tests.ops.harness import (
    TOLERANCE,
    Sampler,
    _assignments,
    _Case,
    _case,
    _compare,
    _float_type,
    _run_onnx,
    _run_torch,
    _with_float,
    run_reference,
)
from tests.random_networks.generate import rooted
from tests.vectorise.op_cases import OpCase

Array = NDArray[Any]

#: The symbol of the slices; no case uses it.
SLICES = "Slices"
EXACT = 1e-12


@dataclass(frozen=True, eq=False)
class Mapped:
    """One body with a choice of mapped inputs: the graph of one slice and that of all.

    Args: at: which inputs are mapped.
    """

    single: Graph
    whole: Graph
    at: frozenset[int]


def mapped_graph(single: Graph, at: frozenset[int], size: Dim) -> Mapped:
    """The graph of all slices of the body of `single`, verified."""
    mapped = {
        value: Value(value.type.with_axes((Axis(None, size), *value.type.axes)), name)
        for index, (name, value) in enumerate(single.inputs)
        if index in at
    }
    made = vectorise(single.nodes, mapped, size, [v for _, v in single.outputs], single.facts)
    inputs = [(name, mapped.get(value, value)) for name, value in single.inputs]
    outputs = tuple((name, v) for (name, _), v in zip(single.outputs, made.results, strict=True))
    whole = replace(single, inputs=tuple(inputs), outputs=outputs, nodes=made.nodes, instances=(), taps=(), updates=())
    whole = rooted(whole)
    verify(whole)
    for (_, old), (_, new) in zip(single.outputs, outputs, strict=True):
        wanted = [size, *old.type.sizes]
        assert all(single.facts.prove_eq(a, b) for a, b in zip(wanted, new.type.sizes, strict=True))
        assert old.type.dtype.storage == new.type.dtype.storage
    return Mapped(single, whole, at)


def slices(m: Mapped, samplers: Sequence[Sampler | None], env: Mapping[str, int], count: int) -> list[list[Array]]:
    """Inputs of each slice; the shared ones are those of the first."""
    made = [list(_case(m.single, samplers, dict(env), seed).inputs) for seed in range(max(count, 1))]
    for inputs in made:
        for index, array in enumerate(made[0]):
            if index not in m.at:
                inputs[index] = array
    return made


def case_of(m: Mapped, samplers: Sequence[Sampler | None], env: Mapping[str, int], count: int) -> _Case:
    """Inputs of the graph of all slices, and the stacked results of the loop over them in the reference."""
    each = slices(m, samplers, env, count)
    inputs = []
    for index, first in enumerate(each[0]):
        stacked = np.stack([inputs[index] for inputs in each])[:count]
        inputs.append(stacked if index in m.at else first)
    return _Case({**env, SLICES: count}, tuple(inputs), run_looped(m.single, each, env, count))


def run_looped(single: Graph, each: Sequence[Sequence[Array]], env: Mapping[str, int], count: int) -> tuple[Array, ...]:
    """The reference's results of each slice, stacked; `each` has one slice where `count` is 0."""
    results = [run_reference(single, [_exact(a) for a in arrays], env) for arrays in each]
    return tuple(np.stack(r)[:count] for r in zip(*results, strict=True))


def check_reference(m: Mapped, case: _Case) -> None:
    """The graph of all slices equals the loop, to 1e-12 of the largest result."""
    actual = run_reference(m.whole, [_exact(a) for a in case.inputs], case.sizes)
    for (name, value), expected, got in zip(m.whole.outputs, case.expected, actual, strict=True):
        place = f"{name} of {m.single.name} at {case.sizes}, mapped {sorted(m.at)}"
        assert expected.shape == got.shape, place
        assert tuple(d.evaluate(case.sizes) for d in value.type.sizes) == got.shape, place
        if expected.dtype.kind == "f":
            scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
            np.testing.assert_allclose(got, expected, rtol=EXACT, atol=EXACT * scale, err_msg=place)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=place)


def check_backends(
    m: Mapped,
    cases: Sequence[_Case],
    limits: Mapping[Any, Any] = TOLERANCE,
    backends: Sequence[str] = ("torch", "onnx"),
) -> None:
    """torch and ONNX Runtime, optimized or not, equal the loop."""
    if "torch" in backends:
        for case, actual in zip(cases, _run_torch(m.whole, cases), strict=True):
            _compare(m.whole, case, actual, limits, f"torch, mapped {sorted(m.at)}")
    if "onnx" in backends:
        for label, results in _run_onnx(m.whole, cases, 21):
            for case, got in zip(cases, results, strict=True):
                if got is not None:
                    _compare(m.whole, case, got, limits, f"onnx {label}, mapped {sorted(m.at)}")


def check_gradients(m: Mapped, case: _Case) -> None:
    """torch's gradients through the graph of all slices equal those through a loop over them, to 1e-5."""
    import torch

    from netdsl.backends.torch_fx.module import build_module

    def leaves() -> list[Any]:
        made = [torch.from_numpy(np.array(a)) for a in case.inputs]
        return [t.requires_grad_(t.is_floating_point()) for t in made]

    def backward(outputs: Sequence[Any]) -> None:
        rng = np.random.default_rng(1)
        total = torch.zeros((), dtype=torch.float64)
        for output in outputs:
            weight = torch.from_numpy(rng.normal(size=tuple(output.shape)))
            if output.is_floating_point():
                total = total + (output * weight).sum()
        if total.requires_grad:
            total.backward()

    whole, single = build_module(m.whole, {}), build_module(m.single, {})
    ours = leaves()
    backward(_flat(whole(*ours)))
    theirs = leaves()
    looped = [
        _flat(single(*(t[index] if at in m.at else t for at, t in enumerate(theirs[: len(m.single.inputs)]))))
        for index in range(case.sizes[SLICES])
    ]
    backward([torch.stack(parts) for parts in zip(*looped, strict=True)])
    for (name, _), a, b in zip(m.whole.inputs, ours, theirs, strict=True):
        if a.requires_grad:
            actual = torch.zeros_like(a) if a.grad is None else a.grad
            expected = torch.zeros_like(b) if b.grad is None else b.grad
            scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7 * scale, err_msg=f"gradient of {name}")


def check_everywhere(single: Graph, at: frozenset[int], env: Mapping[str, int], counts: Sequence[int]) -> None:
    """A body with `at` mapped: the loop in the reference and in the backends, with a free size and a constant one."""
    samplers = [None] * len(single.inputs)
    free = mapped_graph(single, at, Dim.of(SLICES))
    cases = [case_of(free, samplers, env, count) for count in counts]
    fixed = mapped_graph(single, at, Dim.of(counts[0]))
    for m, held in ((free, cases), (fixed, cases[:1])):
        for case in held:
            check_reference(m, case)
        check_backends(m, held)


def in_double(graph: Graph) -> Graph:
    """The graph with f64 for f32, loop bodies included."""
    known: dict[Value, Value] = {}

    def wide(value: Value) -> Value:
        if value not in known:
            known[value] = Value(_float_type(value.type, F64), value.hint)
        return known[value]

    def node(old: Node) -> Node:
        regions = tuple(
            Region(tuple(map(wide, r.arguments)), tuple(map(node, r.nodes)), tuple(map(wide, r.results)))
            for r in old.regions
        )
        op = _with_float(old.op, F64)
        return replace(
            old, op=op, operands=tuple(map(wide, old.operands)), results=tuple(map(wide, old.results)), regions=regions
        )

    return replace(
        graph,
        inputs=tuple((name, wide(v)) for name, v in graph.inputs),
        outputs=tuple((name, wide(v)) for name, v in graph.outputs),
        nodes=tuple(map(node, graph.nodes)),
        instances=(),
    )


def subsets(count: int) -> Iterator[frozenset[int]]:
    """Every choice of some of `count` operands; of more than three, single ones, pairs, and all."""
    lengths = range(1, count + 1) if count <= 3 else (1, 2, count)
    for length in lengths:
        for chosen in itertools.combinations(range(count), length):
            yield frozenset(chosen)


def settings(graph: Graph, case: OpCase, most: int) -> list[dict[str, int]]:
    """Sizes of one slice: ordinary ones, all 1, and some with a 0."""
    found = _assignments(graph, case.sizes, case.facts, case.empty)
    empty = [env for env in found if 0 in env.values()]
    full = [env for env in found if 0 not in env.values()]
    return (full[: most - 1] + empty[:1] if most > 1 and empty else full[:most]) or empty[:1] or found


def _flat(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def _exact(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
