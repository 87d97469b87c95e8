"""Values that meet a declared type: results, assignments and given parameters (rules R3, R7)."""

from netdsl import syntax as s
from netdsl.check.body import Body, DimOrigin
from netdsl.check.origins import dimension_label, element_label, places, rank_label, size_label
from netdsl.check.report import Silent, mistake
from netdsl.check.types import axis_exprs, axis_of, element_type, require_tensor_type
from netdsl.check.values import POISON, CheckValue, DimValue, TensorValue, describe
from netdsl.source import Span
from netdsl.tensor_type import DTYPE_VARIABLES, Axis, ShapeError, TensorType, unify_axis


def check_result(body: Body, written: s.NamedType, value: CheckValue, place: Span, what: str) -> TensorValue:
    """Match a result with its declared type; names met first here are bound. Returns it under the declared type.

    Raises: Mistake E0214; E0310: no such type.
    """
    require_tensor_type(written)
    if value is POISON:
        raise Silent
    if isinstance(value, (bool, int, float, DimValue)):
        dtype, _ = element_type(body, written)
        value = body.tensor(value, place, like=dtype)
    if not isinstance(value, TensorValue):
        raise mistake("E0214", f"{what} needs a tensor, found {describe(value)}", place)
    found = value.type
    exprs = axis_exprs(written)
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
