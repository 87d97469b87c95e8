"""Element types as ONNX and numpy know them, and the tensors that a model carries."""

from collections.abc import Iterable
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from netdsl.tensor_type import DType

Array = NDArray[np.generic]

#: `TensorProto.DataType` by the name of the stored type.
CODES: dict[str, int] = {
    "f64": TensorProto.DOUBLE,
    "f32": TensorProto.FLOAT,
    "f16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
    "i64": TensorProto.INT64,
    "i32": TensorProto.INT32,
    "i16": TensorProto.INT16,
    "i8": TensorProto.INT8,
    "u8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}

#: Little-endian, as the file stores them.
NUMPY: dict[str, np.dtype[np.generic]] = {
    "f64": np.dtype("<f8"),
    "f32": np.dtype("<f4"),
    "f16": np.dtype("<f2"),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "i64": np.dtype("<i8"),
    "i32": np.dtype("<i4"),
    "i16": np.dtype("<i2"),
    "i8": np.dtype("i1"),
    "u8": np.dtype("u1"),
    "bool": np.dtype("?"),
}


def code(dtype: DType) -> int:
    """`TensorProto.DataType` of the stored type."""
    return CODES[dtype.storage.name]


def stored(dtype: DType) -> np.dtype[np.generic]:
    """The numpy type of the stored type."""
    return NUMPY[dtype.storage.name]


@dataclass(frozen=True, slots=True, eq=False)
class Initializer:
    """A tensor in the model. `source` is a view of the caller's array, in any type: it is rounded when written."""

    name: str
    dtype: DType
    source: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def size_bytes(self) -> int:
        return self.source.size * stored(self.dtype).itemsize

    @property
    def is_raw(self) -> bool:
        """Whether the source holds the stored bytes as they are."""
        return self.source.dtype == stored(self.dtype) and self.source.flags.c_contiguous

    def raw(self, scratch: bytearray) -> memoryview:
        """The stored bytes: of the source where they are the same, else written to `scratch`, made by `scratch_for`."""
        array = self.source
        if not self.is_raw:
            array = np.frombuffer(scratch, stored(self.dtype), array.size).reshape(self.shape)
            np.copyto(array, self.source, casting="unsafe")
        return array.reshape(-1).view(np.uint8).data


def scratch_for(tensors: Iterable[Initializer]) -> bytearray:
    """A buffer that each of the tensors can be converted in, one after another: fresh memory costs more than that."""
    return bytearray(max((t.size_bytes for t in tensors if not t.is_raw), default=0))
