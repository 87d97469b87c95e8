"""Names in claims: what a claim may speak of, and the look-up of everything that it names."""

from collections.abc import Iterator

from netdsl import syntax as s
from netdsl.check.modules import FileScope
from netdsl.check.names import children, names_in
from netdsl.check.report import Mistake, mistake
from netdsl.check.statics import COMPARISON
from netdsl.check.types import written_axes
from netdsl.did_you_mean import suggest
from netdsl.source import Span

MEASURES = ("param_count", "state_count", "flops", "bytes", "layers")
#: Of monoids.
LAWS = ("commutative", "associative")
PROPERTIES = ("permutation_equivariant", "permutation_invariant", "batch_independent", *LAWS)
FUNCTIONS = ("all", "any", "max", "min", "sum", "mean", "abs", "finite")


def claim_mistakes(file: FileScope) -> Iterator[Mistake]:
    """What the claims of a file name that is not there."""
    for item in file.module.items:
        if not isinstance(item, s.Claim) or id(item) in file.damaged or item.network in file.lost:
            continue
        decl = file.own.get(item.network)
        if not isinstance(decl, s.Block) or decl.kind not in ("network", "monoid"):
            networks = [name for name, d in file.own.items() if isinstance(d, s.Block) and d.kind == "network"]
            is_known = file.knows(item.network)
            title = f"`{item.network}` is no network" if is_known else f"no network here is named `{item.network}`"
            yield _unknown("E0300", title, item.network, item.network_span, networks)
        elif id(decl) not in file.damaged:
            yield from _in_value(item.value, output_names(decl.header), dimensions(decl.header), file)
            if not _is_statement(item.value):
                yield mistake(
                    "E0370",
                    "a claim is true or false, and this is a value",
                    item.value.span,
                    help="compare it, such as `param_count == 1_000`",
                )


def _is_statement(value: s.Expr) -> bool:
    """Whether a claim can be true or false."""
    while isinstance(value, s.Paren):
        value = value.inner
    if isinstance(value, s.Binary):
        return value.op in (*COMPARISON, "&", "|")
    if isinstance(value, s.Literal):
        return isinstance(value.value, bool)
    if isinstance(value, s.Call) and isinstance(value.func, s.Name):
        return value.func.id not in (*MEASURES, "sum", "mean", "abs", "max", "min")
    return not isinstance(value, s.Name) or value.id not in MEASURES


def output_names(header: s.Header) -> list[str]:
    """The outputs of a network, as its graph names them."""
    if isinstance(header.result, s.TupleType):
        return [field.name or f"output_{index}" for index, field in enumerate(header.result.fields)]
    return [header.result_name or "output"]


def dimensions(header: s.Header) -> list[str]:
    """What the types of a header's inputs name, sizes among it."""
    return sorted({name.id for param in header.params for name in names_in(written_axes(param.type))})


def _in_value(root: s.Expr, outputs: list[str], sizes: list[str], file: FileScope) -> Iterator[Mistake]:
    pending: list[object] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, s.Name) and node.id not in (*MEASURES, *PROPERTIES, *outputs):
            yield _unknown(
                "E0300",
                f"nothing is named `{node.id}` in a claim",
                node.id,
                node.span,
                [*MEASURES, *PROPERTIES, *outputs],
                "a claim knows ",
            )
        elif isinstance(node, s.Call) and isinstance(node.func, s.Name):
            name = node.func.id
            if name not in (*MEASURES, *FUNCTIONS):
                title = f"nothing is named `{name}` in a claim"
                yield _unknown("E0300", title, name, node.func.span, [*MEASURES, *FUNCTIONS], "a claim calls ")
            if name in MEASURES:
                yield from _of_networks(node, file)
            if name in FUNCTIONS:
                pending.extend(arg.value for arg in reversed(node.args))
        elif isinstance(node, s.Index) and isinstance(node.base, s.Name):
            if node.base.id not in PROPERTIES:
                title = f"`{node.base.id}` is no property of networks"
                yield _unknown("E0300", title, node.base.id, node.base.span, [*PROPERTIES], "properties are ")
                continue
            for arg in node.args:
                if arg.name not in (None, "within"):
                    title = f"`{node.base.id}` has no static `{arg.name}`"
                    yield _unknown("E0330", title, str(arg.name), arg.span, ["within"], "its static is ")
                elif arg.name is None and isinstance(arg.value, s.Name) and arg.value.id not in sizes:
                    title = f"no input has a dimension `{arg.value.id}`"
                    yield _unknown("E0300", title, arg.value.id, arg.value.span, sizes, "dimensions are ")
        elif isinstance(node, (s.Paren, s.Unary, s.Binary, s.Name)):
            pending.extend(reversed(list(children(node))))
        elif not isinstance(node, s.Literal) or isinstance(node.value, str | None):
            yield mistake(
                "E0370",
                "a claim is made of measures, outputs, numbers and properties",
                getattr(node, "span", root.span),
                help=f"measures are {', '.join(MEASURES)}; properties are {', '.join(PROPERTIES)}",
            )


def _of_networks(call: s.Call, file: FileScope) -> Iterator[Mistake]:
    """`param_count(Other)`: the networks that a measure is taken of."""
    networks = [name for name, d in file.own.items() if isinstance(d, s.Block) and d.kind == "network"]
    for arg in call.args:
        if isinstance(arg.value, s.Name) and arg.value.id not in networks and not file.knows(arg.value.id):
            title = f"no network here is named `{arg.value.id}`"
            yield _unknown("E0300", title, arg.value.id, arg.value.span, networks)


def _unknown(code: str, title: str, name: str, span: Span, known: list[str], listing: str = "") -> Mistake:
    near = suggest(name, known)
    help = f"did you mean `{near}`?" if near else f"{listing}{', '.join(known)}" if listing else None
    return mistake(code, title, span, help=help)
