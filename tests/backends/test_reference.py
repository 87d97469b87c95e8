"""The reference executor: sizes, parameters, memory, and what a loop means."""

import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from netdsl.backends.reference import bind_sizes, run
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Node, Param, Region, Update, Value
from netdsl.ops.base import Op
from netdsl.ops.comparison import Gt
from netdsl.ops.elementwise import Add, Mul
from netdsl.ops.loop import Loop, loop_results
from netdsl.ops.unary import Sqrt
from netdsl.tensor_type import BOOL, F16, F32, I64, DType, TensorType, tensor

N = Dim.of("N")


def apply(nodes: list[Node], op: Op, *operands: Value) -> Value:
    (t,) = op.infer(tuple(v.type for v in operands), Facts.EMPTY)
    result = Value(t)
    nodes.append(Node(op, operands, (result,)))
    return result


def graph(inputs: Mapping[str, Value], outputs: Mapping[str, Value], nodes: Sequence[Node], **rest: object) -> Graph:
    return Graph("net", tuple(inputs.items()), tuple(outputs.items()), nodes=tuple(nodes), **rest)  # type: ignore[arg-type]


def of_types(*types: TensorType) -> Graph:
    inputs = {f"x{i}": Value(t) for i, t in enumerate(types)}
    return graph(inputs, inputs, ())


