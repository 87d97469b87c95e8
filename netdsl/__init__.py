"""netdsl: a small language for neural networks. `load` a `.net` file, then `.torch()` or `.onnx(path)`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netdsl import runtime
    from netdsl.api import Module, Network, Report, load
    from netdsl.diagnostics import Diagnostic, NetError
    from netdsl.structs import Graph, Hypergraph

    __version__: str

__all__ = [
    "Diagnostic",
    "Graph",
    "Hypergraph",
    "Module",
    "NetError",
    "Network",
    "Report",
    "__version__",
    "load",
    "runtime",
]

_HOMES = {
    "load": "netdsl.api",
    "Module": "netdsl.api",
    "Network": "netdsl.api",
    "Report": "netdsl.api",
    "Diagnostic": "netdsl.diagnostics",
    "NetError": "netdsl.diagnostics",
    "Graph": "netdsl.structs",
    "Hypergraph": "netdsl.structs",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: `import netdsl` alone is cheap."""
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name == "runtime":
        value = import_module("netdsl.runtime")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("netdsl")
    else:
        raise AttributeError(f"module `netdsl` has no attribute `{name}`")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
