"""`where`: facts of a header, proved at a call, assumed for a network (rule R5)."""

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.origins import places, size_label
from netdsl.check.ranges import is_of_values
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.statics import COMPARISON, plain
from netdsl.check.values import POISON, CheckValue, DimValue, describe
from netdsl.dims import RELATION_OPS, Dim, Facts, RelationOp
from netdsl.source import Span

Relation = tuple[RelationOp, Dim, Dim]


def relations(body: Body, fact: s.Fact) -> list[Relation] | bool:
    """A fact as relations between sizes, or its truth where it is about statics only; nothing where about values."""
    if body.header is not None and is_of_values(body.header, fact):
        return []
    if fact.low is not None and fact.high is not None:
        value = body.evaluate(fact.value)
        low, high = body.evaluate(fact.low), body.evaluate(fact.high)
        at, least, most = plain(value), plain(low), plain(high)
        if isinstance(at, (int, float)) and isinstance(least, (int, float)) and isinstance(most, (int, float)):
            return least <= at <= most
        return [
            (">=", _size(body, value, fact), _size(body, low, fact)),
            ("<=", _size(body, value, fact), _size(body, high, fact)),
        ]
    expr = fact.value
    while isinstance(expr, s.Paren):
        expr = expr.inner
    if isinstance(expr, s.Binary) and expr.op in COMPARISON:
        left, right = body.evaluate(expr.left), body.evaluate(expr.right)
        if left is POISON or right is POISON:
            raise Silent
        if isinstance(left, DimValue) or isinstance(right, DimValue):
            return [(RELATION_OPS[expr.op], _size(body, left, fact), _size(body, right, fact))]
    answer = body.evaluate(expr)
    if isinstance(answer, bool):
        return answer
    raise mistake("E0340", f"`where` needs a comparison, found {describe(answer)}", fact.span)


def _size(body: Body, value: CheckValue, fact: s.Fact) -> Dim:
    return body.dim(value, fact.span, what="a `where` clause").dim


def prove_where(inner: Body, caller: Body, header: s.Header, span: Span) -> None:
    """Prove the callee's facts from the caller's.

    Raises: Mistake E0210: refuted; E0211: neither proved nor refuted.
    """
    facts = inner.builder.facts
    for fact in header.where:
        try:
            found = relations(inner, fact)
        except Silent:
            continue
        text = inner.text(fact)
        if isinstance(found, bool):
            if not found:
                raise mistake(
                    "E0210",
                    f"`{header.name}` needs `{text}`{_values(inner, fact)}",
                    span,
                    "this call",
                    others=((fact.span, "required here"), *_origins(inner, caller, fact, span)),
                )
            continue
        for op, left, right in found:
            answer = facts.prove(op, left, right)
            if answer is False:
                raise mistake(
                    "E0210",
                    f"`{header.name}` needs `{text}`{_values(inner, fact)}",
                    span,
                    "this call",
                    others=((fact.span, "required here"), *_origins(inner, caller, fact, span)),
                )
            if answer is None:
                if not caller.generic:
                    raise mistake(
                        "E0211",
                        f"`{header.name}` needs `{text}`, and nothing says that {left} {op} {right}",
                        span,
                        "this call",
                        others=((fact.span, "required here"), *_origins(inner, caller, fact, span)),
                        help=f"add `where {left} {op} {right}` to the header of the network",
                    )
                facts = facts.with_fact(op, left, right)
    inner.builder.facts = facts


def _false_of_statics(body: Body, header: s.Header, fact: s.Fact) -> Mistake:
    title = f"`{header.name}` needs `{body.text(fact)}`{_values(body, fact)}"
    names = _names(fact)
    others = tuple((p.span, f"`{p.name}` is given here") for p in header.statics if p.name in names)
    return mistake("E0210", title, fact.span, others=others)


def _names(fact: s.Fact) -> list[str]:
    """The names in a fact, each once."""
    names: dict[str, None] = {}
    pending: list[object] = [fact.value, fact.low, fact.high]
    while pending:
        e = pending.pop()
        if isinstance(e, s.Name):
            names.setdefault(e.id)
        elif isinstance(e, s.Binary):
            pending += [e.right, e.left]
        elif isinstance(e, s.Paren):
            pending.append(e.inner)
    return list(names)


def _origins(inner: Body, caller: Body, fact: s.Fact, span: Span) -> list[tuple[Span, str]]:
    """Where the sizes that a refuted fact mentions came from, in the body of the caller."""
    found: list[tuple[Span, str]] = []
    for name in _names(fact):
        origin = inner.dims.get(name)
        if origin is not None and origin.of is not None:
            found += places(caller, span, size_label, *origin.of)
    return found


def _values(inner: Body, fact: s.Fact) -> str:
    """`, and D is 190, heads is 3`: the sizes that a refuted fact mentions."""
    names: dict[str, str] = {}
    for name in _names(fact):
        found = inner.scope.find(name)
        if found is not None:
            value = found.value
            names[name] = str(value.dim) if isinstance(value, DimValue) else str(value)
    shown = [f"{n} is {v}" for n, v in names.items() if n != v]
    return f", and {', '.join(shown)}" if shown else ""


def assume_where(body: Body, header: s.Header) -> Facts:
    """The facts of a network's own header, over its free dimensions.

    Raises: Mistake E0210: a fact about statics is false; E0213: a fact makes a free dimension constant.
    """
    facts = body.builder.facts
    for fact in header.where:
        found = relations(body, fact)
        if isinstance(found, bool):
            if not found:
                raise _false_of_statics(body, header, fact)
            continue
        for op, left, right in found:
            if left.is_const and right.is_const:
                if not COMPARISON[op](left.value, right.value):
                    raise _false_of_statics(body, header, fact)
                continue
            if facts.prove(op, left, right) is False:
                raise mistake("E0210", f"`{body.text(fact)}` contradicts the facts before it", fact.span)
            facts = _with(facts, op, left, right)
    for name, origin in body.dims.items():
        low, high = facts.bounds(origin.value.dim)
        if not origin.value.dim.is_const and low is not None and low == high:
            raise mistake(
                "E0213",
                f"the free dimension `{name}` can only be {low}",
                origin.header,
                help=f"write {low} in place of `{name}`, or make it static: `[{name}: int = {low}]`",
            )
    return facts


def _with(facts: Facts, op: RelationOp, left: Dim, right: Dim) -> Facts:
    if right.is_const and str(left) in left.symbols and op in (">=", "<=", ">", "<"):
        value = right.value
        low = value if op == ">=" else value + 1 if op == ">" else None
        high = value if op == "<=" else value - 1 if op == "<" else None
        return facts.with_bounds(str(left), low, high)
    return facts.with_fact(op, left, right)
