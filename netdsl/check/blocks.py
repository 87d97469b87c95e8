"""Calls of blocks: a header is bound, a body is checked once for its types, and stamped out at each call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.arguments import Argument
from netdsl.check.body import Body, DimOrigin
from netdsl.check.builder import Builder, Template, join, stamp
from netdsl.check.externs import extern_result
from netdsl.check.facts import prove_where
from netdsl.check.inputs import bind_input
from netdsl.check.labels import take_label
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.results import body_result, map_result
from netdsl.check.scope import Scope
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    DimValue,
    InstanceRef,
    TensorValue,
    counted,
    instances_in,
    print_static,
)
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.ir import Value
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.check.checker import Checker

#: What a body that is checked counts for in `Limits.steps`, beside its expressions.
STEPS_A_BODY = 120
#: Nodes that are copied while one expression is evaluated.
NODES_A_STEP = 4


def call_block(
    body: Body,
    target: "BlockRef | InstanceRef",
    arguments: list[Argument],
    span: Span,
    name: str,
    label: "s.Labelled | None",
) -> CheckValue:
    """Check a call of a block or of a `let` instance, and append its nodes.

    Raises: Mistake: the arguments do not fit the header; Silent: the body was reported before.
    """
    instance = target if isinstance(target, InstanceRef) else None
    ref = instance.ref if instance is not None else target
    assert isinstance(ref, BlockRef)
    header = ref.decl.header
    checker = body.checker
    if header.name and isinstance(ref.decl, s.Block) and ref.decl.kind not in ("block", "network"):
        raise mistake("E0336", f"`{header.name}` is {_kind(ref.decl.kind)} and cannot be called as a block", span)
    path = instance.path if instance is not None else _path(body, name, label)
    owner = instance.owner if instance is not None else body.builder
    inner = inner_body(checker, ref, body, span)
    inner.builder.prefix = join(owner.prefix, path)
    tensors, given = bind_arguments(inner, header, ref, arguments, span)
    prove_where(inner, body, header, span)
    made = instance.span if instance is not None else None
    template = template_of(checker, ref, inner, tensors, given, span, made)
    if template is None:
        raise Silent
    shared = instance.params if instance is not None else None
    _check_shared(instance, template, span)
    if instance is not None and not instance.is_bound:
        instance.first_call = span
    if template.updates and body.builder.regions:
        raise mistake(
            "E0349",
            f"`{header.name}` updates a state, and this is a loop body",
            span,
            help="call it outside the loop; a loop changes carried values only",
        )
    if template.params and instance is None and body.in_unlabelled_loop is not None:
        raise mistake(
            "E0337",
            f"this loop makes parameters of `{header.name}`, so it needs a label",
            span,
            others=((body.in_unlabelled_loop, "this loop"),),
            help="label it: `repeat n as blocks { .. }`",
        )
    checker.limits.check_nodes(body.builder.size + template.size + 1, span)
    checker.work.steps += template.size // NODES_A_STEP
    mapping = stamp(
        template,
        body.builder,
        [t.value for t in tensors.values()],
        [t.value for t in given.values()],
        path,
        span,
        shared,
        owner,
    )
    if instance is not None:
        instance.is_bound = True
    for given_instance in instances_in(v for _, v in ref.statics):
        states = given_instance.owner.states
        states.update({p: mapping.get(v, v) for p, v in states.items()})
    result = map_result(inner, template.result, header, mapping)
    if label is not None and isinstance(result, TensorValue) and not body.builder.regions:
        body.builder.tap(join(body.path, label.name), result.value)
    return result


def _kind(kind: str) -> str:
    return "an edge" if kind == "edge" else "a monoid"


def _path(body: Body, name: str, label: s.Labelled | None) -> str:
    if label is not None:
        take_label(body, label)
        return join(body.path, label.name)
    return body.builder.unique(body.path, name)


def _check_shared(instance: "InstanceRef | None", template: Template, span: Span) -> None:
    if instance is None:
        return
    for entry in template.params:
        known = instance.params.get(entry.path)
        if known is not None and known.type.without_names() != entry.type.without_names():
            raise mistake(
                "E0338",
                f"`{instance.path}` shares `{entry.path}`, which is {known.type} from its first call and "
                f"would be {entry.type} here",
                span,
                others=((instance.span, "declared here"), (instance.first_call, "its first call")),
            )


def inner_body(checker: "Checker", ref: BlockRef, caller: Body, span: Span) -> Body:
    """A body for the callee, its statics bound: defaults are evaluated where the block is declared.

    Raises: Mistake E0334: a static without default is missing.
    """
    header = ref.decl.header
    inner = Body(checker, Builder(caller.builder.facts, ref.qualified_name, header.span), Scope(), ref.scope)
    inner.header, inner.caller = header, caller
    inner.generic = caller.generic
    bound = dict(ref.statics)
    for param in header.statics:
        if param.name in bound:
            value = bound[param.name]
        elif param.default is not None:
            value = statics.convert(
                inner, inner.evaluate(param.default), param.type, param.default.span, f"`{param.name}`"
            )
        else:
            raise statics.missing(header, param, span)
        bind_static(inner, param, value)
    for name, value in bound.items():
        if inner.scope.find(name) is None and isinstance(value, DimValue):
            local = DimValue(value.dim, name)
            inner.scope.bind(name, local, "dim", header.span)
            inner.dims[name] = DimOrigin(local, header.span, span)
            inner.callers[name] = value.name
    return inner


def bind_static(inner: Body, param: s.StaticParam, value: CheckValue) -> None:
    """Bind a static in the callee's scope; a size keeps its axis name only under a capital name (rule R3)."""
    if isinstance(value, DimValue):
        inner.callers[param.name] = value.name
        name = param.name if inner.checker.is_capital(param.name) else None
        value = DimValue(value.dim, name) if name or not value.dim.is_const else value.dim.value
    elif isinstance(value, int) and not isinstance(value, bool) and inner.checker.is_capital(param.name):
        value = DimValue(Dim.of(value), param.name)
    if isinstance(value, DimValue) and value.name is not None:
        inner.dims[param.name] = DimOrigin(value, param.span, None)
    inner.scope.bind(param.name, value, "static", param.span)


