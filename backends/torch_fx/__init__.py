"""The torch backend: a graph as a `torch.fx.GraphModule`."""

from netdsl.backends.torch_fx.entry_checks import InputError
from netdsl.backends.torch_fx.module import build_module

__all__ = ["InputError", "build_module"]
