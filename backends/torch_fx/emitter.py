"""Builds one `torch.fx.Graph` from nodes of the IR: values, sizes, constants, places."""

import keyword
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import fx, nn
from torch.fx.proxy import GraphAppendingTracer

from netdsl.backends.torch_fx.context import Lower
from netdsl.backends.torch_fx.dtypes import torch_dtype
from netdsl.backends.torch_fx.instances import FusedRows, LowerInstance
from netdsl.backends.torch_fx.sizes import SizePlan
from netdsl.dims import Dim
from netdsl.ir import Graph, Node, Value
from netdsl.ops import shape
from netdsl.ops.base import Op
from netdsl.source import NO_SOURCE, Span
from netdsl.tensor_type import DType

_SHAPES = frozenset(shape.OPS)


@dataclass(frozen=True, slots=True)
class Lowerings:
    """What the emitter knows how to lower: ops, ops that cannot be with the reason, and whole instances by block."""

    table: Mapping[type[Op], Lower]
    unsupported: Mapping[type[Op], str]
    fused: Mapping[str, LowerInstance]


@dataclass(frozen=True)
class Network:
    """What all emitters of one graph share.

    Args: own: the float type that follows the module's `.to(dtype)`; None if the network has no float.
    """

    graph: Graph
    lowerings: Lowerings
    own: DType | None

    @cached_property
    def views(self) -> frozenset[Value]:
        """Values that may share memory with what they are made of."""
        return frozenset(value for node in self.graph.walk() if type(node.op) in _SHAPES for value in node.results)


@dataclass(slots=True)
class Store:
    """What the nodes of one fx graph refer to by name: constants (never saved) and leaf modules."""

    prefix: str
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)

    def install(self, module: nn.Module) -> None:
        """Register everything under `module`."""
        if self.tensors:
            constants = nn.Module()
            for name, tensor in self.tensors.items():
                constants.register_buffer(name, tensor, persistent=False)
            module.add_module(self.prefix, constants)
        for name, child in self.modules.items():
            module.add_module(name, child)


class _Tracer(GraphAppendingTracer):
    """Appends nodes and writes on each the place in the `.net` file that it comes from."""

    def __init__(self, graph: fx.Graph) -> None:
        super().__init__(graph)
        self.place: str | None = None
        self.trace: str | None = None

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        if self.place is not None:
            node.meta["netdsl"] = self.place
            node.stack_trace = self.trace
        return node


