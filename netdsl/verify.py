"""What a valid graph is."""

from collections.abc import Sequence

from netdsl.instances import current_digests, defined_values
from netdsl.ir import Graph, Node, Region, Value
from netdsl.ops.loop import Loop, has_rows, loop_results
from netdsl.tensor_type import BOOL, ShapeError, TensorType


class InvalidGraph(Exception):
    """A graph that breaks a rule of the IR: a bug of the compiler or of a pass, never of a user's text."""


def verify(graph: Graph, *, instances: bool = True) -> None:
    """Check single assignment, order, types, isolation of regions, parameters and the instance table.

    Args:   instances: also recompute the digest of every instance that says it is intact.
    Raises: InvalidGraph: with every broken rule.
    """
    problems: list[str] = []
    _check_table(graph, problems)
    defined: set[Value] = set()
    for name, value in graph.inputs:
        _define(value, defined, f"input `{name}`", problems)
    paths: set[str] = set()
    for param in graph.params:
        if param.path in paths:
            problems.append(f"parameter `{param.path}` stands twice")
        paths.add(param.path)
        if (param.kind == "const") != (param.init is None):
            problems.append(
                f"parameter `{param.path}` of kind {param.kind} {'has' if param.init else 'lacks'} an initialiser"
            )
        _define(param.value, defined, f"parameter `{param.path}`", problems)
    _check_nodes(graph, graph.nodes, defined, problems)
    states = {p.path for p in graph.params if p.kind == "state"}
    for what, value in (
        *((f"output `{n}`", v) for n, v in graph.outputs),
        *((f"tap `{t.path}`", t.value) for t in graph.taps),
        *((f"update of `{u.path}`", u.value) for u in graph.updates),
    ):
        if value not in defined:
            problems.append(f"{what} reads a value that nothing defines")
    problems += [f"update of `{u.path}`, which is no state" for u in graph.updates if u.path not in states]
    if instances and not problems:
        wanted = frozenset(i for i, row in enumerate(graph.instances) if row.intact)
        for index, now in current_digests(graph, wanted).items():
            if now != graph.instances[index].digest:
                row = graph.instances[index]
                problems.append(f"instance {index} ({row.block} at `{row.path}`) says it is intact and was changed")
    if problems:
        raise InvalidGraph("\n".join(problems))


def _check_table(graph: Graph, problems: list[str]) -> None:
    if not graph.instances:
        problems.append("the instance table is empty: row 0 is the network")
    known = defined_values(graph)
    for index, row in enumerate(graph.instances):
        if not (row.parent == -1 if index == 0 else 0 <= row.parent < index):
            problems.append(f"instance {index} has parent {row.parent}")
        if not known.issuperset((*row.inputs, *row.outputs)):
            problems.append(f"instance {index} ({row.block} at `{row.path}`) names a value that nothing defines")


def _define(value: Value, defined: set[Value], what: str, problems: list[str]) -> None:
    if value in defined:
        problems.append(f"{what} is defined twice")
    defined.add(value)


def _check_nodes(graph: Graph, nodes: Sequence[Node], defined: set[Value], problems: list[str]) -> None:
    for number, node in enumerate(nodes):
        what = f"node {number} `{node.op.name}`"
        if not 0 <= node.instance < len(graph.instances):
            problems.append(f"{what} belongs to instance {node.instance}, which does not exist")
        for value in node.operands:
            if value not in defined:
                problems.append(f"{what} reads `{value.hint}` before it is defined, or from outside its region")
        _check_types(graph, node, what, problems)
        for value in node.results:
            _define(value, defined, f"a result of {what}", problems)


def _check_types(graph: Graph, node: Node, what: str, problems: list[str]) -> None:
    types = tuple(t.without_names() for t in node.operand_types)
    if isinstance(node.op, Loop):
        if len(node.regions) != 1:
            problems.append(f"{what} has {len(node.regions)} regions, not 1")
            return
        _check_region(graph, node, node.regions[0], problems)
        results = tuple(v.type for v in node.regions[0].results)
        expected = loop_results(node.op, types, results)
    else:
        if node.regions:
            problems.append(f"{what} has a region")
        try:
            expected = node.op.infer(types, graph.facts)
        except ShapeError as error:
            problems.append(f"{what}: {error}")
            return
    if len(expected) != len(node.results):
        problems.append(f"{what} has {len(node.results)} results, not {len(expected)}")
        return
    for want, value in zip(expected, node.results, strict=True):
        if not same_type(graph, want, value.type):
            problems.append(f"{what} makes {want}, and its result says {value.type}")


def same_type(graph: Graph, a: TensorType, b: TensorType) -> bool:
    """Equal element types, and sizes that are equal under the graph's facts; names aside."""
    return (
        a.dtype.storage == b.dtype.storage
        and a.rank == b.rank
        and all(x == y or graph.facts.prove_eq(x, y) is True for x, y in zip(a.sizes, b.sizes, strict=True))
    )


def _check_region(graph: Graph, node: Node, region: Region, problems: list[str]) -> None:
    op = node.op
    assert isinstance(op, Loop)
    what = "the loop's region"
    wanted = op.step_types(tuple(t.without_names() for t in node.operand_types))
    if len(wanted) != len(region.arguments):
        problems.append(f"{what} takes {len(region.arguments)} values, not {len(wanted)}")
    for want, value in zip(wanted, region.arguments, strict=False):
        if not same_type(graph, want, value.type):
            problems.append(f"{what} takes {value.type} where {want} is given")
    if len(region.results) != op.carries + op.yields + op.has_until:
        problems.append(f"{what} returns {len(region.results)} values, not {op.carries + op.yields + op.has_until}")
        return
    inside: set[Value] = set()
    for value in region.arguments:
        _define(value, inside, f"an argument of {what}", problems)
    _check_nodes(graph, region.nodes, inside, problems)
    for value in region.results:
        if value not in inside:
            problems.append(f"{what} returns a value that it does not define")
    first = op.sequences
    for start, end in zip(region.arguments[first : first + op.carries], region.results, strict=False):
        if not same_type(graph, start.type, end.type):
            problems.append(f"{what} carries {start.type} and returns {end.type}")
    if op.has_until and region.results[-1].type.dtype != BOOL:
        problems.append(f"{what} stops by {region.results[-1].type}, not by a bool")
    masks = [node.operands[op.sequences].type] if op.has_length else []
    masks += [region.results[-1].type] if op.has_until else []
    rows = region.results[: op.carries - op.states] + region.results[op.carries : op.carries + op.yields]
    problems += [
        f"{what} returns {value.type}, which has other rows than {mask}"
        for mask in masks
        for value in rows
        if not has_rows(value.type, mask, graph.facts)
    ]
