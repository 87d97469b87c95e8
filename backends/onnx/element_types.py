"""Which element types an operator takes, and detours for those that it does not."""

from collections.abc import Callable
from functools import cache

from onnx import defs

from netdsl.backends.onnx.context import Attribute, Emitter, Lower
from netdsl.ir import Node
from netdsl.tensor_type import F32, F64, DType

#: Element types in the schemas of ONNX.
_SCHEMA_NAMES = {"f64": "double", "f32": "float", "f16": "float16", "bf16": "bfloat16", "u8": "uint8", "bool": "bool"}


@cache
def accepts(op_type: str, opset: int, dtype: DType) -> bool:
    """Whether the first operand of an operator may have this element type at `opset`."""
    schema = defs.get_schema(op_type, opset, "")
    variable = schema.inputs[0].type_str
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}.get(variable, [variable])
    name = dtype.storage.name
    return f"tensor({_SCHEMA_NAMES.get(name, name.replace('i', 'int'))})" in allowed


def apply(e: Emitter, op_type: str, dtype: DType, *xs: str, **attributes: Attribute) -> str:
    """One operator on floats of type `dtype`; through f32 where its schema does not take them."""
    if accepts(op_type, e.opset, dtype):
        return e.node(op_type, *xs, outputs=1, **attributes)[0]
    return through(e, F32, dtype, lambda *wide: e.node(op_type, *wide, outputs=1, **attributes)[0], *xs)


def through(e: Emitter, wide: DType, dtype: DType, function: Callable[..., str], *xs: str) -> str:
    """`function` on operands cast to `wide`, its result cast back."""
    result = function(*(e.node("Cast", x, to=e.tensor_dtype(wide))[0] for x in xs))
    return e.node("Cast", result, to=e.tensor_dtype(dtype))[0]


def operator(op_type: str, double: Callable[[Emitter, str], str] | None = None, **attributes: Attribute) -> Lower:
    """A lowering that is one operator on floats; `double` stands in where ONNX Runtime has no kernel for f64."""

    def lower(e: Emitter, node: Node, operands: tuple[str, ...]) -> tuple[str, ...]:
        dtype = node.result.type.dtype
        if double is not None and dtype == F64:
            return (double(e, operands[0]),)
        return (apply(e, op_type, dtype, *operands, **attributes),)

    return lower
