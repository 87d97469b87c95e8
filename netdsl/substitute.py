"""A graph whose free dimensions have become sizes."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from netdsl.dims import Dim
from netdsl.instances import current_digests
from netdsl.ir import Graph, Node, Region, Update, Value
from netdsl.ops.base import Op
from netdsl.tensor_type import Axis, DType, TensorType


def with_sizes(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    """The same network at given sizes of some of its free dimensions; parameters stay the same values.

    Raises: DimError: the facts do not hold at these sizes.
    """
    if not sizes:
        return graph
    intact = frozenset(i for i, row in enumerate(graph.instances) if row.intact)
    made = _Substitution({name: Dim.of(size) for name, size in sizes.items()}).graph(graph)
    now = current_digests(made, intact)
    rows = tuple(replace(row, digest=now[i]) if i in intact else row for i, row in enumerate(made.instances))
    return replace(made, instances=rows)


class _Substitution:
    def __init__(self, env: Mapping[str, Dim]) -> None:
        self._env = env
        self._values: dict[Value, Value] = {}

    def graph(self, graph: Graph) -> Graph:
        for param in graph.params:
            self._values[param.value] = param.value
        inputs = tuple((name, self._value(value)) for name, value in graph.inputs)
        nodes = self._nodes(graph.nodes)
        get = self._value
        return replace(
            graph,
            inputs=inputs,
            nodes=nodes,
            outputs=tuple((name, get(value)) for name, value in graph.outputs),
            updates=tuple(Update(u.path, get(u.value)) for u in graph.updates),
            taps=tuple(replace(t, value=get(t.value)) for t in graph.taps),
            instances=tuple(
                replace(row, inputs=tuple(map(get, row.inputs)), outputs=tuple(map(get, row.outputs)))
                for row in graph.instances
            ),
            facts=graph.facts.substitute(self._env),
        )

    def _value(self, value: Value) -> Value:
        known = self._values.get(value)
        if known is None:
            known = self._values[value] = Value(self._type(value.type), value.hint)
        return known

    def _type(self, type: TensorType) -> TensorType:
        return TensorType(self._dtype(type.dtype), tuple(self._axis(axis) for axis in type.axes))

    def _dtype(self, dtype: DType) -> DType:
        return dtype if dtype.table is None else replace(dtype, table=self._axis(dtype.table))

    def _axis(self, axis: Axis) -> Axis:
        return axis if axis.size.is_const else replace(axis, size=axis.size.substitute(self._env))

    def _nodes(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        return tuple(
            replace(
                node,
                op=self._op(node.op),
                operands=tuple(map(self._value, node.operands)),
                results=tuple(map(self._value, node.results)),
                regions=tuple(
                    Region(
                        tuple(map(self._value, region.arguments)),
                        self._nodes(region.nodes),
                        tuple(map(self._value, region.results)),
                    )
                    for region in node.regions
                ),
            )
            for node in nodes
        )

    def _op(self, op: Op) -> Op:
        changes = {f.name: self._attribute(getattr(op, f.name)) for f in fields(op)}
        changes = {name: value for name, value in changes.items() if value is not getattr(op, name)}
        return replace(op, **changes) if changes else op

    def _attribute(self, value: Any) -> Any:
        match value:
            case Dim():
                return value if value.is_const else value.substitute(self._env)
            case TensorType():
                return self._type(value)
            case DType():
                return self._dtype(value)
            case tuple():
                made = tuple(self._attribute(item) for item in value)
                return value if all(a is b for a, b in zip(made, value, strict=True)) else made
        return value
