"""The loop op: a Python loop in eager mode, torch's `scan` operator under compile and export."""

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import fx, nn
from torch._higher_order_ops.scan import scan

from netdsl.backends.torch_fx.context import Emitter
from netdsl.backends.torch_fx.emitter import GraphEmitter, Network
from netdsl.backends.torch_fx.entry_checks import is_concrete
from netdsl.backends.torch_fx.fixed_point import at_fixed_point
from netdsl.backends.torch_fx.recurrent import Cell, find_cell, run_cell
from netdsl.dims import Dim
from netdsl.ir import Node
from netdsl.ops.loop import Loop
from netdsl.tensor_type import DType

Tensors: TypeAlias = Sequence[torch.Tensor]

#: A loop of a constant number of steps up to this one is written out under compile and export.
UNROLLED_STEPS = 8


def lower_loop(emitter: Emitter, node: Node, operands: tuple[fx.Proxy, ...]) -> tuple[fx.Proxy, ...]:
    """A call of a leaf module that holds the body as a function of steps, carries, captured values and sizes."""
    op, (region,) = node.op, node.regions
    assert isinstance(op, Loop)
    assert isinstance(emitter, GraphEmitter)
    body = BodyEmitter(emitter)
    body.bind(region.arguments, [body.placeholder(v.hint) for v in region.arguments])
    body.run(region.nodes, region.results)
    body.fx_graph.output(tuple(body.values[v].node for v in region.results))
    step = fx.GraphModule(nn.Module(), fx.Graph(), class_name="Step")
    for name, child in body.modules.items():
        step.add_module(name, child)
    step.graph = body.fx_graph
    types = [v.type for v in region.results[op.carries : op.carries + op.yields]]
    places = tuple(min(op.axis, t.rank) for t in types)
    module = LoopModule(op, places, step, find_cell(emitter.network.graph, node), _views(emitter.network, node))
    empty = [(emitter.shape(op.stacked(t).sizes), emitter.dtype(t.dtype)) for t in types]
    if op.has_until:
        empty.append((emitter.shape(region.results[-1].type.sizes), torch.bool))
    device = None if operands else emitter.device()
    called = emitter.call_module(
        emitter.add_module("loop", module), emitter.dim(op.count), tuple(empty), device, operands, tuple(body.lifted)
    )
    return tuple(emitter.call(operator.getitem, called, i) for i in range(len(node.results)))


def _views(network: Network, loop: Node) -> frozenset[int]:
    """Which captured operands may share memory with others: a compiler's loop takes none that do."""
    op = loop.op
    assert isinstance(op, Loop)
    captured = loop.operands[op.sequences + op.has_length + op.carries :]
    return frozenset(at for at, value in enumerate(captured) if value in network.views)


class BodyEmitter(GraphEmitter):
    """The emitter of a loop body: what is not an argument is computed once outside and passed in."""

    def __init__(self, outer: GraphEmitter) -> None:
        super().__init__(outer.network)
        self._outer = outer
        self._inner: dict[fx.Node, fx.Proxy] = {}
        self._last_argument: fx.Node | None = None
        self.lifted: list[fx.Proxy] = []
        self.modules: dict[str, nn.Module] = {}

    def placeholder(self, name: str) -> fx.Proxy:
        proxy = super().placeholder(name)
        self._last_argument = proxy.node
        return proxy

    def lift(self, proxy: fx.Proxy) -> fx.Proxy:
        """A further argument of the body that stands for a value outside."""
        found = self._inner.get(proxy.node)
        if found is None:
            with self.fx_graph.inserting_after(self._last_argument or self.fx_graph._root):
                found = self._inner[proxy.node] = self.placeholder(proxy.node.name)
            self.lifted.append(proxy)
        return found

    def dim(self, dim: Dim) -> "int | fx.Proxy":
        size = self._outer.dim(dim)
        return size if isinstance(size, int) else self.lift(size)

    def own_dtype(self) -> "torch.dtype | fx.Proxy":
        dtype = self._outer.own_dtype()
        return self.lift(dtype) if isinstance(dtype, fx.Proxy) else dtype

    def device(self) -> fx.Proxy:
        return self.lift(self._outer.device())

    def constant(self, values: Any, dtype: DType, shape: tuple[int, ...]) -> fx.Proxy:
        return self.lift(self._outer.constant(values, dtype, shape))

    def add_module(self, kind: str, module: nn.Module) -> str:
        name = f"{kind}_{len(self.modules)}"
        self.modules[name] = module
        return name


