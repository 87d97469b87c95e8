"""One op against all backends: inferred type = reference = torch = ONNX Runtime, at several sizes."""

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from netdsl.backends.reference import run
from netdsl.backends.reference.context import numpy_dtype
from netdsl.diagnostics import NetError
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Value
from netdsl.ops.base import Op
from netdsl.tensor_type import BF16, DTYPES, F16, F32, F64, Axis, DType, TensorType, tensor

Array: TypeAlias = NDArray[Any]
Sampler: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Array]
Operand: TypeAlias = TensorType | tuple[TensorType, Sampler]
Backend: TypeAlias = Literal["torch", "onnx"]

#: (relative, absolute at magnitude 1) error that a backend may have against the float64 reference.
TOLERANCE = {F64: (1e-9, 1e-10), F32: (1e-4, 1e-5), F16: (1e-2, 2e-3), BF16: (4e-2, 4e-2)}
DEFAULT_OPSETS = (18, 21, 23)
GRADIENT_STEP = 1e-6


def uniform(low: float, high: float) -> Sampler:
    """Floats from `low` to `high`."""
    return lambda rng, shape: rng.uniform(low, high, shape)


def integers(low: int, high: int) -> Sampler:
    """Integers from `low` to `high`, both included."""
    return lambda rng, shape: rng.integers(low, high + 1, shape)


def away_from(*points: float, margin: float = 0.05, scale: float = 2.0) -> Sampler:
    """Normal floats, none within `margin` of a kink at `points`."""

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        x = rng.normal(0.0, scale, shape)
        for point in points:
            near = np.abs(x - point) < margin
            x = np.where(near, point + np.where(x < point, -margin, margin), x)
        return x

    return sample


def given(*values: float) -> Sampler:
    """These values in turn, as often as the shape needs."""
    return lambda rng, shape: np.resize(np.asarray(values), shape)


def evaluate(op: Op, *arrays: Any, types: Sequence[TensorType] | None = None) -> Any:
    """The reference's result (a tuple when there are several) on arrays; their types are read off unless given."""
    held = [np.asarray(a) for a in arrays]
    types = [_type_of(a) for a in held] if types is None else types
    results = run_reference(one_node(op, types), held)
    return results[0] if len(results) == 1 else results


def run_reference(graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int] | None = None) -> tuple[Array, ...]:
    named = {name: a for (name, _), a in zip(graph.inputs, arrays, strict=True)}
    return tuple(run(graph, named, {}, sizes=sizes).outputs.values())


def one_node(op: Op, types: Sequence[TensorType], facts: Facts = Facts.EMPTY) -> Graph:
    """A graph of `op` alone; symbols that only attributes and tables have get an input `carrier` with them as axes."""
    types = tuple(types)
    op = op.normalised(types)
    operands = tuple(Value(t, f"x{i}") for i, t in enumerate(types))
    results = tuple(Value(t, f"y{i}") for i, t in enumerate(op.infer(types, facts)))
    inputs = [(v.hint, v) for v in operands]
    tables = [t.dtype.table.size for t in types if t.dtype.table is not None]
    carried = _symbols(iter([*op.dims(), *tables])) - _symbols(d for t in types for d in t.sizes)
    if carried:
        inputs.append(("carrier", Value(tensor(F32, *sorted(carried)), "carrier")))
    return Graph(
        name=op.name,
        inputs=tuple(inputs),
        outputs=tuple((v.hint, v) for v in results),
        nodes=(Node(op, operands, results),),
        facts=facts,
    )


