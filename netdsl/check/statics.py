"""Static values: arithmetic on them, constants and constant functions, and the binding of bracket arguments."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.builder import Builder
from netdsl.check.literals import scalar
from netdsl.check.report import Mistake, Silent, mistake, size_mistake
from netdsl.check.scope import Scope
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    ConstFunction,
    DimValue,
    InstanceRef,
    ListValue,
    MacroRef,
    OpRef,
    Poison,
    TupleValue,
    counted,
    describe,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import RELATION_OPS, Dim, DimError, Facts
from netdsl.source import Span
from netdsl.tensor_type import DType

if TYPE_CHECKING:
    from netdsl.check.checker import Checker
    from netdsl.check.modules import FileScope

Number = int | float

#: What a call of a constant function counts for in `Limits.steps`, beside its expressions.
STEPS_A_CALL = 100

ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
COMPARISON: dict[str, Callable[[Number, Number], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def plain(value: CheckValue) -> CheckValue:
    """A constant size as an int."""
    return value.dim.value if isinstance(value, DimValue) and value.dim.is_const else value


def is_static(value: CheckValue) -> bool:
    return isinstance(value, (int, float, str, DimValue, ListValue, TupleValue, DType)) or value is None


def binary(body: Body, expr: s.Binary, left: CheckValue, right: CheckValue) -> CheckValue:
    """An operator on two statics.

    Raises: Mistake E0320: the operator does not take them; E0321: division by zero or a result too large.
    """
    left, right = plain(left), plain(right)
    op = expr.op
    try:
        if (
            isinstance(left, (DimValue, int))
            and isinstance(right, (DimValue, int))
            and (isinstance(left, DimValue) or isinstance(right, DimValue))
        ):
            return _dims(body, expr, left, right)
        if op in ARITHMETIC and (
            (isinstance(left, DimValue) and isinstance(right, float))
            or (isinstance(left, float) and isinstance(right, DimValue))
        ):
            return _scalars(body, expr, left, right)
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            if op in ("&", "|") and isinstance(left, bool) and isinstance(right, bool):
                return (left and right) if op == "&" else (left or right)
            if op in COMPARISON:
                return COMPARISON[op](left, right)
            if op in ARITHMETIC and not isinstance(left, bool) and not isinstance(right, bool):
                if op == "**" and abs(right) > 1024:
                    raise OverflowError
                result = ARITHMETIC[op](left, right)
                if isinstance(result, int) and abs(result) >= 2**63:
                    raise OverflowError
                if isinstance(result, complex):
                    raise ValueError
                return result
        if isinstance(left, ListValue) and isinstance(right, ListValue) and op == "+":
            body.checker.limits.check_items(len(left.items) + len(right.items), expr.span)
            joined = ListValue(left.items + right.items)
            body.checker.weigh(joined, expr.span)
            return joined
        if isinstance(left, str) and isinstance(right, str) and op == "+":
            body.checker.limits.check_items(len(left) + len(right), expr.span)
            return left + right
        if op in ("==", "!=") and not isinstance(left, (ListValue, TupleValue, DimValue)):
            return (left == right) == (op == "==")
    except ZeroDivisionError:
        raise mistake("E0321", f"`{body.text(expr)}` divides by zero", expr.span) from None
    except DimError as error:
        raise size_mistake(error, expr.span) from None
    except (OverflowError, ValueError):
        raise mistake("E0321", f"`{body.text(expr)}` has no value that fits in 64 bits", expr.span) from None
    raise mistake("E0320", f"`{op}` does not take {describe(left)} and {describe(right)}", expr.span)


def _dims(body: Body, expr: s.Binary, left: "DimValue | int", right: "DimValue | int") -> CheckValue:
    a = left.dim if isinstance(left, DimValue) else Dim.of(left)
    b = right.dim if isinstance(right, DimValue) else Dim.of(right)
    op = expr.op
    facts = body.builder.facts
    if op in COMPARISON:
        answer = facts.prove(RELATION_OPS[op], a, b)
        if answer is None:
            if body.generic:
                raise Silent
            raise mistake(
                "E0302",
                f"`{body.text(expr)}` must be known when building, and it depends on free dimensions",
                expr.span,
                help=f"state it in the header: `where {a} {op} {b}`",
            )
        return answer
    if op == "/":
        return _scalars(body, expr, left, right)
    if op == "**":
        if not b.is_const:
            raise mistake("E0320", "a size can be raised to a constant power only", expr.span)
        return _dim_result(a**b.value)
    operation = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "//": operator.floordiv,
        "%": operator.mod,
    }.get(op)
    if operation is None:
        raise mistake("E0320", f"`{op}` does not take sizes", expr.span)
    return _dim_result(body.simplified(operation(a, b)))


def _scalars(body: Body, expr: s.Binary, left: "DimValue | int | float", right: "DimValue | int | float") -> CheckValue:
    """Arithmetic in which a free size is a scalar of the float type in use (rule R1)."""
    from netdsl.check.operators import BINARY

    dtype = body.float_type
    operands = (scalar(body, left, dtype, expr.left.span), scalar(body, right, dtype, expr.right.span))
    return body.apply1(BINARY[expr.op](), operands, expr.span)


def _dim_result(dim: Dim) -> CheckValue:
    return dim.value if dim.is_const else DimValue(dim)


# --- constants -----------------------------------------------------------------------------------


def static_body(checker: "Checker", scope: "FileScope", names: dict[str, CheckValue], span: Span) -> Body:
    """A body that can only evaluate statics."""
    inner = Scope()
    for name, value in names.items():
        inner.bind(name, value, "static", span)
    return Body(checker, Builder(Facts.EMPTY, scope.name, span), inner, scope)


def constant_of(checker: "Checker", scope: "FileScope", item: s.Const) -> CheckValue:
    """The value of `const NAME = ..`, computed once a file.

    Raises: Mistake E0322: it refers to itself, or to a tensor.
    """
    if item.name in scope.pending:
        raise mistake("E0322", f"`{item.name}` is needed for its own value", item.name_span)
    if item.name not in scope.constants:
        scope.constants[item.name] = POISON
        scope.pending.add(item.name)
        try:
            with checker.reporter.outside():
                scope.constants[item.name] = _constant(static_body(checker, scope, {}, item.span), item)
        except Mistake as error:
            with checker.reporter.outside():
                checker.reporter.add(error.diagnostic)
        except Silent:
            pass
        finally:
            scope.pending.discard(item.name)
    return scope.constants[item.name]


def _constant(body: Body, item: s.Const) -> CheckValue:
    value = body.evaluate(item.value)
    if item.type is not None:
        value = convert(body, value, item.type, item.value.span, f"`{item.name}`")
    if body.builder.size:
        raise mistake("E0322", f"a constant is known when building, and `{item.name}` needs a tensor", item.value.span)
    return value


def call_const(body: Body, function: ConstFunction, values: Sequence[CheckValue], span: Span) -> CheckValue:
    """Apply `const f(a: int): int = ..`."""
    params = function.decl.params or ()
    if len(values) != len(params):
        title = f"`{function.decl.name}` takes {counted(len(params), 'argument')}, found {len(values)}"
        raise mistake("E0323", title, span, others=((function.decl.name_span, "declared here"),))
    checker = body.checker
    for value in values:
        checker.weigh(value, span)
    key = (id(function.decl), tuple(key_of(plain(value)) for value in values))
    if key in checker.applied:
        return checker.applied[key]
    checker.depth += 1
    checker.work.steps += STEPS_A_CALL
    try:
        if checker.depth > checker.limits.depth:
            raise mistake("E0526", f"calls nest more than {checker.limits.depth} deep", span)
        inner = static_body(checker, function.scope, {}, function.decl.span)
        for param, value in zip(params, values, strict=True):
            inner.scope.bind(
                param.name, convert(inner, plain(value), param.type, span, f"`{param.name}`"), "static", param.span
            )
        result = inner.evaluate(function.decl.value)
        if inner.builder.size:
            raise mistake(
                "E0322",
                f"a constant function is applied when building, and `{function.decl.name}` needs a tensor",
                function.decl.value.span,
            )
        if function.decl.type is not None:
            result = convert(inner, plain(result), function.decl.type, span, f"`{function.decl.name}`")
        checker.applied[key] = result
        return result
    finally:
        checker.depth -= 1


# --- bracket arguments ---------------------------------------------------------------------------

STATIC_TYPES = ("int", "dim", "float", "bool", "str", "dtype", "block", "list", "tuple", "any")


def convert(body: Body, value: CheckValue, written: s.TypeExpr, span: Span, what: str) -> CheckValue:
    """`value` as a static of the written type; ints convert upwards to sizes and floats (rule R1).

    Raises: Mistake E0324: another kind; E0302: a free dimension where an int is needed.
    """
    if isinstance(value, Poison):
        return value
    kind = written.name if isinstance(written, s.NamedType) else "tuple"
    if kind not in STATIC_TYPES:
        near = suggest(kind, STATIC_TYPES)
        raise mistake(
            "E0310",
            f"`{kind}` is not a type of statics",
            written.span,
            help=f"did you mean `{near}`?" if near else f"types of statics are {', '.join(STATIC_TYPES)}",
        )
    number = plain(value)
    whole = isinstance(number, int) and not isinstance(number, bool)
    match kind:
        case "int":
            if whole:
                return value
            if isinstance(number, DimValue):
                if body.generic:
                    return value
                raise mistake(
                    "E0302",
                    f"{what} must be known when building, and `{number}` is a free dimension",
                    span,
                    help=f"make it static: `[{number}: int]` in the network's header" if number.name else None,
                )
        case "dim" if isinstance(value, DimValue):
            return value
        case "dim" if isinstance(number, int) and whole:
            return DimValue(Dim.of(number))
        case "float" if isinstance(number, (int, float)) and not isinstance(number, bool):
            return float(number)
        case "bool" if isinstance(value, bool):
            return value
        case "str" if isinstance(value, str):
            return value
        case "dtype" if isinstance(value, DType):
            return value
        case "block" if isinstance(value, (BlockRef, OpRef, MacroRef, InstanceRef)):
            return value
        case "list" if isinstance(value, ListValue):
            return value
        case "tuple" if isinstance(value, TupleValue):
            return value
        case "any":
            return value
    raise mistake("E0324", f"{what} needs {_article(kind)}, found {describe(number)}", span)


def _article(kind: str) -> str:
    words = {"dim": "a size", "str": "a string", "dtype": "an element type", "int": "an int"}
    return words.get(kind, f"a {kind}")


def missing(header: s.Header, param: s.StaticParam, span: Span) -> Mistake:
    """What to say where a static without default is not given."""
    return mistake(
        "E0334",
        f"`{header.name}` needs `{param.name}`",
        span,
        others=((param.span, "declared here, without a default"),),
        help=f"write `{header.name}[{param.name}=..]`",
    )


def require(ref: BlockRef, span: Span) -> None:
    """Raises: Mistake E0334: a static without default is not given."""
    header = ref.decl.header
    given = dict(ref.statics)
    for param in header.statics:
        if param.default is None and param.name not in given:
            raise missing(header, param, span)


def key_of(value: CheckValue) -> object:
    """A hashable stand-in for a static, for the memo of checked bodies."""
    match value:
        case bool():
            return ("bool", value)
        case float():
            return ("float", repr(value))
        case DimValue():
            return value.dim
        case ListValue() | TupleValue():
            return (type(value).__name__, tuple(key_of(v) for v in value.items))
        case BlockRef():
            return ("block", id(value.decl), tuple((k, key_of(v)) for k, v in value.statics))
        case OpRef():
            return ("op", value.surface, tuple((k, key_of(v)) for k, v in value.statics))
        case MacroRef():
            return ("macro", value.macro.name, tuple((k, key_of(v)) for k, v in value.statics))
        case InstanceRef():
            return ("instance", value)
        case _:
            return value


#: Functions of numbers that also stand for tensors' elementwise ones.
MATH: dict[str, Callable[[float], float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "floor": math.floor,
    "ceil": math.ceil,
    "tanh": math.tanh,
    "round": round,
    "abs": abs,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "erf": math.erf,
}
