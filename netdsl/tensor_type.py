"""Types of tensors: element types, named axes, and the rules by which axes agree."""

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Literal

from netdsl.dims import Dim, Facts, product
from netdsl.record import dataclass

Kind = Literal["float", "int", "bool"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: a nominal name or none, a size, and room for a structure (irreps).

    Two axes with different names never match, even at equal size (rule R3).
    """

    name: str | None
    size: Dim
    structure: str | None = None

    def __str__(self) -> str:
        size = str(self.size)
        is_shown = self.name is not None and not self.name.startswith("..") and self.name != size
        return f"{self.name}={size}" if is_shown else size


@dataclass(frozen=True, slots=True)
class DType:
    """An element type. `idx` is i64 that points into an axis `table`."""

    name: str
    kind: Kind
    bits: int
    table: Axis | None = None

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        return self.kind == "int"

    @property
    def storage(self) -> "DType":
        """The element type as stored: i64 for `idx[N]`."""
        return I64 if self.table is not None else self

    def __str__(self) -> str:
        return self.name if self.table is None else f"idx[{self.table}]"


F64, F32, F16, BF16 = (DType(n, "float", b) for n, b in (("f64", 64), ("f32", 32), ("f16", 16), ("bf16", 16)))
I64, I32, I16, I8, U8 = (DType(n, "int", b) for n, b in (("i64", 64), ("i32", 32), ("i16", 16), ("i8", 8), ("u8", 8)))
BOOL = DType("bool", "bool", 8)
DTYPES: dict[str, DType] = {d.name: d for d in (F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL)}
#: Type variables of a header: the caller's float, int or number type (rule R17).
DTYPE_VARIABLES: dict[str, tuple[Kind, ...]] = {"float": ("float",), "int": ("int",), "num": ("float", "int")}


def idx(table: Axis) -> DType:
    """The type of indices into an axis like `table`."""
    return DType("idx", "int", 64, table)


@dataclass(frozen=True, slots=True)
class TensorType:
    """`dtype[axes]`; a scalar has no axes."""

    dtype: DType
    axes: tuple[Axis, ...] = ()

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def sizes(self) -> tuple[Dim, ...]:
        return tuple(a.size for a in self.axes)

    @property
    def is_static(self) -> bool:
        return all(a.size.is_const for a in self.axes)

    def numel(self) -> Dim:
        return product(self.sizes)

    def with_axes(self, axes: Sequence[Axis]) -> "TensorType":
        return TensorType(self.dtype, tuple(axes))

    def with_dtype(self, dtype: DType) -> "TensorType":
        return TensorType(dtype, self.axes)

    def without_names(self) -> "TensorType":
        """The same type with every axis name (and table name) dropped."""
        if self.dtype.table is None and all(a.name is None for a in self.axes):
            return self
        dtype = self.dtype
        if dtype.table is not None:
            dtype = replace(dtype, table=replace(dtype.table, name=None))
        return TensorType(dtype, tuple(a if a.name is None else replace(a, name=None) for a in self.axes))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.axes))}]" if self.axes else str(self.dtype)


def tensor(dtype: DType, *sizes: Dim | int | str) -> TensorType:
    """Shorthand for a type: strings name an axis after its symbol."""
    return TensorType(
        dtype, tuple(Axis(s if isinstance(s, str) else None, s if isinstance(s, Dim) else Dim.of(s)) for s in sizes)
    )


@dataclass(eq=False)
class ShapeError(Exception):
    """A type rule is broken. The checker turns it into a diagnostic with the places of the operands.

    Args:
        code:    the diagnostic's code, `E02..`.
        title:   what is wrong, with the expected and the found value.
        operand: index of the operand at fault, if one is.
        labels:  (operand index, what it is) for further places.
        axes:    (operand index, axis index) whose origin explains the error.
    """

    code: str
    title: str
    operand: int | None = None
    labels: tuple[tuple[int, str], ...] = ()
    axes: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = field(default=None)

    def __post_init__(self) -> None:
        super().__init__(f"{self.code}: {self.title}")


def unify_axis(
    left: Axis,
    right: Axis,
    facts: Facts,
    *,
    what: str,
    operands: tuple[int, int] = (0, 1),
    at: tuple[int, int] = (0, 0),
) -> Axis:
    """The one axis that both stand for: sizes must be proved equal, the result takes the name that exists.

    Args:   what: the subject of a message, "`+`" or "`matmul`"; at: positions of the axes in their operands.
    Raises: ShapeError: names differ (E0207), sizes differ (E0202) or cannot be compared (E0208).
    """
    places = ((operands[0], at[0]), (operands[1], at[1]))
    if left.name is not None and right.name is not None and left.name != right.name:
        raise ShapeError(
            "E0207",
            f"{what} meets two different axes: `{left.name}` and `{right.name}`",
            operand=operands[1],
            axes=places,
            help=f"if they are meant to be the same, declare both as `{left.name}`; "
            f"or rename one: `rename[{right.name}, {left.name}](..)`",
        )
    if left.size == right.size:
        return left if left.name is not None else right
    equal = facts.prove_eq(left.size, right.size)
    if equal is None:
        raise ShapeError(
            "E0208",
            f"{what} needs equal sizes, and nothing says that {left.size} equals {right.size}",
            operand=operands[1],
            axes=places,
            help=f"add `where {left.size} == {right.size}` to the header",
        )
    if not equal:
        raise ShapeError(
            "E0202",
            f"{what} needs equal sizes: {left.size} and {right.size}",
            operand=operands[1],
            axes=places,
        )
    kept = left if left.size.is_const or not right.size.is_const else right
    return replace(kept, name=left.name or right.name)


def broadcast_axes(types: Sequence[TensorType], facts: Facts, *, what: str) -> tuple[Axis, ...]:
    """Axes of an elementwise result, aligned from the right (rule R4).

    Only an unnamed axis of literal size 1 stretches; a symbolic size never counts as 1.
    """
    rank = max((t.rank for t in types), default=0)
    result: list[Axis] = []
    for position in range(rank):
        merged: Axis | None = None
        owner, owner_at = 0, 0
        for index, t in enumerate(types):
            at = position - (rank - t.rank)
            if at < 0:
                continue
            axis = t.axes[at]
            if merged is None:
                merged, owner, owner_at = axis, index, at
            elif _stretches(axis):
                if _stretches(merged) and axis.name is not None:
                    merged = axis
            elif _stretches(merged):
                merged, owner, owner_at = axis, index, at
            else:
                merged = unify_axis(merged, axis, facts, what=what, operands=(owner, index), at=(owner_at, at))
        assert merged is not None
        result.append(merged)
    return tuple(result)


def _stretches(axis: Axis) -> bool:
    return axis.name is None and axis.size == 1


def require_same_dtype(types: Sequence[TensorType], *, what: str) -> DType:
    """The common element type. Two tensors never promote (rule R17).

    Raises: ShapeError: E0201.
    """
    first = types[0].dtype
    for index, t in enumerate(types[1:], 1):
        if t.dtype != first:
            if t.dtype.storage == first.storage and (t.dtype.table is None or first.table is None):
                first = first.storage
                continue
            raise ShapeError(
                "E0201",
                f"{what} needs one element type: {first} and {t.dtype}",
                operand=index,
                labels=((0, f"{types[0]}"), (index, f"{t}")),
                help=f"convert one of them: `cast[{first.storage}](..)`",
            )
    return first


def require_kind(t: TensorType, kinds: Sequence[Kind], *, what: str, operand: int = 0) -> None:
    """Raises: ShapeError: E0217: the element type is of another kind."""
    if t.dtype.kind not in kinds:
        wanted = " or ".join(kinds)
        raise ShapeError("E0217", f"{what} needs {wanted} elements, found {t.dtype}", operand=operand)


def normal_axis(axis: int, rank: int, *, what: str) -> int:
    """`axis` counted from 0.

    Raises: ShapeError: E0206: outside -rank..rank-1.
    """
    if not -rank <= axis < rank:
        raise ShapeError("E0206", f"{what} has no axis {axis}: its operand has {rank} axes", operand=0)
    return axis % rank
