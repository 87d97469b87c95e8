"""The checking of one body: its scope, its builder, and the entry points that the other modules call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.builder import Builder
from netdsl.check.literals import scalar
from netdsl.check.report import Silent, mistake
from netdsl.check.scope import Scope
from netdsl.check.values import POISON, CheckValue, DimValue, TensorValue, describe
from netdsl.dims import Dim, DimError
from netdsl.ir import Decisions, Value
from netdsl.ops.base import Op
from netdsl.ops.pieces import Unstack
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import Axis, DType, ShapeError, TensorType

if TYPE_CHECKING:
    from netdsl.check.checker import Checker
    from netdsl.check.modules import FileScope


#: Letters of a size beyond which proofs take long, and what each further one counts for in `Limits.steps`.
LONG_SIZE = 200
STEPS_A_LETTER = 200


@dataclass(frozen=True, slots=True)
class DimOrigin:
    """Where a header's dimension got its size: the header's place, and the argument and its axis that fixed it."""

    value: DimValue
    header: Span
    source: Span | None
    of: tuple[TensorValue, int] | None = None


@dataclass(eq=False)
class Body:
    """One body being checked.

    Args:
        path:    parameter path of the turns around the current statement (`blocks.3`).
        header:  of the block; None where statics alone are evaluated.
        caller:  the body with the call that led here.
        dims:    the header's dimensions; dtypes: its `float`, `int`, `num`.
        generic: a block that nothing calls, checked with rigid symbols; what cannot be decided stays silent.
    """

    checker: "Checker"
    builder: Builder
    scope: Scope
    file: "FileScope"
    header: s.Header | None = None
    caller: "Body | None" = None
    path: str = ""
    dims: dict[str, DimOrigin] = field(default_factory=dict)
    dtypes: dict[str, DType] = field(default_factory=dict)
    generic: bool = False
    #: The body of an `edge`, whose input is one number.
    is_edge: bool = False
    #: The body of a `monoid`, which has an identity.
    is_monoid: bool = False
    given: dict[str, TensorValue] = field(default_factory=dict)
    #: What is chosen at each choice that is decided, by path.
    decisions: Decisions = field(default_factory=dict)
    inputs: dict[str, TensorValue] = field(default_factory=dict)
    #: What an input is in the body of the caller.
    arguments: dict[Value, TensorValue] = field(default_factory=dict)
    #: What a step of a sequence, or a carried value, is outside of its loop.
    outer: dict[Value, Value] = field(default_factory=dict)
    #: The written types of the parameters declared here.
    declared: dict[Value, s.TypeExpr] = field(default_factory=dict)
    in_unlabelled_loop: Span | None = None
    #: The module of the standard library whose blocks are known by name where this stands: in brackets.
    vocabulary: str = ""
    #: The axes that `..` stands for, under local names, and the caller's names of them.
    leading: tuple[Axis, ...] | None = None
    leading_names: tuple[str | None, ...] = ()
    #: The caller's axis name of each header dimension.
    callers: dict[str, str | None] = field(default_factory=dict)

    @property
    def float_type(self) -> DType:
        """What `float` means here: the caller's float type, else the network's own."""
        return self.dtypes.get("float", self.checker.default_float)

    def text(self, expr: s.Expr | s.Fact) -> str:
        """The source text of an expression or a fact."""
        return expr.span.source.text[expr.span.start : expr.span.end]

    # --- entry points, implemented in the modules of this folder ---

    def evaluate(self, expr: s.Expr) -> CheckValue:
        from netdsl.check.expressions import evaluate

        return evaluate(self, expr)

    def run(self, body: s.Body) -> None:
        from netdsl.check.statements import run_statements

        self.checker.enter(body.span)
        try:
            run_statements(self, body.statements)
        finally:
            self.checker.level -= 1

    # --- scopes ---

    @contextmanager
    def nested(self, *, is_loop: bool = False) -> Iterator[Scope]:
        outer = self.scope
        self.scope = Scope(outer, is_loop)
        try:
            yield self.scope
        finally:
            self.scope = outer

    @contextmanager
    def speaking(self, vocabulary: str) -> Iterator[None]:
        """Within, the blocks of a module of the standard library are known by name; an empty name changes nothing."""
        outer = self.vocabulary
        self.vocabulary = vocabulary or outer
        try:
            yield
        finally:
            self.vocabulary = outer

    # --- values of one kind ---

    def tensor(self, value: CheckValue, span: Span, *, like: DType | None = None, what: str = "this") -> TensorValue:
        """`value` as a tensor: numbers and sizes become constants of the type `like`.

        Raises: Mistake E0301: it is no tensor.
        """
        if isinstance(value, TensorValue):
            return value
        if value is POISON:
            raise Silent
        if isinstance(value, (bool, int, float, DimValue)):
            return scalar(self, value, like, span)
        raise mistake("E0301", f"{what} needs a tensor, found {describe(value)}", span)

    def static_int(self, expr: s.Expr, *, what: str) -> int:
        """The value of `expr`, which must be known when building (rule R1).

        Raises: Mistake E0302: it is dynamic or no int.
        """
        value = self.evaluate(expr)
        if value is POISON:
            raise Silent
        if isinstance(value, DimValue) and value.dim.is_const:
            return value.dim.value
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, DimValue):
            if self.generic:
                raise Silent
            raise mistake(
                "E0302",
                f"{what} must be known when building, and `{value}` is a free dimension",
                expr.span,
                f"`{value}` is known only at run time",
                help=f"make it static: `[{value}: int]` in the network's header" if value.name else None,
            )
        raise mistake("E0302", f"{what} must be an int, found {describe(value)}", expr.span)

    def dim(self, value: CheckValue, span: Span, *, what: str = "a dimension") -> DimValue:
        """`value` as a size.

        Raises: Mistake E0303.
        """
        if isinstance(value, DimValue):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return DimValue(Dim.of(value))
        if value is POISON:
            raise Silent
        raise mistake("E0303", f"{what} must be a size, found {describe(value)}", span)

    # --- emitting ---

    def apply(
        self,
        op: Op,
        operands: Sequence[TensorValue],
        span: Span,
        operand_spans: Sequence[Span] = (),
        hint: str = "",
    ) -> tuple[TensorValue, ...]:
        """Check `op` on its operands and append the node.

        Raises: Mistake: the operands do not fit; the message shows where each size came from.
        """
        types = tuple(v.type for v in operands)
        try:
            op = op.normalised(types)
            if isinstance(op, Unstack) and types[0].sizes[op.axis].is_const:
                self.checker.limits.check_items(types[0].sizes[op.axis].value, span)
            results = op.infer(types, self.builder.facts)
            if not (self.generic or self.checker.probing):
                op.check_room(types, self.builder.facts)
        except ShapeError as error:
            from netdsl.check.origins import shape_mistake

            raise shape_mistake(self, error, operands, span, operand_spans) from None
        except (DimError, ZeroDivisionError) as error:
            raise mistake("E0525", f"the size of this value cannot be computed: {error}", span) from None
        results = tuple(self._simplified(t, span) for t in results)
        values = self.builder.emit(op, [v.value for v in operands], results, span, hint)
        return tuple(TensorValue(v, t) for v, t in zip(values, results, strict=True))

    def apply1(
        self, op: Op, operands: Sequence[TensorValue], span: Span, operand_spans: Sequence[Span] = ()
    ) -> TensorValue:
        (result,) = self.apply(op, operands, span, operand_spans)
        return result

    def simplified(self, size: Dim) -> Dim:
        """A size as the facts let it be written; a long one counts as many steps, because it takes long."""
        excess = len(str(size)) - LONG_SIZE
        if excess > 0:
            self.checker.work.steps += excess * STEPS_A_LETTER
        return self.builder.facts.simplify(size)

    def _simplified(self, t: TensorType, span: Span) -> TensorType:
        facts = self.builder.facts
        axes = []
        changed = False
        for axis in t.axes:
            size = axis.size
            if not size.is_const:
                size = self.simplified(size)
                high = facts.bounds(size)[1]
                if high is not None and high < 0:
                    raise mistake("E0209", f"this value would have a size of {size}, below 0", span)
            if size.is_const and not 0 <= size.value < 2**31:
                raise mistake(
                    "E0209",
                    f"this value would have an axis of size {size.value}",
                    span,
                    help="sizes lie between 0 and 2147483647",
                )
            if size is not axis.size:
                changed = True
                axis = type(axis)(axis.name, size, axis.structure)
            axes.append(axis)
        self.checker.limits.elements(t, span)
        return t.with_axes(axes) if changed else t
