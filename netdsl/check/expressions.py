"""Expressions: from the tree to check-time values."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netdsl import syntax as s
from netdsl.check import calls, leaves, operators, records
from netdsl.check.arguments import Argument, arguments_of
from netdsl.check.loops import loop
from netdsl.check.report import mistake, size_mistake
from netdsl.check.statements import if_value
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    InstanceRef,
    LeafValue,
    ListValue,
    MacroRef,
    OpRef,
    RecordValue,
    TensorValue,
    TupleValue,
    describe,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import DimError
from netdsl.ops.shape import Transpose

if TYPE_CHECKING:
    from netdsl.check.body import Body


def evaluate(body: "Body", expr: s.Expr) -> CheckValue:
    """The value of an expression.

    Raises: Mistake: reported at the statement; Silent: it depends on something already reported.
    """
    checker = body.checker
    checker.enter(expr.span)
    try:
        return _EVALUATE[type(expr)](body, expr)
    except DimError as error:
        raise size_mistake(error, expr.span) from None
    finally:
        checker.level -= 1


def _name(body: "Body", expr: s.Name) -> CheckValue:
    if expr.id == "training":
        body.builder.depends_on_mode = True
        return body.checker.training
    value = body.checker.look_up(body, expr.id, expr.span)
    if isinstance(value, OpRef):
        return OpRef(value.op, value.surface, value.statics, expr.span)
    return value


def _literal(body: "Body", expr: s.Literal) -> CheckValue:
    if isinstance(expr.value, int) and not isinstance(expr.value, bool) and abs(expr.value) >= 2**63:
        raise mistake("E0321", f"`{expr.text}` does not fit in 64 bits", expr.span)
    if isinstance(expr.value, float) and expr.value in (float("inf"), float("-inf")):
        raise mistake("E0321", f"`{expr.text}` does not fit in a float", expr.span, help="write `inf`")
    return expr.value


def _paren(body: "Body", expr: s.Paren) -> CheckValue:
    return evaluate(body, expr.inner)


def _tuple(body: "Body", expr: s.TupleExpr) -> CheckValue:
    items: list[CheckValue] = []
    for item in expr.items:
        if item.splat:
            raise mistake("E0325", "`**` stands in a call only", item.span)
        items.append(evaluate(body, item.value))
    made = TupleValue(tuple(items), tuple(i.name for i in expr.items))
    body.checker.weigh(made, expr.span)
    return made


def _list(body: "Body", expr: s.ListExpr) -> CheckValue:
    items: list[CheckValue] = []
    for item in expr.items:
        value = evaluate(body, item)
        items.append(value)
    made = ListValue(tuple(items))
    body.checker.weigh(made, expr.span)
    return made


def _index(body: "Body", expr: s.Index) -> CheckValue:
    base = evaluate(body, expr.base)
    if base is POISON:
        return POISON
    if isinstance(base, (TensorValue, ListValue, TupleValue)):
        found = operators.index(body, expr, base)
        body.checker.weigh(found, expr.span)
        return found
    if isinstance(base, RecordValue):
        return records.index(body, expr, base)
    if isinstance(base, (BlockRef, OpRef, MacroRef)):
        return calls.apply_brackets(body, base, expr)
    raise mistake("E0327", f"{describe(base)} takes no brackets", expr.span)


def _call(body: "Body", expr: s.Call, label: s.Labelled | None = None) -> CheckValue:
    func = evaluate(body, expr.func)
    arguments = arguments_of(body, expr.args)
    return calls.call(body, func, arguments, expr.span, expr.func, label)


def _pipe(body: "Body", expr: s.Pipe, label: s.Labelled | None = None) -> CheckValue:
    right = expr.right
    if isinstance(right, s.Labelled):
        label, right = right, right.operand
    first = evaluate(body, expr.left)
    left = Argument(None, first, expr.left.span)
    if isinstance(right, s.Call):
        func = evaluate(body, right.func)
        return calls.call(body, func, [left, *arguments_of(body, right.args)], right.span, right.func, label)
    func = evaluate(body, right)
    return calls.call(body, func, [left], right.span, right, label)


def _labelled(body: "Body", expr: s.Labelled) -> CheckValue:
    operand = expr.operand
    while isinstance(operand, s.Paren):
        operand = operand.inner
    if isinstance(operand, s.Call):
        return _call(body, operand, expr)
    if isinstance(operand, s.Pipe):
        return _pipe(body, operand, expr)
    raise AssertionError(f"the parser let a label on {type(operand).__name__} through")


def _attribute(body: "Body", expr: s.Attribute) -> CheckValue:
    if isinstance(expr.base, s.Name) and body.scope.find(expr.base.id) is None:
        module = body.file.modules.get(expr.base.id)
        if module is not None:
            if expr.name not in module.own or expr.name.startswith("_"):
                near = suggest(expr.name, module.public_names())
                raise mistake(
                    "E0313",
                    f"`{expr.base.id}` has no public name `{expr.name}`",
                    expr.name_span,
                    help=f"did you mean `{near}`?" if near else None,
                )
            return body.checker.global_name(module, expr.name, expr.name_span)
    base = evaluate(body, expr.base)
    match base:
        case TupleValue():
            if expr.name in base.names:
                return base.items[base.names.index(expr.name)]
            names = [n for n in base.names if n]
            near = suggest(expr.name, names)
            raise mistake(
                "E0328",
                f"the tuple has no field `{expr.name}`",
                expr.name_span,
                help=f"did you mean `{near}`?" if near else None,
            )
        case TensorValue() if expr.name == "T":
            if base.type.rank < 2:
                raise mistake("E0205", f"`.T` swaps the last two axes, and this is {base.type}", expr.span)
            perm = (*range(base.type.rank - 2), base.type.rank - 1, base.type.rank - 2)
            return body.apply1(Transpose(perm), (base,), expr.span, (expr.base.span,))
        case InstanceRef():
            return calls.instance_param(base, expr)
        case LeafValue():
            return leaves.leaf_field(base, expr)
        case _ if base is POISON:
            return POISON
    near = suggest(expr.name, ["T"]) if isinstance(base, TensorValue) else None
    raise mistake(
        "E0328",
        f"{describe(base)} has no field `{expr.name}`",
        expr.name_span,
        help=f"did you mean `{near}`?" if near else None,
    )


def _range(body: "Body", expr: s.Range) -> CheckValue:
    start = body.static_int(expr.start, what="the start of a range")
    stop = body.static_int(expr.stop, what="the end of a range")
    body.checker.limits.check_turns(max(stop - start, 0), expr.span)
    made = ListValue(tuple(range(start, stop)))
    body.checker.weigh(made, expr.span)
    return made


def _if(body: "Body", expr: s.IfExpr) -> CheckValue:
    return if_value(body, expr)


def _loop(body: "Body", expr: s.Loop) -> CheckValue:
    return loop(body, expr)


def _misplaced(body: "Body", expr: s.Slice | s.Dots) -> CheckValue:
    text = "`..`" if isinstance(expr, s.Dots) else "a slice"
    raise mistake("E0325", f"{text} stands inside an index or a type only", expr.span)


_EVALUATE: dict[type, Callable[[Any, Any], CheckValue]] = {
    s.Name: _name,
    s.Literal: _literal,
    s.Paren: _paren,
    s.TupleExpr: _tuple,
    s.ListExpr: _list,
    s.Unary: operators.unary,
    s.Binary: operators.binary,
    s.Call: _call,
    s.Index: _index,
    s.Attribute: _attribute,
    s.Pipe: _pipe,
    s.Labelled: _labelled,
    s.Slice: _misplaced,
    s.Range: _range,
    s.Dots: _misplaced,
    s.IfExpr: _if,
    s.Loop: _loop,
}
