"""Types as written, and how a call binds a header's dimensions and type variables (rules R2, R3, R7, R17)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from netdsl import syntax as s
from netdsl.check.body import Body, DimOrigin
from netdsl.check.origins import dimension_label, element_label, places, rank_label, size_label
from netdsl.check.report import Mistake, Silent, mistake
from netdsl.check.values import POISON, CheckValue, DimValue, TensorValue, describe
from netdsl.diagnostics import Label
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.source import Span
from netdsl.tensor_type import (
    DTYPE_VARIABLES,
    DTYPES,
    F32,
    I64,
    Axis,
    DType,
    ShapeError,
    TensorType,
    idx,
    unify_axis,
)

if TYPE_CHECKING:
    pass

#: Element type of a header's type variable that no argument fixes.
DEFAULTS = {"float": F32, "int": I64, "num": F32}


def element_type(body: Body, written: s.NamedType) -> tuple[DType, "tuple[s.Expr, ...]"]:
    """The element type and the axis expressions of a tensor type.

    Raises: Mistake E0310: no such type; E0304: brackets missing or too many.
    """
    if written.name == "idx":
        if not written.groups or len(written.groups[0]) != 1 or len(written.groups) > 2:
            raise mistake("E0304", "`idx` is written `idx[N]` or `idx[N][axes]`", written.span)
        table = axis_of(body, written.groups[0][0])
        return idx(table), written.groups[1] if len(written.groups) == 2 else ()
    if written.name not in (*DTYPE_VARIABLES, *DTYPES):
        names = (*DTYPES, *DTYPE_VARIABLES, "idx")
        near = suggest(written.name, names)
        raise mistake(
            "E0310",
            f"`{written.name}` is not a tensor type",
            written.span,
            help=f"did you mean `{near}`?" if near else f"types are {', '.join(names)}",
        )
    if len(written.groups) > 1:
        raise mistake("E0304", f"`{written.name}` takes one group of axes, found {len(written.groups)}", written.span)
    axes = written.groups[0] if written.groups else ()
    if written.name in DTYPE_VARIABLES:
        dtype = body.dtypes.get(written.name)
        if dtype is None:
            dtype = body.dtypes[written.name] = (
                body.checker.default_float if written.name == "float" else DEFAULTS[written.name]
            )
        return dtype, axes
    return DTYPES[written.name], axes


def axis_of(body: Body, expr: s.Expr) -> Axis:
    """The axis that a dimension expression stands for: a bare capital name carries its name."""
    if isinstance(expr, s.Name) and expr.id == "_":
        return Axis(None, Dim.of("_"))
    value = body.evaluate(expr)
    size = body.dim(value, expr.span)
    low = body.builder.facts.bounds(size.dim)[1]
    if low is not None and low < 0:
        raise mistake("E0209", f"a size cannot be {size.dim}, below 0", expr.span)
    if size.dim.is_const and size.dim.value >= 2**31:
        raise mistake("E0209", f"an axis of size {size.dim.value} is past 2147483647", expr.span)
    return Axis(size.name, body.builder.facts.simplify(size.dim))


def tensor_type(body: Body, written: s.TypeExpr) -> TensorType:
    """A written type whose names are all known; `..` stands for the header's leading axes."""
    if isinstance(written, s.TupleType):
        raise mistake("E0304", "a tensor type is expected here, found a tuple", written.span)
    dtype, exprs = element_type(body, written)
    axes: list[Axis] = []
    if sum(isinstance(expr, s.Dots) for expr in exprs) > 1:
        raise mistake("E0305", "a type holds `..` once", written.span)
    for expr in exprs:
        if isinstance(expr, s.Dots):
            leading = body.leading
            if leading is None:
                raise mistake("E0305", "`..` has no leading axes to stand for here", expr.span)
            axes.extend(leading)
        else:
            axes.append(axis_of(body, expr))
    result = TensorType(dtype, tuple(axes))
    body.checker.limits.elements(result, written.span)
    return result


def bind_input(body: Body, param: s.TensorParam, argument: TensorValue, place: Span) -> TensorType:
    """Match an argument with its header type, binding names met for the first time. Returns the type inside.

    Raises: Mistake E0205 ranks, E0201 element types, E0202/E0207/E0208 sizes.
    """
    written = param.type
    if isinstance(written, s.TupleType):
        raise mistake("E0304", "a tuple input is not supported here", written.span)
    found = argument.type
    exprs = _axis_exprs(written)
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


