"""How a call binds the dimensions and type variables of a header (rules R2, R3, R17)."""

from dataclasses import replace

from netdsl import syntax as s
from netdsl.check.body import Body, DimOrigin
from netdsl.check.origins import dimension_label, element_label, places, rank_label, size_label
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.types import axis_exprs, axis_of, element_type
from netdsl.check.values import DimValue, TensorValue
from netdsl.diagnostics import Label
from netdsl.source import Span
from netdsl.tensor_type import DTYPE_VARIABLES, I64, Axis, DType, ShapeError, TensorType, idx, unify_axis


def bind_input(body: Body, param: s.TensorParam, argument: TensorValue, place: Span) -> TensorType:
    """Match an argument with its header type, binding names met for the first time. Returns the type inside.

    Raises: Mistake E0205 ranks, E0201 element types, E0202/E0207/E0208 sizes.
    """
    written = param.type
    if isinstance(written, s.TupleType):
        raise mistake("E0304", "a tuple input is not supported here", written.span)
    found = argument.type
    exprs = axis_exprs(written)
    dots = [i for i, e in enumerate(exprs) if isinstance(e, s.Dots)]
    fixed = len(exprs) - len(dots)
    if len(dots) > 1:
        raise mistake("E0305", "a type holds `..` once", written.span)
    if found.rank < fixed or (not dots and found.rank != fixed):
        wanted = f"at least {fixed}" if dots else str(fixed)
        raise mistake(
            "E0205",
            f"`{param.name}` needs {wanted} {'axis' if fixed == 1 else 'axes'}, found {found.rank}: {found}",
            place,
            f"this is {found}",
            others=((written.span, "declared here"), *places(body.caller, place, rank_label, argument)),
        )
    axes = list(found.axes)
    if dots:
        count = found.rank - fixed
        at = dots[0]
        leading = axes[at : at + count]
        axes[at : at + count] = []
        exprs = exprs[:at] + exprs[at + 1 :]
    bound: list[Axis] = []
    for index, (expr, axis) in enumerate(zip(exprs, axes, strict=True)):
        position = index + found.rank - fixed if dots and index >= dots[0] else index
        bound.append(_bind_axis(body, param, expr, axis, found, place, (argument, position)))
    if dots:
        inside = tuple(Axis(None if a.name is None else f"..{i}", a.size, a.structure) for i, a in enumerate(leading))
        if body.leading is None:
            body.leading = inside
            body.leading_names = tuple(a.name for a in leading)
        else:
            body.leading = _same_leading(body, param, body.leading, inside, place, found)
        bound[dots[0] : dots[0]] = body.leading
    try:
        dtype = _bind_dtype(body, written, found.dtype, param, place)
    except Mistake as error:
        raise error.with_places(places(body.caller, place, element_label, argument)) from None
    return TensorType(dtype, tuple(bound))


def _same_leading(
    body: Body, param: s.TensorParam, first: tuple[Axis, ...], second: tuple[Axis, ...], place: Span, found: TensorType
) -> tuple[Axis, ...]:
    if len(first) != len(second):
        raise mistake(
            "E0205",
            f"every `..` of a header stands for the same axes: {len(first)} and {len(second)} here",
            place,
            f"this is {found}",
            others=((param.type.span, "declared here"),),
        )
    try:
        return tuple(
            unify_axis(replace(a, name=None), replace(b, name=None), body.builder.facts, what=f"`..` of `{param.name}`")
            if a.name is None or b.name is None
            else unify_axis(a, b, body.builder.facts, what=f"`..` of `{param.name}`")
            for a, b in zip(first, second, strict=True)
        )
    except ShapeError as error:
        raise mistake(error.code, error.title, place, f"this is {found}", help=error.help) from None


