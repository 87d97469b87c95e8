"""What of an edge function is linear in its parameters: f(x) = sum of weights times basis functions, and a rest."""

from collections.abc import Callable, Sequence
from dataclasses import field, replace

from netdsl.dims import Dim, Facts
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.creation import Full
from netdsl.ops.elementwise import Add, Div, Mul, Neg, Sub
from netdsl.ops.pieces import Pick, Stack
from netdsl.ops.reduction import ReduceMean, ReduceSum
from netdsl.ops.shape import Broadcast, Reshape
from netdsl.record import dataclass
from netdsl.source import Span


@dataclass(slots=True)
class Emitter:
    """Appends nodes, each typed by its op's own rule."""

    facts: Facts
    span: Span
    nodes: list[Node] = field(default_factory=list)

    def __call__(self, op: Op, *operands: Value) -> Value:
        types = tuple(value.type for value in operands)
        op = op.normalised(types)
        (type,) = op.infer(types, self.facts)
        result = Value(type.without_names(), "")
        self.nodes.append(Node(op, operands, (result,), (self.span,), 0))
        return result


@dataclass(frozen=True, slots=True)
class Term:
    """The sum over all elements of weight times basis; None stands for ones, and a scalar for itself everywhere.

    Args: weight: reads no input; basis: reads no parameter.
    """

    weight: Value | None
    basis: Value | None


@dataclass(frozen=True, slots=True)
class Linear:
    """A value as terms, and as values that are not linear in the parameters. `parts`: one a row of a stack."""

    terms: tuple[Term, ...] = ()
    rest: tuple[Value, ...] = ()
    parts: tuple["Linear", ...] | None = None
    #: The terms' trailing axes are still to be summed; until then their shape is the value's own.
    is_summed: bool = False


#: A side of a term, None for ones, scaled by a factor.
_Scale = Callable[[Value | None, Value], Value]