def zeros(*shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {f"x{i}": np.zeros(shape) for i, shape in enumerate(shapes)}


# --- sizes ---------------------------------------------------------------------------------------


def test_sizes_follow_from_the_inputs() -> None:
    net = of_types(tensor(F32, N * 2 + 1, "M"), tensor(F32, N * Dim.of("M"), Dim.of("K") + 1))
    assert {"N": 3, "M": 5, "K": 0} == bind_sizes(net, zeros((7, 5), (15, 1)))


def test_a_plain_axis_binds_before_a_computed_one() -> None:
    assert {"N": 5} == bind_sizes(of_types(tensor(F32, N // 2), tensor(F32, "N")), zeros((2,), (5,)))


def test_open_sizes_can_be_given() -> None:
    assert {"N": 5} == bind_sizes(of_types(tensor(F32, N // 2)), zeros((2,)), {"N": 5})


@pytest.mark.parametrize(
    ("types", "arrays", "message"),
    [
        ((tensor(F32, "N", "N"),), zeros((3, 4)), r"axis 1 of `x0` is `N`, that is 3 with N = 3; found 4"),
        ((tensor(F32, N * 2),), zeros((3,)), r"axis 0 of `x0` is `2 \* N`; no size of N makes it 3"),
        ((tensor(F32, N + 4),), zeros((3,)), r"axis 0 of `x0` is `N \+ 4`; no size of N makes it 3"),
        ((tensor(F32, N // 2),), zeros((3,)), r"which does not determine N: give their sizes"),
        ((tensor(F32, 4),), zeros((3,)), r"axis 0 of `x0` is `4`, that is 4; found 3"),
        ((tensor(F32, "N"),), zeros((3, 1)), r"`x0` is f32\[N\], of 1 axes; found \[3, 1\]"),
        ((tensor(F32, "N"),), {}, r"missing: `x0`"),
        ((), zeros((1,)), r"takes the inputs none; unknown: `x0`"),
    ],
)
def test_inputs_that_do_not_fit(types: tuple[TensorType, ...], arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bind_sizes(of_types(*types), arrays)


# --- inputs, parameters, results -----------------------------------------------------------------


def scaled(data: object = None) -> Graph:
    """y = x * w, with the state s to become y."""
    nodes: list[Node] = []
    x, w = Value(tensor(F32, "N")), Value(tensor(F32, 1))
    y = apply(nodes, Mul(), x, w)
    params = (Param("w", "param", w, data=data),)
    return graph({"x": x}, {"y": y}, nodes, params=params, updates=(Update("s", y),))


def test_floats_are_computed_in_float64() -> None:
    result = run(scaled(), {"x": np.ones(2, np.float16)}, {"w": np.array([0.1])})
    assert np.float64 == result.outputs["y"].dtype
    assert [0.1, 0.1] == result.outputs["y"].tolist()
    assert [0.1, 0.1] == result.updates["s"].tolist()
    assert {} == result.values


def test_parameters_may_hold_their_data() -> None:
    assert [6.0] == run(scaled(np.array([2.0])), {"x": np.array([3.0])}, {}).outputs["y"].tolist()
    assert [9.0] == run(scaled(np.array([2.0])), {"x": np.array([3.0])}, {"w": np.array([3.0])}).outputs["y"].tolist()


def test_all_values_are_kept_on_request() -> None:
    net = scaled(np.array([2.0]))
    assert set(run(net, {"x": np.ones(1)}, {}, keep=True).values) == {
        net.inputs[0][1],
        net.params[0].value,
        net.outputs[0][1],
    }


def test_parameters_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="parameters without a value: w"):
        run(scaled(), {"x": np.ones(2)}, {})
    with pytest.raises(ValueError, match=r"`w` is f32\[1\], that is \[1\] here; found \[2\]"):
        run(scaled(), {"x": np.ones(2)}, {"w": np.ones(2)})


@pytest.mark.parametrize(("dtype", "array"), [(I64, np.ones(2)), (BOOL, np.ones(2, np.int64))], ids=str)
def test_narrower_kinds_are_refused(dtype: DType, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="`x0` is"):
        run(of_types(tensor(dtype, "N")), {"x0": array}, {})


def test_wider_kinds_are_accepted() -> None:
    assert np.float64 == run(of_types(tensor(F16, "N")), {"x0": np.array([1, 2])}, {}).outputs["x0"].dtype


def test_values_that_are_not_numbers_make_no_noise() -> None:
    nodes: list[Node] = []
    x = Value(tensor(F32, "N"))
    net = graph({"x": x}, {"y": apply(nodes, Sqrt(), x)}, nodes)
    assert np.isnan(run(net, {"x": np.array([-1.0])}, {}).outputs["y"]).all()


def chain(length: int, shape: TensorType) -> Graph:
    nodes: list[Node] = []
    x = Value(shape)
    y = x
    for _ in range(length):
        nodes.append(Node(Add(), (y, x), (Value(shape),)))
        y = nodes[-1].result
    return graph({"x": x}, {"y": y}, nodes)


def test_a_hundred_thousand_nodes() -> None:
    net = chain(100_000, tensor(F32, 1))
    start = time.perf_counter()
    assert [100_001.0] == run(net, {"x": np.ones(1)}, {}).outputs["y"].tolist()
    assert time.perf_counter() - start < 20


def test_dead_values_are_dropped() -> None:
    net = chain(100, tensor(F32, 100_000))
    x = np.ones(100_000)
    tracemalloc.start()
    run(net, {"x": x}, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * x.nbytes


# --- loops ---------------------------------------------------------------------------------------

STEP = tensor(F32, "B")


def running_sum(*, until: float | None = None, **options: bool) -> Graph:
    """Carry and yield the sum over axis 1 of x[B, T], with a captured offset added at each step."""
    body: list[Node] = []
    step, total, offset = Value(STEP), Value(STEP), Value(tensor(F32))
    new = apply(body, Add(), apply(body, Add(), total, step), offset)
    arguments, results = (step, total, offset), [new, new]
    x, length, start, captured = Value(tensor(F32, "B", "T")), Value(tensor(I64, "B")), Value(STEP), Value(tensor(F32))
    operands = [x, *([length] if options.get("has_length") else []), start, captured]
    inputs = {"x": x, "start": start, "offset": captured}
    if options.get("has_length"):
        inputs["length"] = length
    if until is not None:
        limit, bound = Value(tensor(F32)), Value(tensor(F32))
        arguments = (*arguments, limit)
        results.append(apply(body, Gt(), new, limit))
        operands.append(bound)
        inputs["bound"] = bound
        options["has_until"] = True
    region = Region(arguments, tuple(body), tuple(results))
    op = Loop(1, Dim.of("T"), sequences=1, carries=1, yields=1, **options)
    types = loop_results(op, tuple(v.type for v in operands), tuple(v.type for v in region.results))
    sums, last = (Value(t) for t in types)
    node = Node(op, tuple(operands), (sums, last), regions=(region,))
    return graph(inputs, {"sums": sums, "last": last}, [node])


def call(net: Graph, **inputs: object) -> tuple[list[object], list[object]]:
    outputs = run(net, {name: np.asarray(value) for name, value in inputs.items()}, {}).outputs
    return outputs["sums"].tolist(), outputs["last"].tolist()


X = [[1.0, 2.0, 4.0], [10.0, 20.0, 40.0]]


def test_a_loop_carries_and_yields() -> None:
    sums, last = call(running_sum(), x=X, start=[0.0, 100.0], offset=0.0)
    assert [[1.0, 3.0, 7.0], [110.0, 130.0, 170.0]] == sums
    assert [7.0, 170.0] == last


def test_captured_values_are_read_at_each_step() -> None:
    assert [8.5, 71.5] == call(running_sum(), x=X, start=[0.0, 0.0], offset=0.5)[1]


def test_reverse_starts_at_the_end_and_yields_in_place() -> None:
    sums, last = call(running_sum(reverse=True), x=X, start=[0.0, 0.0], offset=0.0)
    assert [[7.0, 6.0, 4.0], [70.0, 60.0, 40.0]] == sums
    assert [7.0, 70.0] == last


def test_a_row_freezes_past_its_length() -> None:
    sums, last = call(running_sum(has_length=True), x=X, start=[5.0, 5.0], offset=0.0, length=[2, 0])
    assert [[6.0, 8.0, 0.0], [0.0, 0.0, 0.0]] == sums
    assert [8.0, 5.0] == last


def test_reverse_skips_the_steps_past_the_length() -> None:
    sums, last = call(running_sum(has_length=True, reverse=True), x=X, start=[5.0, 5.0], offset=0.0, length=[2, 3])
    assert [[8.0, 7.0, 0.0], [75.0, 65.0, 45.0]] == sums
    assert [8.0, 75.0] == last


def test_the_step_where_until_holds_counts() -> None:
    sums, last = call(running_sum(until=2.5), x=X, start=[0.0, 0.0], offset=0.0, bound=2.5)
    assert [[1.0, 3.0, 0.0], [10.0, 0.0, 0.0]] == sums
    assert [3.0, 10.0] == last


def test_length_and_until_together() -> None:
    net = running_sum(until=2.5, has_length=True)
    assert [[1.0, 0.0, 0.0], [10.0, 0.0, 0.0]] == call(net, x=X, start=[0, 0], offset=0, bound=2.5, length=[1, 3])[0]


def test_no_steps_return_the_start() -> None:
    for net in (running_sum(), running_sum(reverse=True)):
        sums, last = call(net, x=np.zeros((2, 0)), start=[1.0, 2.0], offset=0.0)
        assert [[], []] == sums
        assert [1.0, 2.0] == last


def test_no_rows() -> None:
    outputs = run(
        running_sum(has_length=True),
        {"x": np.zeros((0, 3)), "start": np.zeros(0), "offset": np.zeros(()), "length": np.zeros(0, np.int64)},
        {},
    ).outputs
    assert ((0, 3), (0,)) == (outputs["sums"].shape, outputs["last"].shape)


def test_until_of_a_scalar_stops_every_row() -> None:
    """Without sequences a loop counts; the carry doubles until it is above 10."""
    body: list[Node] = []
    value, limit = Value(tensor(F32)), Value(tensor(F32))
    doubled = apply(body, Add(), value, value)
    is_over = apply(body, Gt(), doubled, limit)
    region = Region((value, limit), tuple(body), (doubled, is_over))
    op = Loop(0, Dim.of(20), sequences=0, carries=1, yields=0, has_until=True)
    start, bound, last = Value(tensor(F32)), Value(tensor(F32)), Value(tensor(F32))
    node = Node(op, (start, bound), (last,), regions=(region,))
    net = graph({"start": start, "bound": bound}, {"last": last}, [node])
    assert 16.0 == run(net, {"start": np.array(1.0), "bound": np.array(10.0)}, {}).outputs["last"]


def test_loops_nest_and_may_give_back_arguments() -> None:
    """The sum of all elements of x[T, S], by rows; the outer loop yields its step unchanged."""

    def loop(
        nodes: list[Node], sequence: Value, start: Value, step: Callable[[list[Node], Value, Value], Value]
    ) -> Value:
        body: list[Node] = []
        element = Value(sequence.type.with_axes(sequence.type.axes[1:]))
        total = Value(start.type)
        result = step(body, total, element)
        region = Region((element, total), tuple(body), (result, element))
        op = Loop(0, sequence.type.sizes[0], sequences=1, carries=1, yields=1)
        types = loop_results(op, (sequence.type, start.type), (result.type, element.type))
        node = Node(op, (sequence, start), tuple(Value(t) for t in types), regions=(region,))
        nodes.append(node)
        copies.append(node.results[0])
        return node.results[1]

    copies: list[Value] = []
    nodes: list[Node] = []
    x, start = Value(tensor(F32, "T", "S")), Value(tensor(F32))

    def add(body: list[Node], total: Value, element: Value) -> Value:
        return apply(body, Add(), total, element)

    def add_row(body: list[Node], total: Value, row: Value) -> Value:
        return loop(body, row, total, add)

    total = loop(nodes, x, start, add_row)
    net = graph({"x": x, "start": start}, {"total": total, "copy": copies[-1]}, nodes)
    array = np.arange(6.0).reshape(2, 3)
    outputs = run(net, {"x": array, "start": np.array(1.0)}, {}).outputs
    assert 16.0 == outputs["total"]
    assert np.array_equal(array, outputs["copy"])