class LoopModule(nn.Module):
    """One loop of a network.

    Arguments: the number of steps; (shape, dtype) of each stacked yield and of the rows that stop; the device where
    no operand tells it; the op's operands; further arguments of the body. Results: stacked yields, final carries.
    Torch's operator has no gradient of a scan in a scan: there the outer loop is written out, for each length anew.
    Where the gradient is that of a fixed point, the steps to it are taken without one. Compilers take no gradient in a
    gradient: for them, steps at the fixed point have the gradient of the steps that solve for it.
    """

    def __init__(
        self, op: Loop, places: tuple[int, ...], step: fx.GraphModule, cell: Cell | None, views: frozenset[int]
    ) -> None:
        super().__init__()
        self.step = step
        self._views = views
        self._places = places
        self._cell = None if op.truncate else cell
        self._cut = op.truncate
        self._axis, self._reverse = op.axis, op.reverse
        self._sequences, self._carries, self._yields = op.sequences, op.carries, op.yields
        self._rows = op.carries - op.states
        self._has_length, self._has_until = op.has_length, op.has_until
        endless = replace(op, has_until=False, implicit=False)
        self._settled = LoopModule(endless, places, step, None, views) if op.implicit else None
        self._is_short = op.count.is_const and op.count.value <= UNROLLED_STEPS
        self._has_loops = any(isinstance(child, LoopModule) for child in step.modules())

    @property
    def has_cell(self) -> bool:
        """Whether the loop is a standard cell over a sequence, which torch runs by one function."""
        return self._cell is not None

    def forward(
        self,
        count: int,
        empty: Sequence[tuple[tuple[int, ...], torch.dtype]],
        device: torch.device | None,
        operands: tuple[torch.Tensor, ...],
        extra: tuple[Any, ...],
    ) -> tuple[torch.Tensor, ...]:
        if self._settled is None or not torch.is_grad_enabled():
            return self._run(count, empty, device, operands, extra)
        with torch.no_grad():
            found = self._run(count, empty, device, operands, extra)
        captured = operands[self._carries :]
        if not torch.compiler.is_compiling():
            return at_fixed_point(self.step, count, found, (*captured, *extra))
        found = tuple(c.detach() for c in found)
        settled = self._settled(count, empty, device, (*found, *captured), extra)
        pairs = zip(found, settled, strict=True)
        return tuple(c + (s - s.detach()) if c.is_floating_point() else c for c, s in pairs)

    def _run(
        self,
        count: int,
        empty: Sequence[tuple[tuple[int, ...], torch.dtype]],
        device: torch.device | None,
        operands: tuple[torch.Tensor, ...],
        extra: tuple[Any, ...],
    ) -> tuple[torch.Tensor, ...]:
        first = self._sequences + self._has_length
        sequences, carries = operands[: self._sequences], operands[first : first + self._carries]
        lengths = operands[self._sequences] if self._has_length else None
        fixed = (*operands[first + self._carries :], *extra)
        device = operands[0].device if operands else device
        is_exported = torch.compiler.is_exporting() and not self._is_short
        is_unrolled = self._is_short or (self._has_loops and torch.is_grad_enabled())
        is_scanned = is_exported or (torch.compiler.is_compiling() and not is_unrolled)
        if not is_exported and count == 0:
            yields = empty[: self._yields]
            return (*(torch.zeros(shape, dtype=dtype, device=device) for shape, dtype in yields), *carries)
        if self._cell is not None and not torch.compiler.is_exporting() and sequences[0].numel() > 0:
            return run_cell(self._cell, self._axis, self._reverse, sequences[0], lengths, carries, fixed)
        if is_scanned:
            idle: list[torch.Tensor] = []
            if self._has_until:
                stopped = torch.zeros(empty[-1][0], dtype=torch.bool, device=device)
                idle = [stopped if lengths is None else stopped.expand(lengths.shape)]
            elif not carries:
                idle = [torch.zeros((), device=device)]
            index = torch.arange(count, device=device)
            dtypes = [dtype for _, dtype in empty[: self._yields]]
            return self._scan(index, sequences, lengths, [*carries, *idle], fixed, dtypes, is_exported)
        return self._unrolled(count, sequences, lengths, carries, fixed)

    def _unrolled(
        self, count: int, sequences: Tensors, lengths: torch.Tensor | None, carries: Tensors, fixed: tuple[Any, ...]
    ) -> tuple[torch.Tensor, ...]:
        slices = [s.unbind(self._axis) for s in sequences]
        outputs: list[list[torch.Tensor]] = [[] for _ in range(self._yields)]
        done: torch.Tensor | None = None
        for turn in range(count):
            index = count - 1 - turn if self._reverse else turn
            active = None if lengths is None else lengths > index
            if self._cut and turn and turn % self._cut == 0:
                carries = [c.detach() for c in carries]
            results = self.step(*(s[index] for s in slices), *carries, *fixed)
            carries, values, done = self._advance(results, carries, active, done)
            for output, value in zip(outputs, values, strict=True):
                output.append(value)
            if done is not None and is_concrete(done) and bool(done.all()):
                for output in outputs:
                    output.extend([torch.zeros_like(output[-1])] * (count - 1 - turn))
                break
        if self._reverse:
            for output in outputs:
                output.reverse()
        return (*(torch.stack(o, at) for o, at in zip(outputs, self._places, strict=True)), *carries)

    def _advance(
        self, results: Tensors, carries: Tensors, active: torch.Tensor | None, done: torch.Tensor | None
    ) -> tuple[Tensors, Tensors, torch.Tensor | None]:
        """Carries, yields and stopped rows after a step; rows that are not active keep their carries, yield zeros.

        States have no rows: every step changes them.
        """
        new, values = results[: self._carries], results[self._carries : self._carries + self._yields]
        if done is not None:
            active = ~done if active is None else active & ~done
        if active is not None:
            masked = (_where(active, n, c) for n, c in zip(new[: self._rows], carries, strict=False))
            new = (*masked, *new[self._rows :])
            values = tuple(_where(active, v, torch.zeros_like(v)) for v in values)
        if self._has_until:
            stops = results[-1] if active is None else results[-1] & active
            done = stops if done is None else done | stops
        return new, values, done

    def _scan(
        self,
        index: torch.Tensor,
        sequences: Tensors,
        lengths: torch.Tensor | None,
        states: Tensors,
        fixed: tuple[Any, ...],
        dtypes: Sequence[torch.dtype],
        is_padded: bool,
    ) -> tuple[torch.Tensor, ...]:
        """The loop by torch's operator; `is_padded` adds one idle step, because the operator takes no empty loop.

        Args: index: of the steps. states: the carries and the stopped rows, or anything where there is neither.
              dtypes: of the yields.
        """
        steps = [s.movedim(self._axis, 0) for s in sequences]
        count = index.shape[0]
        has_index = lengths is not None or self._cut or not steps
        steps += [index] if has_index else []
        steps += [torch.ones_like(index, dtype=torch.bool)] if is_padded else []
        if self._reverse:
            steps = [s.flip(0) for s in steps]
        if is_padded:
            steps = [torch.cat([s, s.new_zeros((1, *s.shape[1:]))]) for s in steps]
        captured = [lengths, *(v.clone() if at in self._views else v for at, v in enumerate(fixed))]
        floats = [_as_float(v) if isinstance(v, torch.Tensor) else v for v in captured]

        def advance(state: Tensors, sliced: Tensors) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
            old, now, (ends, *others) = (
                _like(*pair) for pair in ((state, states), (sliced, steps), (floats, captured))
            )
            carries = old[: self._carries]
            if self._cut:
                turn = count - 1 - now[self._sequences] if self._reverse else now[self._sequences]
                carries = [torch.where(turn % self._cut == 0, c.detach(), c) for c in carries]
            active = now[-1] if is_padded else None
            if ends is not None:
                is_before = ends > now[self._sequences]
                active = is_before if active is None else active & is_before
            results = self.step(*now[: self._sequences], *carries, *others)
            new, out, done = self._advance(results, carries, active, old[-1] if self._has_until else None)
            if is_padded:
                kept = (_where(now[-1], n, c) for n, c in zip(new[self._rows :], carries[self._rows :], strict=True))
                new = (*new[: self._rows], *kept)
            idle = old[self._carries :] if done is None else [done]
            return [_fresh(t) for t in (*new, *idle)], [_fresh(t) for t in out]

        final, outputs = scan(advance, [_fresh(t) for t in states], [_as_float(s).contiguous() for s in steps])
        outputs = [_from_float(t, dtype) for t, dtype in zip(outputs, dtypes, strict=True)]
        if is_padded:
            outputs = [o[:-1] for o in outputs]
        if self._reverse:
            outputs = [o.flip(0) for o in outputs]
        stacked = (o.movedim(0, at) for o, at in zip(outputs, self._places, strict=True))
        return (*stacked, *_like(final, states)[: self._carries])


def _as_float(tensor: torch.Tensor) -> torch.Tensor:
    """A float tensor that `_from_float` turns back; integers travel bit by bit in a float64.

    All that enters or leaves the operator must be a float for its gradient.
    """
    if tensor.dtype.is_floating_point:
        return tensor
    return tensor.to(torch.float32) if tensor.dtype == torch.bool else tensor.to(torch.int64).view(torch.float64)


def _from_float(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point:
        return tensor
    return tensor > 0 if dtype == torch.bool else tensor.view(torch.int64).to(dtype)


def _like(values: Sequence[Any], models: Sequence[Any]) -> list[Any]:
    """The values, tensors back in the types of their models."""
    pairs = zip(values, models, strict=True)
    return [_from_float(v, m.dtype) if isinstance(m, torch.Tensor) else v for v, m in pairs]


def _fresh(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in plain layout: what the operator carries must have one layout and share no memory."""
    return _as_float(tensor).clone(memory_format=torch.contiguous_format)


def _where(active: torch.Tensor, new: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """`new` in the active rows: `active` covers the leading axes."""
    return torch.where(active.reshape(active.shape + (1,) * (new.dim() - active.dim())), new, old)
