"""Where a size, a rank or an element type came from, for messages about types that do not fit."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.report import Mistake, Silent
from netdsl.check.values import TensorValue
from netdsl.diagnostics import Diagnostic, Label
from netdsl.ir import Node, Value
from netdsl.ops.base import Op
from netdsl.ops.product import Matmul
from netdsl.source import Span
from netdsl.tensor_type import DTYPE_VARIABLES, ShapeError

if TYPE_CHECKING:
    from netdsl.check.body import Body

#: What is wrong with these is what stands in brackets, not the operand.
AT_CALL = ("E0206", "E0209", "E0215", "E0216", "E0219")

#: The values that a value may have its size from: (value, axis), in order of preference.
Step = Callable[[Op | None, Value, Sequence[Value]], Value | None]
#: Where a written type says what is looked for, and whether it leaves that to the call.
Declared = Callable[["Body", s.TypeExpr], tuple[Span, bool]]


def shape_mistake(
    body: "Body", error: ShapeError, operands: Sequence[TensorValue], span: Span, operand_spans: Sequence[Span]
) -> Mistake | Silent:
    """The diagnostic of a broken type rule: the operands' types, and the origins of what does not fit."""
    if body.generic and error.code in ("E0208", "E0211"):
        return Silent()
    at_operand = error.operand is not None and error.operand < len(operand_spans) and error.code not in AT_CALL
    primary = Label(span)
    if at_operand:
        assert error.operand is not None
        primary = Label(operand_spans[error.operand], f"this is {operands[error.operand].type}")
    mentioned = {index for index, _ in (*error.axes, *error.labels)}
    if error.operand is not None:
        mentioned.add(error.operand)
    others = [
        Label(operand_spans[index], f"this is {operands[index].type}")
        for index in sorted(mentioned)
        if index < min(len(operand_spans), len(operands)) and operand_spans[index] not in (span, primary.span)
    ]
    for label in _origins(body, error, operands):
        if all(not _overlap(label.span, known.span) for known in (primary, *others)):
            others.append(label)
    title = _LEADING.sub(r"the leading axis \1", error.title)
    return Mistake(Diagnostic(error.code, title, primary, tuple(others), error.notes, help=_help(body, error)))


#: An axis that `..` stands for, as its local name.
_LEADING = re.compile(r"`\.\.(\d+)`")


def _origins(body: "Body", error: ShapeError, operands: Sequence[TensorValue]) -> Iterator[Label]:
    for index, axis in error.axes:
        if index < len(operands) and axis < operands[index].type.rank:
            found = operands[index].type.axes[axis]
            named = dimension_label(body, found.name)
            if named is not None:
                yield named
            origin = size_label(body, operands[index], axis) if named is None or body.caller is not None else None
            if origin is not None:
                yield origin
    if not error.axes and error.operand is not None and error.operand < len(operands):
        operand = operands[error.operand]
        if error.code in ("E0201", "E0217"):
            label = element_label(body, operand)
        else:
            label = rank_label(body, operand) if error.code == "E0205" else None
        if label is not None:
            yield label


def dimension_label(body: "Body", name: str | None) -> Label | None:
    """Where a header's dimension stands, what it is, and the call that made it so."""
    origin = body.dims.get(name or "")
    if origin is None:
        return None
    if str(origin.value.dim) == name:
        return Label(origin.header, f"`{name}` is declared here")
    bound = ""
    if origin.source is not None:
        file = "" if origin.source.source is origin.header.source else f"{origin.source.source.path} "
        bound = f", bound by the call at {file}line {origin.source.line}"
    return Label(origin.header, f"`{name}` is {origin.value.dim}{bound}")


def size_label(body: "Body", tensor: TensorValue, axis: int) -> Label | None:
    """The expression, parameter or input whose axis first had this size."""
    at = axis

    def before(op: Op | None, value: Value, operands: Sequence[Value]) -> Value | None:
        nonlocal at
        found = _same_axis(op, value, at, operands)
        if found is not None:
            at = found[1]
            return found[0]
        return None

    size = tensor.type.sizes[axis]
    place = _trace(body, tensor.value, before, lambda where, written: _axis_written(where, written, at))
    return Label(place, f"the size {size} comes from here") if place is not None else None


def rank_label(body: "Body", tensor: TensorValue) -> Label | None:
    """The expression, parameter or input that first had as many axes."""

    def before(op: Op | None, value: Value, operands: Sequence[Value]) -> Value | None:
        return next((v for v in operands if v.type.rank == value.type.rank), None)

    def declared(where: "Body", written: s.TypeExpr) -> tuple[Span, bool]:
        exprs = written.groups[-1] if isinstance(written, s.NamedType) and written.groups else ()
        return written.span, any(isinstance(e, s.Dots) for e in exprs)

    place = _trace(body, tensor.value, before, declared)
    return Label(place, "its axes come from here") if place is not None else None