def check_op(
    op: Op,
    *operands: Operand,
    sizes: Mapping[str, Sequence[int]] | None = None,
    dtypes: Sequence[DType] = (),
    facts: Facts = Facts.EMPTY,
    empty: bool = True,
    static: bool = True,
    gradients: bool = False,
    opsets: Sequence[int] = DEFAULT_OPSETS,
    backends: Sequence[Backend] = ("torch", "onnx"),
    tolerance: Mapping[DType, tuple[float, float]] | None = None,
    seed: int = 0,
) -> None:
    """Assert that shape rule, reference, torch and ONNX Runtime (optimized or not) agree on `op`.

    Args:
        operands:  a type, or (type, sampler); a size given as a string is a free dimension.
        sizes:     values of each free dimension, all combined; by default distinct ones, each also 1 and 0.
        dtypes:    if given, repeat with every f32 (of operands and attributes) replaced by each of these.
        empty:     False where the op refuses an axis of size 0.
        static:    also with every size a constant.
        gradients: compare torch's gradients (in f64) with the numeric derivative of the reference.
        tolerance: (relative, absolute) by float type, in place of the table's.
    """
    types = [o if isinstance(o, TensorType) else o[0] for o in operands]
    samplers = [None if isinstance(o, TensorType) else o[1] for o in operands]
    limits = {**TOLERANCE, **(tolerance or {})}
    for dtype in dtypes or (F32,):
        cast_op, cast_types = _with_float(op, dtype), [_float_type(t, dtype) for t in types]
        graph = one_node(cast_op, cast_types, facts)
        cases = [_case(graph, samplers, env, seed) for env in _assignments(graph, sizes, facts, empty)]
        assert cases, "no sizes satisfy the facts"
        _check(graph, cases, backends, opsets, limits)
        if static and graph.free_dims:
            env = cases[0].sizes
            fixed = one_node(_fix_op(cast_op, env), [_fix_type(t, env) for t in cast_types], facts)
            _check(fixed, [_case(fixed, samplers, {}, seed)], backends, opsets, limits)
    if gradients and "torch" in backends:
        graph = one_node(_with_float(op, F64), [_float_type(t, F64) for t in types], facts)
        env = _assignments(graph, sizes, facts, empty)[0]
        _check_gradients(graph, _case(graph, samplers, env, seed))


@dataclasses.dataclass(frozen=True)
class _Case:
    sizes: dict[str, int]
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]


def _case(graph: Graph, samplers: Sequence[Sampler | None], env: dict[str, int], seed: int) -> _Case:
    rng = np.random.default_rng(seed)
    inputs = []
    for (_, value), sampler in itertools.zip_longest(graph.inputs, samplers):
        shape = tuple(d.evaluate(env) for d in value.type.sizes)
        table = value.type.dtype.table
        low, high = (0, max(table.size.evaluate(env) - 1, 0)) if table is not None else (-5, 5)
        array = sampler(rng, shape) if sampler is not None else _sample(rng, value.type.dtype, shape, low, high)
        assert shape == array.shape, "the sampler made another shape"
        held = array.astype(_native(value.type.dtype))
        inputs.append(_round_bf16(held) if value.type.dtype == BF16 else held)
    expected = run_reference(graph, [_exact(a) for a in inputs], env)
    for (name, value), array in zip(graph.outputs, expected, strict=True):
        inferred = tuple(d.evaluate(env) for d in value.type.sizes)
        assert inferred == array.shape, f"{name}: inferred {value.type} = {inferred}, reference {array.shape} at {env}"
        assert numpy_dtype(value.type.dtype) == array.dtype, f"{name}: {value.type} is held as {array.dtype}"
    return _Case(env, tuple(inputs), expected)


def _sample(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...], low: int, high: int) -> Array:
    if dtype.is_float:
        return rng.normal(0.0, 1.5, shape)
    if dtype.kind == "bool":
        return rng.random(shape) < 0.5
    return rng.integers(max(low, 0) if dtype.name == "u8" else low, high + 1, shape)


def _check(
    graph: Graph,
    cases: Sequence[_Case],
    backends: Sequence[Backend],
    opsets: Sequence[int],
    limits: Mapping[DType, tuple[float, float]],
) -> None:
    if "torch" in backends:
        for case, actual in zip(cases, _run_torch(graph, cases), strict=True):
            _compare(graph, case, actual, limits, "torch")
    is_known_to_numpy = all(v.type.dtype != BF16 for _, v in (*graph.inputs, *graph.outputs))
    if "onnx" in backends and is_known_to_numpy and not _is_refused_by_onnx(graph):
        for opset in opsets:
            for label, results in _run_onnx(graph, cases, opset):
                for case, actual in zip(cases, results, strict=True):
                    if actual is not None:
                        _compare(graph, case, actual, limits, f"onnx {label} opset {opset}")


