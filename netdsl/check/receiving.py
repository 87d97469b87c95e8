"""What a call gives a block: inputs under the header's types, parameters by keyword or as a record (rules R7, R9)."""

from collections.abc import Sequence
from dataclasses import field

from netdsl import syntax as s
from netdsl.check.arguments import Argument
from netdsl.check.body import Body
from netdsl.check.builder import Template
from netdsl.check.inputs import bind_input
from netdsl.check.mapped import extra_axes, leading_axes, strip_argument, without_leading
from netdsl.check.report import mistake
from netdsl.check.struct_types import field_of
from netdsl.check.struct_types import slots as slots_of
from netdsl.check.structs import field_values
from netdsl.check.types import require_tensor_type
from netdsl.check.values import BlockRef, RecordValue, TensorValue, counted
from netdsl.did_you_mean import suggest
from netdsl.ir import Value
from netdsl.record import dataclass
from netdsl.source import Span
from netdsl.tensor_type import Axis


@dataclass(slots=True)
class Received:
    """Arguments of one call.

    Args:
        levels:  the axes that the call is mapped over, outermost first.
        tensors: inputs as one slice sees them; `outer` as the caller sees them; `had`: which levels each has.
        given:   parameters by path, likewise.
        named:   paths of parameters given by keyword, with their places; records: those given as records.
    """

    levels: tuple[Axis, ...] = ()
    tensors: dict[str, TensorValue] = field(default_factory=dict)
    outer: dict[str, Value] = field(default_factory=dict)
    had: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    given: dict[str, TensorValue] = field(default_factory=dict)
    given_outer: dict[str, TensorValue] = field(default_factory=dict)
    named: dict[str, Span] = field(default_factory=dict)
    records: list[tuple[RecordValue, Span]] = field(default_factory=list)

    def made_here(self) -> list[str]:
        """Paths of the parameters that this call itself gives, and not one around it."""
        return [*self.named, *(leaf.path for record, _ in self.records for leaf in record.leaves)]


def receive(inner: Body, ref: BlockRef, arguments: Sequence[Argument], path: str, span: Span) -> Received:
    """Sort the arguments of a call, find the axes it is mapped over, and bind one slice to the header.

    Args:   path: of the call in the caller's body, whose own given parameters may lie under it.
    Raises: Mistake E0323: too many or too few; E0330: no such input; E0331: given twice; E0368.
    """
    caller = inner.caller or inner
    header = ref.decl.header
    declared = declared_params(ref.decl)
    found = Received()
    slots: dict[str, Argument] = {}
    for argument in arguments:
        _sort(found, slots, header, declared, argument, len(arguments), caller)
    found.levels = leading_axes(caller, declared, found.given, [record for record, _ in found.records], span)
    for record, place in found.records:
        for leaf, tensor in zip(record.leaves, record.tensors, strict=True):
            if leaf.path in found.given:
                raise mistake("E0331", f"`{leaf.path}` is given twice", place)
            found.given[leaf.path] = tensor
    found.given_outer = dict(found.given)
    extras = {leaf.path: len(record.leading) for record, _ in found.records for leaf in record.leaves}
    for name, tensor in found.given.items():
        count = extras.get(name, extra_axes(declared, name, tensor))
        found.given[name] = without_leading(tensor, count)
        found.had[f"={name}"] = tuple(at < count for at in range(len(found.levels)))
    prefix = path + "."
    for name, tensor in caller.given.items():
        if name.startswith(prefix) and name[len(prefix) :] not in found.given:
            found.given[name[len(prefix) :]] = found.given_outer[name[len(prefix) :]] = tensor
    _bind(inner, found, slots, header, span)
    return found


def _sort(
    found: Received,
    slots: dict[str, Argument],
    header: s.Header,
    declared: dict[str, s.ParamDecl],
    argument: Argument,
    count: int,
    caller: Body,
) -> None:
    params = slots_of(header)
    if argument.is_splat:
        assert isinstance(argument.value, RecordValue)
        found.records.append((argument.value, argument.span))
    elif argument.name is None:
        free = [n for n in params if n not in slots]
        if not free:
            raise mistake(
                "E0323",
                f"`{header.name}` takes {_counted(header)}, found {count}",
                argument.span,
                others=((header.name_span, "declared here"),),
            )
        slots[free[0]] = argument
    elif argument.name in params:
        if argument.name in slots:
            raise mistake("E0331", f"`{argument.name}` is given twice", argument.span)
        slots[argument.name] = argument
    elif argument.name in declared:
        if argument.name in found.given:
            raise mistake("E0331", f"`{argument.name}` is given twice", argument.span)
        found.given[argument.name] = caller.tensor(argument.value, argument.span, what=f"`{argument.name}`")
        found.named[argument.name] = argument.span
    else:
        near = suggest(argument.name, [*params, *declared])
        raise mistake(
            "E0330",
            f"`{header.name}` has no input `{argument.name}`",
            argument.span,
            others=((header.name_span, "declared here"),),
            help=f"did you mean `{near}`?" if near else None,
        )


