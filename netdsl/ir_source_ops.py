"""How the language writes one application of an op: `a + b`, `x[:, 0]`, `softmax[axis=-1](x)`."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from math import inf, isnan

from netdsl.dims import Dim
from netdsl.ops.base import Op
from netdsl.ops.comparison import LogicalNot
from netdsl.ops.creation import Constant, DimValue, Dropout, Eye, Full, Iota
from netdsl.ops.elementwise import Neg, Select
from netdsl.ops.gradient import WithGradient
from netdsl.ops.indexing import OneHot, Retarget
from netdsl.ops.masks import LengthMask, TriMask
from netdsl.ops.pieces import Pad, Pick, Slice, Split
from netdsl.ops.product import Einsum
from netdsl.ops.reduction import Reduction, Variance
from netdsl.ops.shape import Broadcast, Reshape, Transpose
from netdsl.tensor_type import BOOL, F32, I64, DType, TensorType

INFIX: dict[str, str] = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floor_div": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "logical_and": "&",
    "logical_or": "|",
}
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all")
#: Functions that take numbers as well: a literal would give a number, not a tensor.
_OF_NUMBERS = frozenset(
    ["sqrt", "exp", "log", "sin", "cos", "tan", "floor", "ceil", "tanh", "round", "abs", "log1p", "expm1", "erf"]
)
#: A tensor operand by its name in the text, or the op of an operand that stands in the text as a number.
Operand = str | Constant | DimValue


class NotWritable(ValueError):
    """The language has no text for this part of a graph."""


def literal_types(op: Op, operands: Sequence[tuple[Operand, TensorType]], own: DType) -> tuple[DType | None, ...]:
    """The element type that the text gives to a number in each place; None: a number may not stand there.

    Args: operands: with their types; those that are numbers in the text are no strings. own: the network's float type.
    """
    if not takes_numbers(type(op)):
        return (None,) * len(operands)
    branches = operands[1:] if isinstance(op, Select) else operands
    like = next((t.dtype.storage for o, t in branches if isinstance(o, str)), None)
    return tuple(like or _own_type(o, own) for o, _ in operands)


def takes_numbers(op: type[Op]) -> bool:
    """Whether a number among the operands of `op` in the text is a tensor."""
    return not (op in _MACROS or op.name.startswith("reduce_") or op.name in _OF_NUMBERS)


def own_float(header: Iterable[TensorType]) -> DType:
    """What a float means that stands alone: the one float type of a network's inputs and outputs, else f32."""
    found = {t.dtype for t in header if t.dtype.is_float}
    return found.pop() if len(found) == 1 else F32


def _own_type(operand: Operand, own: DType) -> DType | None:
    if isinstance(operand, DimValue):
        return I64
    if isinstance(operand, Constant):
        return {bool: BOOL, int: I64, float: own}[type(operand.values[0])]
    return None


def write_application(op: Op, operands: Sequence[Operand], types: Sequence[TensorType]) -> str:
    """`op` applied to `operands`, whose types decide forms like `x[:, 0]`.

    Raises: NotWritable: the language has no such form.
    """
    texts = [o if isinstance(o, str) else _number(o) for o in operands]
    if type(op) in _PREFIX and isinstance(operands[0], str):
        return f"{_PREFIX[type(op)]}{texts[0]}"
    form = _FORMS.get(type(op))
    if form is not None:
        return form(op, texts, types)
    if isinstance(op, Reduction) and op.name.removeprefix("reduce_") in REDUCTIONS:
        return _reduction(op.name.removeprefix("reduce_"), op, texts)
    if op.name in INFIX and any(isinstance(o, str) for o in operands):
        return f"{texts[0]} {INFIX[op.name]} {texts[1]}"
    if any(f.metadata.get("variadic") for f in dataclasses.fields(op)):
        raise NotWritable(f"`{op.name}` has no text form")
    return f"{op.name}{_brackets(op)}({', '.join(texts)})"


def write_type(t: TensorType) -> str:
    """`f32[B, 2 * N]`, each axis as its size; an axis of a single symbol is so named after it."""
    dtype = t.dtype.name if t.dtype.table is None else f"idx[{t.dtype.table.size}]"
    return f"{dtype}[{', '.join(map(str, t.sizes))}]" if t.axes else dtype


