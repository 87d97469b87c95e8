"""The loop op."""

from torch.fx import Proxy

from netdsl.backends.torch_fx.context import Emitter
from netdsl.ir import Node


def lower_loop(emitter: Emitter, node: Node, operands: tuple[Proxy, ...]) -> tuple[Proxy, ...]:
    raise NotImplementedError("loop")