def _bind_axis(
    body: Body,
    param: s.TensorParam,
    expr: s.Expr,
    axis: Axis,
    found: TensorType,
    place: Span,
    of: tuple[TensorValue, int] | None = None,
) -> Axis:
    if isinstance(expr, s.Name) and expr.id == "_":
        return Axis(None, axis.size, axis.structure)
    if isinstance(expr, s.Name) and expr.id not in body.dims and body.scope.find(expr.id) is None:
        if expr.id[0].islower() and not body.checker.is_capital(expr.id):
            raise body.checker.unknown_name(body, expr)
        value = DimValue(axis.size, expr.id)
        body.dims[expr.id] = DimOrigin(value, expr.span, place, of)
        body.callers[expr.id] = axis.name
        body.scope.bind(expr.id, value, "dim", expr.span)
        return Axis(expr.id, axis.size, axis.structure)
    try:
        wanted = axis_of(body, expr)
    except Silent:
        return axis
    label = f"`{param.name}`"
    if wanted.name is not None and wanted.name in body.dims:
        before = body.callers.get(wanted.name)
        if before is not None and axis.name is not None and before != axis.name:
            raise mistake(
                "E0207",
                f"{label} needs the axis `{before}`, found `{axis.name}`",
                place,
                f"this is {found}",
                others=(
                    (expr.span, f"`{wanted.name}` stands for the axis `{before}` of the caller"),
                    *_bound_from(body, wanted.name, place),
                    *places(body.caller, place, _axis_label, *(of or (None,))),
                ),
                help=f"rename it: `rename[{axis.name}, {before}](..)`",
            )
        if before is None:
            body.callers[wanted.name] = axis.name
    try:
        merged = unify_axis(wanted, Axis(None, axis.size, axis.structure), body.builder.facts, what=label)
    except ShapeError as error:
        if body.generic and error.code == "E0208":
            return wanted
        origin = body.dims.get(wanted.name or "")
        others = [(expr.span, f"declared as `{body.text(expr)}`, which is {wanted.size}")]
        if origin is not None and origin.source is not None and origin.source != place:
            others.append((origin.source, f"`{wanted.name}` is {origin.value.dim} from here"))
        position = of[1] if of is not None else 0
        title = f"{label} needs {wanted.size} at axis {position}, found {axis.size}"
        if error.code == "E0208":
            title = f"{label} needs {wanted.size} at axis {position}, and nothing says that {axis.size} equals it"
        others += places(body.caller, place, size_label, *(of or (None,)))
        raise mistake(error.code, title, place, f"this is {found}", others=tuple(others), help=error.help) from None
    return merged


def _bound_from(body: Body, name: str, place: Span) -> "list[tuple[Span, str]]":
    """The argument that a dimension got its size and its axis name from."""
    source = body.dims[name].source
    return [(source, f"`{name}` is bound here")] if source is not None and source != place else []


def _axis_label(body: Body, tensor: TensorValue, axis: int) -> Label | None:
    return dimension_label(body, tensor.type.axes[axis].name)


def _bind_dtype(body: Body, written: s.NamedType, found: DType, param: s.TensorParam, place: Span) -> DType:
    if written.name in DTYPE_VARIABLES:
        kinds = DTYPE_VARIABLES[written.name]
        if found.kind not in kinds:
            raise mistake(
                "E0217",
                f"`{param.name}` needs {' or '.join(kinds)} elements, found {found}",
                place,
                help="convert it: `cast[f32](..)`" if "float" in kinds else None,
                others=((written.span, "declared here"),),
            )
        known = body.dtypes.setdefault(written.name, found.storage if written.name != "int" else found)
        if known.storage != found.storage:
            raise mistake(
                "E0201",
                f"`{param.name}` needs the element type of the other inputs, {known}, found {found}",
                place,
                others=((written.span, "declared here"),),
                help=f"convert it: `cast[{known}](..)`",
            )
        return known
    if written.name == "idx":
        if found.storage != I64:
            raise mistake("E0201", f"`{param.name}` needs indices, found {found}", place)
        (expr,) = written.groups[0]
        given = found.table if found.table is not None else None
        if given is not None:
            return idx(_bind_axis(body, param, expr, given, TensorType(found), place))
        raise mistake(
            "E0218",
            f"`{param.name}` needs indices into `{body.text(expr)}`, found plain {found}",
            place,
            help=f"declare the value as `idx[{body.text(expr)}]` where it enters the network",
        )
    dtype, _ = element_type(body, written)
    if dtype != found and not (found.table is not None and dtype == found.storage):
        raise mistake(
            "E0201",
            f"`{param.name}` needs {dtype} elements, found {found}",
            place,
            others=((written.span, "declared here"),),
            help=f"convert it: `cast[{dtype}](..)`",
        )
    return dtype
