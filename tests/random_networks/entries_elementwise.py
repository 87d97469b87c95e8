"""Entries of the ops that work on each element by itself."""

from netdsl.ops import activation, comparison, unary
from netdsl.ops.base import Op
from netdsl.ops.creation import Constant, DimValue
from netdsl.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Div,
    FloorDiv,
    Maximum,
    Minimum,
    Mod,
    Mul,
    Neg,
    Pow,
    Select,
    Sign,
    Sub,
)
from netdsl.ops.gradient import StopGradient, WithGradient
from netdsl.tensor_type import BOOL, F16, F32, F64, I64
from tests.random_networks.draft import Draft, Held
from tests.random_networks.entries import (
    HIGHEST,
    Entry,
    any_number,
    broadcasts_with,
    entry,
    in_order,
    like,
    partner,
    same_as,
)

_FI, _F, _B, _ALL = ("fi", 0, HIGHEST), ("f", 0, HIGHEST), ("b", 0, HIGHEST), ("fib", 0, HIGHEST)

#: Into the positive numbers, and into small ones.
_POSITIVE = (activation.Sigmoid, activation.Softplus, Abs, unary.Exp)
_SMALL = (unary.Tanh, unary.Sin, unary.Cos, activation.Softsign, activation.HardTanh, activation.Sigmoid)
_CONDITION: dict[type[Op], tuple[type[Op], ...]] = {
    **dict.fromkeys((unary.Sqrt, unary.Rsqrt, unary.Reciprocal, unary.Log, unary.Log1p), _POSITIVE),
}


def _attributes(d: Draft, op: type[Op]) -> Op:
    rng = d.rng
    if op is activation.LeakyRelu:
        return activation.LeakyRelu(rng.choice((0.01, 0.25)))
    if op is activation.Elu:
        return activation.Elu(rng.choice((1.0, 0.5)))
    if op is activation.Celu:
        return activation.Celu(rng.choice((1.0, 0.75, 2.0)))
    if op is activation.Gelu:
        return activation.Gelu(rng.random() < 0.5)
    if op is activation.Softplus:
        return activation.Softplus(rng.choice((1.0, 0.5, 2.0)))
    return op()


def _float_function(d: Draft, op: type[Op]) -> object:
    """Where the operand is outside the domain, a function into it comes first."""
    x = d.take(like("f"), op.name)
    if x is None:
        return None
    made = _attributes(d, op)
    found = d.emit(made, x)
    if found is None and x.number is None:
        condition = d.rng.choice(_CONDITION.get(op, _SMALL))
        between = d.emit(_attributes(d, condition), x)
        found = d.emit(made, between[0]) if between is not None else None
    return found


def _binary(d: Draft, op: type[Op]) -> object:
    a = d.take(like("f" if op is Div else "fi"), op.name)
    if a is None:
        return None
    b = partner(d, a, op.name)
    first, second = in_order(d, a, b)
    found = d.emit(op(), first, second)
    if found is None and b is not None:
        found = d.emit(op(), a, _harmless(d, op, a, b))
    return found


def _harmless(d: Draft, op: type[Op], a: Held, b: Held) -> Held | None:
    """A second operand that no division or power trips over."""
    dtype = a.type.dtype
    if op is Pow:
        return d.number(d.rng.choice((2.0, 1.0, 3.0)) if dtype.is_float else d.rng.choice((2, 1, 0)), dtype.storage)
    if op is Div and b.number is None:
        made = d.emit(d.rng.choice((activation.Sigmoid, activation.Softplus))(), b)
        return made[0] if made is not None else None
    if a.number is None:
        return any_number(d, dtype) if not dtype.is_float else d.number(d.rng.choice((0.5, 2.0, -1.5)), dtype)
    return None