def element_label(body: "Body", tensor: TensorValue) -> Label | None:
    """The expression, parameter or input that first had the element type."""

    def before(op: Op | None, value: Value, operands: Sequence[Value]) -> Value | None:
        return next((v for v in operands if v.type.dtype.storage == value.type.dtype.storage), None)

    def declared(where: "Body", written: s.TypeExpr) -> tuple[Span, bool]:
        return written.span, isinstance(written, s.NamedType) and written.name in DTYPE_VARIABLES

    place = _trace(body, tensor.value, before, declared)
    return Label(place, f"{tensor.type.dtype} comes from here") if place is not None else None


def _trace(body: "Body", value: Value, before: Step, declared: Declared) -> Span | None:
    """Follow `value` backwards as long as `before` knows a step; a call of a block is one step.

    From an input whose type leaves open what is looked for, the way goes on in the body of the caller.
    """
    nodes = [*body.builder.nodes, *(node for region in body.builder.regions for node in region)]
    producers = {result: node for node in nodes for result in node.results}
    place: Span | None = None
    while value in producers or value in body.outer:
        if value in body.outer:
            found = before(None, value, [body.outer[value]])
            if found is None:
                return place
            value = found
            continue
        node = producers.pop(value)
        call = _call_of(body, node)
        place, inputs = (node.spans[0], node.operands) if call is None else call
        found = before(node.op if call is None else None, value, inputs)
        if found is None:
            return place
        value = found
    written = _declaration(body, value)
    argument = body.arguments.get(value)
    if written is not None:
        place, is_open = declared(body, written)
    elif argument is not None:  # a parameter that the call was given
        is_open = True
    else:
        return place
    if is_open and argument is not None and body.caller is not None:
        return _trace(body.caller, argument.value, before, declared) or place
    return place


def _call_of(body: "Body", node: Node) -> tuple[Span, Sequence[Value]] | None:
    """Place and inputs of the call in this body that made `node`."""
    rows = body.builder.instances
    at = node.instance
    if at == 0 or at > len(rows):
        return None
    while rows[at - 1].parent > 0:
        at = rows[at - 1].parent
    return rows[at - 1].span, rows[at - 1].inputs


def _declaration(body: "Body", value: Value) -> s.TypeExpr | None:
    """The written type of an input or of a parameter of this body."""
    for param in body.header.params if body.header is not None else ():
        found = body.inputs.get(param.name)
        if found is not None and found.value is value:
            return param.type
    return body.declared.get(value)


def _axis_written(body: "Body", written: s.TypeExpr, axis: int) -> tuple[Span, bool]:
    """Where an axis stands in a type, and whether a call gave it its size."""
    if not isinstance(written, s.NamedType) or not written.groups:
        return written.span, False
    exprs = written.groups[-1]
    if any(isinstance(e, s.Dots) for e in exprs) or axis >= len(exprs):
        return written.span, True
    expr = exprs[axis]
    origin = body.dims.get(expr.id) if isinstance(expr, s.Name) else None
    return expr.span, origin is not None and origin.of is not None


def _same_axis(op: Op | None, value: Value, axis: int, operands: Sequence[Value]) -> tuple[Value, int] | None:
    """The operand's axis that gave the result its size, where that is plain."""
    rank, size = value.type.rank, value.type.sizes[axis]
    if isinstance(op, Matmul) and axis >= rank - 2 and all(v.type.rank >= 2 for v in operands):
        operand = operands[axis - rank + 2]
        return operand, operand.type.rank - rank + axis
    for operand in operands:
        at = axis - rank + operand.type.rank
        if at >= 0 and operand.type.sizes[at] == size:
            return operand, at
    for operand in operands:
        same = [at for at, other in enumerate(operand.type.sizes) if other == size]
        if len(same) == 1:
            return operand, same[0]
    return None


def places(
    body: "Body | None", primary: Span, label: Callable[..., Label | None], tensor: TensorValue | None, *axis: int
) -> list[tuple[Span, str]]:
    """What a label of this module says of `tensor` in `body`, where that is not the primary place itself."""
    if body is None or tensor is None:
        return []
    found = label(body, tensor, *axis)
    return [] if found is None or _overlap(found.span, primary) else [(found.span, found.text)]


def _overlap(left: Span, right: Span) -> bool:
    return left.source is right.source and left.start < right.end and right.start < left.end


def _help(body: "Body", error: ShapeError) -> str | None:
    """No help that would make a free dimension constant (E0213), or that names what has no name."""
    if error.help and "`.." in error.help:
        return None
    if error.code == "E0208" and error.help and error.help.startswith("add `where ") and "==" in error.help:
        sides = error.help.removeprefix("add `where ").split("`")[0].split(" == ")
        numbers = [side for side in sides if side.isdigit()]
        names = [side for side in sides if side.isidentifier()]
        if numbers and names:
            return f"if {names[0]} is always {numbers[0]}, write {numbers[0]} in place of `{names[0]}`"
    if error.code == "E0217" and error.help is None and "needs float" in error.title:
        return "convert it: `cast[f32](..)`"
    return error.help
