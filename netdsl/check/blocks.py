"""Calls of blocks: a header is bound, a body is checked once for its types, and stamped out at each call."""

from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check import statics
from netdsl.check.arguments import Argument
from netdsl.check.body import Body, DimOrigin
from netdsl.check.builder import Builder, Template, join, stamp
from netdsl.check.externs import extern_result
from netdsl.check.facts import prove_where
from netdsl.check.labels import take_label
from netdsl.check.mapped import Level, lead_result, over
from netdsl.check.receiving import Received, check_taken, receive
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.results import body_result, map_result
from netdsl.check.scope import Scope
from netdsl.check.structs import bind_structs
from netdsl.check.values import (
    POISON,
    BlockRef,
    CheckValue,
    DimValue,
    InstanceRef,
    TensorValue,
    instances_in,
    print_static,
)
from netdsl.dims import Dim
from netdsl.ir import Decisions, Value
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
    kind = ref.decl.kind if isinstance(ref.decl, s.Block) else "block"
    if kind == "edge" and not body.is_edge:
        raise mistake("E0336", f"`{header.name}` is an edge and cannot be called as a block", span)
    path = instance.path if instance is not None else call_path(body, name, label)
    inner, received, template = checked(body, ref, arguments, path, span, under(body.decisions, path), instance)
    check_taken(header.name, received, template)
    body.builder.used.update(join(path, name) for name in template.used if join(path, name) in body.given)
    if instance is not None:
        for given_name in template.used:
            instance.params.setdefault(given_name, received.given_outer[given_name])
    mapped = over(template, _levels(received, template), body.builder.facts, span) if received.levels else template
    mapping = place(body, ref, mapped, received, path, span, instance)
    for given_name in received.made_here() if not body.builder.regions else ():
        body.builder.tap(join(path, given_name), received.given_outer[given_name].value, is_weight=True)
    result = map_result(inner, template.result, header, {} if received.levels else mapping)
    if received.levels:
        result = lead_result(result, mapped.result, mapping, received.levels)
    if label is not None and isinstance(result, TensorValue) and not body.builder.regions:
        body.builder.tap(join(body.path, label.name), result.value)
    return result


def checked(
    body: Body,
    ref: BlockRef,
    arguments: list[Argument],
    path: str,
    span: Span,
    decisions: Decisions,
    instance: "InstanceRef | None" = None,
) -> tuple[Body, Received, Template]:
    """The callee's body, what it received and what it came to.

    Args:   decisions: of the choices inside.
    Raises: Mistake: the arguments do not fit the header; Silent: the body was reported before.
    """
    owner = owner_of(body, instance)
    inner = inner_body(body.checker, ref, body, span, decisions)
    inner.builder.prefix = join(owner.prefix, path)
    received = receive(inner, ref, arguments, path if owner is body.builder else "", span)
    prove_where(inner, body, ref.decl.header, span)
    made = instance.span if instance is not None else None
    template = template_of(body.checker, ref, inner, received.tensors, received.given, span, made)
    if template is None:
        raise Silent
    return inner, received, template


def place(
    body: Body,
    ref: BlockRef,
    template: Template,
    received: Received,
    path: str,
    span: Span,
    instance: "InstanceRef | None" = None,
) -> dict[Value, Value]:
    """Stamp a checked body out in the caller's; the map from its values to the new ones.

    Raises: Mistake E0337: a loop without a label makes parameters; E0338: an instance has others; E0521: many nodes.
    """
    _check_shared(instance, template, span)
    if instance is not None and not instance.is_bound:
        instance.is_bound, instance.first_call = True, span
    checker = body.checker
    if template.params and instance is None and body.in_unlabelled_loop is not None:
        raise mistake(
            "E0337",
            f"this loop makes parameters of `{ref.name}`, so it needs a label",
            span,
            others=((body.in_unlabelled_loop, "this loop"),),
            help="label it: `repeat n as blocks { .. }`",
        )
    checker.limits.check_nodes(body.builder.size + template.size + 1, span)
    checker.work.steps += template.size // NODES_A_STEP
    mapping = stamp(
        template,
        body.builder,
        list(received.outer.values()),
        [t.value for t in received.given_outer.values()],
        path,
        span,
        instance.params if instance is not None else None,
        owner_of(body, instance),
    )
    for given_instance in instances_in(v for _, v in ref.statics):
        states = given_instance.owner.states
        states.update({p: mapping.get(v, v) for p, v in states.items()})
    return mapping


def under(decisions: Decisions, path: str) -> Decisions:
    """The decisions inside a call."""
    prefix = path + "."
    return {name.removeprefix(prefix): made for name, made in decisions.items() if name.startswith(prefix)}


def owner_of(body: Body, instance: "InstanceRef | None") -> Builder:
    """Where the parameters of a call live."""
    return instance.owner if instance is not None else body.builder


def _levels(received: Received, template: Template) -> list[Level]:
    """What of a body each mapped axis reaches."""
    inputs = dict(zip(received.outer, template.inputs, strict=True))
    levels = []
    for at, axis in enumerate(received.levels):
        mapped = {value for name, value in inputs.items() if received.had[name][at]}
        mapped |= {value for name, value in template.given if received.had.get(f"={name}", ())[at : at + 1] == (True,)}
        levels.append(Level(axis, frozenset(mapped)))
    return levels


def call_path(body: Body, name: str, label: "s.Labelled | None") -> str:
    """The path of a call's parameters: its label, else its name, numbered where it was used before (rule R6)."""
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


def inner_body(
    checker: "Checker",
    ref: BlockRef,
    caller: Body,
    span: Span,
    decisions: Decisions | None = None,
) -> Body:
    """A body for the callee, its statics bound: defaults are evaluated where the block is declared.

    Raises: Mistake E0334: a static without default is missing.
    """
    header = ref.decl.header
    inner = Body(checker, Builder(caller.builder.facts, ref.qualified_name, header.span), Scope(), ref.scope)
    inner.header, inner.caller = header, caller
    inner.is_edge = isinstance(ref.decl, s.Block) and ref.decl.kind == "edge"
    inner.is_monoid = isinstance(ref.decl, s.Block) and ref.decl.kind == "monoid"
    inner.generic = caller.generic
    inner.decisions = decisions or {}
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
        tuple(sorted(inner.decisions.items())),
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
    bind_structs(inner, ref.decl.header)
    kept: list[tuple[str, Value]] = []
    for name, tensor in given.items():
        own = Value(tensor.type.without_names(), name)
        kept.append((name, own))
        if tensor.value.type.rank == own.type.rank:
            inner.arguments[own] = tensor
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
