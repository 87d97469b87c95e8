"""Operators and indexing on tensors."""

from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import records, statics
from netdsl.check.report import Silent, mistake
from netdsl.check.values import POISON, CheckValue, DimValue, ListValue, RecordValue, TensorValue, TupleValue, describe
from netdsl.dims import Dim
from netdsl.ops import comparison as compare
from netdsl.ops import elementwise as arithmetic
from netdsl.ops.base import Op
from netdsl.ops.indexing import Take
from netdsl.ops.pieces import Pick, Slice
from netdsl.ops.product import Matmul
from netdsl.ops.shape import Unsqueeze
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.body import Body

BINARY: dict[str, type[Op]] = {
    "+": arithmetic.Add,
    "-": arithmetic.Sub,
    "*": arithmetic.Mul,
    "/": arithmetic.Div,
    "//": arithmetic.FloorDiv,
    "%": arithmetic.Mod,
    "**": arithmetic.Pow,
    "@": Matmul,
    "==": compare.Eq,
    "!=": compare.Ne,
    "<": compare.Lt,
    "<=": compare.Le,
    ">": compare.Gt,
    ">=": compare.Ge,
    "&": compare.LogicalAnd,
    "|": compare.LogicalOr,
}


def binary(body: "Body", expr: s.Binary) -> CheckValue:
    left = body.evaluate(expr.left)
    right = body.evaluate(expr.right)
    if left is POISON or right is POISON:
        return POISON
    if (left is None or right is None) and expr.op in ("==", "!="):
        return (left is right) == (expr.op == "==")
    if isinstance(left, RecordValue) or isinstance(right, RecordValue):
        return records.binary(body, expr, left, right)
    if not isinstance(left, TensorValue) and not isinstance(right, TensorValue):
        if expr.op == "@" or not (statics.is_static(left) and statics.is_static(right)):
            raise mistake("E0320", f"`{expr.op}` does not take {describe(left)} and {describe(right)}", expr.span)
        return statics.binary(body, expr, left, right)
    return elementwise(body, BINARY[expr.op], left, right, expr.span, (expr.left.span, expr.right.span), f"`{expr.op}`")


def elementwise(
    body: "Body", op: type[Op], left: CheckValue, right: CheckValue, span: Span, spans: tuple[Span, Span], what: str
) -> CheckValue:
    """A binary primitive; a number or a size takes the element type of the tensor beside it (rule R17)."""
    other = right.type.dtype if isinstance(right, TensorValue) else None
    like = left.type.dtype if isinstance(left, TensorValue) else other
    a = body.tensor(left, spans[0], like=other or like, what=what)
    b = body.tensor(right, spans[1], like=like, what=what)
    return body.apply1(op(), (a, b), span, spans)


def unary(body: "Body", expr: s.Unary) -> CheckValue:
    value = body.evaluate(expr.operand)
    if value is POISON:
        return POISON
    if isinstance(value, TensorValue):
        op = arithmetic.Neg() if expr.op == "-" else compare.LogicalNot()
        return body.apply1(op, (value,), expr.span, (expr.operand.span,))
    if expr.op == "~" and isinstance(value, bool):
        return not value
    number = statics.plain(value)
    if expr.op == "-" and isinstance(number, (int, float)) and not isinstance(number, bool):
        return -number
    if expr.op == "-" and isinstance(number, DimValue):
        return DimValue(-number.dim)
    raise mistake("E0320", f"`{expr.op}` does not take {describe(value)}", expr.span)


def index(body: "Body", expr: s.Index, base: CheckValue) -> CheckValue:
    """`x[:, 0]`, `x[g.src]`, `list[i]`."""
    if isinstance(base, (ListValue, TupleValue)):
        return _static_index(body, expr, base)
    assert isinstance(base, TensorValue)
    items: list[s.Expr] = []
    for arg in expr.args:
        if arg.name is not None or arg.splat:
            raise mistake("E0325", "an index has no named parts", arg.span)
        items.append(arg.value)
    return _tensor_index(body, expr, base, items)


