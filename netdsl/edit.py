"""Editing a frozen graph: all rewrites of a pass are collected, then one walk makes the new graph."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from netdsl.instances import ancestors, moved, refresh, settled
from netdsl.ir import Graph, Node, Param, Region, Update, Value
from netdsl.ops.base import Op
from netdsl.ops.loop import Loop, loop_results
from netdsl.source import Span
from netdsl.tensor_type import TensorType


class GraphEdit:
    """Edits of one graph. The graph itself never changes; `graph` is the new one once the `with` block ends.

    Nodes may be reached at any depth (`graph.walk()`); a value made before a node can be used there and after.
    """

    def __init__(self, graph: Graph) -> None:
        self.before = graph
        self.graph = graph
        self._values: dict[Value, Value] = {}
        self._erased: set[Node] = set()
        self._replaced: dict[Node, Node] = {}
        self._inserted: dict[Node, list[Node]] = {}
        self._dirty: set[int] = set()
        self._params: list[Param] = []
        self._dropped: set[str] = set()
        self._uses: dict[Value, list[Node]] | None = None

    def uses(self, value: Value) -> Sequence[Node]:
        """Nodes of the graph before the edit that read `value`, once an operand."""
        if self._uses is None:
            self._uses = {}
            for node in self.before.walk():
                for operand in node.operands:
                    self._uses.setdefault(operand, []).append(node)
        return self._uses.get(value, ())

    def insert_before(
        self,
        anchor: Node,
        op: Op,
        operands: Sequence[Value],
        types: Sequence[TensorType] | None = None,
        *,
        hint: str = "",
        regions: tuple[Region, ...] = (),
        instance: int | None = None,
    ) -> Node:
        """A new node ahead of `anchor`, with its place, and its instance unless another is given.

        Result types are inferred unless given.
        """
        if types is None:
            inputs = tuple(v.type for v in operands)
            if isinstance(op, Loop):
                types = loop_results(op, inputs, tuple(v.type for v in regions[0].results))
            else:
                types = op.infer(inputs, self.before.facts)
        node = Node(
            op,
            tuple(operands),
            tuple(Value(t.without_names(), hint) for t in types),
            anchor.spans,
            anchor.instance if instance is None else instance,
            regions,
        )
        self._inserted.setdefault(anchor, []).append(node)
        self._dirty.add(node.instance)
        return node

    def replace_value(self, old: Value, new: Value) -> None:
        """Every reader of `old`, outputs included, reads `new` instead."""
        self._values[old] = new

    def replace_node(
        self,
        node: Node,
        op: Op,
        operands: Sequence[Value],
        *,
        spans: tuple[Span, ...] = (),
        instance: int | None = None,
    ) -> None:
        """Another op in the same place with the same result values, whose types stay as they are."""
        home = node.instance if instance is None else instance
        self._replaced[node] = replace(node, op=op, operands=tuple(operands), spans=spans or node.spans, instance=home)
        self._dirty |= {node.instance, home}

    def erase(self, node: Node) -> None:
        """Drop a node whose results nothing reads any more. A label of one of them goes with it."""
        self._erased.add(node)
        self._dirty.add(node.instance)

    def add_const(self, path: str, data: object, type: TensorType, span: Span) -> Value:
        """A new constant tensor."""
        value = Value(type.without_names(), path)
        self._params.append(Param(path, "const", value, None, data, span))
        return value

    def drop_param(self, path: str) -> None:
        """Remove a parameter that nothing reads any more. A label of it goes with it."""
        self._dropped.add(path)

    # --- finishing ---

    def finish(self) -> Graph:
        """The edited graph, its instance table brought up to date."""
        before = self.before
        candidates: set[int] = set()
        nodes = self._nodes(before.nodes, candidates)
        resolve = self._resolve
        params = tuple(p for p in before.params if p.path not in self._dropped) + tuple(self._params)
        dirty = {a for index in self._dirty for a in ancestors(before.instances, index)}
        rows = moved(before.instances, {old: resolve(old) for old in self._values})
        candidates.update(i for i, row in enumerate(rows) if row is not before.instances[i])
        rows = tuple(replace(row, intact=False) if i in dirty and row.intact else row for i, row in enumerate(rows))
        gone = {value for node in self._erased for value in node.results}
        gone.update(p.value for p in before.params if p.path in self._dropped)
        taps = (replace(t, value=resolve(t.value)) for t in before.taps)
        graph = replace(
            before,
            nodes=nodes,
            outputs=tuple((name, resolve(v)) for name, v in before.outputs),
            params=params,
            updates=tuple(Update(u.path, resolve(u.value)) for u in before.updates),
            taps=tuple(tap for tap in taps if tap.value not in gone),
            instances=rows,
        )
        touched = {a for index in candidates for a in ancestors(before.instances, index)}
        graph = refresh(graph, frozenset(touched - dirty))
        return settled(graph, frozenset(dirty)) if self._erased or self._dropped else graph

    def _resolve(self, value: Value) -> Value:
        seen = value
        while seen in self._values:
            seen = self._values[seen]
        return seen

    def _nodes(self, nodes: Sequence[Node], candidates: set[int]) -> tuple[Node, ...]:
        made: list[Node] = []
        for node in nodes:
            for extra in self._inserted.get(node, ()):
                made.append(self._rewired(extra, candidates))
            if node in self._erased:
                continue
            made.append(self._rewired(self._replaced.get(node, node), candidates))
        return tuple(made)

    def _rewired(self, node: Node, candidates: set[int]) -> Node:
        operands = node.operands
        if self._values and any(v in self._values for v in operands):
            operands = tuple(self._resolve(v) for v in operands)
            candidates.add(node.instance)
        regions = node.regions
        if regions:
            regions = tuple(self._region(r, candidates) for r in regions)
        if operands is node.operands and all(a is b for a, b in zip(regions, node.regions, strict=True)):
            return node
        return replace(node, operands=operands, regions=regions)

    def _region(self, region: Region, candidates: set[int]) -> Region:
        nodes = self._nodes(region.nodes, candidates)
        results = tuple(self._resolve(v) for v in region.results)
        if (
            results == region.results
            and len(nodes) == len(region.nodes)
            and all(a is b for a, b in zip(nodes, region.nodes, strict=True))
        ):
            return region
        return Region(region.arguments, nodes, results)


@contextmanager
def edit(graph: Graph) -> Iterator[GraphEdit]:
    """Collect edits; `e.graph` is the new graph after the block.

    with edit(graph) as e:
        e.replace_value(old, new)
    return e.graph
    """
    session = GraphEdit(graph)
    yield session
    session.graph = session.finish()
