"""Block instances that torch has one function for."""

from netdsl.backends.torch_fx.instances import LowerInstance

FUSED: dict[str, LowerInstance] = {}