def _static_index(body: "Body", expr: s.Index, base: ListValue | TupleValue) -> CheckValue:
    if len(expr.args) != 1:
        raise mistake("E0325", f"a list takes one index, found {len(expr.args)}", expr.span)
    item = expr.args[0].value
    size = len(base.items)
    if isinstance(item, s.Slice):
        start = body.static_int(item.start, what="the start of a slice") if item.start else 0
        stop = body.static_int(item.stop, what="the stop of a slice") if item.stop else size
        taken = slice(start, stop, _step(body, item, "reversed"))
        if isinstance(base, ListValue):
            return ListValue(base.items[taken])
        return TupleValue(base.items[taken], base.names[taken])
    at = body.static_int(item, what="an index into a list")
    if not -size <= at < size:
        raise mistake("E0326", f"the list has {size} items, and there is no item {at}", expr.span)
    return base.items[at]


def _tensor_index(body: "Body", expr: s.Index, base: TensorValue, items: list[s.Expr]) -> TensorValue:
    consuming = sum(
        1 for i in items if not isinstance(i, s.Dots) and not (isinstance(i, s.Literal) and i.value is None)
    )
    if consuming > base.type.rank:
        raise mistake(
            "E0205",
            f"{base.type} has {base.type.rank} axes, and {consuming} are indexed",
            expr.span,
            f"indexes {consuming} axes",
            others=((expr.base.span, f"this is {base.type}"),),
        )
    axis = 0
    current = base
    for item in items:
        if isinstance(item, s.Dots):
            axis += base.type.rank - consuming
        elif isinstance(item, s.Literal) and item.value is None:
            current = body.apply1(Unsqueeze(axis), (current,), expr.span, (expr.base.span,))
            axis += 1
        elif isinstance(item, s.Slice):
            current = _slice(body, expr, current, item, axis)
            axis += 1
        else:
            value = body.evaluate(item)
            if value is POISON:
                raise Silent
            if isinstance(value, TensorValue):
                current = body.apply1(Take(axis), (current, value), expr.span, (expr.base.span, item.span))
                axis += value.type.rank
                continue
            at = _position(body, body.dim(value, item.span, what="an index").dim, current, axis, item.span)
            current = body.apply1(Pick(axis, at), (current,), expr.span, (expr.base.span,))
    return current


def _position(body: "Body", at: Dim, x: TensorValue, axis: int, span: Span) -> Dim:
    size = x.type.axes[axis].size
    facts = body.builder.facts
    written = at
    if at.is_const and at.value < 0:
        at = facts.simplify(size + at)
    inside = facts.prove("<", at, size)
    low = facts.prove(">=", at, 0)
    if inside is False or low is False:
        raise mistake("E0326", f"axis {axis} has {size} entries, and there is no entry {written}", span)
    if inside is None and not body.generic and not (size.is_const or at.is_const):
        raise mistake(
            "E0208", f"nothing says that {at} is below {size}", span, help=f"add `where {at} < {size}` to the header"
        )
    return at


def _slice(body: "Body", expr: s.Index, x: TensorValue, item: s.Slice, axis: int) -> TensorValue:
    size = x.type.axes[axis].size
    facts = body.builder.facts

    def bound(e: s.Expr | None, default: Dim, what: str) -> Dim:
        if e is None:
            return default
        at = body.dim(body.evaluate(e), e.span, what=f"the {what} of a slice").dim
        if at.is_const and at.value < 0:
            at = facts.simplify(size + at)
        return at

    start = bound(item.start, Dim.of(0), "start")
    stop = bound(item.stop, size, "stop")
    step = _step(body, item, "flip")
    if start == 0 and stop == size and step == 1:
        return x
    if facts.prove("<=", stop, size) is False or facts.prove(">=", start, 0) is False:
        title = f"axis {axis} has {size} entries, and a slice of it cannot go from {start} to {stop}"
        raise mistake("E0326", title, item.span, others=((expr.base.span, f"this is {x.type}"),))
    if facts.prove("<=", start, stop) is False:
        raise mistake("E0326", f"a slice cannot go backwards, from {start} to {stop}", item.span)
    return body.apply1(Slice(axis, start, stop, step), (x,), expr.span, (expr.base.span,))


def _step(body: "Body", item: s.Slice, turn: str) -> int:
    """How far apart the entries are that a slice takes; `turn` is the function that turns an order round."""
    if item.step is None:
        return 1
    step = body.static_int(item.step, what="the step of a slice")
    if step < 1:
        help = f"turn the order round with `{turn}`" if step < 0 else None
        raise mistake("E0219", f"a slice needs a step of 1 or more, found {step}", item.step.span, help=help)
    return step
