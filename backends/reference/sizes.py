"""The run-time values of a network's free dimensions, read off its input shapes."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from netdsl.dims import Dim
from netdsl.ir import Graph, Value


class Shaped(Protocol):
    """A numpy array, a torch tensor, or anything else with a shape."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def bind_sizes(graph: Graph, arrays: Mapping[str, Shaped], sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """The value of every free dimension, so that each input has the shape that its type says.

    Axes that are one symbol, or linear in one that is not known yet (`2 * N + 1`), are solved; all others are checked.

    Args:   sizes: values known beforehand, for dimensions that no axis determines.
    Raises: ValueError: an input is missing or unknown, a shape does not fit, or a dimension stays open.
    """
    names = [name for name, _ in graph.inputs]
    missing = [f"`{n}`" for n in names if n not in arrays]
    unknown = [f"`{n}`" for n in arrays if n not in names]
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise ValueError(f"`{graph.name}` takes the inputs {', '.join(names) or 'none'}; {'; '.join(parts)}")
    known = dict(sizes or {})
    pending = list(_equations(graph.inputs, arrays))
    while pending:
        left = [equation for equation in pending if not _settle(*equation, known)]
        if len(left) == len(pending):
            place, dim, _ = left[0]
            open_ = sorted(dim.symbols - known.keys())
            raise ValueError(f"{place} is `{dim}`, which does not determine {', '.join(open_)}: give their sizes")
        pending = left
    return known


def check_shape(name: str, value: Value, array: Shaped, known: Mapping[str, int]) -> None:
    """Raises: ValueError: `array` is not of the type of `value` at these sizes."""
    expected = tuple(size.evaluate(known) for size in value.type.sizes)
    if tuple(array.shape) != expected:
        raise ValueError(f"`{name}` is {value.type}, that is {_text(expected)} here; found {_text(array.shape)}")


def _equations(inputs: Iterable[tuple[str, Value]], arrays: Mapping[str, Shaped]) -> Iterable[tuple[str, Dim, int]]:
    """(place, size as written, size found) of every axis, plain symbols first."""
    simple: list[tuple[str, Dim, int]] = []
    other: list[tuple[str, Dim, int]] = []
    for name, value in inputs:
        shape = arrays[name].shape
        if len(shape) != value.type.rank:
            raise ValueError(f"`{name}` is {value.type}, of {value.type.rank} axes; found {_text(shape)}")
        for at, (size, found) in enumerate(zip(value.type.sizes, shape, strict=True)):
            is_symbol = not size.is_const and str(size) in size.symbols
            (simple if is_symbol else other).append((f"axis {at} of `{name}`", size, int(found)))
    return simple + other


def _settle(place: str, size: Dim, found: int, known: dict[str, int]) -> bool:
    """Check `size == found`, or solve it for its one open symbol; False while that cannot be done."""
    open_ = size.symbols - known.keys()
    if len(open_) > 1:
        return False
    if open_:
        (symbol,) = open_
        solved = _solve(size.substitute({s: known[s] for s in size.symbols if s in known}), symbol, found)
        if solved is None:
            return False
        if solved < 0:
            raise ValueError(f"{place} is `{size}`; no size of {symbol} makes it {found}")
        known[symbol] = solved
        return True
    expected = size.evaluate(known)
    if expected != found:
        where = ", ".join(f"{s} = {known[s]}" for s in sorted(size.symbols))
        raise ValueError(f"{place} is `{size}`, that is {expected}{f' with {where}' if where else ''}; found {found}")
    return True


def _solve(size: Dim, symbol: str, found: int) -> int | None:
    """The value of `symbol` for which `size == found`; None where it is not linear, -1 where there is none."""
    variable = Dim.of(symbol)
    offset = size.substitute({symbol: 0}) if all(str(atom) == symbol for atom in size.atoms()) else None
    if offset is None or not offset.is_const:
        return None
    slope = (size - offset).substitute({symbol: 1})
    if not slope.is_const or slope.value == 0 or size != variable * slope.value + offset.value:
        return None
    value, rest = divmod(found - offset.value, slope.value)
    return -1 if rest else value


def _text(shape: Iterable[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"
