"""Arguments that do not fit the header are refused in the header's words."""

import time

import pytest
import torch

from netdsl.backends.torch_fx import InputError, build_module
from netdsl.dims import Dim, Facts
from netdsl.ir import Graph, Value
from netdsl.tensor_type import F32, I64, Axis, TensorType, idx, tensor

NODES = Axis("N", Dim.of("N"))


def module(facts: Facts = Facts.EMPTY, **types: TensorType) -> torch.fx.GraphModule:
    """A network that returns its inputs."""
    inputs = tuple((name, Value(t, name)) for name, t in types.items())
    return build_module(Graph("N", inputs, inputs, facts=facts), {})


IMAGE = {"image": tensor(F32, "B", 3, 224, 224)}
PAIR = {"x": tensor(F32, "B", "N"), "mask": tensor(F32, "B", Dim.of("N") * 2)}
INDEX = {"nodes": tensor(F32, "N", 2), "edges": TensorType(idx(NODES), tensor(F32, "E").axes)}
EVEN = Facts.EMPTY.with_fact("==", Dim.of("N") % 2, 0).with_bounds("B", 1, 64)


@pytest.mark.parametrize(
    ("types", "facts", "arguments", "message"),
    [
        (
            IMAGE,
            Facts.EMPTY,
            (torch.zeros(2, 1, 224, 224),),
            "`image` is f32[B, 3, 224, 224], found f32[2, 1, 224, 224]: axis 1 is 3, found 1",
        ),
        (
            IMAGE,
            Facts.EMPTY,
            (torch.zeros(3, 224, 224),),
            "`image` is f32[B, 3, 224, 224], found f32[3, 224, 224]: 4 axes, found 3",
        ),
        (
            IMAGE,
            Facts.EMPTY,
            (torch.zeros(1, 3, 224, 224, dtype=torch.int32),),
            "`image` is f32[B, 3, 224, 224], found i32[1, 3, 224, 224]",
        ),
        (IMAGE, Facts.EMPTY, ([1.0],), "`image` is f32[B, 3, 224, 224], found something that is no tensor"),
        (
            PAIR,
            Facts.EMPTY,
            (torch.zeros(2, 5), torch.zeros(3, 10)),
            "`mask` is f32[B, 2 * N], found f32[3, 10]: axis 0 is B = 2, found 3",
        ),
        (
            PAIR,
            Facts.EMPTY,
            (torch.zeros(2, 5), torch.zeros(2, 9)),
            "`mask` is f32[B, 2 * N], found f32[2, 9]: axis 1 is 2 * N = 10, found 9",
        ),
        (
            {"mask": PAIR["mask"]},
            Facts.EMPTY,
            (torch.zeros(2, 9),),
            "`mask` is f32[B, 2 * N], found f32[2, 9]: axis 1 is 2 * N, found 9",
        ),
        (PAIR, EVEN, (torch.zeros(2, 5), torch.zeros(2, 10)), "the network needs `N % 2 == 0`, found N = 5"),
        (PAIR, EVEN, (torch.zeros(0, 4), torch.zeros(0, 8)), "the network needs `B >= 1`, found B = 0"),
        (
            INDEX,
            Facts.EMPTY,
            (torch.zeros(4, 2), torch.tensor([0, 3, 4])),
            "`edges` holds indices below 4, found 4",
        ),
        (INDEX, Facts.EMPTY, (torch.zeros(4, 2), torch.tensor([0, -1])), "`edges` holds indices below 4, found -1"),
        ({"n": TensorType(I64)}, Facts.EMPTY, (torch.zeros(1),), "`n` is i64, found f32[1]"),
    ],
)
def test_an_argument_of_another_type_is_refused(
    types: dict[str, TensorType], facts: Facts, arguments: tuple[torch.Tensor, ...], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        module(facts, **types)(*arguments)
    assert message == str(caught.value)


def test_fitting_arguments_pass_also_empty_ones() -> None:
    module(EVEN, **PAIR)(torch.zeros(64, 0), torch.zeros(64, 0))
    module(**INDEX)(torch.zeros(4, 2), torch.tensor([3, 0, 3]))
    module(**INDEX)(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))


def test_a_size_may_follow_from_a_fact_alone() -> None:
    facts = Facts.EMPTY.with_fact("==", Dim.of("N"), Dim.of("K") * 2).with_fact("<=", Dim.of("K"), 3)
    net = module(facts, x=tensor(F32, "N"))
    net(torch.zeros(6))
    with pytest.raises(InputError, match=r"needs `K <= 3`"):
        net(torch.zeros(8))
    with pytest.raises(InputError, match=r"needs `N == 2 \* K`"):
        net(torch.zeros(5))


def test_the_message_names_the_type_that_the_module_has_now() -> None:
    half = module(**IMAGE).half()
    with pytest.raises(InputError, match=r"^`image` is f16\[B, 3, 224, 224\], found f32\["):
        half(torch.zeros(1, 3, 224, 224))


def test_a_compiled_module_refuses_too() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(module(**PAIR), backend="eager")
    compiled(torch.zeros(2, 5), torch.zeros(2, 10))
    with pytest.raises(InputError, match=r"axis 1 is 2 \* N = 10, found 9"):
        compiled(torch.zeros(2, 5), torch.zeros(2, 9))


def test_facts_and_indices_compile_as_one_graph() -> None:
    torch._dynamo.reset()
    for net, arguments in (
        (module(EVEN, **PAIR), (torch.zeros(2, 6), torch.zeros(2, 12))),
        (module(**INDEX), (torch.zeros(4, 2), torch.tensor([0, 3]))),
    ):
        torch.compile(net, fullgraph=True, backend="eager", dynamic=True)(*arguments)


def test_checks_work_below_vmap() -> None:
    batched = torch.vmap(module(**INDEX))
    nodes, edges = batched(torch.zeros(5, 4, 2), torch.zeros(5, 3, dtype=torch.int64))
    assert ((5, 4, 2), (5, 3)) == (tuple(nodes.shape), tuple(edges.shape))


def test_checks_take_microseconds() -> None:
    """Under 20 microseconds on an idle machine; five times as much is allowed for a busy one."""
    net = module(EVEN, **PAIR)
    arguments = (torch.zeros(2, 6), torch.zeros(2, 12))
    best = min(_seconds(net.checks, arguments) for _ in range(200))
    assert best < 100e-6


def _seconds(function: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start
