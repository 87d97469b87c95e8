"""Functions that `extern` blocks call. A `.net` file alone never makes Python code run: the caller allows each plug-in.

A plug-in is an installed distribution with an entry point in the group `netdsl.plugins`, whose value is a mapping from
function names to `ExternFunction`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.record import dataclass

GROUP = "netdsl.plugins"


@dataclass(frozen=True, slots=True)
class ExternFunction:
    """What one function computes, for each backend.

    Args:
        reference: (statics, arrays) -> arrays, in float64.
        torch:     (statics, tensors) -> tensors; called as it is, so that gradients run through it.
        onnx:      (emitter, node, names) -> names, as any lowering of an op; None: the network cannot be exported.
    """

    reference: Callable[..., tuple[Any, ...]]
    torch: Callable[..., tuple[Any, ...]]
    onnx: Callable[..., tuple[str, ...]] | None = None


_allowed: dict[str, Mapping[str, ExternFunction] | None] = {}


def allow(name: str, functions: Mapping[str, ExternFunction] | None = None) -> None:
    """Let networks call the plug-in `name`; its functions are given, or come from its entry point."""
    _allowed[name] = functions


def find(plugin: str) -> ExternFunction:
    """The function `plugin:function`.

    Raises: NetError: E0365: the plug-in is not allowed, not installed, or has no such function.
    """
    name, _, function = plugin.partition(":")
    if name not in _allowed:
        allowing = f'`netdsl.plugins.allow("{name}")`'
        raise NetError(Diagnostic("E0365", f"the plug-in `{name}` is not allowed", help=f"allow it: {allowing}"))
    functions = _allowed[name]
    if functions is None:
        from importlib.metadata import entry_points

        found = next(iter(entry_points(group=GROUP, name=name)), None)
        if found is None:
            raise NetError(Diagnostic("E0365", f"the plug-in `{name}` is not installed"))
        functions = _allowed[name] = found.load()
    if function not in functions:
        known = ", ".join(sorted(functions)) or "none"
        title = f"the plug-in `{name}` has no function `{function}`"
        raise NetError(Diagnostic("E0365", title, help=f"it has {known}"))
    return functions[function]
