"""Parameters and states: their declaration, and the `update` of a state (rules R7, R16)."""

from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.assignments import check_fresh
from netdsl.check.builder import ParamEntry, join
from netdsl.check.declared import check_result
from netdsl.check.initialiser_names import init_of
from netdsl.check.records import run_record
from netdsl.check.report import Mistake, mistake
from netdsl.check.scope import FIXED
from netdsl.check.types import tensor_type, written_axes
from netdsl.check.values import TensorValue
from netdsl.did_you_mean import suggest
from netdsl.ir import Init, Value
from netdsl.source import Span
from netdsl.tensor_type import TensorType

if TYPE_CHECKING:
    from netdsl.check.body import Body


def run_param(body: "Body", statement: s.ParamDecl) -> None:
    """`param` and `state`: a new entry of the builder, or the tensor that the call gave for it.

    Raises: Mistake E0212, E0217, E0311, E0333, E0336, E0337, E0349, E0350, E0523.
    """
    switch = body.scope.find(statement.name)
    if switch is None or switch.kind != "static" or not isinstance(switch.value, bool):
        # A bool static may share its name with the parameter it switches on: `[bias: bool]`, `param bias`.
        check_fresh(body, statement.name, statement.name_span)
    if body.builder.regions:
        raise mistake(
            "E0349",
            f"`{statement.name}` is declared inside a loop body",
            statement.span,
            help="declare it before the loop: one set of parameters serves all steps",
        )
    if statement.per is not None and not body.is_edge:
        raise mistake("E0336", "`per` stands in an `edge` only", statement.span)
    if statement.per not in (None, "out", "in", "layer"):
        raise mistake("E0336", f"`per` is followed by `out`, `in` or `layer`, found `{statement.per}`", statement.span)
    path = join(body.path, statement.name)
    full = join(body.builder.prefix, path)
    if _named(statement).name == "params" and statement.kind == "param":
        run_record(body, statement, lambda rank: _init(body, statement, rank))
        return
    declared = tensor_type(body, statement.type)
    if statement.kind == "param" and path in body.given:
        given = check_result(body, _named(statement), body.given[path], statement.span, f"`{full}`")
        body.scope.bind(statement.name, given, "param", statement.name_span)
        body.builder.used.add(path)
        return
    if body.in_unlabelled_loop is not None:
        raise mistake(
            "E0337",
            f"this loop makes the parameter `{statement.name}`, so it needs a label",
            statement.span,
            others=((body.in_unlabelled_loop, "this loop"),),
            help="label it: `repeat n as blocks { .. }`",
        )
    for axis in declared.axes:
        if not axis.size.is_const and not body.generic:
            if body.checker.probing:
                raise _not_bound(body, statement, path, str(axis.size), sorted(axis.size.symbols))
            raise _sized_by_free(body, statement, full, str(axis.size), sorted(axis.size.symbols))
    if not declared.dtype.is_float and statement.kind == "param":
        raise mistake(
            "E0217", f"a parameter is trained, so it needs float elements, found {declared.dtype}", statement.type.span
        )
    _check_size(body, declared, statement, full)
    init = _init(body, statement, declared.rank)
    value = Value(declared.without_names(), path)
    if path in body.builder.params:
        raise mistake("E0333", f"`{full}` already names a parameter here", statement.name_span)
    body.builder.add_param(ParamEntry(path, statement.kind, value, declared, init, statement.span, statement.per))
    body.declared[value] = statement.type
    body.builder.used_names[(body.path, statement.name)] = 1
    body.scope.bind(statement.name, TensorValue(value, declared), statement.kind, statement.name_span)


def _named(statement: s.ParamDecl) -> s.NamedType:
    assert isinstance(statement.type, s.NamedType)
    return statement.type


def _sized_by_free(body: "Body", statement: s.ParamDecl, path: str, size: str, symbols: list[str]) -> Mistake:
    network = body.checker.network
    free = symbols[0]
    others: list[tuple[Span, str]] = []
    name = "Net"
    if network is not None:
        name = network.header.name
        for param in network.header.params:
            names = [e for e in written_axes(param.type) if isinstance(e, s.Name) and e.id == free]
            others.extend((e.span, f"`{free}` is left free here") for e in names)
    return mistake(
        "E0212",
        f"the free dimension `{free}` sizes the parameter `{path}`: {size} is known only at run time",
        statement.type.span,
        f"the shape of `{statement.name}`",
        others=tuple(others[:1]),
        help=f"make it static: `network {name}[{free}: int]`",
    )


def _not_bound(body: "Body", statement: s.ParamDecl, path: str, size: str, symbols: list[str]) -> Mistake:
    owner = body.header.name if body.header is not None else ""
    return mistake(
        "E0335",
        f"`{path}` of `{owner}` has the size {size}, which only a call would say",
        statement.type.span,
        help=f"give it in the brackets: `{owner}[.., {symbols[0]}=64]`",
    )


def _check_size(body: "Body", declared: TensorType, statement: s.ParamDecl, path: str) -> None:
    count = declared.numel()
    if count.is_const and count.value > body.checker.limits.params:
        raise mistake(
            "E0523",
            f"`{path}` has {count.value:,} elements, more than {body.checker.limits.params:,}",
            statement.span,
        )


def _init(body: "Body", statement: s.ParamDecl, rank: int) -> Init:
    """The initialiser after `~`.

    Raises: Mistake E0350: none given, or no initialiser.
    """
    if statement.init is None:
        raise mistake("E0350", f"`{statement.name}` has no initialiser", statement.span, help="write one: `~ zeros`")
    return init_of(body, statement.init, rank)


def run_update(body: "Body", statement: s.Update) -> None:
    """`update name = value`: the state's value after a training step.

    Raises: Mistake E0214, E0351.
    """
    body.builder.depends_on_mode = True
    found = body.scope.find(statement.name)
    if found is None or found.kind != "state":
        states = [path.rpartition(".")[2] for path, entry in body.builder.params.items() if entry.kind == "state"]
        near = suggest(statement.name, states)
        what = FIXED.get(found.kind, "none") if found is not None else "none"
        raise mistake(
            "E0351",
            f"`update` writes a state, and `{statement.name}` is {what}",
            statement.name_span,
            others=((found.span, "declared here"),) if found is not None else (),
            help=f"did you mean `{near}`?" if near else f"declare a state: `state {statement.name}: .. ~ zeros`",
        )
    if not body.checker.training:
        return
    value = body.evaluate(statement.value)
    assert isinstance(found.value, TensorValue)
    declared = found.value.type
    tensor = body.tensor(value, statement.value.span, like=declared.dtype)
    if tensor.type.without_names() != declared.without_names():
        raise mistake(
            "E0214",
            f"`{statement.name}` is {declared}, found {tensor.type}",
            statement.value.span,
            others=((found.span, "declared here"),),
        )
    body.builder.states[body.builder.state_path(found.value.value)] = tensor.value
