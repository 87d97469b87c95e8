"""Every op over slices, with every choice of mapped operands: the loop over slices, in three backends."""

import pytest

from netdsl.dims import Dim
from netdsl.ir import Graph
from netdsl.ops import OPS
from netdsl.ops.base import Op
from netdsl.tensor_type import BF16, F64
from netdsl.vectorise.tables import REFUSED, RULES
from tests.ops.harness import TOLERANCE, _float_type, _with_float, one_node
from tests.vectorise.agreement import (
    SLICES,
    case_of,
    check_backends,
    check_gradients,
    check_reference,
    mapped_graph,
    settings,
    subsets,
)
from tests.vectorise.op_cases import OpCase, recorded

#: Ops with cases of their own elsewhere in this folder.
ELSEWHERE = {"loop", "dropout", "extern_call"}
WITH_OPERANDS = sorted(name for name, op in OPS.items() if op.operands)
IN_THE_REFERENCE, IN_THE_BACKENDS = 8, 2


def cases(name: str, count: int) -> list[OpCase]:
    """About `count` of the recorded cases of an op, from first to last."""
    found = [case for case in recorded() if case.op.name == name and BF16 not in {t.dtype for t in case.types}]
    step = max(1, -(-len(found) // count))
    return found[::step]


def graph_of(case: OpCase, *, double: bool = False) -> Graph:
    op: Op = _with_float(case.op, F64) if double else case.op
    types = [_float_type(t, F64) if double else t for t in case.types]
    return one_node(op, [t.without_names() for t in types], case.facts)


@pytest.mark.parametrize("name", WITH_OPERANDS)
def test_every_op_has_a_rule(name: str) -> None:
    assert (OPS[name] in RULES) != (OPS[name] in REFUSED)


def test_rules_are_of_registered_ops_with_operands() -> None:
    assert set() == {op.name for op in (*RULES, *REFUSED)} - set(WITH_OPERANDS)


@pytest.mark.parametrize("name", [name for name in WITH_OPERANDS if name not in ELSEWHERE])
def test_op_over_slices_is_the_loop_over_them(name: str) -> None:
    chosen = cases(name, IN_THE_REFERENCE)
    assert chosen, "a case in tests/ops"
    for case in chosen:
        graph = graph_of(case)
        for at in subsets(len(case.types)):
            free = mapped_graph(graph, at, Dim.of(SLICES))
            for env in settings(graph, case, 3):
                for count in (3, 1, 0):
                    check_reference(free, case_of(free, case.samplers, env, count))
            for count in (3, 1, 0):
                fixed = mapped_graph(graph, at, Dim.of(count))
                check_reference(fixed, case_of(fixed, case.samplers, settings(graph, case, 1)[0], count))


@pytest.mark.parametrize("name", [name for name in WITH_OPERANDS if name not in ELSEWHERE])
def test_backends_agree_on_op_over_slices(name: str) -> None:
    for case in cases(name, IN_THE_BACKENDS):
        graph = graph_of(case)
        for at in subsets(len(case.types)):
            for size in (Dim.of(SLICES), Dim.of(3)):
                made = mapped_graph(graph, at, size)
                counts = (3,) if size.is_const else (3, 1, 0)
                first = settings(graph, case, 1)[0]
                held = [case_of(made, case.samplers, first, count) for count in counts]
                if not size.is_const:
                    held += [case_of(made, case.samplers, env, 2) for env in settings(graph, case, 3)[1:]]
                check_backends(made, held, {**TOLERANCE, **case.tolerance}, case.backends)


@pytest.mark.parametrize("name", [name for name in WITH_OPERANDS if name not in ELSEWHERE])
def test_gradients_over_slices_are_those_of_the_loop(name: str) -> None:
    for case in cases(name, IN_THE_BACKENDS):
        if not case.gradients:
            continue
        graph = graph_of(case, double=True)
        for at in subsets(len(case.types)):
            for size in (Dim.of(SLICES), Dim.of(3)):
                made = mapped_graph(graph, at, size)
                check_gradients(made, case_of(made, case.samplers, settings(graph, case, 1)[0], 3))
