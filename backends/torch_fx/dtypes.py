"""Element types of the language and of torch."""

import torch

from netdsl.tensor_type import DType

_TORCH = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i64": torch.int64,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
    "bool": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _TORCH.items()}


def torch_dtype(dtype: DType) -> torch.dtype:
    """The torch type that stores `dtype` while the module is as built."""
    return _TORCH[dtype.storage.name]


def type_name(dtype: torch.dtype) -> str:
    """The language's name of a torch type; torch's own where the language has none."""
    return _NAMES.get(dtype) or str(dtype).removeprefix("torch.")
