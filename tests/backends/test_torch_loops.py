"""Loops in eager, compiled and exported modules do what the reference does, gradients included."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from netdsl.backends.torch_fx import build_module
from netdsl.dims import Dim
from netdsl.ir import Graph, Value
from netdsl.ops.comparison import Gt
from netdsl.ops.creation import Constant, DimValue, Full, Iota
from netdsl.ops.elementwise import Add, Cast, Mul
from netdsl.ops.product import Matmul
from netdsl.ops.reduction import ReduceMean
from netdsl.ops.unary import Tanh
from netdsl.tensor_type import BOOL, F32, F64, I64, tensor
from tests.backends.onnx_graphs import Array, Builder
from tests.backends.torch_agreement import assert_equals_reference, assert_same_gradients, sample

AUTO = torch.export.Dim.AUTO
#: reverse, has_length, has_until.
FORMS = list(itertools.product((False, True), repeat=3))
QUICK = ((False, False, False), (False, True, False), (True, True, True))
SOME_FORMS = [pytest.param(*form, marks=[] if form in QUICK else pytest.mark.long) for form in FORMS]
WEIGHT = {"w": np.random.default_rng(7).normal(size=(4, 4)) * 0.5}
B, T = Dim.of("B"), Dim.of("T")


def scan(
    *, axis: int = 1, reverse: bool = False, has_length: bool = False, has_until: bool = False, count: Dim = T
) -> Graph:
    """Two sequences, three carries (a matrix, a vector, an integer), a captured generated weight, four yields."""
    main, body = Builder(), Builder()
    sizes = (B, count) if axis else (count, B)
    x, u, h0 = Value(tensor(F32, *sizes, 4), "x"), Value(tensor(F32, *sizes), "u"), Value(tensor(F32, B, 4), "h0")
    lengths = Value(tensor(I64, B), "lengths")
    weight = main(Tanh(), main.param("w", tensor(F32, 4, 4)))
    c0, n0 = main(Full((B,), 0, F32)), main(Full((B,), 3, I64))

    xt, ut = Value(tensor(F32, B, 4), "x"), Value(tensor(F32, B), "u")
    h, c, n, w = (Value(v.type, name) for v, name in ((h0, "h"), (c0, "c"), (n0, "n"), (weight, "w")))
    mixed = body(Tanh(), body(Add(), body(Matmul(), h, w), body(Mul(), xt, body(Constant((0.5,), (1,), F32)))))
    more = body(Add(), body(Mul(), c, ut), body(ReduceMean((1,)), mixed))
    later = body(Add(), n, body(DimValue(B)))
    step = body(Cast(F32), later)
    stop = [body(Gt(), body(ReduceMean((1,)), mixed), body(Full((B,), 0.2, F32)))] if has_until else []
    results = main.loop(
        body,
        (xt, ut, h, c, n, w),
        (mixed, more, later, mixed, c, step, later, *stop),
        (x, u, *([lengths] if has_length else []), h0, c0, n0, weight),
        axis=axis,
        count=count,
        sequences=2,
        carries=3,
        reverse=reverse,
        has_length=has_length,
        has_until=has_until,
    )
    inputs = {"x": x, "u": u, "h0": h0} | ({"lengths": lengths} if has_length else {})
    return main.graph(inputs, {f"y{i}": v for i, v in enumerate(results)})


def case(graph: Graph, rows: int, steps: int) -> dict[str, Array]:
    return sample(graph, {"B": rows, "T": steps}, seed=rows + steps)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("reverse", "has_length", "has_until"), FORMS)
def test_an_eager_loop_takes_any_number_of_steps_and_rows(
    axis: int, reverse: bool, has_length: bool, has_until: bool
) -> None:
    graph = scan(axis=axis, reverse=reverse, has_length=has_length, has_until=has_until)
    module = build_module(graph, WEIGHT)
    for rows, steps in itertools.product((2, 1, 0), (5, 1, 0)):
        assert_equals_reference(module, graph, case(graph, rows, steps), WEIGHT)


@pytest.mark.parametrize(("reverse", "has_length", "has_until"), SOME_FORMS)
def test_a_compiled_loop_is_one_graph_for_every_length(reverse: bool, has_length: bool, has_until: bool) -> None:
    """Outputs and gradients equal the eager module's; three lengths take at most two compilations."""
    torch._dynamo.reset()
    graph = scan(reverse=reverse, has_length=has_length, has_until=has_until)
    module = build_module(graph, WEIGHT)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(module, fullgraph=True, backend=counter)
    for steps in (5, 9, 7):
        assert_same_gradients(compiled, module, case(graph, 3, steps))
    assert counter.frame_count <= 2
    if (reverse, has_length) == (False, True):
        for steps in (1, 0):
            assert_same_gradients(compiled, module, case(graph, 3, steps))


