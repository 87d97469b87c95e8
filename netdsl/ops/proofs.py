"""Requirements that a shape rule has to prove: of sizes, ranks and tables."""

from collections.abc import Sequence

from netdsl.dims import Dim, Facts, RelationOp
from netdsl.tensor_type import Axis, DType, ShapeError, TensorType, unify_axis


def require(
    left: Dim,
    op: RelationOp,
    right: Dim | int,
    facts: Facts,
    *,
    what: str,
    code: str = "E0209",
    operand: int = 0,
    axes: tuple[tuple[int, int], ...] = (),
    help: str | None = None,
) -> None:
    """Demand that `left op right` is proved.

    Args:   what: opens the title, "`slice` needs its stop inside the axis"; help: the edit where it is refuted.
    Raises: ShapeError: `code`: it is refuted; E0208: nothing decides it.
    """
    proved = facts.prove(op, left, right)
    if proved is None:
        raise ShapeError(
            "E0208",
            f"{what}, and nothing says that {left} {op} {right}",
            operand=operand,
            axes=axes,
            help=f"add `where {left} {op} {right}` to the header",
        )
    if not proved:
        raise ShapeError(code, f"{what}: {left} {op} {right} is false", operand=operand, axes=axes, help=help)


def require_rank(t: TensorType, rank: int, *, what: str, operand: int = 0) -> None:
    """Raises: ShapeError: E0205: not exactly `rank` axes."""
    if t.rank != rank:
        wanted = "1 axis" if rank == 1 else f"{rank} axes"
        raise ShapeError("E0205", f"{what} needs {wanted}, found {t}", operand=operand)


def new_axis(axis: int, rank: int, *, what: str) -> int:
    """The place of an axis added to `rank` axes, counted from 0; negative ones count from the end of the result.

    Raises: ShapeError: E0206: outside of the result.
    """
    if not -rank - 1 <= axis <= rank:
        raise ShapeError("E0206", f"{what} puts a new axis at {axis}, and its result has {rank + 1} axes", operand=0)
    return axis % (rank + 1)


def require_table(dtype: DType, axis: Axis, facts: Facts, *, what: str, operand: int, at: int = 0) -> None:
    """Demand that indices of type `dtype` may point into `axis` of operand 0; plain integers may point anywhere.

    Raises: ShapeError: E0218: the table has another name or size.
    """
    table = dtype.table
    if table is None:
        return
    if table.name is not None and axis.name is not None and table.name != axis.name:
        raise ShapeError(
            "E0218",
            f"{what} reads axis `{axis.name}` with indices into `{table.name}`",
            operand=operand,
            labels=((operand, f"these point into `{table.name}`"),),
            axes=((0, at),),
        )
    equal = facts.prove_eq(table.size, axis.size)
    if equal is not True:
        unknown = equal is None
        raise ShapeError(
            "E0218",
            f"{what} reads an axis of size {axis.size} with indices into one of size {table.size}",
            operand=operand,
            axes=((0, at),),
            help=f"add `where {table.size} == {axis.size}` to the header" if unknown else None,
        )


def unify_other_axes(types: Sequence[TensorType], at: int, facts: Facts, *, what: str) -> tuple[Axis, ...]:
    """The axes that all operands share at every place but `at`, where the first one's stands.

    Raises: ShapeError: E0205: another rank; E0202, E0207, E0208: axes differ.
    """
    first = types[0]
    axes = list(first.axes)
    for index, t in enumerate(types[1:], 1):
        require_rank(t, first.rank, what=what, operand=index)
        for place, axis in enumerate(t.axes):
            if place != at:
                axes[place] = unify_axis(axes[place], axis, facts, what=what, operands=(0, index), at=(place, place))
    return tuple(axes)
