"""Types as written: element types, axes and sizes (rules R2, R3, R17)."""

from netdsl import syntax as s
from netdsl.check.body import Body
from netdsl.check.report import mistake
from netdsl.check.struct_types import WRITTEN
from netdsl.check.values import DimValue
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim
from netdsl.tensor_type import DTYPE_VARIABLES, DTYPES, F32, I64, Axis, DType, TensorType, idx

#: Element type of a header's type variable that no argument fixes.
DEFAULTS = {"float": F32, "int": I64, "num": F32}


def element_type(body: Body, written: s.NamedType) -> tuple[DType, "tuple[s.Expr, ...]"]:
    """The element type and the axis expressions of a tensor type.

    Raises: Mistake E0310: no such type; E0304: brackets missing or too many.
    """
    require_tensor_type(written)
    if written.name == "idx":
        if not written.groups or len(written.groups[0]) != 1 or len(written.groups) > 2:
            raise mistake("E0304", "`idx` is written `idx[N]` or `idx[N][axes]`", written.span)
        table = axis_of(body, written.groups[0][0])
        return idx(table), written.groups[1] if len(written.groups) == 2 else ()
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


def require_tensor_type(written: s.NamedType) -> None:
    """Raises: Mistake E0310: no such type; E0304: a struct."""
    if written.name in WRITTEN:
        raise mistake("E0304", f"`{written.name}` is written {WRITTEN[written.name]}", written.span)
    if written.name not in (*DTYPE_VARIABLES, *DTYPES, "idx"):
        names = (*DTYPES, *DTYPE_VARIABLES, "idx", "params", *WRITTEN)
        near = suggest(written.name, names)
        raise mistake(
            "E0310",
            f"`{written.name}` is not a tensor type",
            written.span,
            help=f"did you mean `{near}`?" if near else f"types are {', '.join(names)}",
        )


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
    return Axis(size.name, body.simplified(size.dim))


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


def dim_symbol(name: str) -> DimValue:
    """A free dimension of a network, or a rigid one of a generic check."""
    return DimValue(Dim.of(name), name)


def axis_exprs(written: s.NamedType) -> "tuple[s.Expr, ...]":
    """The axes of a tensor type, as written."""
    if written.name == "idx":
        return written.groups[1] if len(written.groups) > 1 else ()
    return written.groups[0] if written.groups else ()


def written_axes(written: s.TypeExpr) -> list[s.Expr]:
    """Everything in the brackets of a type, those of its fields too."""
    if isinstance(written, s.TupleType):
        return [e for f in written.fields for e in written_axes(f.type)]
    return [e for group in written.groups for e in group]
