"""Initialisers as written after `~`."""

import math
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.report import Silent, mistake
from netdsl.check.statics import plain
from netdsl.check.values import DimValue, TensorValue, describe
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
    "linspace": (("start", None), ("stop", None)),
}
#: How many leading axes number copies, each drawn on its own.
STACKED = "stacked"
_ALIASES = {"zero": "zeros", "one": "ones"}
#: Spreads: 0 makes every element alike, below 0 means nothing.
_SPREADS = ("std", "bound", "gain")
#: name -> (fewest, most) axes of a parameter that it can fill.
_RANKS = {"orthogonal": (1, None), "identity_matrix": (2, 2), "linspace": (1, None)}


def init_of(body: "Body", expr: s.Expr, rank: int) -> Init:
    """The initialiser that an expression names, for a parameter of `rank` axes.

    Raises: Mistake E0350: no such initialiser; E0324, E0330, E0331, E0334: its numbers; E0205: the rank.
    """
    name_expr = expr.base if isinstance(expr, s.Index) else expr
    args = expr.args if isinstance(expr, s.Index) else ()
    if not isinstance(name_expr, s.Name) or name_expr.id not in INITIALISERS:
        text = body.text(name_expr)
        near = suggest(text, [*INITIALISERS, "init_of"])
        raise mistake(
            "E0350",
            f"`{text}` is not an initialiser",
            name_expr.span,
            help=f"did you mean `{near}`?" if near else f"initialisers are {', '.join(sorted(INITIALISERS))}",
        )
    fields = INITIALISERS[name_expr.id]
    if body.generic:
        from netdsl.check.names import check_expression

        for arg in args:
            check_expression(body, arg.value)
    values: dict[str, float | int | bool] = {}
    for position, arg in enumerate(() if body.generic else args):
        name = arg.name or (fields[position][0] if position < len(fields) else None)
        if name == STACKED and arg.name:
            values[STACKED] = _copies(body, arg, rank)
            continue
        if name not in dict(fields):
            near = suggest(arg.name or "", [n for n, _ in fields])
            raise mistake(
                "E0330" if arg.name else "E0323",
                f"`{name_expr.id}` takes {', '.join(n for n, _ in fields) or 'no numbers'}",
                arg.span,
                help=f"did you mean `{near}`?" if near else None,
            )
        value = plain(body.evaluate(arg.value))
        if isinstance(value, TensorValue) and any(d.code == "E0212" for d in body.checker.reporter.diagnostics):
            raise Silent
        if isinstance(value, (TensorValue, DimValue)) and body.checker.probing:
            if any(d.code == "E0335" for d in body.checker.reporter.diagnostics):
                raise Silent
            raise mistake("E0335", f"`{name}` of `{name_expr.id}` hangs on a size that only a call would say", arg.span)
        if name in values:
            raise mistake("E0331", f"`{name}` is given twice", arg.span)
        wanted = _wanted(name_expr.id, str(name))
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not _fits(name_expr.id, str(name), value):
            raise mistake("E0324", f"`{name}` of `{name_expr.id}` needs {wanted}, found {describe(value)}", arg.span)
        values[str(name)] = float(value)
    for name, default in fields:
        if name not in values:
            if default is None and body.generic:
                raise Silent
            if default is None:
                raise mistake("E0334", f"`{name_expr.id}` needs `{name}`", expr.span)
            values[name] = default
    copies = int(values.get(STACKED, 0))
    rank -= copies
    least, most = _RANKS.get(name_expr.id, (0, None))
    if rank < least or (most is not None and rank > most):
        wanted = f"{least}" if least == most else f"at least {least}"
        raise mistake("E0205", f"`{name_expr.id}` fills a parameter of {wanted} axes, found {rank}", expr.span)
    ordered = tuple((n, values[n]) for n, _ in fields) + (((STACKED, copies),) if copies else ())
    return Init(_ALIASES.get(name_expr.id, name_expr.id), ordered)


def _copies(body: "Body", arg: s.Arg, rank: int) -> int:
    """How many leading axes number copies that are drawn each on its own."""
    value = plain(body.evaluate(arg.value))
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= rank:
        raise mistake("E0324", f"`{STACKED}` needs an int from 0 to {rank}, found {describe(value)}", arg.span)
    return value


def _wanted(initialiser: str, name: str) -> str:
    if initialiser == "trunc_normal":
        return "a number above 0" if name == "std" else "a number from -2 to 2, where the normal is cut"
    if name in _SPREADS:
        return "a number of at least 0"
    return "a number"


def _fits(initialiser: str, name: str, value: float) -> bool:
    if initialiser == "constant":
        return True
    if initialiser == "trunc_normal":
        return 0 < value < math.inf if name == "std" else -2 <= value <= 2
    return 0 <= value < math.inf if name in _SPREADS else math.isfinite(value)