def _compare(
    graph: Graph, case: _Case, actual: Sequence[Array], limits: Mapping[DType, tuple[float, float]], who: str
) -> None:
    assert len(case.expected) == len(actual), who
    for (name, value), expected, got in zip(graph.outputs, case.expected, actual, strict=True):
        place = f"{who}, {name}: {value.type} of {graph.nodes[0].op} at {case.sizes}"
        assert expected.shape == got.shape, place
        if not value.type.dtype.is_float:
            assert _native(value.type.dtype) == got.dtype, place
            np.testing.assert_array_equal(got, expected, err_msg=place)
            continue
        if value.type.dtype != BF16:
            assert _native(value.type.dtype) == got.dtype, place
        wanted = expected.astype(_native(value.type.dtype)).astype(np.float64)  # what overflows, overflows
        finite = np.abs(wanted[np.isfinite(wanted)])
        rtol, atol = limits[value.type.dtype]
        scaled = atol * max(1.0, float(finite.max(initial=0.0)))
        np.testing.assert_allclose(got.astype(np.float64), wanted, rtol=rtol, atol=scaled, err_msg=place)


def _run_torch(graph: Graph, cases: Sequence[_Case]) -> Iterator[list[Array]]:
    import torch

    from netdsl.backends.torch_fx.module import build_module

    module = build_module(graph, {})
    for case in cases:
        with torch.no_grad():
            results = module(*_tensors(graph, case))
        flat = results if isinstance(results, tuple) else (results,)
        wide = (r.to(torch.float32) if r.dtype == torch.bfloat16 else r for r in flat)
        yield [r.numpy() for r in wide]


def _tensors(graph: Graph, case: _Case) -> list[Any]:
    import torch

    def make(value: Value, array: Array) -> Any:
        made = torch.from_numpy(array.copy())
        return made.to(torch.bfloat16) if value.type.dtype == BF16 else made

    return [make(v, a) for (_, v), a in zip(graph.inputs, case.inputs, strict=True)]


