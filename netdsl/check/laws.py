"""A monoid as a network of two inputs, so that its laws can be tested (rule R14)."""

from dataclasses import replace

from netdsl import syntax as s
from netdsl.check.values import CheckValue

#: Types of a header that the caller decides, and what they are where nothing does.
_OWN = {"float": "f32", "num": "f32", "int": "i64"}
#: What `..` stands for.
_ROWS = "Rows"
#: The value of an int static that a claim does not give.
_SIZE = 3


def as_network(monoid: s.Block) -> s.Block:
    """The network that combines two elements, row by row."""
    header = monoid.header
    params = tuple(replace(param, type=_own_type(param.type)) for param in header.params)
    statements = tuple(x for x in monoid.body.statements if not isinstance(x, s.Identity))
    header = replace(header, params=params, result=_own_type(header.result))
    return replace(monoid, kind="network", header=header, body=replace(monoid.body, statements=statements))


def sample_statics(monoid: s.Block) -> dict[str, CheckValue]:
    """Values of the int statics that have no default."""
    missing = [p for p in monoid.header.statics if p.default is None]
    return {p.name: _SIZE for p in missing if isinstance(p.type, s.NamedType) and p.type.name in ("int", "dim")}


def _own_type(written: s.TypeExpr) -> s.TypeExpr:
    if isinstance(written, s.TupleType):
        return replace(written, fields=tuple(replace(f, type=_own_type(f.type)) for f in written.fields))
    groups = tuple(
        tuple(s.Name(e.span, _ROWS) if isinstance(e, s.Dots) else e for e in group) for group in written.groups
    )
    return replace(written, name=_OWN.get(written.name, written.name), groups=groups)
