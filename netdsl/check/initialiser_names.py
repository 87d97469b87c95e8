"""Initialisers as written after `~`."""

from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.report import Silent, mistake
from netdsl.check.statics import plain
from netdsl.check.values import TensorValue, describe
from netdsl.did_you_mean import suggest
from netdsl.ir import Init

if TYPE_CHECKING:
    from netdsl.check.body import Body

#: name -> (numbers in bracket order, their defaults; None: must be given).
INITIALISERS: dict[str, tuple[tuple[str, float | bool | None], ...]] = {
    "zeros": (),
    "ones": (),
    "zero": (),
    "one": (),
    "constant": (("value", None),),
    "normal": (("std", 1.0), ("mean", 0.0)),
    "uniform": (("bound", 1.0),),
    "trunc_normal": (("std", 1.0), ("mean", 0.0)),
    "xavier_uniform": (("gain", 1.0),),
    "xavier_normal": (("gain", 1.0),),
    "kaiming_uniform": (("a", 0.0),),
    "kaiming_normal": (("a", 0.0),),
    "orthogonal": (("gain", 1.0),),
    "identity_matrix": (),
}
_ALIASES = {"zero": "zeros", "one": "ones"}


def init_of(body: "Body", expr: s.Expr) -> Init:
    """The initialiser that an expression names.

    Raises: Mistake E0350: no such initialiser; E0324, E0330, E0334: its numbers.
    """
    name_expr = expr.base if isinstance(expr, s.Index) else expr
    args = expr.args if isinstance(expr, s.Index) else ()
    if not isinstance(name_expr, s.Name) or name_expr.id not in INITIALISERS:
        text = body.text(name_expr)
        near = suggest(text, list(INITIALISERS))
        raise mistake(
            "E0350",
            f"`{text}` is not an initialiser",
            name_expr.span,
            help=f"did you mean `{near}`?" if near else f"initialisers are {', '.join(sorted(INITIALISERS))}",
        )
    fields = INITIALISERS[name_expr.id]
    values: dict[str, float | int | bool] = {}
    for position, arg in enumerate(() if body.generic else args):
        name = arg.name or (fields[position][0] if position < len(fields) else None)
        if name not in dict(fields):
            raise mistake(
                "E0330", f"`{name_expr.id}` takes {', '.join(n for n, _ in fields) or 'no numbers'}", arg.span
            )
        value = plain(body.evaluate(arg.value))
        if isinstance(value, TensorValue) and any(d.code == "E0212" for d in body.checker.reporter.diagnostics):
            raise Silent
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise mistake("E0324", f"`{name}` needs a number, found {describe(value)}", arg.span)
        values[name] = float(value)
    for name, default in fields:
        if name not in values:
            if default is None and body.generic:
                raise Silent
            if default is None:
                raise mistake("E0334", f"`{name_expr.id}` needs `{name}`", expr.span)
            values[name] = default
    ordered = tuple((n, values[n]) for n, _ in fields)
    return Init(_ALIASES.get(name_expr.id, name_expr.id), ordered)