def _run_onnx(graph: Graph, cases: Sequence[_Case], opset: int) -> Iterator[tuple[str, list[list[Array] | None]]]:
    """Results without and with graph optimization; None where ONNX Runtime is known to refuse an empty axis."""
    import onnx
    import onnxruntime as ort

    from netdsl.backends.onnx.model import build_model
    from netdsl.backends.onnx.tables import EMPTY_REFUSED

    model = build_model(graph, {}, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    refuses_empty = any(type(node.op) in EMPTY_REFUSED for node in graph.walk())
    for label, level in (
        ("plain", ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
        ("optimized", ort.GraphOptimizationLevel.ORT_ENABLE_ALL),
    ):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results: list[list[Array] | None] = []
        for case in cases:
            if refuses_empty and any(a.size == 0 for a in (*case.inputs, *case.expected)):
                results.append(None)
                continue
            feeds = {name: a for (name, _), a in zip(graph.inputs, case.inputs, strict=True)}
            results.append(session.run(None, feeds))
        yield label, results


def _is_refused_by_onnx(graph: Graph) -> bool:
    """The op, or one of its element types, stands in a table of refusals; then building must say so."""
    from netdsl.backends.onnx.model import build_model
    from netdsl.backends.onnx.tables import DTYPE_REFUSED, UNSUPPORTED

    (node,) = graph.nodes
    dtypes = {v.type.dtype.storage.name for v in (*node.operands, *node.results)}
    if type(node.op) not in UNSUPPORTED and dtypes.isdisjoint(DTYPE_REFUSED.get(type(node.op), {})):
        return False
    with pytest.raises(NetError):
        build_model(graph, {})
    return True


def _check_gradients(graph: Graph, case: _Case) -> None:
    """Gradients of a random weighted sum of the float results, torch against central differences."""
    import torch

    from netdsl.backends.torch_fx.module import build_module

    rng = np.random.default_rng(1)
    weights = [rng.normal(size=a.shape) if a.dtype.kind == "f" else None for a in case.expected]

    def loss(arrays: Sequence[Array]) -> float:
        results = run_reference(graph, arrays, case.sizes)
        return float(sum((r * w).sum() for r, w in zip(results, weights, strict=True) if w is not None))

    tensors = [t.requires_grad_(t.is_floating_point()) for t in _tensors(graph, case)]
    outputs = build_module(graph, {})(*tensors)
    flat = outputs if isinstance(outputs, tuple) else (outputs,)
    total = sum((o * torch.from_numpy(w)).sum() for o, w in zip(flat, weights, strict=True) if w is not None)
    total.backward()
    for at, ((name, _), tensor_) in enumerate(zip(graph.inputs, tensors, strict=True)):
        if not tensor_.requires_grad or name == "carrier":
            continue
        actual = np.zeros(tensor_.shape) if tensor_.grad is None else tensor_.grad.numpy()
        expected = _numeric_gradient(loss, list(case.inputs), at)
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        np.testing.assert_allclose(
            actual, expected, rtol=1e-5, atol=1e-6 * scale, err_msg=f"gradient of {name} in {graph.nodes[0].op}"
        )


def _numeric_gradient(loss: Callable[[Sequence[Array]], float], arrays: list[Array], at: int) -> Array:
    base = arrays[at]
    gradient = np.zeros(base.shape)
    for place in np.ndindex(base.shape):
        ends = []
        for step in (GRADIENT_STEP, -GRADIENT_STEP):
            moved = base.copy()
            moved[place] += step
            ends.append(loss([*arrays[:at], moved, *arrays[at + 1 :]]))
        gradient[place] = (ends[0] - ends[1]) / (2 * GRADIENT_STEP)
    return gradient


def _assignments(
    graph: Graph, sizes: Mapping[str, Sequence[int]] | None, facts: Facts, empty: bool
) -> list[dict[str, int]]:
    """Sizes to try, the most ordinary first."""
    names = sorted(_symbols(d for _, v in graph.inputs for d in v.type.sizes))
    found: list[dict[str, int]] = []
    if sizes is not None:
        found = [dict(zip(names, c, strict=True)) for c in itertools.product(*(sizes[n] for n in names))]
    else:
        base = {name: 3 + i for i, name in enumerate(names)}
        if not facts.satisfies(base):
            sampled = facts.sample(names, random.Random(0), 1, 8)
            assert sampled is not None, "no sizes satisfy the facts"
            base = sampled
        found = [base, dict.fromkeys(names, 1)]
        found += [base | {name: size} for name in names for size in ((2, 1, 0) if empty else (2, 1))]
    legal = [env for env in found if facts.satisfies(env) and all(n >= 0 for n in _all_sizes(graph, env))]
    return [env for i, env in enumerate(legal) if env not in legal[:i]]


def _all_sizes(graph: Graph, env: Mapping[str, int]) -> Iterator[int]:
    for _, value in (*graph.inputs, *graph.outputs):
        yield from (d.evaluate(env) for d in value.type.sizes)


def _symbols(dims: Iterator[Dim]) -> set[str]:
    return set().union(*(d.symbols for d in dims))


def _with_float(op: Op, dtype: DType) -> Op:
    changes = {f.name: dtype for f in dataclasses.fields(op) if getattr(op, f.name) == F32}
    return dataclasses.replace(op, **changes) if changes else op


def _float_type(t: TensorType, dtype: DType) -> TensorType:
    return t.with_dtype(dtype) if t.dtype == F32 else t


def _fix_op(op: Op, env: Mapping[str, int]) -> Op:
    def fix(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(fix(item) for item in value)
        return Dim.of(value.evaluate(env)) if isinstance(value, Dim) else value

    return dataclasses.replace(op, **{f.name: fix(getattr(op, f.name)) for f in dataclasses.fields(op)})


def _fix_type(t: TensorType, env: Mapping[str, int]) -> TensorType:
    def fix(axis: Axis) -> Axis:
        return dataclasses.replace(axis, size=Dim.of(axis.size.evaluate(env)))

    dtype = t.dtype if t.dtype.table is None else dataclasses.replace(t.dtype, table=fix(t.dtype.table))
    return TensorType(dtype, tuple(fix(a) for a in t.axes))


def _native(dtype: DType) -> np.dtype[Any]:
    """The numpy type that a backend holds `dtype` in; f32 for bf16, which numpy does not have."""
    return np.dtype({F64: "float64", F32: "float32", F16: "float16", BF16: "float32"}.get(dtype) or numpy_dtype(dtype))


def _round_bf16(array: Array) -> Array:
    """f32 values rounded to the nearest bf16, ties to even."""
    bits = array.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def _exact(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _type_of(array: Array) -> TensorType:
    if array.dtype.kind == "f":
        return tensor(F64, *array.shape)
    names = {"bool": "bool", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "u8"}
    return tensor(DTYPES[names[str(array.dtype)]], *array.shape)