@pytest.mark.parametrize(("reverse", "has_length", "has_until"), SOME_FORMS)
def test_an_exported_loop_takes_other_lengths(reverse: bool, has_length: bool, has_until: bool) -> None:
    graph = scan(axis=int(has_length), reverse=reverse, has_length=has_length, has_until=has_until)
    module = build_module(graph, WEIGHT).eval()
    traced = tuple(torch.tensor(a) for a in case(graph, 3, 5).values())
    shapes = tuple({i: AUTO for i, d in enumerate(v.type.sizes) if not d.is_const} for _, v in graph.inputs)
    program = torch.export.export(module, traced, dynamic_shapes=shapes)
    for rows, steps in ((3, 8), (2, 3), (1, 1), (2, 0)):
        assert_equals_reference(program.module(), graph, case(graph, rows, steps), WEIGHT)


@pytest.mark.parametrize("steps", [0, 1, 3, 12])
def test_a_loop_of_a_fixed_number_of_steps_compiles_and_exports(steps: int) -> None:
    torch._dynamo.reset()
    graph = scan(count=Dim.of(steps))
    module = build_module(graph, WEIGHT)
    inputs = case(graph, 2, 1)
    assert_equals_reference(module, graph, inputs, WEIGHT)
    assert_same_gradients(torch.compile(module, fullgraph=True, backend="aot_eager"), module, inputs)
    program = torch.export.export(module, tuple(torch.tensor(a) for a in inputs.values()))
    assert_equals_reference(program.module(), graph, inputs, WEIGHT)


@pytest.mark.long
@pytest.mark.parametrize(("reverse", "has_length", "has_until"), [FORMS[0], FORMS[7]])
def test_the_default_compiler_agrees(reverse: bool, has_length: bool, has_until: bool) -> None:
    torch._dynamo.reset()
    graph = scan(reverse=reverse, has_length=has_length, has_until=has_until)
    module = build_module(graph, WEIGHT)
    compiled = torch.compile(module, fullgraph=True)
    for steps in (5, 9, 7):
        assert_same_gradients(compiled, module, case(graph, 3, steps))


def counted() -> Graph:
    """No sequences and no carries: yields of T steps from what is captured alone."""
    main, body = Builder(), Builder()
    x = Value(tensor(F32, "B", "T"), "x")
    inner = Value(x.type, "x")
    (ys,) = main.loop(
        body, (inner,), (body(ReduceMean((1,)), inner),), (x,), axis=0, count=T * 2, sequences=0, carries=0
    )
    return main.graph({"x": x}, {"ys": ys})


def nested() -> Graph:
    """A loop over rows in a loop over steps; the inner body reads a size and a constant of the network."""
    main, outer, inner = Builder(), Builder(), Builder()
    x, s0 = Value(tensor(F32, "T", "B"), "x"), Value(tensor(F32), "s0")
    gain = main.param("gain", tensor(F32))
    row, total, middle = Value(tensor(F32, "B"), "row"), Value(tensor(F32), "total"), Value(gain.type, "gain")
    item, sum_, factor = Value(tensor(F32), "item"), Value(tensor(F32), "sum"), Value(gain.type, "gain")
    scaled = inner(Mul(), inner(Mul(), item, factor), inner(Constant((0.25,), (), F32)))
    added = inner(Tanh(), inner(Add(), inner(Add(), sum_, scaled), inner(Cast(F32), inner(DimValue(B)))))
    each, after = outer.loop(
        inner, (item, sum_, factor), (added, added), (row, total, middle), axis=0, count=B, sequences=1, carries=1
    )
    ys, final = main.loop(
        outer, (row, total, middle), (after, each), (x, s0, gain), axis=0, count=T, sequences=1, carries=1
    )
    return main.graph({"x": x, "s0": s0}, {"ys": ys, "final": final})


