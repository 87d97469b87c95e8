"""`edges[out, E](x)`: one function of one number per pair of input and output, summed over the inputs (rule R13)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.arguments import Argument, MacroCall
from netdsl.check.blocks import call_path, checked, place, under
from netdsl.check.builder import Template, join
from netdsl.check.edge_layout import beside
from netdsl.check.edge_terms import Decomposition, Emitter, Term, merged
from netdsl.check.headers import check_edge
from netdsl.check.macros_math import known
from netdsl.check.macros_shape import one_tensor
from netdsl.check.mapped import Level, check_no_state, over_levels, own_copies, without_leading
from netdsl.check.records import block_of, stacked
from netdsl.check.report import mistake
from netdsl.check.values import BlockRef, CheckValue, TensorValue, describe, print_static
from netdsl.digest import digest
from netdsl.dims import Dim, Facts
from netdsl.ir import Decisions, Init, Node, Tap, Value
from netdsl.ops.creation import Constant, Full
from netdsl.ops.elementwise import Add
from netdsl.ops.indexing import Take
from netdsl.ops.pieces import Concat
from netdsl.ops.product import Matmul
from netdsl.ops.reduction import ReduceSum
from netdsl.ops.shape import Broadcast, Reshape, Transpose, Unsqueeze
from netdsl.source import Span
from netdsl.tensor_type import I64, Axis

#: The label of the values of all functions of a layer.
PAIRS = "pairs"


def edges(call: MacroCall) -> CheckValue:
    """The sum over the last axis of one function per pair of input and output.

    An edge that is linear in its parameters becomes, for each of its bases, one expansion of the inputs and one product
    with all weights; any other is evaluated for every pair.

    Shapes: x (.., in) -> (.., out); a parameter (s) of the edge is stored as (out, in, s), with `per out` as (out, s),
            with `per in` as (in, s), with `per layer` as (s).
    Raises: Mistake E0371: what is given is no function of one number; E0212: `in` is free; E0324.
    """
    known(call, "out", "edge")
    body, span = call.body, call.span
    ref = _edge(call)
    out = statics.plain(call.statics.get("out"))
    if not isinstance(out, int) or isinstance(out, bool) or out < 0:
        raise mistake("E0324", f"`out` of `edges` needs an int of at least 0, found {describe(out)}", span)
    x, place_of_x = one_tensor(call)
    if x.type.rank == 0:
        raise mistake("E0205", "`edges` needs an axis of inputs, found a scalar", place_of_x)
    path = call_path(body, "edges", call.label)
    decisions = under(body.decisions, path)
    if decisions:
        return _decided(call, ref, x, place_of_x, out, path, decisions)
    return _layer(call, ref, x, place_of_x, out, path, {}, ())


def _layer(
    call: MacroCall,
    ref: BlockRef,
    x: TensorValue,
    place_of_x: Span,
    out: int,
    path: str,
    decisions: Decisions,
    rows: tuple[tuple[str, str], ...],
) -> TensorValue:
    """One layer of edges that are all of one kind. `rows`: which outputs of the whole these are, where it is a part."""
    body, span = call.body, call.span
    one = Argument(None, without_leading(x, x.type.rank), place_of_x)
    _, received, template = checked(body, ref, [one], path, span, decisions)
    if template.updates:
        check_no_state(template, span)
    for entry in template.params:
        if not x.type.sizes[-1].is_const and entry.per in (None, "in"):
            raise mistake(
                "E0212",
                f"the free dimension `{x.type.axes[-1]}` sizes the parameter `{path}.{entry.path}`",
                span,
                others=((entry.span, "declared here"),),
            )
    layer = Layer(template, x.type.axes, Axis(None, Dim.of(out)), body.builder.facts, span, body.checker.with_pairs)
    mapped = layer.template(ref, rows)
    received.outer = dict.fromkeys(received.outer, x.value)
    mapping = place(body, ref, mapped, received, path, span)
    assert isinstance(mapped.result, TensorValue)
    value = mapping.get(mapped.result.value, mapped.result.value)
    return TensorValue(value, mapped.result.type)


def _decided(
    call: MacroCall,
    ref: BlockRef,
    x: TensorValue,
    place_of_x: Span,
    out: int,
    path: str,
    decisions: Decisions,
) -> TensorValue:
    """A layer whose choices are made: outputs that chose alike are one layer, and all are put back in order."""
    body, span = call.body, call.span
    groups: dict[tuple[int | str, ...], list[int]] = {}
    for at in range(out):
        made = []
        for name, chosen in decisions.items():
            if len(chosen) not in (1, out):
                title = f"`{path}` has {out} outputs, and {len(chosen)} decisions were made for `{name}`"
                raise mistake("E0604", title, span)
            made.append(chosen[at] if len(chosen) == out else chosen[0])
        groups.setdefault(tuple(made), []).append(at)
    if len(groups) < 2:
        alike: Decisions = {n: (at,) for n, at in zip(decisions, next(iter(groups), ()), strict=False)}
        return _layer(call, ref, x, place_of_x, out, path, alike, ())
    parts: list[TensorValue] = []
    order: list[int] = []
    for number, (made_, rows) in enumerate(sorted(groups.items())):
        one: Decisions = {name: (chosen,) for name, chosen in zip(decisions, made_, strict=True)}
        where = (("rows", ", ".join(map(str, rows))),)
        parts.append(_layer(call, ref, x, place_of_x, len(rows), join(path, str(number)), one, where))
        order += rows
    whole = body.apply1(Concat(parts[0].type.rank - 1), tuple(parts), span)
    if order == sorted(order):
        return whole
    back = tuple(order.index(at) for at in range(out))
    index = body.apply1(Constant(back, (out,), I64), (), span)
    return body.apply1(Take(whole.type.rank - 1), (whole, index), span)


def _edge(call: MacroCall) -> BlockRef:
    ref = block_of(call.statics.get("edge"), call.span, "`edges`")
    header = ref.decl.header
    if not isinstance(ref.decl, s.Block) or ref.decl.kind != "edge":
        raise mistake(
            "E0371",
            f"`edges` needs an edge, found the block `{ref.name}`",
            call.span,
            others=((header.name_span, "declared here"),),
            help=f"declare it as `edge {ref.name}(x: float) -> float`",
        )
    check_edge(ref.decl)
    return ref


class Layer:
    """The nodes of one layer of edges.

    Args:
        template: the edge's body, on one number.
        axes:  of the layer's input.
        out:   the axis of its results.
        with_pairs: the value of each function (.., out, in), before the sum over inputs, is tapped as `pairs`.
    """

    def __init__(
        self, template: Template, axes: Sequence[Axis], out: Axis, facts: Facts, span: Span, with_pairs: bool
    ) -> None:
        self._edge, self._with_pairs = template, with_pairs
        self._lead, self._in, self._out = tuple(axes[:-1]), axes[-1], out
        self._facts, self._span = facts, span
        (self._x,) = template.inputs
        #: States that outputs share, such as knots: they belong to the basis.
        self._grids = frozenset(e.value for e in template.params if e.kind == "state" and e.per in ("in", "layer"))
        self._emit = Emitter(facts, span)
        self._now: dict[Value, Value] = {}
        self._forms: list[str] = []

    def template(self, ref: BlockRef, rows: tuple[tuple[str, str], ...]) -> Template:
        """The layer as a body to be stamped."""
        assert isinstance(self._edge.result, TensorValue)
        result = self._edge.result.value
        emit = Emitter(self._facts, self._span)
        learned = [e.value for e in self._edge.params if e.value not in self._grids]
        found = Decomposition(self._edge.nodes, learned, self._x, emit)
        split = found.of(result)
        terms, rest = (merged(split.terms, emit), split.rest) if split.parts is None else ([], (result,))
        body = (*self._edge.nodes, *emit.nodes)
        total: Value | None = None
        for part in (*(self._product(body, term) for term in terms), *(self._every_pair(body, v) for v in rest)):
            total = part if total is None else self._emit(Add(), total, part)
        assert total is not None
        taps = (Tap(PAIRS, self._pairs(body, result)),) if self._with_pairs else ()
        nodes = tuple(self._emit.nodes)
        x = self._now.setdefault(self._x, Value(self._x.type.with_axes(self._unnamed((*self._lead, self._in))), "x"))
        params = own_copies(self._edge, self._levels_of_params(), self._now, _start)
        type = total.type.with_axes((*self._lead, self._out))
        printed = (("out", str(self._out.size)), ("edge", print_static(ref)), ("form", "; ".join(self._forms)), *rows)
        return replace(
            self._edge,
            block="edges",
            statics=printed,
            inputs=(x,),
            params=params,
            nodes=nodes,
            instances=(),
            taps=taps,
            result=TensorValue(total, type),
            digest=digest(nodes, (x,), (total,)),
            size=len(nodes),
        )

    # --- levels ---

    def _per(self, *kept: str | None) -> frozenset[Value]:
        return frozenset(entry.value for entry in self._edge.params if entry.per in kept)

    def _levels_of_params(self) -> list[Level]:
        return [Level(self._out, self._per(None, "out")), Level(self._in, self._per(None, "in"))]

    def _levels_of_input(self) -> list[Level]:
        own = frozenset(e.value for e in self._edge.params if e.value in self._grids and e.per == "in")
        lead = [Level(axis, frozenset([self._x])) for axis in self._lead]
        return [*lead, Level(self._in, own | {self._x})]

    @staticmethod
    def _unnamed(axes: Sequence[Axis]) -> tuple[Axis, ...]:
        return tuple(replace(axis, name=None) for axis in axes)

    def _over(self, body: Sequence[Node], value: Value, levels: Sequence[Level]) -> Value:
        """A value of the edge's body with all axes of the levels, also those along which it is the same."""
        needed = tuple(_needed(body, value))
        nodes, (result,), now = over_levels(needed, [value], levels, self._facts, self._span)
        same = {made: self._now[value] for value, made in now.items() if value in self._now}
        self._now.update({value: made for value, made in now.items() if value not in self._now})
        self._append(nodes, same)
        result = same.get(result, result)
        for at, level in enumerate(levels):
            if not level.mapped:
                result = self._emit(Unsqueeze(at), result)
        axes = tuple(level.axis.size for level in levels)
        whole = (*axes, *value.type.sizes)
        return result if result.type.sizes == whole else self._emit(Broadcast(whole), result)

    def _append(self, nodes: Sequence[Node], same: Mapping[Value, Value]) -> None:
        """Add nodes of the edge's body; those that read no input are the same for every term, and are there once."""
        known = {value for node in self._emit.nodes for value in node.results}
        for node in nodes:
            if known.isdisjoint(node.results):
                self._emit.nodes.append(replace(node, operands=tuple(same.get(v, v) for v in node.operands)))

    # --- forms ---

    def _product(self, body: tuple[Node, ...], term: Term) -> Value:
        """The sum over inputs and basis functions of one term: one expansion of the inputs, one matrix product."""
        emit = self._emit
        lead = tuple(axis.size for axis in self._lead)
        inputs, outs = self._in.size, self._out.size
        dtype = self._x.type.dtype
        size = Dim.of(1)
        basis = weight = None
        rows = self._rows(body, term)
        if term.basis is not None and rows is None:
            basis = self._over(body, term.basis, self._levels_of_input())
        if term.weight is not None:
            weight = self._over(body, term.weight, self._levels_of_params())
        if rows is not None and weight is not None and term.weight is not None:
            return self._product_of_rows(rows, weight)
        own_basis = term.basis.type.sizes if term.basis is not None else ()
        own_weight = term.weight.type.sizes if term.weight is not None else ()
        if own_basis and own_weight:
            size = term.basis.type.numel() if term.basis is not None else size
            own = own_basis if len(own_basis) >= len(own_weight) else own_weight
            if own_basis != own_weight:
                own = tuple(b if a == Dim.of(1) else a for a, b in zip(own_basis, own_weight, strict=True))
                assert basis is not None and weight is not None
                basis, weight = (
                    emit(Broadcast((*lead, inputs, *own)), basis),
                    emit(Broadcast((outs, inputs, *own)), weight),
                )
                size = basis.type.with_axes(basis.type.axes[len(lead) + 1 :]).numel()
        elif own_basis and basis is not None:
            basis = emit(ReduceSum(tuple(range(len(lead) + 1, basis.type.rank))), basis)
        elif own_weight and weight is not None:
            weight = emit(ReduceSum(tuple(range(2, weight.type.rank))), weight)
        self._forms.append(f"{size} basis function{'' if size == Dim.of(1) else 's'} and 1 product")
        if basis is None:
            assert weight is not None
            return emit(Broadcast((*lead, outs)), emit(ReduceSum((1,)), weight))
        if weight is None:
            weight = emit(Full((outs, inputs), 1, dtype))
        flat = inputs * size
        if basis.type.rank > len(lead) + 1:
            basis = emit(Reshape((*lead, flat)), basis)
        if weight.type.rank > 2:
            weight = emit(Reshape((outs, flat)), weight)
        return emit(Matmul(), basis, emit(Transpose((1, 0)), weight))

    def _rows(self, body: tuple[Node, ...], term: Term) -> Value | None:
        """The basis as (.., functions, inputs), where it can be had like this and each function has a weight."""
        if term.basis is None or term.weight is None or not term.basis.type.rank:
            return None
        if term.basis.type.sizes != term.weight.type.sizes:
            return None
        row = Value(self._x.type.with_axes(self._unnamed((self._in,))), "x")
        nodes = Emitter(self._facts, self._span)
        made = beside(tuple(_needed(body, term.basis)), self._x, row, term.basis, nodes)
        if made is None:
            return None
        levels = [Level(axis, frozenset([row])) for axis in self._lead]
        kept, (result,), now = over_levels(nodes.nodes, [made], levels, self._facts, self._span)
        whole = now.get(row, row)
        same = {whole: self._now.setdefault(self._x, whole)}
        self._append(kept, same)
        return result

    def _product_of_rows(self, rows: Value, weight: Value) -> Value:
        """The product of a basis (.., functions, inputs) and weights (out, inputs, functions)."""
        emit = self._emit
        lead = tuple(axis.size for axis in self._lead)
        own = weight.type.rank - 2
        count = weight.type.with_axes(weight.type.axes[2:]).numel()
        self._forms.append(f"{count} basis function{'' if count == Dim.of(1) else 's'} and 1 product")
        flat = count * self._in.size
        turned = emit(Transpose((*range(2, 2 + own), 1, 0)), weight)
        return emit(Matmul(), emit(Reshape((*lead, flat)), rows), emit(Reshape((flat, self._out.size)), turned))

    def _every_pair(self, body: tuple[Node, ...], value: Value) -> Value:
        """The sum over inputs of what is not linear in its parameters, evaluated for every pair of input and output."""
        self._forms.append("every pair of input and output")
        return self._emit(ReduceSum((len(self._lead) + 1,)), self._pairs(body, value))

    def _pairs(self, body: tuple[Node, ...], value: Value) -> Value:
        """A value of the edge's body (.., out, in) for every pair."""
        lead = [Level(axis, frozenset([self._x])) for axis in self._lead]
        pairs = [
            Level(self._out, self._per(None, "out")),
            Level(self._in, self._per(None, "in") | {self._x}),
        ]
        return self._over(body, value, [*lead, *pairs])


def _start(init: Init, copies: int) -> Init:
    """The initialiser of all copies: one that counts fans counts the layer's inputs and outputs."""
    return init if copies == 2 and init.name.startswith(("kaiming", "xavier")) else stacked(init, copies)


def _needed(nodes: Sequence[Node], result: Value) -> Iterator[Node]:
    """The nodes that a value depends on, in order."""
    wanted = {result}
    kept: list[Node] = []
    for node in reversed(nodes):
        if any(value in wanted for value in node.results):
            kept.append(node)
            wanted.update(node.operands)
    return reversed(kept)
