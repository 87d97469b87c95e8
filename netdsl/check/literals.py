"""Numbers and sizes where a tensor is wanted (rules R1 and R17)."""

from typing import TYPE_CHECKING

from netdsl.check.report import mistake
from netdsl.check.values import DimValue, TensorValue, describe
from netdsl.ops import creation
from netdsl.ops.elementwise import Cast
from netdsl.source import Span
from netdsl.tensor_type import BOOL, I64, DType

if TYPE_CHECKING:
    from netdsl.check.body import Body


def scalar(body: "Body", value: bool | int | float | DimValue, like: DType | None, span: Span) -> TensorValue:
    """A 0-d tensor. A number takes the element type of the other operand, `like`; alone it is float, i64 or bool.

    Raises: Mistake E0201: a float among integers, a number among bools.
    """
    if isinstance(value, DimValue):
        if value.dim.is_const:
            return scalar(body, value.dim.value, like, span)
        size = body.apply1(creation.DimValue(value.dim), (), span)
        target = like.storage if like is not None else I64
        return size if target == I64 else body.apply1(Cast(target), (size,), span)
    if like is None:
        dtype = BOOL if isinstance(value, bool) else I64 if isinstance(value, int) else body.float_type
    else:
        dtype = like.storage
    if isinstance(value, bool) != (dtype.kind == "bool") or (isinstance(value, float) and dtype.kind != "float"):
        raise mistake(
            "E0201",
            f"{describe(value)} does not fit among {dtype} elements",
            span,
            help=f"convert the tensor: `cast[{'bool' if isinstance(value, bool) else 'f32'}](..)`",
        )
    return body.apply1(creation.Constant((float(value) if dtype.is_float else value,), (), dtype), (), span)