def _bind(inner: Body, found: Received, slots: dict[str, Argument], header: s.Header, span: Span) -> None:
    for name, params in slots_of(header).items():
        fields = [field_of(p.name) for p in params]
        if name not in slots:
            param = params[0]
            if isinstance(param.default, s.Literal) and param.default.value is None:
                for param in params:
                    _bind_none(inner, param)
                continue
            if param.default is None:
                raise mistake(
                    "E0323",
                    f"`{header.name}` needs `{name}`: it takes {_counted(header)}, found {len(slots)}",
                    span,
                    others=((param.span, "declared here"),),
                )
            raise mistake("E0304", "the default of an input is `none`", param.span)
        argument = slots[name]
        values = [argument.value]
        if fields[0] is not None and argument.value is None:
            values = [None] * len(params)
        elif fields[0] is not None:
            wanted = [field for field in fields if field is not None]
            values = field_values(argument.value, wanted, argument.span, f"`{name}` of `{header.name}`")
        for param, value in zip(params, values, strict=True):
            _bind_tensor(inner, found, param, Argument(param.name, value, argument.span), header)


def _bind_tensor(inner: Body, found: Received, param: s.TensorParam, argument: Argument, header: s.Header) -> None:
    caller = inner.caller or inner
    name = param.name
    if argument.value is None:
        if param.default is None:
            raise mistake("E0301", f"`{name}` of `{header.name}` needs a tensor, found `none`", argument.span)
        _bind_none(inner, param)
        return
    like = None
    if not isinstance(argument.value, TensorValue):
        like = next((t.type.dtype for t in found.tensors.values()), None)
    outer = caller.tensor(argument.value, argument.span, like=like, what=f"`{name}` of `{header.name}`")
    slice_, found.had[name] = strip_argument(Argument(name, outer, argument.span), found.levels)
    value = slice_.value
    assert isinstance(value, TensorValue)
    found.outer[name] = outer.value
    found.tensors[name] = TensorValue(value.value, bind_input(inner, param, value, argument.span))


def _bind_none(inner: Body, param: s.TensorParam) -> None:
    """Raises: Mistake E0310: its type, which nothing is matched with, is none."""
    if isinstance(param.type, s.NamedType):
        require_tensor_type(param.type)
    inner.scope.bind(param.name, None, "input", param.span)


def _counted(header: s.Header) -> str:
    """What a call takes, in words."""
    taken = slots_of(header)
    return counted(len(taken), "tensor" if all(field_of(p.name) is None for p in header.params) else "value")


def declared_params(decl: "s.Block | s.Extern") -> dict[str, s.ParamDecl]:
    """Parameters declared in a body, which a call may give instead."""
    if isinstance(decl, s.Extern):
        return {}
    found: dict[str, s.ParamDecl] = {}
    pending: list[Sequence[s.Statement]] = [decl.body.statements]
    while pending:
        for statement in pending.pop():
            if isinstance(statement, s.ParamDecl) and statement.kind == "param":
                found[statement.name] = statement
            elif isinstance(statement, s.ExprStatement) and isinstance(statement.value, s.IfExpr):
                pending.append(statement.value.then.statements)
                if statement.value.otherwise is not None:
                    pending.append(statement.value.otherwise.statements)
    return found


def check_taken(name: str, received: Received, template: Template) -> None:
    """Whether the body took what it was given, and a record held all that it needed.

    Raises: Mistake E0330: a keyword that this call has no parameter for; E0366: a record of another block.
    """
    for path, place in received.named.items():
        if path not in template.used:
            raise mistake("E0330", f"this call of `{name}` makes no parameter `{path}`", place)
    for record, place in received.records:
        for leaf in record.leaves:
            if leaf.path not in template.used:
                raise mistake(
                    "E0366", f"`{name}` makes no parameter `{leaf.path}`, which those of `{record.block}` hold", place
                )
        own = next((entry for entry in template.params if entry.kind == "param"), None)
        if own is not None:
            raise mistake(
                "E0366", f"`{name}` needs the parameter `{own.path}`, which those of `{record.block}` lack", place
            )
