"""What names stand for while a network is checked: tensors, sizes, statics, blocks, instances."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Any

from netdsl import syntax as s
from netdsl.dims import Dim
from netdsl.ir import Init, Value
from netdsl.ops.base import Op
from netdsl.record import dataclass
from netdsl.tensor_type import Axis, DType, TensorType

if TYPE_CHECKING:
    from netdsl.check.builder import Builder
    from netdsl.check.modules import FileScope


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A tensor. `type` carries the axis names of the scope that looks at it; the IR value has none."""

    value: Value
    type: TensorType


@dataclass(frozen=True, slots=True)
class DimValue:
    """A size used as a value: `D`, `N // 2`. `name` is the axis name that a bare capital name carries."""

    dim: Dim
    name: str | None = None

    def __str__(self) -> str:
        return self.name or str(self.dim)


@dataclass(frozen=True, slots=True)
class TupleValue:
    """Several values, some of them named: `(h=.., c=..)`, or the results of a call.

    `loop` marks the results of a loop, of which trailing ones may be left out.
    """

    items: tuple["CheckValue", ...]
    names: tuple[str | None, ...]
    loop: bool = False

    def __iter__(self) -> Iterator["CheckValue"]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class ListValue:
    """A static list, of statics or of tensors. Lists never reach the IR."""

    items: tuple["CheckValue", ...]


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block with some of its statics applied. `scope` is where its names resolve (rule R20)."""

    decl: s.Block | s.Extern
    scope: "FileScope"
    statics: tuple[tuple[str, "CheckValue"], ...] = ()

    @property
    def name(self) -> str:
        return self.decl.header.name

    @property
    def qualified_name(self) -> str:
        return f"{self.scope.name}.{self.name}" if self.scope.is_std else f"{self.scope.name}:{self.name}"


@dataclass(frozen=True, slots=True)
class OpRef:
    """A primitive with its attributes so far."""

    op: type[Op]
    surface: str
    statics: tuple[tuple[str | None, "CheckValue"], ...] = ()
    name_span: Any = None


@dataclass(frozen=True, slots=True)
class MacroRef:
    """A function of the language that emits several nodes or works on statics, with its brackets so far."""

    macro: "Macro"
    statics: tuple[tuple[str | None, "CheckValue"], ...] = ()


@dataclass(frozen=True, slots=True)
class Macro:
    """`run(call)` gets the checked arguments; `signature` is what help and messages show."""

    name: str
    run: Callable[[Any], "CheckValue"]
    signature: str
    doc: str
    #: Names of the bracket arguments in positional order; None where any number may stand.
    brackets: tuple[str, ...] | None = ()
    #: Takes no tensors: the brackets alone make the value, `zeros[B, 4]`.
    is_nullary: bool = False
    #: The brackets hold axis names, not values: `rename[N, S](x)`.
    takes_names: bool = False
    #: Named brackets whose value is a word: `per=out`.
    words: tuple[str, ...] = ()
    #: All named brackets of a function with `words`: another name is wrong whatever its value is.
    named: tuple[str, ...] = ()
    #: The module of the standard library whose blocks are known by name in the brackets.
    vocabulary: str = ""
    #: A call makes parameters, which the label names, as a call of a block does.
    makes_parameters: bool = False
    #: What brackets that hold numbers alone mean, without a call: `choose[16, 64]`.
    of_numbers: "Callable[[Any], CheckValue] | None" = None


@dataclass(eq=False, slots=True)
class InstanceRef:
    """A `let` instance: every use shares its parameters (rule R6). Equality is identity."""

    ref: BlockRef
    owner: "Builder"
    path: str
    span: Any
    #: Parameter values by relative path, filled by the first call.
    params: dict[str, "TensorValue"] = field(default_factory=dict)
    is_bound: bool = False
    first_call: Any = None


@dataclass(frozen=True, slots=True)
class LeafValue:
    """One parameter of a block, the `index`-th of `count`, as a static: `leaf.path`, `leaf.shape`, `leaf.fan_in`."""

    path: str
    type: TensorType
    init: Init
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class RecordValue:
    """The parameters of a block by path, `params[T]`; the `leading` axes stand before those of each leaf (rule R9)."""

    block: str
    leaves: tuple[LeafValue, ...]
    tensors: tuple[TensorValue, ...]
    leading: tuple[Axis, ...] = ()


@dataclass(frozen=True, slots=True)
class ConstFunction:
    """`const round8(c: float): int = ..`"""

    decl: s.Const
    scope: "FileScope"


@dataclass(frozen=True, slots=True)
class Poison:
    """The value of something that was already reported; whatever touches it stays silent."""


POISON = Poison()

CheckValue = (
    TensorValue
    | DimValue
    | TupleValue
    | ListValue
    | BlockRef
    | OpRef
    | MacroRef
    | InstanceRef
    | LeafValue
    | RecordValue
    | ConstFunction
    | Poison
    | DType
    | int
    | float
    | bool
    | str
    | None
)


def instances_in(values: "Iterable[CheckValue]") -> "Iterator[InstanceRef]":
    """The `let` instances among statics, those inside lists and in the statics of blocks included."""
    for value in values:
        match value:
            case InstanceRef():
                yield value
            case ListValue() | TupleValue():
                yield from instances_in(value.items)
            case BlockRef() | OpRef() | MacroRef():
                yield from instances_in(v for _, v in value.statics)


def describe(value: CheckValue) -> str:
    """A value in the words of a message."""
    match value:
        case TensorValue():
            return f"a tensor {value.type}"
        case DimValue():
            return f"the size {value}"
        case TupleValue():
            return f"a tuple of {len(value.items)}"
        case ListValue():
            return f"a list of {len(value.items)}"
        case BlockRef():
            return f"the block `{value.name}`"
        case OpRef():
            return f"the operator `{value.surface}`"
        case MacroRef():
            return f"the function `{value.macro.name}`"
        case InstanceRef():
            return f"the instance `{value.path}`"
        case LeafValue():
            return f"the leaf `{value.path}`"
        case RecordValue():
            return f"the parameters of `{value.block}`"
        case ConstFunction():
            return f"the function `{value.decl.name}`"
        case DType():
            return f"the element type {value}"
        case bool():
            return f"the bool {str(value).lower()}"
        case int():
            return f"the int {value}"
        case float():
            return f"the float {value!r}"
        case str():
            return f'the string "{value}"'
        case None:
            return "`none`"
        case Poison():
            return "an unknown value"


_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def counted(number: int, noun: str) -> str:
    """`1 tensor`, `2 tensors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_static(value: CheckValue) -> str:
    """A static as the language writes it, for instance rows and messages."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "none"
        case str():
            return f'"{value.translate(_ESCAPED)}"'
        case ListValue():
            return f"[{', '.join(map(print_static, value.items))}]"
        case TupleValue():
            return f"({', '.join(map(print_static, value.items))}{',' if len(value.items) == 1 else ''})"
        case BlockRef():
            return _applied(value.name, value.statics)
        case OpRef():
            return _applied(value.surface, value.statics)
        case MacroRef():
            return _applied(value.macro.name, value.statics)
        case InstanceRef():
            return value.path
        case DimValue():
            return str(value.dim)
        case LeafValue():
            return value.path
        case _:
            return str(value)


def _applied(name: str, statics: "tuple[tuple[str | None, CheckValue], ...]") -> str:
    inner = ", ".join(print_static(v) if k is None else f"{k}={print_static(v)}" for k, v in statics)
    return f"{name}[{inner}]" if inner else name