def _axis_exprs(written: s.NamedType) -> "tuple[s.Expr, ...]":
    if written.name == "idx":
        return written.groups[1] if len(written.groups) > 1 else ()
    return written.groups[0] if written.groups else ()


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


def written_axes(written: s.TypeExpr) -> list[s.Expr]:
    """Everything in the brackets of a type, those of its fields too."""
    if isinstance(written, s.TupleType):
        return [e for f in written.fields for e in written_axes(f.type)]
    return [e for group in written.groups for e in group]


def check_result(body: Body, written: s.NamedType, value: CheckValue, place: Span, what: str) -> TensorValue:
    """Match a result with its declared type; names met first here are bound. Returns it under the declared type.

    Raises: Mistake E0214.
    """
    if value is POISON:
        raise Silent
    if isinstance(value, (bool, int, float, DimValue)):
        dtype, _ = element_type(body, written)
        value = body.tensor(value, place, like=dtype)
    if not isinstance(value, TensorValue):
        raise mistake("E0214", f"{what} needs a tensor, found {describe(value)}", place)
    found = value.type
    exprs = _axis_exprs(written)
    dots = [i for i, e in enumerate(exprs) if isinstance(e, s.Dots)]
    if dots and body.leading is None:
        body.leading = found.axes[dots[0] : dots[0] + found.rank - len(exprs) + 1]
    leading = body.leading or ()
    wanted_rank = len(exprs) - len(dots) + (len(leading) if dots else 0)
    if found.rank != wanted_rank:
        raise mistake(
            "E0214",
            f"{what} is declared with {wanted_rank} axes, found {found.rank}: {found}",
            place,
            f"this is {found}",
            others=((written.span, "declared here"), *places(body, place, rank_label, value)),
        )
    axes: list[Axis] = []
    position = 0
    for expr in exprs:
        if isinstance(expr, s.Dots):
            for axis in leading:
                axes.append(_result_axis(body, axis, value, position, expr, place, what))
                position += 1
            continue
        if isinstance(expr, s.Name) and body.scope.find(expr.id) is None and body.checker.is_capital(expr.id):
            size = found.axes[position].size
            body.dims[expr.id] = DimOrigin(DimValue(size, expr.id), expr.span, None)
            body.scope.bind(expr.id, DimValue(size, expr.id), "dim", expr.span)
            axes.append(Axis(expr.id, size))
        else:
            axes.append(_result_axis(body, axis_of(body, expr), value, position, expr, place, what))
        position += 1
    if written.name in DTYPE_VARIABLES:
        dtype = body.dtypes.setdefault(written.name, found.dtype.storage)
    else:
        dtype, _ = element_type(body, written)
    if dtype.storage != found.dtype.storage or (
        dtype.table is not None and (found.dtype.table is None or found.dtype.table.size != dtype.table.size)
    ):
        raise mistake(
            "E0214",
            f"{what} is declared as {dtype}, found {found.dtype}",
            place,
            f"this is {found}",
            others=((written.span, "declared here"), *places(body, place, element_label, value)),
            help=None if dtype.table is not None else f"convert it: `cast[{dtype}](..)`",
        )
    return TensorValue(value.value, TensorType(dtype, tuple(axes)))


def _result_axis(
    body: Body, wanted: Axis, value: TensorValue, position: int, expr: s.Expr, place: Span, what: str
) -> Axis:
    found = value.type
    axis = found.axes[position]
    try:
        merged = unify_axis(wanted, axis, body.builder.facts, what=what)
    except ShapeError as error:
        if error.code == "E0208" and body.generic:
            return wanted
        named = dimension_label(body, wanted.name)
        others = ((expr.span, "declared here"), *places(body, place, size_label, value, position))
        if named is not None and body.dims[wanted.name or ""].source is not None:
            others += ((named.span, named.text),)
        code = "E0214"
        title = f"{what} is declared with {_axis_text(wanted)} at axis {position}, found {_axis_text(axis)}"
        if error.code == "E0208":
            code = error.code
            title = (
                f"{what} is declared with {wanted.size} at axis {position}, and nothing says that {axis.size} equals it"
            )
        raise mistake(code, title, place, f"this is {found}", others=others, help=error.help) from None
    return Axis(wanted.name, merged.size, merged.structure)


def _axis_text(axis: Axis) -> str:
    return str(axis.size) if axis.name is None or axis.name.startswith("..") else f"`{axis.name}` ({axis.size})"


def dim_symbol(name: str) -> DimValue:
    """A free dimension of a network, or a rigid one of a generic check."""
    return DimValue(Dim.of(name), name)
