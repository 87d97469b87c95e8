"""The instance table: which nodes an instance holds, and whether they are still the ones that were checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from netdsl.digest import digest
from netdsl.ir import Graph, Instance, Node, Value


def ancestors(instances: Sequence[Instance], index: int) -> Iterator[int]:
    """`index` and the rows that enclose it, inside out."""
    while index >= 0:
        yield index
        index = instances[index].parent


def nodes_by_instance(graph: Graph, wanted: frozenset[int]) -> dict[int, list[Node]]:
    """For each wanted row the outermost nodes of its subtree, in program order; loops keep their regions."""
    found: dict[int, list[Node]] = {index: [] for index in wanted}
    chains: dict[int, tuple[int, ...]] = {}

    def visit(nodes: Sequence[Node], taken: frozenset[int]) -> None:
        for node in nodes:
            chain = chains.get(node.instance)
            if chain is None:
                chain = chains[node.instance] = tuple(
                    i for i in ancestors(graph.instances, node.instance) if i in wanted
                )
            for index in chain:
                if index not in taken:
                    found[index].append(node)
            for region in node.regions:
                visit(region.nodes, taken.union(chain))

    visit(graph.nodes, frozenset())
    return found


def current_digests(graph: Graph, wanted: frozenset[int]) -> dict[int, str]:
    """The digest of each wanted instance as its nodes are now."""
    rows = nodes_by_instance(graph, wanted)
    return {
        index: digest(nodes, graph.instances[index].inputs, graph.instances[index].outputs)
        for index, nodes in rows.items()
    }


def refresh(graph: Graph, candidates: frozenset[int]) -> Graph:
    """The graph with `intact` cleared on every candidate whose nodes no longer hash to its digest."""
    wanted = frozenset(i for i in candidates if graph.instances[i].intact)
    if not wanted:
        return graph
    now = current_digests(graph, wanted)
    rows = tuple(
        replace(row, intact=False) if i in now and now[i] != row.digest else row
        for i, row in enumerate(graph.instances)
    )
    return replace(graph, instances=rows)


def settled(graph: Graph, changed: frozenset[int]) -> Graph:
    """The graph without the changed instances that have no node any more; no row names a value that is gone.

    A row that loses a boundary value is not intact: no place of the others is sure.
    """
    instances = graph.instances
    held = {a for node in graph.walk() for a in ancestors(instances, node.instance)}
    numbers: dict[int, int] = {-1: -1}
    rows: list[Instance] = []
    known = defined_values(graph)
    for index, row in enumerate(instances):
        if row.parent not in numbers or (index in changed and index not in held and index > 0):
            continue
        numbers[index] = len(rows)
        ends = [tuple(v for v in values if v in known) for values in (row.inputs, row.outputs)]
        if ends != [row.inputs, row.outputs]:
            row = replace(row, inputs=ends[0], outputs=ends[1], intact=False)
        rows.append(replace(row, parent=numbers[row.parent]))
    nodes = graph.nodes if len(rows) == len(instances) else renumbered(graph.nodes, numbers.__getitem__)
    return replace(graph, nodes=nodes, instances=tuple(rows))


def renumbered(nodes: Iterable[Node], number: Callable[[int], int]) -> tuple[Node, ...]:
    """The nodes, those of regions too, as parts of other rows. `number` maps the old row of a node to the new one."""
    return tuple(
        replace(
            node,
            instance=number(node.instance),
            regions=tuple(replace(r, nodes=renumbered(r.nodes, number)) for r in node.regions),
        )
        for node in nodes
    )


def defined_values(graph: Graph) -> set[Value]:
    """Every value that an input, a parameter, a node or a region defines."""
    known = {v for _, v in graph.inputs} | {p.value for p in graph.params}
    for node in graph.walk():
        known.update(node.results)
        for region in node.regions:
            known.update(region.arguments)
    return known


def intact_instances(graph: Graph, block: str) -> Iterator[tuple[int, Instance]]:
    """Rows of a block, by its qualified name, whose nodes are as they were checked."""
    for index, row in enumerate(graph.instances):
        if row.intact and row.block == block:
            yield index, row


def moved(rows: Sequence[Instance], mapping: Mapping[Value, Value]) -> tuple[Instance, ...]:
    """Rows whose boundary values are replaced."""
    if not mapping:
        return tuple(rows)
    return tuple(
        replace(
            row,
            inputs=tuple(mapping.get(v, v) for v in row.inputs),
            outputs=tuple(mapping.get(v, v) for v in row.outputs),
        )
        if any(v in mapping for v in (*row.inputs, *row.outputs))
        else row
        for row in rows
    )
