"""Checks of arrays against the inputs of a model: names, element types, sizes, what holds of them, and indices."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netdsl.backends.onnx.sizes import linear
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.did_you_mean import suggest
from netdsl.dims import Dim, parse_dim

Array = NDArray[np.generic]

#: Element types as ONNX Runtime writes them.
_ELEMENT_TYPES = {
    "double": "f64",
    "float": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "u8",
    "bool": "bool",
}
_NUMPY = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "bool": "bool",
}
_NAMES = {name: short for short, name in _NUMPY.items()}
_RELATION = re.compile(r"(.+?) (==|!=|<=|>=|<|>) (.+)")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its name, element type and sizes; a size that nothing says is None."""

    name: str
    dtype: str
    sizes: tuple[Dim | None, ...]

    @classmethod
    def read(cls, name: str, element_type: str, shape: Sequence[int | str | None]) -> "Port":
        """From what ONNX Runtime says, `tensor(float)` and `["B", 3]`."""
        inner = element_type.removeprefix("tensor(").removesuffix(")")
        return cls(name, _ELEMENT_TYPES.get(inner, inner), tuple(map(_size, shape)))

    @property
    def numpy_dtype(self) -> str | None:
        """The numpy type that holds it, if there is one."""
        return _NUMPY.get(self.dtype)

    def __str__(self) -> str:
        return (
            f"{self.dtype}[{', '.join('?' if d is None else str(d) for d in self.sizes)}]" if self.sizes else self.dtype
        )


def as_arrays(ports: Sequence[Port], given: Mapping[str, object]) -> dict[str, Array]:
    """What was given as arrays; lists and numbers take the element type of their input.

    Raises: NetError: E0811: an input that is missing or unknown.
    """
    names = [port.name for port in ports]
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        parts = [f"missing: {_quoted(missing)}"] * bool(missing) + [f"unknown: {_quoted(unknown)}"] * bool(unknown)
        near = suggest(unknown[0], missing) if unknown else None
        takes = "; ".join(f"`{port.name}`: {port}" for port in ports) or "none"
        raise NetError(
            Diagnostic(
                "E0811",
                f"the inputs do not fit the model; {'; '.join(parts)}",
                notes=(f"the model takes {takes}",),
                help=f"`{unknown[0]}`: did you mean `{near}`?" if near else None,
            )
        )
    arrays = {}
    for port in ports:
        value = given[port.name]
        arrays[port.name] = value if isinstance(value, np.ndarray) else np.asarray(value, dtype=port.numpy_dtype)
    return arrays


def check_types(ports: Sequence[Port], arrays: Mapping[str, Array]) -> dict[str, int]:
    """The sizes of the free dimensions.

    Raises: NetError: E0812: an element type, a rank or a size, all that are wrong.
    """
    found: list[Diagnostic] = []
    equations: list[tuple[Port, int, Dim]] = []
    for port in ports:
        array = arrays[port.name]
        dtype = _NAMES.get(array.dtype.name, array.dtype.name)
        if dtype != port.dtype:
            known = port.numpy_dtype
            help_ = f'convert it: `{port.name}.astype("{known}")`' if known else None
            found.append(_refusal(port, array, "", help_))
        elif array.ndim != len(port.sizes):
            found.append(_refusal(port, array, f": {_axes(len(port.sizes))}, found {array.ndim}"))
        else:
            equations += [(port, at, size) for at, size in enumerate(port.sizes) if size is not None]
    sizes: dict[str, int] = {}
    equations.sort(key=lambda equation: str(equation[2]) not in equation[2].symbols)
    pending = equations
    while pending:
        open_ = [e for e in pending if not _settle(e[2], arrays[e[0].name].shape[e[1]], sizes)]
        if len(open_) == len(pending):
            break
        pending = open_
    for port, at, size in equations:
        actual = arrays[port.name].shape[at]
        if size.symbols <= sizes.keys() and _value(size, sizes) != actual:
            value = "" if size.is_const else f" = {_value(size, sizes)}"
            found.append(_refusal(port, arrays[port.name], f": axis {at} is {size}{value}, found {actual}"))
    if found:
        raise NetError(found)
    return sizes


