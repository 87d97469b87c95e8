"""What is said of a network on the command line: which one, its statics, the limits of its check."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netdsl.cli.command import failed

if TYPE_CHECKING:
    from netdsl.api import Network
    from netdsl.check.limits import Limits
    from netdsl.check.network import Session
    from netdsl.syntax import Expr, StaticParam

Function = TypeVar("Function", bound=Callable[..., Any])

#: Deeper calls than this end in Python's own limit.
_DEEPEST = 200

SEED = click.IntRange(0, 2**63 - 1)

_LIMITS = {
    "nodes": "Nodes that a network may expand to.",
    "turns": "Turns of nested `repeat` and `for`.",
    "depth": f"Depth of nested block calls, at most {_DEEPEST}.",
    "steps": "Steps that the check of a file may take.",
    "params": "Elements of all parameters.",
    "tensor-elements": "Elements of one tensor of constant shape.",
    "axes": "Axes of one tensor.",
    "items": "Items of a static list.",
}

_OPTIONS = (
    click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="A static parameter; may be repeated."),
    *(
        click.option(
            f"--max-{name}", type=click.IntRange(1, _DEEPEST if name == "depth" else None), metavar="N", help=help
        )
        for name, help in _LIMITS.items()
    ),
)

plugin_option = click.option(
    "--allow-plugin", "plugins", metavar="NAME", multiple=True, help="Let `extern` call this plug-in; may be repeated."
)


def allow_plugins(plugins: Iterable[str]) -> None:
    """Let networks call these plug-ins, and no other."""
    if plugins:
        from netdsl.plugins import allow

        for name in plugins:
            allow(name)


def model_options(function: Function) -> Function:
    """`--set` and the limits, as the arguments `settings` and `max_*`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def limits(given: Mapping[str, int | None]) -> "Limits":
    """The limits of a check, from the arguments `max_*`."""
    from netdsl.check.limits import Limits

    return Limits(**{name.removeprefix("max_"): value for name, value in given.items() if value is not None})


def read_settings(settings: Iterable[str]) -> dict[str, Any]:
    """The values of `--set`, by name.

    Raises: UsageError: no `NAME=VALUE`, a value that is none, or a name given twice.
    """
    from netdsl.diagnostics import NetError
    from netdsl.parser import parse_expr

    values: dict[str, Any] = {}
    for text in settings:
        name, equals, written = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise failed(f"`--set {text}` is not NAME=VALUE", "write it like `--set depth=6`")
        if name in values:
            raise failed(f"`--set {name}` is given twice", "leave one out")
        try:
            values[name] = _value(parse_expr(written.strip()), text)
        except NetError as error:
            raise failed(f"`--set {text}`: {error.diagnostics[0].title}", _VALUES) from None
    return values


_VALUES = 'a value is a number, `true`, `false`, `none`, a "string", an element type, a list or a tuple'


def _value(expr: "Expr", text: str) -> Any:
    from netdsl import syntax as s
    from netdsl.tensor_type import DTYPES

    match expr:
        case s.Literal():
            return expr.value
        case s.Paren():
            return _value(expr.inner, text)
        case s.Unary(op="-", operand=s.Literal(value=int() | float() as number)) if not isinstance(number, bool):
            return -number
        case s.ListExpr():
            return [_value(item, text) for item in expr.items]
        case s.TupleExpr() if all(item.name is None for item in expr.items):
            return tuple(_value(item.value, text) for item in expr.items)
        case s.Name() if expr.id in DTYPES:
            return expr.id
    raise failed(f"`--set {text}` is no value", _VALUES)


#: What a static of each kind takes; a kind that is not here takes nothing that can be written behind `--set`.
_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "int": ("an int", (int,)),
    "dim": ("a size", (int,)),
    "float": ("a number", (int, float)),
    "bool": ("`true` or `false`", (bool,)),
    "str": ('a "string"', (str,)),
    "dtype": ("an element type", (str,)),
    "list": ("a list", (list,)),
    "tuple": ("a tuple", (tuple,)),
}


def check_settings(values: Mapping[str, Any], sessions: "Sequence[Session]") -> None:
    """Raises: UsageError: no network of the files has a static of that name, or one of another kind."""
    from netdsl.did_you_mean import suggest

    statics = [p for session in sessions for decl in session.networks.values() for p in decl.header.statics]
    known = {p.name for p in statics}
    for name, value in values.items():
        for static in (p for p in statics if p.name == name):
            _check_kind(static, value)
        if name not in known:
            near = suggest(name, known)
            hint = (
                f"did you mean `{near}`?"
                if near
                else f"statics are {', '.join(sorted(known))}"
                if known
                else "there are none: leave out `--set`"
            )
            raise failed(f"no network here has a static `{name}`", hint)


def _check_kind(static: "StaticParam", value: Any) -> None:
    from netdsl import syntax as s
    from netdsl.api import static_value
    from netdsl.check.values import print_static

    kind = static.type.name if isinstance(static.type, s.NamedType) else ""
    if kind not in _KINDS:
        return
    wanted, types = _KINDS[kind]
    if isinstance(value, types) and (kind == "bool" or not isinstance(value, bool)):
        return
    declared = static.span.source.text[static.span.start : static.span.end]
    title = f"`--set {static.name}` takes {wanted}, found `{print_static(static_value(value))}`"
    raise failed(title, f"line {static.span.line} declares `{declared}`")


def network_names(session: "Session", name: str | None) -> list[str]:
    """The network that was asked for, or all of them.

    Raises: UsageError: there is none of that name. NetError: the file's syntax is wrong.
    """
    session.raise_if_wrong()
    names = list(session.networks)
    if not names:
        raise failed(f"`{session.source.path}` has no network", "name a file that declares a `network`")
    if name is not None and name not in names:
        from netdsl.did_you_mean import suggest

        near = suggest(name, names)
        hint = f"did you mean `{near}`?" if near else f"it has {', '.join(names)}"
        raise failed(f"`{session.source.path}` has no network `{name}`", hint)
    return [name] if name is not None else names


def one_network(session: "Session", name: str | None, values: Mapping[str, Any]) -> "Network":
    """The network that was asked for, or the file's only one, checked.

    Raises: UsageError: which one is not clear, or a static that it does not have. NetError: it is wrong.
    """
    names = network_names(session, name)
    if len(names) > 1:
        raise failed(f"`{session.source.path}` has several networks", f"name one of {', '.join(names)} with `-n`")
    check_settings(values, [session])
    return open_network(session, names[0], values)


def open_network(session: "Session", name: str, values: Mapping[str, Any]) -> "Network":
    """A network with those of the values that it knows. Raises: NetError: it is wrong."""
    from netdsl.api import Network

    known = {p.name for p in session.networks[name].header.statics}
    return Network(session, name, {k: v for k, v in values.items() if k in known})