def _test(d: Draft, op: type[Op]) -> object:
    kinds = "b" if op in (comparison.LogicalAnd, comparison.LogicalOr, comparison.LogicalXor) else "fi"
    kinds = "fib" if op in (comparison.Eq, comparison.Ne) else kinds
    a = d.take(like(kinds), op.name)
    return a and d.emit(op(), *in_order(d, a, partner(d, a, op.name)))


def _unary_any(kinds: str):  # type: ignore[no-untyped-def]
    def make(d: Draft, op: type[Op]) -> object:
        return d.emit(op(), d.take(like(kinds), op.name))

    return make


def _clamp(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fi"), op.name)
    if x is None:
        return None
    low, high = d.rng.choice(((-1, 2), (None, 1), (0, None), (-2, -1), (0, 3)))
    if x.type.dtype.is_float:
        low, high = (None if low is None else low * 0.75), (None if high is None else high * 0.75)
    return d.emit(Clamp(low, high), x)


def _select(d: Draft, op: type[Op]) -> object:
    cond: Held | None = None
    if d.forced is not None and d.forced.type.dtype.kind == "bool" and d.rng.random() < 0.6:
        cond = d.take(like("b"), op.name, numbers=False)
    a = d.take(like("fib"), op.name, numbers=False)
    if a is None:
        return None
    cond = cond or d.take(broadcasts_with(d, a.type, dtype=BOOL), op.name, numbers=False)
    if cond is None:
        return None
    fits = broadcasts_with(d, a.type, cond.type)
    b = any_number(d, a.type.dtype) if d.rng.random() < 0.2 else d.take(fits, op.name, numbers=False)
    first, second = in_order(d, a, b)
    return d.emit(Select(), cond, first, second)


def _cast(d: Draft, op: type[Op]) -> object:
    x = d.take(like("fib"), op.name)
    if x is None:
        return None
    targets = [t for t in (F32, F32, F64, F16, I64, BOOL, d.main) if t != x.type.dtype.storage or d.rng.random() < 0.2]
    return d.emit(Cast(d.rng.choice(targets)), x)


def _with_gradient(d: Draft, op: type[Op]) -> object:
    value = d.take(like("f"), op.name, numbers=False)
    if value is None:
        return None
    proxy = d.take(same_as(value.type), op.name, numbers=False)
    return d.emit(WithGradient(), value, proxy)


def _constant(d: Draft, op: type[Op]) -> object:
    """A number needs a reader: the chooser makes it the forced operand of one."""
    return None


ELEMENTWISE: tuple[Entry, ...] = (
    *(entry(op, _binary, [_FI], [_FI]) for op in (Add, Sub, Mul, FloorDiv, Mod, Pow, Maximum, Minimum)),
    entry(Div, _binary, [_F], [_F]),
    *(entry(op, _unary_any("fi"), [_FI], [_FI]) for op in (Neg, Abs, Sign)),
    entry(Clamp, _clamp, [_FI], [_FI]),
    entry(Select, _select, [_ALL], [_ALL]),
    entry(Cast, _cast, [_ALL], [_ALL]),
    *(entry(op, _test, [_ALL if op in (comparison.Eq, comparison.Ne) else _FI], [_B]) for op in comparison.OPS[:6]),
    *(entry(op, _test, [_B], [_B]) for op in (comparison.LogicalAnd, comparison.LogicalOr, comparison.LogicalXor)),
    entry(comparison.LogicalNot, _unary_any("b"), [_B], [_B]),
    *(entry(op, _unary_any("f"), [_F], [_B]) for op in (comparison.IsNan, comparison.IsInf)),
    *(entry(op, _float_function, [_F], [_F]) for op in (*unary.OPS, *activation.OPS)),
    entry(StopGradient, _unary_any("fib"), [_ALL], [_ALL]),
    entry(WithGradient, _with_gradient, [_F], [_F]),
    entry(Constant, _constant, [], [("fib", 0, 0)]),
    entry(DimValue, _constant, [], [("i", 0, 0)]),
)