def write_value(value: object) -> str:
    """An attribute's value as a static of the language."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case float():
            return _float(value)
        case str():
            return json.dumps(value)
        case DType():
            return value.name
        case tuple():
            return f"[{', '.join(map(write_value, value))}]"
        case int() | Dim():
            return str(value)
    raise NotWritable(f"an attribute of type {type(value).__name__} has no text form")


def _float(value: float) -> str:
    if isnan(value):
        return "nan"
    if value in (inf, -inf):
        return "inf" if value > 0 else "-inf"
    return repr(value)


def _number(operand: Operand) -> str:
    if isinstance(operand, DimValue):
        text = str(operand.dim)
        return text if text.isidentifier() else f"({text})"
    assert isinstance(operand, Constant)
    text = write_value(operand.values[0])
    return f"({text})" if text.startswith("-") else text


def _brackets(op: Op) -> str:
    parts = []
    for f in dataclasses.fields(op):
        value = getattr(op, f.name)
        if f.default is dataclasses.MISSING or value != f.default or type(value) is not type(f.default):
            parts.append(f"{f.name}={write_value(value)}")
    return f"[{', '.join(parts)}]" if parts else ""


def _joined(values: Sequence[object]) -> str:
    return ", ".join(map(write_value, values))


def _reduction(name: str, op: Reduction, texts: Sequence[str]) -> str:
    parts = [f"axis={write_value(op.axes)}"] if op.axes else []
    parts += ["keep=true"] if op.keep else []
    if isinstance(op, Variance) and op.correction:
        parts.append(f"correction={op.correction}")
    return f"{name}[{', '.join(parts)}]({texts[0]})" if parts else f"{name}({texts[0]})"


def _pick(op: Pick, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    return f"{texts[0]}[{', '.join([':'] * op.axis + [str(op.index)])}]"


def _slice(op: Slice, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    start = "" if op.start == 0 else str(op.start)
    stop = "" if op.stop == types[0].sizes[op.axis] else str(op.stop)
    step = "" if op.step == 1 else f":{op.step}"
    if not (start or stop or step):
        raise NotWritable("a slice of everything has no text form")
    return f"{texts[0]}[{', '.join([':'] * op.axis + [f'{start}:{stop}{step}'])}]"


def _split(op: Split, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    text = f"split[{write_value(op.sizes)}, axis={op.axis}]({texts[0]})"
    return f"{text}[0]" if len(op.sizes) == 1 else text


def _pad(op: Pad, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    parts = [f"({_joined(pair)})" for pair in op.padding]
    parts += [f"mode={write_value(op.mode)}"] if op.mode != "constant" else []
    parts += [f"value={write_value(op.value)}"] if op.value != 0 else []
    return f"pad[{', '.join(parts)}]({texts[0]})"


def _full(op: Full, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    sizes = "".join(f"{size}, " for size in op.shape)
    return f"full[{sizes}value={write_value(op.value)}, dtype={op.dtype.name}]"


def _transpose(op: Transpose, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    if not op.perm:
        raise NotWritable("a transposed scalar has no text form")
    return f"transpose[{_joined(op.perm)}]({texts[0]})"


def _einsum(op: Einsum, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    sizes = "".join(f", {name}={size}" for name, size in op.sizes)
    return f"einsum[{json.dumps(op.pattern)}{sizes}]({', '.join(texts)})"


def _constant(op: Constant, texts: Sequence[str], types: Sequence[TensorType]) -> str:
    """A number where none may stand: the same value by another op."""
    if op.shape:
        raise NotWritable("a table of numbers has no text form")
    return f"full[value={write_value(op.values[0])}, dtype={op.dtype.name}]"


Form = Callable[..., str]
_FORMS: dict[type[Op], Form] = {
    Constant: _constant,
    DimValue: lambda op, texts, types: f"cast[i64]({op.dim})",
    Pick: _pick,
    Slice: _slice,
    Split: _split,
    Pad: _pad,
    Full: _full,
    Transpose: _transpose,
    Einsum: _einsum,
    Variance: lambda op, texts, types: _reduction("var", op, texts),
    Reshape: lambda op, texts, types: f"reshape[{_joined(op.shape)}]({texts[0]})",
    Broadcast: lambda op, texts, types: f"broadcast[{_joined(op.shape)}]({texts[0]})",
    Iota: lambda op, texts, types: f"iota[{op.size}, dtype={op.dtype.name}]",
    Eye: lambda op, texts, types: f"eye[{op.size}, dtype={op.dtype.name}]",
    OneHot: lambda op, texts, types: f"one_hot[{op.size}, dtype={op.dtype.name}]({texts[0]})",
    Retarget: lambda op, texts, types: f"retarget[{op.size}, offset={op.offset}]({texts[0]})",
    LengthMask: lambda op, texts, types: f"length_mask[{op.size}]({texts[0]})",
    TriMask: lambda op, texts, types: f"tri_mask[{op.rows}, {op.cols}, diagonal={op.diagonal}]",
    Dropout: lambda op, texts, types: f"dropout[{write_value(op.p)}]({texts[0]})",
    WithGradient: lambda op, texts, types: f"with_gradient({texts[0]}, of={texts[1]})",
}
#: Written as functions of the language, in which a number is not taken for a tensor of a certain type.
_MACROS = tuple(op for op in _FORMS if op not in (Einsum, Constant, DimValue))
_PREFIX: dict[type[Op], str] = {Neg: "-", LogicalNot: "~"}