def check_facts(relations: Sequence[str], sizes: Mapping[str, int]) -> None:
    """Raises: NetError: E0813: a fact that the network's header states does not hold."""
    for text in relations:
        match = _RELATION.fullmatch(text)
        if match is None:
            continue
        left, right = parse_dim(match[1]), parse_dim(match[3])
        if not left.symbols | right.symbols <= sizes.keys():
            continue
        a, b = _value(left, sizes), _value(right, sizes)
        if a is None or b is None or not _holds(match[2], a, b):
            values = ", ".join(f"{name} = {sizes[name]}" for name in sorted(left.symbols | right.symbols))
            raise NetError(Diagnostic("E0813", f"the network needs `{text}`, found {values}"))


def check_indices(tables: Mapping[str, str], arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
    """Raises: NetError: E0814: an index that its table does not have."""
    for name, text in tables.items():
        table, array = parse_dim(text), arrays[name]
        size = _value(table, sizes) if table.symbols <= sizes.keys() else None
        if size is None or array.size == 0:
            continue
        for index in (int(array.min()), int(array.max())):
            if not 0 <= index < size:
                raise NetError(Diagnostic("E0814", f"`{name}` holds indices below {size}, found {index}"))


def check_ranges(ranges: Mapping[str, tuple[float, float]], arrays: Mapping[str, Array]) -> None:
    """Raises: NetError: E0814: a value outside the range that the network's header states."""
    for name, ends in ranges.items():
        array = arrays[name]
        if array.size == 0:
            continue
        low, high = np.asarray(ends, array.dtype if array.dtype.kind == "f" else np.float64)
        if not (low <= array.min() and array.max() <= high):
            found = f"{array.min():g} to {array.max():g}"
            raise NetError(Diagnostic("E0814", f"`{name}` lies in {ends[0]:g}..{ends[1]:g}, found {found}"))


def read_ranges(text: str) -> dict[str, tuple[float, float]]:
    """From the metadata, `{"gamma": [0.0, null]}`: an end that is not there is infinite."""
    return {
        name: (-math.inf if low is None else low, math.inf if high is None else high)
        for name, (low, high) in json.loads(text).items()
    }


def _settle(size: Dim, found: int, sizes: dict[str, int]) -> bool:
    """Learn the one symbol that is open in `size == found`; False while there are several."""
    unknown = size.symbols - sizes.keys()
    if len(unknown) > 1:
        return False
    for symbol in unknown:
        slope, offset = (d.substitute(sizes) for d in linear(size, symbol))
        if slope.is_const and offset.is_const and slope.value != 0:
            sizes[symbol] = max((found - offset.value) // slope.value, 0)
    return True


def _value(size: Dim, sizes: Mapping[str, int]) -> int | None:
    """None where it divides by 0."""
    try:
        return size.evaluate(sizes)
    except ZeroDivisionError:
        return None


def _holds(op: str, a: int, b: int) -> bool:
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def _size(written: int | str | None) -> Dim | None:
    """A size of another exporter need not be an expression: then it is unknown."""
    if isinstance(written, int):
        return Dim.of(written)
    try:
        return parse_dim(written) if written else None
    except ValueError:
        return None


def _refusal(port: Port, array: Array, why: str, help_: str | None = None) -> Diagnostic:
    dtype = _NAMES.get(array.dtype.name, array.dtype.name)
    found = f"{dtype}[{', '.join(map(str, array.shape))}]" if array.ndim else dtype
    return Diagnostic("E0812", f"`{port.name}` is {port}, found {found}{why}", help=help_)


def _axes(rank: int) -> str:
    return "1 axis" if rank == 1 else f"{rank} axes"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