def bind_arguments(
    inner: Body, header: s.Header, ref: BlockRef, arguments: list[Argument], span: Span
) -> tuple[dict[str, TensorValue], dict[str, TensorValue]]:
    """Arguments under the header's types, and parameters given by keyword (`weight=w`).

    Raises: Mistake E0323: too many or too few; E0330: no such input.
    """
    caller = inner.caller or inner
    params = {p.name: p for p in header.params}
    slots: dict[str, Argument] = {}
    given: dict[str, TensorValue] = {}
    order = list(params)
    declared = _param_names(ref.decl)
    for argument in arguments:
        if argument.name is None:
            free = [n for n in order if n not in slots]
            if not free:
                raise mistake(
                    "E0323",
                    f"`{header.name}` takes {counted(len(params), 'tensor')}, found {len(arguments)}",
                    argument.span,
                    others=((header.name_span, "declared here"),),
                )
            slots[free[0]] = argument
        elif argument.name in params:
            if argument.name in slots:
                raise mistake("E0331", f"`{argument.name}` is given twice", argument.span)
            slots[argument.name] = argument
        elif argument.name in declared:
            given[argument.name] = caller.tensor(argument.value, argument.span, what=f"`{argument.name}`")
        else:
            known = [*params, *declared]
            near = suggest(argument.name, known)
            raise mistake(
                "E0330",
                f"`{header.name}` has no input `{argument.name}`",
                argument.span,
                others=((header.name_span, "declared here"),),
                help=f"did you mean `{near}`?" if near else None,
            )
    tensors: dict[str, TensorValue] = {}
    for name, param in params.items():
        if name not in slots:
            if isinstance(param.default, s.Literal) and param.default.value is None:
                inner.scope.bind(name, None, "input", param.span)
                continue
            if param.default is None:
                raise mistake(
                    "E0323",
                    f"`{header.name}` needs `{name}`: it takes {counted(len(params), 'tensor')}, found {len(slots)}",
                    span,
                    others=((param.span, "declared here"),),
                )
            raise mistake("E0304", "the default of an input is `none`", param.span)
        argument = slots[name]
        if argument.value is None:
            if param.default is None:
                raise mistake("E0301", f"`{name}` of `{header.name}` needs a tensor, found `none`", argument.span)
            inner.scope.bind(name, None, "input", param.span)
            continue
        like = None
        if not isinstance(argument.value, TensorValue):
            like = next((t.type.dtype for t in tensors.values()), None)
        value = caller.tensor(argument.value, argument.span, like=like, what=f"`{name}` of `{header.name}`")
        tensors[name] = TensorValue(value.value, bind_input(inner, param, value, argument.span))
    return tensors, given