class GraphEmitter:
    """The `Emitter` of one fx graph; subclasses say where sizes, constants and the network's dtype come from."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.fx_graph = fx.Graph()
        self.tracer = _Tracer(self.fx_graph)
        self.values: dict[Value, fx.Proxy] = {}
        self._sizes: dict[Dim, int | fx.Proxy] = {}
        self._named: set[fx.Node] = set()

    def symbol(self, name: str) -> "int | fx.Proxy":
        raise NotImplementedError

    def own_dtype(self) -> "torch.dtype | fx.Proxy":
        raise NotImplementedError

    def device(self) -> fx.Proxy:
        raise NotImplementedError

    def constant(self, values: Any, dtype: DType, shape: tuple[int, ...]) -> fx.Proxy:
        raise NotImplementedError

    def add_module(self, kind: str, module: nn.Module) -> str:
        """Keep a leaf module; returns the target of its `call_module` nodes."""
        raise NotImplementedError

    def placeholder(self, name: str) -> fx.Proxy:
        """A graph argument. Its name is kept where Python and torch.fx allow it."""
        wanted = f"{name}_" if name == "self" or keyword.iskeyword(name) else name or "value"
        proxy = self.tracer.create_proxy("placeholder", wanted, (), {}, name=wanted)
        proxy.node.target = proxy.node.name
        self._named.add(proxy.node)
        return proxy

    def attribute(self, target: str) -> fx.Proxy:
        """A tensor of the module, by its dotted name."""
        proxy = self.tracer.create_proxy("get_attr", target, (), {})
        self._named.add(proxy.node)
        return proxy

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, args, kwargs)

    def call_module(self, target: str, *args: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_module", target, args, {})

    def output(self, results: Sequence[fx.Proxy]) -> None:
        """End the graph: one tensor, or a tuple of several."""
        value = results[0].node if len(results) == 1 else tuple(r.node for r in results)
        self.fx_graph.output(value)

    def dtype(self, dtype: DType) -> "torch.dtype | fx.Proxy":
        own = self.network.own
        if own is not None and dtype.name == own.name:
            return self.own_dtype()
        return torch_dtype(dtype)

    def shape(self, dims: Sequence[Dim]) -> "tuple[int | fx.Proxy, ...]":
        return tuple(self.dim(d) for d in dims)

    def dim(self, dim: Dim) -> "int | fx.Proxy":
        if dim.is_const:
            return dim.value
        found = self._sizes.get(dim)
        if found is None:
            found = self._sizes[dim] = self._polynomial(dim)
        return found

    def _polynomial(self, dim: Dim) -> "int | fx.Proxy":
        total: int | fx.Proxy | None = None
        for atoms, coefficient in dim.terms:
            term: int | fx.Proxy = 1
            for atom in atoms:
                term = self._binary(operator.mul, term, self._atom(str(atom), atom.op, atom.args))
            if total is not None and coefficient < 0 and atoms:
                total = self._binary(operator.sub, total, self._binary(operator.mul, -coefficient, term))
                continue
            term = self._binary(operator.mul, coefficient, term)
            total = term if total is None else self._binary(operator.add, total, term)
        return 0 if total is None else total

    def _atom(self, name: str, op: str, args: tuple[Dim, ...]) -> "int | fx.Proxy":
        if op == "symbol":
            return self.symbol(name)
        sizes = [self.dim(arg) for arg in args]
        function = _ATOMS[op]
        result = sizes[0]
        for size in sizes[1:]:
            result = self._binary(function, result, size)
        return result

    def _binary(
        self, function: Callable[..., Any], left: "int | fx.Proxy", right: "int | fx.Proxy"
    ) -> "int | fx.Proxy":
        if isinstance(left, int) and isinstance(right, int):
            return int(function(left, right))
        if function is operator.mul and isinstance(left, int) and left == 1:
            return right
        if function is operator.mul and isinstance(right, int) and right == 1:
            return left
        return self.call(function, left, right)

    def bind(self, values: Iterable[Value], proxies: Iterable[fx.Proxy]) -> None:
        """Let each value stand for its proxy; the fx node takes the value's name, if it has none yet."""
        for value, proxy in zip(values, proxies, strict=True):
            self.values[value] = proxy
            if value.hint and proxy.node not in self._named:
                proxy.node._rename(value.hint)
                self._named.add(proxy.node)

    def run(self, nodes: Sequence[Node], results: Sequence[Value]) -> None:
        """Emit the nodes in order; intact instances of fused blocks become one call.

        Raises: NotImplementedError: this backend has no lowering for an op.
        """
        fused = FusedRows(self.network.graph, nodes, results, self.network.lowerings.fused)
        for node in nodes:
            instance = fused.owner(node)
            if instance is not None and self._run_fused(fused, instance):
                continue
            self._place(node.spans[0])
            lower = self.network.lowerings.table.get(type(node.op))
            if lower is None:
                reason = self.network.lowerings.unsupported.get(
                    type(node.op), "the torch backend has no lowering for it"
                )
                raise NotImplementedError(f"`{node.op.name}` at {node.spans[0]}: {reason}")
            self.bind(node.results, lower(self, node, tuple(self.values[v] for v in node.operands)))
        self.tracer.place = None

    def _run_fused(self, fused: FusedRows, row: int) -> bool:
        """Whether the whole instance is emitted as one call (now or before)."""
        if row in fused.done:
            return True
        instance, captured = self.network.graph.instances[row], fused.captured(row)
        if not all(value in self.values for value in (*instance.inputs, *captured)):
            fused.decline(row)
            return False
        self._place(instance.span)
        inputs, weights = (tuple(self.values[v] for v in group) for group in (instance.inputs, captured))
        results = self.network.lowerings.fused[instance.block](self, instance, inputs, weights)
        if results is None:
            fused.decline(row)
            return False
        self.bind(instance.outputs, results)
        fused.done.add(row)
        return True

    def _place(self, span: Span) -> None:
        if span.source is NO_SOURCE:
            self.tracer.place = self.tracer.trace = None
            return
        path, line = span.source.path, span.line
        text = span.source.line(line).strip()
        self.tracer.place = f"{path}:{line}"
        self.tracer.trace = f'File "{path}", line {line}, in {self.network.graph.name}\n    {text}'


