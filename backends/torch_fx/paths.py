"""Parameter paths as attributes of nested modules, also where torch has taken the name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx, nn

_TAKEN = frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))


def attribute_path(path: str) -> str:
    """The dotted attribute that holds `path`: elements that are attributes of every module get a `_`."""
    return ".".join(f"{part}_" if part.rstrip("_") in _TAKEN else part for part in path.split("."))


def register(root: nn.Module, target: str, tensor: torch.Tensor) -> None:
    """Register a parameter or a saved buffer at a dotted attribute, making plain modules on the way."""
    *scopes, name = target.split(".")
    module = root
    for scope in scopes:
        child = module._modules.get(scope)
        if child is None:
            child = nn.Module()
            module.add_module(scope, child)
        module = child
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def keep_keys(module: nn.Module, paths: Iterable[str]) -> None:
    """Keep the keys of the module's state dict equal to the paths where an attribute had to be renamed."""
    renamed = {target: path for path in paths if (target := attribute_path(path)) != path}

    def after_save(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        for target, path in renamed.items():
            if prefix + target in state:
                state[prefix + path] = state.pop(prefix + target)

    def before_load(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        for target, path in renamed.items():
            if prefix + path in state:
                state[prefix + target] = state.pop(prefix + path)

    if renamed:
        module.register_state_dict_post_hook(after_save)  # type: ignore[no-untyped-call]
        module.register_load_state_dict_pre_hook(before_load)  # type: ignore[no-untyped-call]