def _param_names(decl: "s.Block | s.Extern") -> list[str]:
    """Parameters declared in a body, which a call may give instead."""
    if isinstance(decl, s.Extern):
        return []
    names: list[str] = []
    pending: list[Sequence[s.Statement]] = [decl.body.statements]
    while pending:
        for statement in pending.pop():
            if isinstance(statement, s.ParamDecl) and statement.kind == "param":
                names.append(statement.name)
            elif isinstance(statement, s.ExprStatement) and isinstance(statement.value, s.IfExpr):
                pending.append(statement.value.then.statements)
                if statement.value.otherwise is not None:
                    pending.append(statement.value.otherwise.statements)
    return names


def template_of(
    checker: "Checker",
    ref: BlockRef,
    inner: Body,
    tensors: dict[str, TensorValue],
    given: dict[str, TensorValue],
    span: Span,
    made: Span | None = None,
) -> Template | None:
    """The checked body, from the memo where the same types were met before; None when it was reported."""
    for _, static in ref.statics:
        checker.weigh(static, span)
    key = (
        id(ref.decl),
        tuple((k, statics.key_of(v)) for k, v in ref.statics),
        tuple(t.type for t in tensors.values()),
        tuple((k, t.type.without_names()) for k, t in given.items()),
        inner.builder.facts,
        inner.leading,
        inner.generic,
    )
    checker.used_blocks.add(id(ref.decl))
    if key in checker.memo:
        return checker.memo[key]
    if checker.depth >= checker.limits.depth:
        raise mistake(
            "E0526", f"calls nest more than {checker.limits.depth} deep: is `{ref.name}` calling itself?", span
        )
    checker.depth += 1
    checker.work.steps += STEPS_A_BODY
    before = len(checker.reporter.diagnostics)
    template: Template | None = None
    with checker.reporter.inside(ref.name, ref.decl.header.name_span, span, made):
        try:
            template = check_template(ref, inner, tensors, given)
        except Mistake as error:
            checker.reporter.add(error.diagnostic)
        except Silent:
            pass
        finally:
            checker.depth -= 1
    if len(checker.reporter.diagnostics) > before:
        template = None
    if not any(i.owner.states for i in instances_in(v for _, v in ref.statics)):
        checker.memo[key] = template
    return template


def check_template(
    ref: BlockRef, inner: Body, tensors: dict[str, TensorValue], given: dict[str, TensorValue]
) -> Template:
    """Check a body on inputs of its own, so that it can be stamped anywhere."""
    inputs: list[Value] = []
    for name, tensor in tensors.items():
        own = Value(tensor.type.without_names(), name)
        inner.arguments[own] = tensor
        inputs.append(own)
        inner.inputs[name] = TensorValue(own, tensor.type)
        inner.scope.bind(name, inner.inputs[name], "input", ref.decl.header.span)
    kept: list[tuple[str, Value]] = []
    for name, tensor in given.items():
        own = Value(tensor.type.without_names(), name)
        kept.append((name, own))
        inner.given[name] = TensorValue(own, tensor.type)
    decl = ref.decl
    result = extern_result(inner, decl) if isinstance(decl, s.Extern) else body_result(inner, decl)
    if result is POISON:
        raise Silent
    printed = tuple((p.name, _printed(inner, p.name)) for p in ref.decl.header.statics)
    return inner.builder.finish(printed, tuple(inputs), tuple(kept), result)


def _printed(inner: Body, name: str) -> str:
    found = inner.scope.find(name)
    return print_static(found.value) if found is not None else ""