class ModuleEmitter(GraphEmitter):
    """The emitter of a graph that stands on its own: sizes come from its inputs, constants live in its module."""

    def __init__(self, network: Network, reserved: Iterable[str] = ()) -> None:
        super().__init__(network)
        self._reserved = set(reserved)
        self.store = Store(self._fresh("constants"))
        self._plan = SizePlan([value.type for _, value in network.graph.inputs], network.graph.facts)
        self._symbols: dict[str, int | fx.Proxy] = {}
        self._constants: dict[tuple[torch.dtype, tuple[int, ...], bytes], fx.Proxy] = {}
        self._memo: dict[str, fx.Proxy] = {}

    def symbol(self, name: str) -> "int | fx.Proxy":
        found = self._symbols.get(name)
        if found is None:
            self._symbols[name] = found = self._solve(name)
        return found

    def _solve(self, name: str) -> "int | fx.Proxy":
        solution = self._plan.solution(name)
        number: int | fx.Proxy = self.dim(solution.rest)
        if solution.source is not None:
            index, axis = solution.source
            size = self.values[self.network.graph.inputs[index][1]].size(axis)
            if solution.rest.is_const and solution.rest.value == 0:
                number = size
            else:
                number = self.call(operator.add, size, number)
        factor = self.dim(solution.factor)
        if isinstance(factor, int) and factor == 1:
            return number
        return self._binary(operator.floordiv, number, factor)

    def _anchor(self) -> fx.Proxy:
        if "anchor" not in self._memo:
            own = self.network.own
            self.store.tensors["anchor"] = torch.empty(0, dtype=torch.float32 if own is None else torch_dtype(own))
            self._memo["anchor"] = self.attribute(f"{self.store.prefix}.anchor")
        return self._memo["anchor"]

    def own_dtype(self) -> "torch.dtype | fx.Proxy":
        if "dtype" not in self._memo:
            self._memo["dtype"] = self.call(getattr, self._anchor(), "dtype")
        return self._memo["dtype"]

    def device(self) -> fx.Proxy:
        if "device" not in self._memo:
            self._memo["device"] = self.call(getattr, self._anchor(), "device")
        return self._memo["device"]

    def constant(self, values: Any, dtype: DType, shape: tuple[int, ...]) -> fx.Proxy:
        tensor = torch.as_tensor(values).to(torch_dtype(dtype)).reshape(shape).clone()
        if tensor.numel() > _SHARED_ELEMENTS:
            return self.constant_tensor(tensor, dtype)
        key = (tensor.dtype, tuple(tensor.shape), tensor.view(-1).view(torch.uint8).numpy().tobytes())
        if key not in self._constants:
            self._constants[key] = self.constant_tensor(tensor, dtype)
        return self._constants[key]

    def constant_tensor(self, tensor: torch.Tensor, dtype: DType) -> fx.Proxy:
        """The tensor as a buffer that is not saved."""
        name = f"c{len(self.store.tensors)}"
        self.store.tensors[name] = tensor
        return self.typed(self.attribute(f"{self.store.prefix}.{name}"), dtype)

    def typed(self, proxy: fx.Proxy, dtype: DType) -> fx.Proxy:
        """A tensor of the module in its declared type, whatever `.to(dtype)` made of it."""
        if dtype.is_float and self.network.own is not None and dtype.name != self.network.own.name:
            return proxy.to(torch_dtype(dtype))
        return proxy

    def add_module(self, kind: str, module: nn.Module) -> str:
        name = self._fresh(kind)
        self._reserved.add(name)
        self.store.modules[name] = module
        return name

    def _fresh(self, name: str) -> str:
        candidate, count = name, 0
        while candidate in self._reserved:
            count += 1
            candidate = f"{name}_{count}"
        return candidate


#: Equal constants of up to this many elements are one buffer.
_SHARED_ELEMENTS = 4096

_ATOMS: dict[str, Callable[..., Any]] = {
    "//": operator.floordiv,
    "%": operator.mod,
    "min": torch.sym_min,
    "max": torch.sym_max,
}
