"""Graphs and hypergraphs from Python: one object for each struct of a header, which becomes an input for each field.

Any object with the fields as attributes will do, or a mapping of them; PyTorch Geometric's data objects too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: Where PyTorch Geometric keeps a field: (attribute, row).
_ROWS = {
    "src": (("edge_index", 0),),
    "dst": (("edge_index", 1),),
    "node": (("hyperedge_index", 0), ("edge_index", 0)),
    "edge": (("hyperedge_index", 1), ("edge_index", 1)),
}


@dataclass(frozen=True)
class Graph:
    """Edges from `src` to `dst`; in a batch, the graph of each node and where each graph's nodes begin and end.

    Shapes: src (E,), dst (E,), batch (N,), ptr (G + 1,), of 64-bit integers; numpy or torch.
    """

    src: Any
    dst: Any
    batch: Any = None
    ptr: Any = None


@dataclass(frozen=True)
class Hypergraph:
    """Which `node` is in which hyper-`edge`, one pair after the other.

    Shapes: node (I,), edge (I,), of 64-bit integers; numpy or torch.
    """

    node: Any
    edge: Any


def read_field(struct: Any, field: str) -> Any:
    """A field of a struct; None where it has none."""
    found = _attribute(struct, field)
    for name, row in _ROWS.get(field, ()) if found is None else ():
        pairs = _attribute(struct, name)
        if pairs is not None:
            return pairs[row]
    return found


def _attribute(struct: Any, name: str) -> Any:
    return struct.get(name) if isinstance(struct, Mapping) else getattr(struct, name, None)


def taken_apart(names: Iterable[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, with `g.src` and `g.dst` in place of a struct `g` where these are the inputs."""
    names = list(names)
    found: dict[str, Any] = {}
    for name, value in given.items():
        parts = fields(name, names)
        if not parts:
            found[name] = value
        for part in parts:
            field = read_field(value, part.removeprefix(f"{name}."))
            if field is not None:
                found[part] = field
    return found


def arguments(inputs: Mapping[str, Any]) -> list[Any]:
    """Arguments for the inputs of a network, in order; those of a struct become one mapping of its fields."""
    structs: dict[str, dict[str, Any]] = {}
    found: list[Any] = []
    for name, value in inputs.items():
        struct, dot, part = name.partition(".")
        if dot and struct not in structs:
            structs[struct] = {}
            found.append(structs[struct])
        if dot:
            structs[struct][part] = value
        else:
            found.append(value)
    return found


def fields(struct: str, names: Iterable[str]) -> list[str]:
    """Those of the inputs that are fields of a struct: `g.src` and `g.dst` of `g`."""
    return [name for name in names if name.startswith(f"{struct}.")]
