"""The emitter that lowerings write to: records of ONNX nodes in nested scopes, with unique readable names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import SupportsInt, TypeAlias, cast

import numpy as np
from onnx import AttributeProto, defs

from netdsl.backends.onnx.context import Attribute
from netdsl.backends.onnx.sizes import Sizes
from netdsl.backends.onnx.storage import Array, Initializer, code, stored
from netdsl.dims import Dim
from netdsl.ir import Graph
from netdsl.source import NO_SOURCE, Span
from netdsl.tensor_type import Axis, DType, TensorType

#: Each application gives another result, so that two equal ones are not one.
_RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout")
)
#: Cheap and total: where nothing in them depends on a loop body, they are computed once outside of it.
_HOISTED = frozenset(("Transpose", "Reshape", "Unsqueeze", "Squeeze", "Cast", "Identity"))

_SCALARS: dict[int, type] = {AttributeProto.INT: int, AttributeProto.FLOAT: float, AttributeProto.STRING: str}
_SEQUENCES: dict[int, type] = {AttributeProto.INTS: int, AttributeProto.FLOATS: float, AttributeProto.STRINGS: str}

AttributeValue: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Scope"


@dataclass(slots=True, eq=False)
class Record:
    """One ONNX node to be. `attributes` hold (kind, value), the kind as `AttributeProto` counts them."""

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, "tuple[int, AttributeValue]"]
    name: str
    source: str

    def scopes(self) -> "Iterator[Scope]":
        """Its subgraphs."""
        for kind, value in self.attributes.values():
            if kind == AttributeProto.GRAPH:
                assert isinstance(value, Scope)
                yield value


@dataclass(slots=True, eq=False)
class Scope:
    """One ONNX graph to be. Names are unique in the whole model; a scope sees those of its parents."""

    depth: int
    name: str
    records: list[Record] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    memo: dict[object, tuple[str, ...]] = field(default_factory=dict)


class GraphEmitter:
    """Writes one model. Equal nodes in one scope are emitted once."""

    def __init__(self, graph: Graph, opset: int) -> None:
        self.graph = graph
        self.facts = graph.facts
        self.initializers: dict[str, Initializer] = {}
        self.types: dict[str, TensorType] = {}
        self.renamed: dict[str, str] = {}
        self.root = Scope(0, graph.name or "network")
        self._opset = opset
        self._stack = [self.root]
        self._home: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._children: dict[int, list[int]] = {}
        self._derived: dict[tuple[str, str, object], str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._schemas: dict[str, Mapping[str, int]] = {}
        self._sources: dict[tuple[Span, ...], str] = {}
        self._path = ""
        self._source = ""
        self._sizes = Sizes(self, self.facts)

    # What a lowering may use (`netdsl.backends.onnx.context.Emitter`).

    @property
    def opset(self) -> int:
        return self._opset

    def node(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Attribute) -> tuple[str, ...]:
        """Emit one node of the default domain.

        Raises: ValueError: the operator or the attribute does not exist at this opset.
        """
        return self._emit(op_type, inputs, outputs, self._attributes(op_type, attributes))

    def constant(self, values: object, dtype: DType, shape: Sequence[int] | None = None) -> str:
        array = np.asarray(values).astype(stored(dtype), copy=False)
        if shape is not None:
            whole = tuple(shape)
            array = array.reshape(whole) if array.size == np.prod(whole, dtype=int) else np.broadcast_to(array, whole)
        key = (dtype.storage.name, array.shape, array.tobytes())
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self.unique("const")
            self.initializer(found, dtype.storage, array)
        return found

    def dim(self, dim: Dim) -> str:
        return self._sizes.scalar(dim)

    def shape(self, dims: Sequence[Dim]) -> str:
        return self._sizes.shape(dims)

    def tensor_dtype(self, dtype: DType) -> int:
        return code(dtype)

    # What the assembly uses besides.

    def unique(self, base: str) -> str:
        """`base`, or `base_2` and so on if it is taken."""
        count = self._taken.get(base)
        if count is None:
            self._taken[base] = 1
            return base
        name = base
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken[base], self._taken[name] = count, 1
        return name

    def input(self, name: str, t: TensorType) -> None:
        """Declare an input of the model; sizes are read from it."""
        self.root.inputs.append(name)
        self.types[name] = t
        self._home[name] = 0
        self._sizes.add_input(name, t)

    def initializer(self, name: str, dtype: DType, source: Array) -> None:
        """Declare a tensor under a name that `unique` gave."""
        self.initializers[name] = Initializer(name, dtype, source)
        self._home[name] = 0

    def children(self, row: int) -> list[int]:
        """Rows of the instances directly within the instance `row`."""
        if not self._children:
            for index, instance in enumerate(self.graph.instances):
                self._children.setdefault(instance.parent, []).append(index)
        return self._children.get(row, [])

    def derived(self, name: str, suffix: str, source: Array, how: object = None) -> str:
        """An initializer `name.suffix` computed from the initializer `name`, made once.

        Args: how: tells apart what is computed under the same suffix.
        """
        known = self._derived.get((name, suffix, how))
        if known is None:
            known = self._derived[name, suffix, how] = self.unique(f"{name}.{suffix}")
            self.initializer(known, self.initializers[name].dtype, source)
        return known

    def sizes_vector(self, dim: Dim) -> str:
        """Like `dim`, as a tensor of one element."""
        return self._sizes.vector(dim)

    @contextmanager
    def at(self, row: int, spans: tuple[Span, ...]) -> Iterator[None]:
        """Within, emitted nodes are named after the instance `row` and say that they come from `spans`."""
        outer = self._path, self._source
        instances = self.graph.instances
        self._path = instances[row].path if row < len(instances) else ""
        self._source = self._source_of(spans)
        yield
        self._path, self._source = outer

    @contextmanager
    def subgraph(self, name: str) -> Iterator[Scope]:
        """Within, nodes go to a new scope."""
        scope = Scope(len(self._stack), self.unique(self._join(name)))
        self._stack.append(scope)
        yield scope
        self._stack.pop()

    @contextmanager
    def at_root(self) -> Iterator[None]:
        """Within, nodes go to the model's own graph, before the node that holds the current scope."""
        inner = self._stack[1:]
        del self._stack[1:]
        yield
        self._stack.extend(inner)

    def argument(self, scope: Scope, hint: str, t: TensorType | None) -> str:
        """A new input of a subgraph."""
        name = self.unique(self._join(hint or "value"))
        scope.inputs.append(name)
        self._home[name] = scope.depth
        if t is not None:
            self.types[name] = t
        return name

    def result(self, scope: Scope, name: str, t: TensorType | None = None) -> None:
        """Make `name` the next output of a subgraph; a value that it did not compute, or gives twice, is copied."""
        if name in scope.outputs or name in scope.inputs or self._home[name] != scope.depth:
            (name,) = self.copy(name)
        if t is not None:
            self.types.setdefault(name, t)
        scope.outputs.append(name)

    def node_with_bodies(
        self, op_type: str, *inputs: str, outputs: int, bodies: Mapping[str, Scope], **attributes: Attribute
    ) -> tuple[str, ...]:
        """Emit a node that holds subgraphs."""
        whole = self._attributes(op_type, attributes)
        whole.update((key, (AttributeProto.GRAPH, body)) for key, body in bodies.items())
        return self._emit(op_type, inputs, outputs, whole, fresh=True)

    def copy(self, name: str) -> tuple[str, ...]:
        """An `Identity` of its own, for an output that nothing else may name."""
        return self._emit("Identity", (name,), 1, {}, fresh=True)

    def type_of(self, name: str) -> TensorType:
        """The recorded type of an input, an initializer, or the result of an IR node."""
        found = self.types.get(name)
        if found is not None:
            return found
        tensor = self.initializers[name]
        return TensorType(tensor.dtype, tuple(Axis(None, Dim.of(size)) for size in tensor.shape))

    def describe(self, name: str, t: TensorType, hint: str) -> None:
        """Record the type of a value, and name it after `hint` if it has only a generated name."""
        if name in self.types or name in self.initializers:
            return
        self.types[name] = t
        if hint:
            self.renamed[name] = self.unique(self._join(hint))

    def _emit(
        self,
        op_type: str,
        inputs: tuple[str, ...],
        outputs: int,
        attributes: "dict[str, tuple[int, AttributeValue]]",
        *,
        fresh: bool = False,
    ) -> tuple[str, ...]:
        stack = self._stack
        depth = len(stack) - 1
        if depth and op_type in _HOISTED and not fresh:
            depth = max((self._home[name] for name in inputs if name), default=0)
        key = None
        if not fresh and op_type not in _RANDOM:
            key = (op_type, inputs, outputs, tuple(attributes.items()))
            for scope in reversed(stack[: depth + 1]):
                known = scope.memo.get(key)
                if known is not None:
                    return known
        name = self.unique(self._join(op_type))
        results = (name,) if outputs == 1 else tuple(f"{name}:{index}" for index in range(outputs))
        scope = stack[depth]
        scope.records.append(Record(op_type, inputs, results, attributes, name, self._source))
        for result in results:
            self._home[result] = depth
        if key is not None:
            scope.memo[key] = results
        return results

    def _attributes(self, op_type: str, given: Mapping[str, Attribute]) -> "dict[str, tuple[int, AttributeValue]]":
        kinds = self._schemas.get(op_type)
        if kinds is None:
            kinds = self._schemas[op_type] = _attribute_kinds(op_type, self._opset)
        converted: dict[str, tuple[int, AttributeValue]] = {}
        for key in sorted(given):
            value = given[key]
            kind = kinds.get(key)
            if kind is None:
                raise ValueError(f"ONNX {op_type} has no attribute {key!r} at opset {self._opset}")
            if kind in _SCALARS:
                converted[key] = kind, _SCALARS[kind](value)
            elif kind in _SEQUENCES:
                assert not isinstance(value, int | float | str)
                converted[key] = kind, tuple(map(_SEQUENCES[kind], value))
            else:
                raise ValueError(f"attribute {key!r} of ONNX {op_type} is neither a number, text, nor a list of them")
        return converted

    def _join(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _source_of(self, spans: tuple[Span, ...]) -> str:
        """`net.net:14`; only the name of a file that was given by a whole path: models do not depend on folders."""
        found = self._sources.get(spans)
        if found is None:
            places: dict[str, None] = {}
            for span in spans:
                if span.source is not NO_SOURCE:
                    path = PurePath(span.source.path)
                    places[f"{path.name if path.is_absolute() else path.as_posix()}:{span.line}"] = None
            found = self._sources[spans] = ", ".join(places)
        return found


def _attribute_kinds(op_type: str, opset: int) -> Mapping[str, int]:
    """The kind of each attribute of an operator.

    Raises: ValueError: the operator does not exist at `opset`.
    """
    if not defs.has(op_type, opset, ""):
        raise ValueError(f"ONNX has no operator {op_type} at opset {opset}")
    schema = defs.get_schema(op_type, opset, "")
    if schema.deprecated:
        raise ValueError(f"ONNX {op_type} is deprecated at opset {opset}")
    return {key: int(cast(SupportsInt, a.type)) for key, a in schema.attributes.items()}