@pytest.mark.parametrize("make", [counted, nested])
def test_other_shapes_of_loops_agree_in_every_form(make: Callable[[], Graph]) -> None:
    torch._dynamo.reset()
    graph = make()
    params = {p.path: np.array(0.7) for p in graph.params}
    module = build_module(graph, params)
    for rows, steps in itertools.product((4, 1), (3, 1, 0)):
        assert_equals_reference(module, graph, case(graph, rows, steps), params)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for steps in (5, 9):
        assert_same_gradients(compiled, module, case(graph, 3, steps))
        assert_equals_reference(compiled, graph, case(graph, 3, steps), params)
    traced = tuple(torch.tensor(a) for a in case(graph, 3, 5).values())
    shapes = tuple(dict.fromkeys(range(v.type.rank), AUTO) for _, v in graph.inputs)
    program = torch.export.export(module, traced, dynamic_shapes=shapes)
    for rows, steps in ((2, 4), (4, 2)):
        assert_equals_reference(program.module(), graph, case(graph, rows, steps), params)


def test_a_loop_that_all_rows_left_ends_early() -> None:
    main, body = Builder(), Builder()
    x, n0 = Value(tensor(F32, "T", "B"), "x"), Value(tensor(I64, "B"), "n0")
    xt, n = Value(tensor(F32, "B"), "x"), Value(n0.type, "n")
    later = body(Add(), n, body(Constant((1,), (), I64)))
    stop = body(Gt(), xt, body(Constant((0.0,), (), F32)))
    ys, count = main.loop(
        body, (xt, n), (later, later, stop), (x, n0), axis=0, count=T, sequences=1, carries=1, has_until=True
    )
    module = build_module(main.graph({"x": x, "n0": n0}, {"ys": ys, "n": count}), {})
    turns = []
    module.loop.step.register_forward_hook(lambda *_: turns.append(None))
    x_values = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
    found, total = module(x_values, torch.zeros(2, dtype=torch.int64))
    assert [[1, 1], [2, 0], [0, 0], [0, 0]] == found.tolist()
    assert [2, 1] == total.tolist()
    assert 2 == len(turns)


def test_large_integers_pass_through_a_compiled_loop_bit_by_bit() -> None:
    torch._dynamo.reset()
    main, body = Builder(), Builder()
    x, n0 = Value(tensor(F32, "T", 2), "x"), Value(tensor(I64, 2), "n0")
    flag0 = Value(tensor(BOOL, 2), "flag0")
    xt, n, flag = Value(tensor(F32, 2), "x"), Value(n0.type, "n"), Value(flag0.type, "flag")
    later = body(Add(), n, body(Constant((1,), (), I64)))
    turned = body(Gt(), xt, body(Constant((0.0,), (), F32)))
    results = main.loop(
        body, (xt, n, flag), (later, turned, n, flag), (x, n0, flag0), axis=0, count=T, sequences=1, carries=2
    )
    module = build_module(
        main.graph({"x": x, "n0": n0, "flag0": flag0}, {f"y{i}": v for i, v in enumerate(results)}), {}
    )
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    start = torch.tensor([2**53, -(2**62) - 1])
    x_values = torch.tensor([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]], requires_grad=True)
    for actual, expected in zip(
        compiled(x_values, start, torch.tensor([True, False])),
        module(x_values, start, torch.tensor([True, False])),
        strict=True,
    ):
        assert torch.equal(expected, actual)


def test_a_loop_follows_the_module_to_another_dtype() -> None:
    module = build_module(scan(), WEIGHT).to(torch.float64)
    inputs = case(scan(), 2, 3)
    results = module(*(torch.tensor(a).double() for a in inputs.values()))
    assert [torch.float64] * 4 == [r.dtype for r in results[:3]] + [results[4].dtype]
    empty = module(*(torch.tensor(a).double() for a in case(scan(), 2, 0).values()))
    assert torch.float64 == empty[0].dtype


def test_constants_and_sizes_are_computed_once_outside_the_body() -> None:
    module = build_module(scan(), WEIGHT)
    kinds = {node.op for node in module.loop.step.graph.nodes}
    assert {"placeholder", "call_function", "call_method", "output"} >= kinds
    assert not any(n.op == "call_method" and n.target == "size" for n in module.loop.step.graph.nodes)
    assert "loop.step" not in str(list(module.state_dict()))


def test_an_iota_may_be_scanned() -> None:
    main, body = Builder(), Builder()
    x = Value(tensor(F64, "T"), "x")
    index = main(Iota(T))
    i, s = Value(tensor(I64), "i"), Value(tensor(F64), "s")
    after = body(Add(), s, body(Cast(F64), i))
    ys, _ = main.loop(
        body, (i, s), (after, after), (index, main(Full((), 0, F64))), axis=0, count=T, sequences=1, carries=1
    )
    module = build_module(main.graph({"x": x}, {"ys": ys}), {})
    assert [0.0, 1.0, 3.0, 6.0] == module(torch.zeros(4, dtype=torch.float64)).tolist()
