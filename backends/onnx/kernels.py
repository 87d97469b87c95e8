"""Element types for which ONNX Runtime has a kernel on the CPU, and casts to the nearest one where it has none."""

from netdsl.backends.onnx.context import Emitter
from netdsl.tensor_type import F32, I32, I64, U8, DType

FLOATS = frozenset(("f16", "f32", "f64"))
NUMBERS = FLOATS | {"i64", "i32"}
#: ReduceSum and ReduceProd compute in float64 and end at the last number of the type: i32 does not wrap around.
SUMS = FLOATS | {"i64"}


def kernel_type(dtype: DType, kernels: frozenset[str]) -> DType:
    """The type to compute in: `dtype` itself, or a wider one whose values cast back give the same.

    Integers wrap around in both, so that narrowing commutes with sums and products.
    """
    if dtype.storage.name in kernels:
        return dtype.storage
    if dtype.kind == "bool":
        return U8 if "u8" in kernels else I32
    if dtype.is_float:
        return F32
    return I32 if "i32" in kernels else I64


def cast(e: Emitter, x: str, dtype: DType, to: DType) -> str:
    """`x` of type `dtype` in the type `to`."""
    return x if dtype.storage == to.storage else e.node("Cast", x, to=e.tensor_dtype(to.storage))[0]
