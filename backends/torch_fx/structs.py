"""Structs as arguments of a module: one placeholder each, from which the fields are read."""

from typing import Any

import torch
from torch import fx

from netdsl.backends.torch_fx.emitter import ModuleEmitter
from netdsl.backends.torch_fx.entry_checks import InputError
from netdsl.ir import Graph as Network
from netdsl.structs import Graph, Hypergraph, read_field

for _struct in (Graph, Hypergraph):
    torch.export.register_dataclass(_struct, serialized_type_name=f"netdsl.{_struct.__name__}")


def field(struct: Any, name: str, field: str) -> Any:
    """A field of the struct that was given for `name`.

    Raises: InputError: it has none.
    """
    found = read_field(struct, field)
    if found is None:
        raise InputError(f"`{name}` has no `{field}`: found {type(struct).__name__}")
    return found


def placeholders(emitter: ModuleEmitter, network: Network) -> list[fx.Proxy]:
    """A proxy for each input; inputs `g.src` and `g.dst` are fields of one argument `g`."""
    structs: dict[str, fx.Proxy] = {}
    found = []
    for input_name, _ in network.inputs:
        name, dot, part = input_name.partition(".")
        if not dot:
            found.append(emitter.placeholder(name))
            continue
        if name not in structs:
            structs[name] = emitter.placeholder(name)
        found.append(emitter.call(field, structs[name], name, part))
    return found