class Decomposition:
    """Terms of the result of an edge's body.

    Args: nodes: of the body; params: its parameters; x: its input.
    """

    def __init__(self, nodes: Sequence[Node], params: Sequence[Value], x: Value, emit: Emitter) -> None:
        self._emit = emit
        self._by_param: set[Value] = set(params)
        self._by_input: set[Value] = {x}
        self._made: dict[Value, Node] = {}
        self._known: dict[Value, Linear] = {}
        for node in nodes:
            self._add(node)

    def _add(self, node: Node) -> None:
        for result in node.results:
            self._made[result] = node
            if any(value in self._by_param for value in node.operands):
                self._by_param.add(result)
            if any(value in self._by_input for value in node.operands):
                self._by_input.add(result)

    def of(self, value: Value) -> Linear:
        """How a value is put together."""
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = self._of(value)
        return known

    def _of(self, value: Value) -> Linear:
        if value not in self._by_param:
            return Linear((Term(None, value),))
        if value not in self._by_input:
            return Linear((Term(value, None),))
        node = self._made[value]
        rule = _RULES.get(type(node.op))
        return (rule(self, node) if rule is not None else None) or Linear(rest=(value,))

    def emit(self, op: Op, *operands: Value) -> Value:
        """A new value, known to read what its operands read."""
        value = self._emit(op, *operands)
        self._add(self._emit.nodes[-1])
        return value

    # --- rules: None where a value is not linear ---

    def sum(self, node: Node) -> Linear | None:
        a, b = (self.of(value) for value in node.operands)
        if any(value.type.rank != node.results[0].type.rank for value in node.operands):
            return None
        if isinstance(node.op, Sub):
            b = self._negated(b)
        if a.parts is not None or b.parts is not None or (node.results[0].type.rank and a.is_summed != b.is_summed):
            return None
        return Linear((*a.terms, *b.terms), (*a.rest, *b.rest), None, a.is_summed or b.is_summed)

    def negated(self, node: Node) -> Linear | None:
        return self._negated(self.of(node.operands[0]))

    def _negated(self, x: Linear) -> Linear:
        terms = []
        for term in x.terms:
            if term.weight is not None:
                terms.append(Term(self.emit(Neg(), term.weight), term.basis))
            elif term.basis is not None:
                terms.append(Term(None, self.emit(Neg(), term.basis)))
        parts = tuple(self._negated(part) for part in x.parts) if x.parts is not None else None
        return replace(x, terms=tuple(terms), rest=tuple(self.emit(Neg(), value) for value in x.rest), parts=parts)

    def product(self, node: Node) -> Linear | None:
        left, right = node.operands
        for value, factor in ((left, right), (right, left)):
            scaled = self._scaled(value, factor, self._times, node)
            if scaled is not None:
                return scaled
        return None

    def quotient(self, node: Node) -> Linear | None:
        top, bottom = node.operands
        return self._scaled(top, bottom, self._over, node)

    def _times(self, side: Value | None, factor: Value) -> Value:
        return factor if side is None else self.emit(Mul(), side, factor)

    def _over(self, side: Value | None, factor: Value) -> Value:
        return self.emit(Div(), side if side is not None else self._number(1, factor), factor)

    def _scaled(self, value: Value, factor: Value, scale: _Scale, node: Node) -> Linear | None:
        """Every term of `value` scaled by a factor that reads parameters only, or inputs only."""
        by_param, by_input = factor in self._by_param, factor in self._by_input
        if by_param and by_input:
            return None
        x = self.of(value)
        if x.parts is not None and factor.type.rank == 1:
            picked = [self.emit(Pick(0, Dim.of(at)), factor) for at in range(len(x.parts))]
            scaled = [self._scale(part, by, scale, by_param) for part, by in zip(x.parts, picked, strict=True)]
            return None if None in scaled else replace(x, parts=tuple(p for p in scaled if p is not None))
        if factor.type.rank and (x.is_summed or factor.type.sizes != node.results[0].type.sizes):
            return None
        if value.type.rank != node.results[0].type.rank and x.is_summed:
            return None
        return self._scale(x, factor, scale, by_param)

    def _scale(self, x: Linear, factor: Value, scale: _Scale, by_param: bool) -> Linear | None:
        if x.rest or x.parts is not None:
            return None
        terms = []
        for term in x.terms:
            side = term.weight if by_param else term.basis
            made = scale(side, factor)
            terms.append(Term(made, term.basis) if by_param else Term(term.weight, made))
        return replace(x, terms=tuple(terms))

    def _number(self, number: int, like: Value) -> Value:
        return self.emit(Full((), number, like.type.dtype))

    def reduced(self, node: Node) -> Linear | None:
        (value,) = node.operands
        op = node.op
        assert isinstance(op, (ReduceSum, ReduceMean))
        x = self.of(value)
        if node.results[0].type.rank or (x.parts is None and x.rest):
            return None
        if x.parts is not None:
            if isinstance(op, ReduceMean) or any(part.rest for part in x.parts):
                return None
            return Linear(tuple(t for part in x.parts for t in part.terms), (), None, True)
        terms = x.terms
        if isinstance(op, ReduceMean):
            count = self._number(value.type.numel().value, value)
            scaled = self._scale(x, count, self._over, by_param=True)
            assert scaled is not None
            terms = scaled.terms
        shape = value.type.sizes
        full = tuple(self._whole(term, shape) for term in terms)
        return Linear(full, (), None, True)

    def _whole(self, term: Term, shape: tuple[Dim, ...]) -> Term:
        """A term one side of which has the whole shape, so that the sum over its elements is the sum over the shape."""
        sides = [side for side in (term.weight, term.basis) if side is not None]
        if any(side.type.sizes == shape for side in sides) or not shape:
            return term
        if term.basis is not None:
            return Term(term.weight, self.emit(Broadcast(shape), term.basis))
        assert term.weight is not None
        return Term(self.emit(Broadcast(shape), term.weight), None)

    def stacked(self, node: Node) -> Linear | None:
        if any(value.type.rank for value in node.operands):
            return None
        return Linear(parts=tuple(self.of(value) for value in node.operands))

    def reshaped(self, node: Node) -> Linear | None:
        (value,) = node.operands
        return self.of(value) if value.type.sizes == node.results[0].type.sizes else None


_RULES: dict[type[Op], Callable[[Decomposition, Node], Linear | None]] = {
    Add: Decomposition.sum,
    Sub: Decomposition.sum,
    Neg: Decomposition.negated,
    Mul: Decomposition.product,
    Div: Decomposition.quotient,
    ReduceSum: Decomposition.reduced,
    ReduceMean: Decomposition.reduced,
    Stack: Decomposition.stacked,
    Reshape: Decomposition.reshaped,
}


def merged(terms: Sequence[Term], emit: Emitter) -> list[Term]:
    """Terms of one basis as one term, their weights added."""
    found: dict[Value | None, Term] = {}
    kept: list[Term] = []
    for term in terms:
        known = found.get(term.basis)
        if (
            known is None
            or known.weight is None
            or term.weight is None
            or known.weight.type.sizes != term.weight.type.sizes
        ):
            found.setdefault(term.basis, term)
            kept.append(term)
            continue
        both = Term(emit(Add(), known.weight, term.weight), term.basis)
        kept[kept.index(known)] = found[term.basis] = both
    return kept
